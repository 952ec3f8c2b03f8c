"""What DP-SGD is for torch models and on shares alike: its arguments, its price, its face as an optimiser."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from mpc.errors import ConfigError, NotSupported
from mpc.privacy.dp import budget
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.grid import positive

if TYPE_CHECKING:
    from mpc.party import Party


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
    loading or at a later step, unless this object charged it there before. What was released between the save and an
    interruption is in no save: `Budget.charge` it.

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
        self.releases: dict[tuple[Any, ...], int] = {}  # how often what was released; `released` tells its price
        self._loaded: dict[tuple[Any, ...], int] = {}  # the part of it that a state_dict brought
        self._charged: WeakKeyDictionary[budget.Budget, dict[tuple[Any, ...], int]] = WeakKeyDictionary()
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

    def _charge(self, party: Party | None, key: tuple[Any, ...], due: bool) -> None:
        """Before a step, which is a release of its own where ``due``. Raises BudgetExceeded."""
        if due:
            step = budget.Spent(f"{type(self).__name__} step {self.steps + 1}", self.released(key))
            for spent in budget.spend(party, [step], partial(self._owed, self._loaded)):
                self._settle(self._loaded, spent)
                self._charged[spent][key] = self._charged[spent].get(key, 0) + 1
            self.releases[key] = self.releases.get(key, 0) + 1
        self.steps += 1

    def _owed(self, loaded: dict[tuple[Any, ...], int], to: budget.Budget) -> list[budget.Spent]:
        """What was released before a state_dict that was loaded, as far as that budget did not hear of it."""
        known = self._charged.get(to, {})
        missing = {key: times - known.get(key, 0) for key, times in loaded.items()}
        return [budget.Spent(f"{type(self).__name__}: {times} releases before", self.released(key).repeated(times))
                for key, times in missing.items() if times > 0]  # fmt: skip

    def _settle(self, loaded: dict[tuple[Any, ...], int], with_: budget.Budget) -> None:
        known = self._charged.setdefault(with_, {})
        for key, times in loaded.items():
            known[key] = max(times, known.get(key, 0))

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
        spent = [[list(key), times] for key, times in self.releases.items()]
        return {"optimizer": self.optimizer.state_dict(), "steps": self.steps, "releases": spent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, see this class. Raises BudgetExceeded, with nothing charged or loaded."""
        loaded = {tuple(key): int(times) for key, times in state_dict["releases"]}
        for spent in budget.spend(None, [], partial(self._owed, loaded)):
            self._settle(loaded, spent)
        self.optimizer.load_state_dict(state_dict["optimizer"])
        self.steps = int(state_dict["steps"])
        self.releases, self._loaded = loaded, dict(loaded)

    def __repr__(self) -> str:
        return (f"{type(self).__name__}(max_grad_norm={self.max_grad_norm:g}, noise_multiplier={self.noise_multiplier:g}, "
                f"steps={self.steps})")


def all_or_none(what: str, flags: Iterable[bool]) -> bool:
    """Do all of a layer's parameters require a gradient, or none? Raises NotSupported in between."""
    listed = list(flags)
    if any(listed) and not all(listed):
        raise NotSupported(f"DPSGD: {what} has parameters with and without requires_grad; want all or none of them")
    return any(listed)
