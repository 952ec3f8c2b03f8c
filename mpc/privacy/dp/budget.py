"""Privacy budgets: a ledger that refuses before anything opens.

::

    with privacy.Budget(epsilon=3, delta=1e-6) as budget:
        total = x.sum(0).reveal(dp=privacy.Laplace(epsilon=0.5, sensitivity=1), reason="sum")
    print(budget)

Every release inside, by the same thread, is charged to every budget that is open; none is charged when one of them refuses.
What is added up is public, so all parties refuse alike. A budget may be entered again and goes on where it stopped. Releases
of other runs, hyper-parameter searches and resumed trainings above all, are spent beside it: keep it in a ``file``, open it
around all of them, or `charge` it with what they cost. A reveal without ``dp=`` is no release in this sense: it is exact,
and the session's ledger lists it. *What* is asked may depend on what was opened before, and so may the end; *how much* a
release costs must not: exact composition is proved for prices that are fixed (for Renyi divergences alone it holds without
that: Feldman, Zrnic 2021).

Neighbours: `sensitivity` counts a row as *replaced*, `DPSGD` and FedAvg(dp=...) a record or an update as *counting or not* (0
in its place). Replacing includes the other where 0 is a possible value, so a budget with both kinds of release guarantees the
second, weaker notion.
"""
from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from mpc.errors import ConfigError, MPCError
from mpc.party import _CURRENT
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.budget_file import BudgetFile
from mpc.privacy.dp.budget_format import Content, Release, release_now, text, unpacked
from mpc.saving.checkpoint import path_of
from mpc.session import own_rank

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
    training: tuple[str, int] | None = None  # which steps of which training, and how many: see `Budget.heard`
    reason: str = ""  # as in the session's ledger


class Budget:
    """(epsilon, delta) for everything that is released inside ``with``, by this process.

    With a ``file`` by every process that opens one with that file: what is spent stands there, on disk, before it opens, so a
    crash loses nothing and a resumed training is charged for its own steps only. Each party has its own, named as `mpc.save`
    names them ("study.json": study.rank0.json); a process that is no party takes the name as it is. Files that tell
    different stories are a ConfigError. The limit stays as the file was made. One process at a time; `mpc budget FILE`
    prints it. Raises ConfigError (also where it is open elsewhere), IntegrityError for a damaged file.
    """

    _entered = 0  # budgets of this process, in all threads

    def __init__(self, epsilon: float, delta: float, *, file: str | os.PathLike[str] | None = None) -> None:
        if not 0 < epsilon < float("inf"):
            raise ValueError(f"epsilon {epsilon!r}; want a positive, finite number")
        if not 0 < delta < 1:
            raise ValueError(f"delta {delta!r}; want more than 0 and less than 1: noise made of 40-bit coins is never private "
                             "with delta 0; a Laplace release takes about 1e-11")
        self.epsilon, self.delta = float(epsilon), float(delta)
        self.spent: list[Spent] = []  # by this process
        self.heard: dict[str, int] = {}  # how often what was released by which training
        self.releases = 0  # in the file too
        self._prices: dict[str | None, float] = {}  # of one step of a training
        self._told = hashlib.blake2b(digest_size=16)  # of all lines: the same at all parties
        self._total: Guarantee | None = None
        self._file = None if file is None else BudgetFile(_own(file), self.epsilon, self.delta)
        if self._file is not None:
            self._take(self._file.read())
        self._held = ExitStack()
        self._agreed = ""
        self._threads: list[int] = []

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
        """Spend. Raises BudgetExceeded, and ConfigError where a file cannot be written, with nothing spent."""
        _check_process()
        with _LOCK, self._hold():
            self._book(self.after(release), [Spent(what, release)], _dry())

    def _book(self, total: Guarantee, lines: list[Spent], dry: bool) -> None:
        heard = dict(self.heard)
        for line in lines:
            if line.training is not None:
                name, times = line.training
                heard[name] = heard.get(name, 0) + times
        if self._file is not None and not dry:  # first: what is not on disk is not spent, and does not open
            self._file.add([self._entry(line) for line in lines], heard, total)
        self._total, self.heard = total, heard
        self.spent += lines
        for line in lines:
            self._tell(line.what)

    def _entry(self, line: Spent) -> Release:
        """For the file. The steps of a training cost alike and share a line, but for those that are charged at once."""
        steps = line.training[0] if line.training is not None and line.training[1] == 1 else None
        if steps is None or steps not in self._prices:
            self._prices[steps] = line.guarantee.epsilon(self.delta)
        return release_now(line.what, line.reason, self._prices[steps], steps)

    def _tell(self, what: str, times: int = 1) -> None:
        self.releases += times
        self._told.update(f"{times} {len(text(what))} {text(what)}".encode())

    def _take(self, content: Content) -> None:
        self._total = None if content.total is None else unpacked(content.total)
        self.heard, self.releases, self._told = dict(content.trainings), 0, hashlib.blake2b(digest_size=16)
        for line in content.releases:
            self._tell(line.what, line.times)

    @contextmanager
    def _hold(self) -> Iterator[None]:
        """Nobody else charges the file meanwhile; what others charged before is taken in."""
        if self._file is None:
            yield
            return
        with self._file.held() as first:
            if first:
                self._take(self._file.read())
                self._agreed = ""
            yield

    def _agree(self, party: Party) -> None:
        """Once for every ``with`` and session: the parties' files compared."""
        if self._file is None or self._agreed == party.tag:
            return
        self._take(self._file.agree(party))
        self._agreed = party.tag

    def __enter__(self) -> Budget:
        with _LOCK:
            if not self._threads:
                self._held.enter_context(self._hold())
            self._threads.append(threading.get_ident())
        _OPEN.set((*_OPEN.get(), self))
        _count(1)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        opened = list(_OPEN.get())  # no token: several threads may be inside, and leave in any order
        if self in opened:
            opened.pop(max(k for k, budget in enumerate(opened) if budget is self))
        _OPEN.set(tuple(opened))
        _count(-1)
        with _LOCK:
            self._threads.remove(here if (here := threading.get_ident()) in self._threads else self._threads[-1])
            if not self._threads:
                self._held.close()

    def check_thread(self) -> None:
        """Raises ConfigError where several parties' threads would share this budget, and each release count several times."""
        if threading.get_ident() not in self._threads:
            raise ConfigError("a budget was opened outside the parties' threads; open one in each party's program (every party "
                              "has its own, and they stay alike)")

    def __repr__(self) -> str:
        return f"Budget(epsilon={self.epsilon:g}, delta={self.delta:g}, used={self.used:.4g}, releases={self.releases})"


