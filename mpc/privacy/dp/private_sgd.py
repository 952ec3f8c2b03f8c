"""What DP-SGD is for torch models and on shares alike: its arguments, its price, its face as an optimiser."""
from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from mpc.errors import ConfigError, NotSupported
from mpc.privacy.dp import budget
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.grid import positive

if TYPE_CHECKING:
    from mpc.party import Party

Legs = dict[str, dict[tuple[Any, ...], int]]

class PrivateSGD(ABC):
    """p -= lr * (sum of clipped per-example gradients + noise) / batch size; the noise has standard deviation
    noise_multiplier * max_grad_norm. ``options``: of the inner SGD (momentum, weight_decay, ...).

    The loss must be a mean or sum over examples of what depends on that example alone, and so must every layer.

    *Neighbours* are data sets of which one has one record more, whose clipped gradient counts or does not (the number of
    records is public); for a record that is replaced the sensitivity is twice as large. Composition over steps is exact. Every
    step is charged to the open budgets before anything is computed: `BudgetExceeded` leaves the model as it was.

    ``disjoint_batches``: every record is in at most one of so many consecutive steps, counted from the first, in batches
    chosen without looking at the data, as those of one epoch are (`mpc.data.batches(...).per_epoch`): together they cost what
    one step costs. It is a promise of the caller. ``loss_reduction``: of the loss over the batch, "mean" or "sum".

    A loaded `state_dict` goes on where it was taken: what had been released then counts in every budget that is open at the
    loading or at a later step, unless it was charged there when it was released; the next step is charged wherever in its
    epoch or its ``disjoint_batches`` it stands, since steps after the save may be done again on the same records. What was
    released between the save and an interruption is in no save, but in the file of a budget that has one.

    `optimizer` is the inner SGD: give it to learning-rate schedules. Runs for choosing hyper-parameters are releases too:
    put them into the same `Budget`.
    """

    optimizer: Any

    def __init__(
        self, model: Any, lr: float = 0.1, max_grad_norm: float = 1.0, noise_multiplier: float = 1.1, *,
        disjoint_batches: int = 1, loss_reduction: str = "mean", **options: Any,
    ) -> None:  # fmt: skip
        self.model = model
        self.max_grad_norm = positive("max_grad_norm", max_grad_norm)
        self.noise_multiplier = positive("noise_multiplier", noise_multiplier)
        if disjoint_batches < 1 or disjoint_batches != int(disjoint_batches):
            raise ConfigError(f"disjoint_batches={disjoint_batches!r}; want an integer of at least 1")
        if loss_reduction not in ("mean", "sum"):
            raise ConfigError(f"loss_reduction={loss_reduction!r}; want 'mean' or 'sum'")
        self.disjoint_batches, self.loss_reduction = int(disjoint_batches), loss_reduction
        self.steps = 0
        self._leg = self._new_leg()
        self._legs: Legs = {}  # how often what was released: by this leg, and by earlier ones as a state_dict brought them
        self._resumed = False  # no step since a state was loaded
        self.optimizer = self._inner(lr, options)

    @abstractmethod
    def _inner(self, lr: float, options: dict[str, Any]) -> Any:
        """The optimiser that gets the noisy gradients, after checks of the model."""

    @abstractmethod
    def step(self) -> None:
        """Clip, add noise, update. Raises BudgetExceeded, with nothing changed."""

    @abstractmethod
    def released(self, key: tuple[Any, ...]) -> Guarantee:
        """What one release of this kind guarantees."""

    @abstractmethod
    def batches(self, *tensors: Any, size: int, epochs: int = 1) -> Iterator[Any]:
        """Batches of rows that are accounted for as what they are, one step for each."""

    def _new_leg(self) -> str:
        """A name, never given before, for what this object does until a state is loaded: budgets know releases by it."""
        party = self._party()  # on shares all parties give the same name
        return os.urandom(8).hex() if party is None else f"{party.tag}-{party.next_op()}"

    def _party(self) -> Party | None:
        """Of a training on shares."""
        return None

    def _charge(self, party: Party | None, key: tuple[Any, ...], due: bool) -> None:
        """Before a step, which is a release of its own where ``due``, and after a loading: what was done of its epoch between
        the save and an interruption is done again. Raises BudgetExceeded."""
        if due or self._resumed:
            what = f"{type(self).__name__} step {self.steps + 1}"
            earlier = {leg: releases for leg, releases in self._legs.items() if leg != self._leg}
            step = budget.Spent(what, self.released(key), (_name(self._leg, key), 1))
            budget.spend(party, [step], lambda to: self._owed(earlier, to))
            own = self._legs.setdefault(self._leg, {})
            own[key] = own.get(key, 0) + 1
        self._resumed = False
        self.steps += 1

    def _owed(self, legs: Legs, to: budget.Budget) -> list[budget.Spent]:
        """The releases of these legs that the budget did not hear of."""
        lines = []
        for leg, releases in legs.items():
            for key, times in releases.items():
                missing = times - to.heard.get(_name(leg, key), 0)
                if missing > 0:
                    what = f"{type(self).__name__}: {missing} releases before"
                    lines.append(budget.Spent(what, self.released(key).repeated(missing), (_name(leg, key), missing)))
        return lines

    @property
    def releases(self) -> dict[tuple[Any, ...], int]:
        """How often what was released so far, by all legs; `released` tells the price of one."""
        total: dict[tuple[Any, ...], int] = {}
        for releases in self._legs.values():
            for key, times in releases.items():
                total[key] = total.get(key, 0) + times
        return total

    @property
    def guarantee(self) -> Guarantee | None:
        """Of all steps so far, None before the first."""
        total: Guarantee | None = None
        for key, times in self.releases.items():
            part = self.released(key).repeated(times)
            total = part if total is None else total + part
        return total

    def epsilon(self, delta: float) -> float:
        """What all steps so far cost together, at this delta."""
        total = self.guarantee
        return 0.0 if total is None else total.epsilon(delta)

    # --- as an optimiser
    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Of the inner optimiser; ``group["lr"]`` may change between steps."""
        groups: list[dict[str, Any]] = self.optimizer.param_groups
        return groups

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        self.optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """The inner optimiser's state, and what was released so far."""
        spent = [[leg, list(key), times] for leg, releases in self._legs.items() for key, times in releases.items()]
        return {"optimizer": self.optimizer.state_dict(), "steps": self.steps, "releases": spent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, see this class. Raises BudgetExceeded, ConfigError for what is no such state:
        with nothing charged or loaded."""
        legs: Legs = {}
        try:
            inner, steps = state_dict["optimizer"], int(state_dict["steps"])
            for leg, listed, times in state_dict["releases"]:
                legs.setdefault(leg, {})[tuple(listed)] = int(times)
        except (KeyError, TypeError, ValueError) as error:
            got = sorted(map(str, state_dict)) if isinstance(state_dict, dict) else type(state_dict).__name__
            raise ConfigError(f"DPSGD: got a state of {got} ({type(error).__name__}: {error}); want what DPSGD.state_dict() "
                              "returned, with optimizer, steps and releases: another optimiser's says nothing of what was "
                              "released") from None
        budget.spend(self._party(), [], lambda to: self._owed(legs, to))
        self.optimizer.load_state_dict(inner)
        self.steps = steps
        self._legs, self._leg, self._resumed = legs, self._new_leg(), True

    def __repr__(self) -> str:
        return (f"{type(self).__name__}(max_grad_norm={self.max_grad_norm:g}, noise_multiplier={self.noise_multiplier:g}, "
                f"steps={self.steps})")


def _name(leg: str, key: tuple[Any, ...]) -> str:
    """Of one kind of release of one leg, in `Budget.heard`."""
    return f"{leg} {msgspec.json.encode(key).decode()}"


def all_or_none(what: str, flags: Iterable[bool]) -> bool:
    """Do all of a layer's parameters require a gradient, or none? Raises NotSupported in between."""
    listed = list(flags)
    if any(listed) and not all(listed):
        raise NotSupported(f"DPSGD: {what} has parameters with and without requires_grad; want all or none of them")
    return any(listed)
