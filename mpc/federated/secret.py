"""``FedAvg.fit(keep_secret=True)``: the last round's mean enters the engine as shares and is never opened.

Called inside `mpc.session()` at every party alike, with the clients at party 0 (None elsewhere): party 0 runs their training as
a simulation, and is the server that relays or adds their messages. The result is a module of the engine with secret
parameters, which trains on and predicts there. Who learns what:

- every party: the architecture, how many contributions each round has, sum(n_i), and what the aggregator's own lines of the
  ledger say; with R > 1 rounds also that R - 1 means were opened *to party 0*;
- the clients (here party 0, which plays them): the models of rounds 1 to R - 1, since they train on them. A client cannot start
  from a model that nobody knows, so only the last round's mean can stay secret: with rounds=1, everything after the
  public start; with more, the secret model is one step of averaging away from one that all clients know. Training that
  continues in the engine, on shared data, moves on from there unseen by anybody, the clients included;
- the other parties: no model of any round, and no update;
- nobody: the last mean and the final model.

A real deployment has the clients elsewhere: their messages come to party 0, each round's mean goes back to them
(`mean.reveal(to=0)` here stands for that), and party 0 then is one more process that does not see updates.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from mpc import byte_exchange, identity, nn
from mpc import party as current_party
from mpc.errors import ConfigError
from mpc.federated import messages, weights
from mpc.federated.aggregators.base import Aggregator, TooFewContributors
from mpc.federated.choice import Choice
from mpc.federated.clients import Client, listed
from mpc.federated.history import Round
from mpc.federated.weights import Module
from mpc.party import Party
from mpc.tensor import SecretTensor, no_grad

LEADER: Final = 0
LIMIT: Final = 1 << 16


class Setup(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What party 0 says before the first round, so that all have the same aggregator."""

    first: int
    rounds: int
    contributors: int
    largest: int
    task: str


_DECODER: Final = msgspec.msgpack.Decoder(Setup)  # made here: several threads at their first decoding of a type crash


def fit(fed: Any, clients: Any, rounds: int, score: Callable[[Module], dict[str, float]] | None, shown: bool) -> Any:
    """`FedAvg.fit` with keep_secret; see this module.

    Raises ConfigError at every party where the server's optimiser is not linear, or the aggregator opens its mean;
    TooFewContributors when the last round, or the third in a row, has too few. IntegrityError ends the session.
    """
    party = current_party.current()
    fed.server_optimizer.ahead(np.zeros(1))
    here = listed(clients) if party.rank == LEADER else []
    setup = _agreed(party, fed, here, rounds)
    aggregator = _aggregator(party, fed.choice, setup)
    length, voids = weights.flatten(fed.model).size, 0
    for number in range(setup.first, setup.first + rounds):
        last = number == setup.first + rounds - 1
        entry, sent = fed.collect(here, aggregator) if party.rank == LEADER else (Round(number), None)
        entry.secret = last

        def combine(sent: list[bytes] | None = sent, number: int = number) -> Any:
            return aggregator.combine(sent, round=number, length=length, keep_secret=True)

        combined = fed.combined(entry, combine, last or voids == fed.patience - 1, (TooFewContributors,))
        voids = voids + 1 if combined is None else 0
        if last:
            model = _secret_model(party, fed, combined.mean)
            fed.finish(entry, None, setup.first + rounds - 1 if shown and party.rank == LEADER else 0)
            return model
        if combined is not None:
            mean = combined.mean.reveal(to=LEADER, reason=f"mean update of round {number}, for the clients")
            if mean is not None:
                fed.step(mean)
        if party.rank == LEADER:
            fed.finish(entry, score, setup.first + rounds - 1 if shown else 0)
    raise AssertionError("the last round returns")


def _agreed(party: Party, fed: Any, clients: list[Client], rounds: int) -> Setup:
    """Party 0's numbers at every party. Raises ConfigError where this party wants other rounds."""
    data = None
    if party.rank == LEADER:
        largest = max(client.samples for client in clients) if fed.weights == "samples" else 1
        asked = fed.contributors(len(clients))
        task = fed.choice.made.task if fed.choice.name is None else messages.fresh_report().hex()
        data = msgspec.msgpack.encode(Setup(len(fed.history) + 1, rounds, asked, largest, task))
    try:
        setup = _DECODER.decode(byte_exchange.broadcast(party, LEADER, data, LIMIT))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"party {LEADER} announced a training that cannot be read: {error}") from None
    if setup.rounds != rounds:
        raise ConfigError(f"party {LEADER} trains for {setup.rounds} rounds; this party for {rounds}: want the same everywhere")
    return setup


def _aggregator(party: Party, choice: Choice, setup: Setup) -> Aggregator:
    """The one given, or "shares" among the parties of this session under keys made for it."""
    if choice.name is None:
        assert choice.made is not None
        if choice.made.task != setup.task:
            raise ConfigError(f"this party's aggregator is for task {choice.made.task!r}; party {LEADER}'s for {setup.task!r}: "
                              "give all of them the same task=")
        return choice.made
    if choice.name == "plain":
        raise ConfigError("aggregator 'plain' shows the server every update; with keep_secret=True want 'shares' or 'paillier'")
    if choice.name == "paillier":
        raise ConfigError("keep_secret under Paillier encryption needs a key that the parties share: mpc.paillier.deal makes "
                          "it, then aggregator=PaillierAggregator(key_share.public_key, key_share=key_share, task=...)")
    own = identity.create(f"party-{party.rank}")
    keys = [key.decode("ascii") for key in byte_exchange.gather(party, own.public_key.encode("ascii"), LIMIT)]
    return choice.shares(setup.largest, public_keys=keys, secret_key=own.secret_key, task=setup.task)


def _secret_model(party: Party, fed: Any, mean: SecretTensor) -> Any:
    """The next global model as a module of the engine: party 0 shares what it knows of it, the mean is added unseen."""
    known = weights.made(fed.model, None)
    before, count = weights.flatten(known), weights.trainable(known)
    if party.rank == LEADER:
        weights.load(known, np.concatenate([fed.server_optimizer.ahead(before[:count]), before[count:]]))
    model = nn.from_torch(known, owner=LEADER)
    tensors = model.architecture.tensors
    places = {tensors[name].same_as or name: name for name in model.state_dict()}
    with no_grad():
        state, lr, new, at = model.state_dict(), fed.server_optimizer.lr, {}, 0
        for name, part in weights.split(mean, weights.shapes(known)).items():
            step = part if at >= count or lr == 1.0 else part * lr
            new[places[name]] = state[places[name]] + step
            at += part.numel()
        model.load_state_dict(new, strict=False)
    return model
