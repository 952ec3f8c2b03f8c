"""Plans: a dry run asks for exactly what the run with data asks for, and learns nothing but shapes."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import mpc
from mpc import identity
from mpc.party import Party
from mpc.preprocessing import plan as plans
from mpc.preprocessing import production, requests
from mpc.preprocessing.base import AnyCorrelation
from mpc.preprocessing.plan import Plan
from mpc.transport import frames
from mpc.transport.frames import HEADER_BYTES
from mpc.transport.memory import MemoryTransport
from tests.preprocessing.stores import X, compare, estimators, functions, perceptron, planned, product, run


def asked(program: Any, parties: int, plan: Plan) -> list[bytes]:
    """What the receiver asks a live dealer for, byte by byte, by a network like the planned one."""
    seen: list[list[bytes]] = [[] for _ in range(parties)]

    def noting(s: Party) -> None:
        plain = s.preprocessing.ask

        def ask(correlations: Sequence[AnyCorrelation]) -> Any:
            seen[s.rank].append(requests.encode(correlations))
            return plain(correlations)

        s.network = plan.network
        s.preprocessing.ask = ask  # type: ignore[method-assign]
        s.manual_seed(plan.seed)
        program(s)

    run(noting, parties)
    assert all(one == seen[0] for one in seen)
    return seen[0]


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("program", [perceptron, functions, estimators, compare])
def test_a_dry_run_asks_for_what_the_run_asks_for(program: Any, parties: int, tmp_path: Path) -> None:
    plan = planned(program, tmp_path, parties)
    live = asked(program, parties, plan)
    assert len(live) > 0
    assert list(plan.requests) == live
    assert (plan.world_size, plan.protocol, plan.frac_bits) == (parties, "additive", 16)


def test_what_a_plan_says_is_what_the_dealer_sends(tmp_path: Path) -> None:
    plan = planned(perceptron, tmp_path, 3)

    def traffic(s: Party) -> int:
        s.network = plan.network
        s.manual_seed(plan.seed)
        perceptron(s)
        return s.total.offline_bytes

    assert plan.correction_bytes == max(run(traffic, 3)) > 10_000
    assert sum(amount.times for amount in plan.by_kind.values()) >= len(plan.requests)


def test_no_value_leaves_a_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame of a dry run: no kind that carries shares, and the same frames whatever the data are."""
    sent: list[tuple[int, int, bytes]] = []
    plain = MemoryTransport.send

    def send(self: MemoryTransport, peer: int, frame: Any) -> None:
        data = bytes(frame)
        if frames.unpack(data).kind not in (frames.Kind.HELLO, frames.Kind.READY):
            sent.append((self.rank, frames.unpack(data).kind, data[HEADER_BYTES:]))
        plain(self, peer, frame)

    monkeypatch.setattr(MemoryTransport, "send", send)

    def program(factor: float) -> Any:
        def inner(s: Party) -> None:
            x = mpc.data.by_rows(X * factor + s.rank)
            ((x * x).sum(0) > 0).reveal()

        return inner

    views = []
    for factor in (1.0, 3.0):
        sent.clear()
        planned(program(factor), tmp_path, 2)
        views.append(sorted(sent))
    assert views[0] == views[1] and len(views[0]) > 5
    kinds = {kind for _, kind, _ in views[0]}
    assert not kinds & {frames.Kind.OPEN, frames.Kind.BITS, frames.Kind.REVEAL, frames.Kind.REQUEST}


def test_what_is_revealed_is_zero_and_goes_to_whom_it_should(tmp_path: Path) -> None:
    def program(s: Party) -> Any:
        return mpc.share(X, 0).reveal(to=1), (mpc.share(X, 0) * mpc.share(X, 1)).reveal()

    first, second = run(program, plan=tmp_path / "p")
    assert first[0] is None
    np.testing.assert_array_equal(second[0], np.zeros_like(X))
    np.testing.assert_array_equal(first[1], np.zeros_like(X))


def test_values_out_of_range_do_not_stop_a_dry_run(tmp_path: Path) -> None:
    """Only shapes count: the run itself says what is wrong with the data."""
    assert planned(lambda s: mpc.share([1e30, np.nan], 0) * mpc.share([1.0, 2.0], 1), tmp_path).requests


def test_a_dry_run_of_different_programs_is_refused_at_all(tmp_path: Path) -> None:
    def program(s: Party) -> None:
        x = mpc.share(X, 0)
        (x * mpc.share(X if s.rank else X[:3], s.rank * 0 + 1)).sum().reveal()
        if s.rank:
            (x * x).sum()
        s.barrier()

    with pytest.raises(mpc.ProgramMismatch):
        planned(program, tmp_path)
    assert not (tmp_path / "the.plan").exists()


def test_saving_in_a_dry_run_leaves_files_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.shares"
    run(lambda s: mpc.save(mpc.share(X, 0), path))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def program(s: Party) -> Any:
        x = mpc.load(path)
        mpc.save(x * x, path)
        return (x * x).reveal()

    plan = planned(program, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert list(plan.requests) == asked(program, 2, plan)


def test_a_clear_session_has_nothing_to_plan(tmp_path: Path) -> None:
    with pytest.raises(mpc.ConfigError, match="needs no correlations"):
        planned(product, tmp_path, protocol="clear")


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_damaged_plan_is_refused(at: int, tmp_path: Path) -> None:
    planned(product, tmp_path)
    path = tmp_path / "the.plan"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(mpc.IntegrityError, match="no plan, or is damaged"):
        plans.read(path)
    path.write_bytes(data[:-3])
    with pytest.raises(mpc.IntegrityError):
        plans.read(path)


def test_a_plan_of_another_release_or_of_nonsense_is_refused(tmp_path: Path) -> None:
    plan = planned(product, tmp_path)
    other = msgspec.structs.replace(plan, package="0.0.0")
    other.write(tmp_path / "other")
    with pytest.raises(mpc.ConfigError, match="release 0.0.0"):
        plans.read(tmp_path / "other")
    msgspec.structs.replace(plan, requests=(b"nonsense",)).write(tmp_path / "bad")
    with pytest.raises(mpc.IntegrityError, match="unreadable"):
        plans.read(tmp_path / "bad")


def shuffled(s: Party) -> Any:
    x = mpc.share(X, 0) + mpc.share(X, 1)
    return [(xb * xb).reveal() for xb in mpc.data.batches(x, size=5)]


def sessions(*programs: Any) -> Any:
    def main() -> Any:
        results = []
        for program in programs:
            with mpc.session() as s:
                results.append(program(s))
        return results

    return main


@pytest.mark.parametrize("programs", [(shuffled, shuffled), (compare, lambda s: s.barrier()), (lambda s: s.barrier(), compare)])
def test_sessions_that_ask_for_the_same_have_one_plan(programs: Any, tmp_path: Path) -> None:
    mpc.local(sessions(*programs), parties=2, threads=True, plan=tmp_path / "p")
    plan = plans.read(tmp_path / "p")
    recipients, keys = production.local_recipients(["rank-0", "rank-1"])
    production.produce(plan, recipients, identity.create("dealer").secret_key, tmp_path / "s", 2, keys=keys)
    assert len(mpc.local(sessions(*programs), parties=2, threads=True, store=tmp_path / "s")[0]) == 2


def test_sessions_that_ask_for_different_things_are_refused(tmp_path: Path) -> None:
    """One after the other they would leave the last one's plan, which the first could not use."""
    with pytest.raises(mpc.ConfigError, match="several sessions that ask for different"):
        mpc.local(sessions(compare, product), parties=2, threads=True, plan=tmp_path / "p")
