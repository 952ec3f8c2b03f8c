"""Federated averaging: clients train where their data are, an `Aggregator` combines their updates, round by round.

McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017. This is the local
run: all clients in this process, one after the other, each behind the same messages that would travel (`mpc.federated.flower`
sends them between machines). Who learns what depends on the aggregator alone (SECURITY.md).
"""
from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from time import perf_counter
from typing import Any, Final

import numpy as np

from mpc.errors import ConfigError, IntegrityError, MPCError
from mpc.federated import choice, secret, server_optimizers, weights
from mpc.federated.aggregators.base import Aggregator, Combined, TooFewContributors
from mpc.federated.clients import Client, Loss, Training, listed
from mpc.federated.evaluation import Evaluate, evaluation
from mpc.federated.history import History, Round
from mpc.federated.server_optimizers import ServerOptimizer
from mpc.federated.weights import Module
from mpc.privacy.dp import Gaussian

FLOAT32: Final = 4
VOID: Final = (TooFewContributors, IntegrityError)  # what makes a round void; the model stays


class FedAvg:
    """Train one torch model on the data of many clients, of which only sums of updates become known.

    ``model``: a torch.nn.Module (copied), or a class or function that makes one. Parameters and floating-point buffers are
    averaged; integer buffers stay. ``aggregator``: "plain" | "paillier" | "shares", made for the clients that come, or an
    `Aggregator`. ``weights``: "samples" (n_i) or "equal". ``server_optimizer``: None (averaging), "fedavgm", "fedadam" or
    a `ServerOptimizer`. ``fraction`` of the clients takes part in each round, drawn anew. With fewer than ``min_clients``
    valid contributions (2 unless given) nothing is revealed and the round is void.

    Local training: ``epochs``, ``batch_size`` (None: all records), ``lr``, ``momentum`` of SGD, or ``optimizer``, a function
    of the parameters; ``loss`` a name of torch.nn.functional or a function of (output, target). ``one_step``: FedSGD, one
    gradient step over each client's whole data. ``max_norm``: clients scale longer updates down to this L2 norm, and
    aggregators that can (shares, plain) refuse longer ones. ``bound``: the largest |value| of an update, 16 unless given; a
    client whose update has a larger one is refused. "shares" checks it where it is given, at 9 bytes a value, and always a
    norm: ``max_norm``, or 32. ``seed``: initial weights, choice of clients, shuffles and dropout, for
    experiments; keys, masks and shares never come from it. ``dp``: a `privacy.Gaussian` with aggregator "shares", equal weights
    and a ``max_norm``: each round's sum opens with noise that nobody knows, which hides one client's whole update
    (`mpc.federated.noise`) and is charged to open budgets; every round is a release, and BudgetExceeded ends `fit` before it.

    Raises ConfigError for settings that cannot work, and where torch is missing.
    """

    patience: Final = 3  # void rounds in a row before `fit` gives up

    def __init__(
        self, model: Module | Callable[[], Module], aggregator: Aggregator | str = "plain", *, weights: str = "samples",
        server_optimizer: ServerOptimizer | str | None = None, fraction: float = 1.0, min_clients: int | None = None,
        max_norm: float | None = None, bound: float | None = None, epochs: int = 1, batch_size: int | None = 32,
        lr: float = 0.1, momentum: float = 0.0, optimizer: Callable[[Any], Any] | None = None,
        loss: Loss | str = "cross_entropy", one_step: bool = False, seed: int | None = None, dp: Gaussian | None = None,
    ) -> None:  # fmt: skip
        if weights not in ("samples", "equal"):
            raise ConfigError(f"got weights={weights!r}; want 'samples' or 'equal'")
        if not 0 < fraction <= 1:
            raise ConfigError(f"got fraction={fraction!r}; want 0 < fraction <= 1")
        self.training = Training(epochs, batch_size, lr, momentum, loss, one_step, max_norm, optimizer)
        self.server_optimizer = server_optimizers.chosen(server_optimizer)
        self.choice = choice.Choice(aggregator, min_clients, max_norm, bound, dp)
        if dp is not None and weights != "equal":
            raise ConfigError("dp with weights='samples': a client of many records would need as much more noise; want 'equal'")
        self.weights, self.fraction, self.seed = weights, fraction, seed
        self.model = _made(model, seed)
        self.history = History()

    @property
    def aggregator(self) -> Aggregator | None:
        """What combines the updates; None before the first `fit` where a name was given."""
        return self.choice.made

    def fit(
        self, clients: Any, rounds: int = 20, *, keep_secret: bool = False, evaluate: Evaluate = None,
        progress: bool | None = None,
    ) -> Any:  # fmt: skip
        """Train for ``rounds`` more rounds; the global model (`self.model`, a torch module).

        ``clients``: `Client` objects or pairs (x, y). One that raises, makes NaN or sends what the aggregator refuses is left
        out of the round with its reason in ``history``; it is asked again in later rounds. ``evaluate``: a pair (x, y) or a
        function of the model that gives numbers by name. ``progress``: a line per round; None: where standard output is a
        terminal.

        ``keep_secret``: inside `mpc.session()`, at every party: the result is a module of the engine with secret weights, as
        `mpc.nn.from_torch` gives; see `mpc.federated.secret`. Raises TooFewContributors when no client could contribute, or
        after three void rounds in a row (then also IntegrityError); what was trained so far is in ``model`` and ``history``.
        """
        if rounds < 1:
            raise ConfigError(f"got rounds={rounds}; want at least 1")
        score = evaluation(evaluate, self.training.measure())
        if keep_secret:
            return secret.fit(self, clients, rounds, score, _shown(progress))
        here = listed(clients)
        aggregator = self.choice.settle(here, self.contributors(len(here)), self.weights)
        first = len(self.history)
        length = weights.flatten(self.model).size
        for _ in range(rounds):
            entry, messages = self.collect(here, aggregator)
            combine = partial(aggregator.combine, messages, round=entry.number, length=length)
            void = [past.void for past in self.history[1 - self.patience :]]
            combined = self.combined(entry, combine, give_up=not messages or (len(void) == self.patience - 1 and all(void)))
            if combined is not None:
                entry.combining = dict(getattr(aggregator, "seconds", {}))
                self.step(np.asarray(combined.mean))
            self.finish(entry, score, first + rounds if _shown(progress) else 0)
        return self.model

    # --- one round, in its parts
    def collect(self, clients: Sequence[Client], aggregator: Aggregator) -> tuple[Round, list[bytes]]:
        """Local training of this round's clients: their messages. ``accepted`` names who sent one, in order."""
        number = len(self.history) + 1
        entry, messages, size = Round(number), list[bytes](), weights.flatten(self.model).size
        for k in self._drawn(len(clients), number):
            client, started = clients[k], perf_counter()
            entry.bytes_down += FLOAT32 * size
            try:  # a module for each: what one client did to its own is nobody else's fault
                update = client.update(deepcopy(self.model), self.training, self._client_seed(number, k))
                trained = perf_counter()
                entry.seconds["train"] += trained - started
                weight = client.samples if self.weights == "samples" else 1
                message = aggregator.client_message(update, weight, client=client.name, round=number)
                entry.seconds["protect"] += perf_counter() - trained
            except Exception as error:  # one client's fault is not the round's
                entry.refused[client.name] = f"{type(error).__name__}: {error}"
                continue
            messages.append(message)
            entry.accepted.append(client.name)
        entry.bytes_up = sum(map(len, messages))
        return entry, messages

    def combined(
        self, entry: Round, combine: Callable[[], Combined], give_up: bool, void: tuple[type[MPCError], ...] = VOID
    ) -> Combined | None:
        """The aggregator's result, noted in ``entry``; None when the round is void: too few contributions, or a sum that
        cannot be one of valid contributions. ``give_up``: raise what made it void."""
        sent, started = entry.accepted, perf_counter()
        try:
            found = combine()
        except void as error:
            entry.void, entry.accepted = str(error), []
            self.history.append(entry)
            failed = "; ".join(f"{name}: {reason}" for name, reason in list(entry.refused.items())[:3])
            if failed:
                error.add_note(f"clients that sent nothing in round {entry.number}: {failed}")
            if give_up:
                raise
            warnings.warn(f"round {entry.number} is void, the model stays: {error}", stacklevel=3)
            return None
        entry.seconds["combine"] += perf_counter() - started
        names = dict(enumerate(sent))  # none at parties of a session that have no messages
        entry.accepted = [names.get(place, f"message {place}") for place in found.accepted]
        entry.refused |= {names.get(place, f"message {place}"): reason for place, reason in found.refused.items()}
        entry.weight = found.weight
        self.history.append(entry)
        return found

    def step(self, mean: weights.Floats) -> None:
        """Move the global model by the mean update: parameters by the server's optimiser, buffers by the mean itself."""
        before, count = weights.flatten(self.model), weights.trainable(self.model)
        after = self.server_optimizer.step(before[:count], mean[:count])
        weights.load(self.model, np.concatenate([after, before[count:] + mean[count:]]))

    def finish(self, entry: Round, score: Callable[[Module], dict[str, float]] | None, shown: int) -> None:
        """Evaluate the model and say so (``shown``: of how many rounds; 0: say nothing)."""
        if score is not None:
            started = perf_counter()
            found = dict(score(self.model))
            entry.loss, entry.accuracy = found.pop("loss", None), found.pop("accuracy", None)
            entry.metrics = found
            entry.seconds["evaluate"] = perf_counter() - started
        if shown:
            print(entry.line(shown), flush=True)

    # --- who takes part
    def contributors(self, clients: int) -> int:
        """How many clients a round asks."""
        return max(1, math.ceil(self.fraction * clients - 1e-9))

    def _drawn(self, clients: int, number: int) -> list[int]:
        rng = np.random.default_rng(None if self.seed is None else [self.seed, number])
        return sorted(int(k) for k in rng.choice(clients, self.contributors(clients), replace=False))

    def _client_seed(self, number: int, client: int) -> int | None:
        return None if self.seed is None else int(np.random.SeedSequence([self.seed, number, client]).generate_state(1)[0])


def _made(model: Any, seed: int | None) -> Module:
    module = weights.made(model, seed)
    weights.tensors(module)
    return module


def _shown(progress: bool | None) -> bool:
    return sys.stdout.isatty() if progress is None else progress
