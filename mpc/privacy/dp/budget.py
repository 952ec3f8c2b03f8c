"""Privacy budgets: a ledger that refuses before anything opens.

::

    with privacy.Budget(epsilon=3, delta=1e-6) as budget:
        total = x.sum(0).reveal(dp=privacy.Laplace(epsilon=0.5, sensitivity=1), reason="sum")
    print(budget)

Every release inside, by the same thread, is charged to every budget that is open; none is charged when one of them refuses.
What is added up is public, so all parties refuse alike. A budget may be entered again and goes on where it stopped; it ends
with the process, so releases of other runs, hyper-parameter searches above all, are spent beside it: open it around all of
them, or `charge` it with what they cost. A reveal without ``dp=`` is no release in this sense: it is exact, and the session's
ledger lists it. *What* is asked may depend on what was opened before, and so may the end; *how much* a release costs must not:
exact composition is proved for prices that are fixed (for Renyi divergences alone it holds without that: Feldman, Zrnic 2021).

Neighbours: `sensitivity` counts a row as *replaced*, `DPSGD` and FedAvg(dp=...) a record or an update as *counting or not* (0
in its place). Replacing includes the other where 0 is a possible value, so a budget with both kinds of release guarantees the
second, weaker notion.
"""
from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple

from mpc.errors import ConfigError, MPCError
from mpc.privacy.dp.accounting import Guarantee

if TYPE_CHECKING:
    from types import TracebackType

    from mpc.party import Party

_OPEN: ContextVar[tuple[Budget, ...]] = ContextVar("mpc_privacy_budgets", default=())
_OUTSIDE: Final = "MPC_PRIVACY_BUDGET"  # environment: the process with an open budget, which those it starts cannot charge
_COUNT_LOCK: Final = threading.Lock()
_LOCK: Final = threading.RLock()  # of what is spent


class BudgetExceeded(MPCError):
    """A release would cost more than a privacy budget has left. Nothing was opened and nothing charged."""


class Spent(NamedTuple):
    """One line of a budget: what was released, and what that guarantees by itself."""

    what: str
    guarantee: Guarantee


class Budget:
    """(epsilon, delta) for everything that is released inside ``with``, by this process."""

    _entered = 0  # budgets of this process, in all threads

    def __init__(self, epsilon: float, delta: float) -> None:
        if not 0 < epsilon < float("inf"):
            raise ValueError(f"epsilon {epsilon!r}; want a positive, finite number")
        if not 0 < delta < 1:
            raise ValueError(f"delta {delta!r}; want more than 0 and less than 1: noise made of 40-bit coins is never private "
                             "with delta 0; a Laplace release takes about 1e-11")
        self.epsilon, self.delta = float(epsilon), float(delta)
        self.spent: list[Spent] = []
        self._total: Guarantee | None = None
        self._threads: list[int] = []
        self._tokens: list[Token[tuple[Budget, ...]]] = []

    @property
    def guarantee(self) -> Guarantee | None:
        """Of everything released so far, None before the first release."""
        return self._total

    @property
    def used(self) -> float:
        """Epsilon of everything released so far at this budget's delta."""
        return 0.0 if self._total is None else self._total.epsilon(self.delta)

    def after(self, release: Guarantee) -> Guarantee:
        """What holds after one more release. Raises BudgetExceeded where that is beyond this budget; changes nothing."""
        total = release if self._total is None else self._total + release
        if not total.within(self.epsilon, self.delta):
            raise BudgetExceeded(
                f"this release would bring the budget to epsilon {total.epsilon(self.delta):.4g} at delta {self.delta:g} (now "
                f"{self.used:.4g}); it ends at {self.epsilon:g}. Nothing was opened: release with more noise, or stop here"
            )
        return total

    def charge(self, release: Guarantee, what: str = "") -> None:
        """Spend. Raises BudgetExceeded, with nothing spent."""
        with _LOCK:
            self._book(self.after(release), [Spent(what, release)])

    def _book(self, total: Guarantee, lines: list[Spent]) -> None:
        self._total = total
        self.spent += lines

    def __enter__(self) -> Budget:
        self._tokens.append(_OPEN.set((*_OPEN.get(), self)))
        self._threads.append(threading.get_ident())
        _count(1)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        _OPEN.reset(self._tokens.pop())
        self._threads.pop()
        _count(-1)

    def check_thread(self) -> None:
        """Raises ConfigError where several parties' threads would share this budget, and each release count several times."""
        if threading.get_ident() not in self._threads:
            raise ConfigError("a budget was opened outside the parties' threads; open one in each party's program (every party "
                              "has its own, and they stay alike)")

    def __repr__(self) -> str:
        return f"Budget(epsilon={self.epsilon:g}, delta={self.delta:g}, used={self.used:.4g}, releases={len(self.spent)})"


def _count(change: int) -> None:
    with _COUNT_LOCK:
        Budget._entered += change
        if Budget._entered:
            os.environ.setdefault(_OUTSIDE, str(os.getpid()))
        elif os.environ.get(_OUTSIDE) == str(os.getpid()):
            del os.environ[_OUTSIDE]


def charge(party: Party | None, release: Guarantee, what: str) -> str:
    """`spend`, and what the ledger says of the open budgets."""
    return "".join(f", budget {b.used:.3g} of {b.epsilon:g} at delta {b.delta:g}" for b in spend(party, [Spent(what, release)]))


def spend(
    party: Party | None, lines: list[Spent], owed: Callable[[Budget], list[Spent]] = lambda budget: []
) -> list[Budget]:
    """Charge every open budget, or none, with these releases and with what it is ``owed`` from before; those budgets.

    Raises BudgetExceeded, and ConfigError in a process that was started inside a budget, which would not hear of this."""
    if os.environ.get(_OUTSIDE, str(os.getpid())) != str(os.getpid()):
        raise ConfigError("a budget was opened in the process that started this one, and cannot be charged from here; open one "
                          "in each party's program (every party has its own, and they stay alike)")
    budgets = list(dict.fromkeys(reversed(_OPEN.get())))
    if party is not None:
        for budget in budgets:
            budget.check_thread()
        party.note("budgets", [(b.epsilon, b.delta, len(b.spent)) for b in budgets])
    with _LOCK:  # threads that share a budget must not overlook each other's releases
        bills = [(b, [*owed(b), *lines]) for b in budgets]
        totals = [b.after(reduce(add, (line.guarantee for line in bill))) for b, bill in bills if bill]
        for (budget, bill), total in zip([entry for entry in bills if entry[1]], totals, strict=True):
            budget._book(total, bill)
    return budgets


def ask(release: Guarantee) -> None:
    """For what is released in parts: is there room for the whole? Raises BudgetExceeded; charges nothing."""
    for budget in _OPEN.get():
        budget.after(release)


def is_open() -> bool:
    """Is a budget open here?"""
    return bool(_OPEN.get())