def _check_process() -> None:
    """Raises ConfigError in a process that was started, or forked, inside a budget."""
    if os.environ.get(_OUTSIDE, str(os.getpid())) != str(os.getpid()):
        raise ConfigError("a budget was opened in the process that started this one, and cannot be charged from here; open one "
                          "in each party's program (every party has its own, and they stay alike)")


def _dry() -> bool:
    """A dry run spends nothing."""
    party = _CURRENT.get()
    return party is not None and party.dry


def _own(file: str | os.PathLike[str]) -> Path:
    """Where this process's file is."""
    rank = own_rank()
    return Path(file) if rank is None else path_of(file, rank)


def _count(change: int) -> None:
    with _COUNT_LOCK:
        Budget._entered += change
        if Budget._entered:
            os.environ.setdefault(_OUTSIDE, str(os.getpid()))
        elif os.environ.get(_OUTSIDE) == str(os.getpid()):
            del os.environ[_OUTSIDE]


def charge(party: Party | None, release: Guarantee, what: str, reason: str = "") -> str:
    """`spend`, and what the ledger says of the open budgets."""
    spent = spend(party, [Spent(what, release, None, reason)])
    return "".join(f", budget {b.used:.3g} of {b.epsilon:g} at delta {b.delta:g}" for b in spent)


def spend(
    party: Party | None, lines: list[Spent], owed: Callable[[Budget], list[Spent]] = lambda budget: []
) -> list[Budget]:
    """Charge every open budget, or none, with these releases and with what it is ``owed`` from before; those budgets.

    Raises BudgetExceeded, ConfigError."""
    _check_process()
    budgets = list(dict.fromkeys(reversed(_OPEN.get())))
    if party is not None:
        for budget in budgets:
            budget.check_thread()
            budget._agree(party)
        party.note("budgets", [(b.epsilon, b.delta, b.releases, b._told.hexdigest()) for b in budgets])
    with _LOCK, ExitStack() as held:  # threads that share a budget must not overlook each other's releases
        for budget in budgets:
            held.enter_context(budget._hold())  # in a copied context it may have been left elsewhere
        bills = [(b, [*owed(b), *lines]) for b in sorted(budgets, key=lambda b: b._file is None)]  # first what may fail
        totals = [b.after(reduce(add, (line.guarantee for line in bill))) for b, bill in bills if bill]
        for (budget, bill), total in zip([entry for entry in bills if entry[1]], totals, strict=True):
            budget._book(total, bill, party is not None and party.dry)  # in clear a dry run releases in earnest
    return budgets


def ask(release: Guarantee) -> None:
    """For what is released in parts: is there room for the whole? Raises BudgetExceeded; charges nothing."""
    for budget in _OPEN.get():
        budget.after(release)


def is_open() -> bool:
    """Is a budget open here?"""
    return bool(_OPEN.get())
