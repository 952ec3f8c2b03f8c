"""Bytes between parties: any length arrives whole, in order with everything else; too many are refused."""
from __future__ import annotations

from typing import Any

import pytest

import mpc
from mpc.byte_exchange import broadcast, gather, scatter

LENGTHS = (0, 1, 7, 8, 9, 1000)


def both(function: Any, parties: int = 3) -> list[Any]:
    def program() -> Any:
        with mpc.session() as s:
            return function(s)

    return mpc.local(program, parties=parties, threads=True)


@pytest.mark.parametrize("parties", [2, 3, 5])
def test_every_party_gets_its_own_part_and_everybodys(parties: int) -> None:
    def program(s: Any) -> Any:
        x = mpc.share([3.0] if s.rank == 0 else None, owner=0) * mpc.share([2.0] if s.rank == 1 else None, owner=1)
        parts = [[bytes([r]) * n for r in range(parties)] for n in LENGTHS]  # while an opening is on its way
        scattered = [scatter(s, 1, p if s.rank == 1 else None, 1000) for p in parts]
        told = broadcast(s, parties - 1, b"told" if s.rank == parties - 1 else None, 4)
        gathered = gather(s, b"x" * s.rank, 10)
        return scattered, told, gathered, float(x.reveal(reason="test")[0])

    for rank, (scattered, told, gathered, product) in enumerate(both(program, parties)):
        assert scattered == [bytes([rank]) * n for n in LENGTHS]
        assert told == b"told"
        assert gathered == [b"x" * r for r in range(parties)]
        assert product == 6.0


def test_more_than_the_limit_does_not_leave() -> None:
    with pytest.raises(mpc.ShapeError, match="got 11 bytes to send; want at most 10"):
        both(lambda s: gather(s, b"x" * 11, 10))
    with pytest.raises(mpc.ShapeError, match="got 2 parts to scatter; want 3"):
        both(lambda s: scatter(s, 0, [b"", b""], 10))


def test_more_than_the_limit_is_refused_where_it_arrives() -> None:
    def program(s: Any) -> Any:
        s.note = lambda *structure: None  # the transcript would tell first
        return gather(s, b"x" * 20, 30 if s.rank == 0 else 20 - s.rank * 10)

    with pytest.raises((mpc.CorruptFrame, mpc.ShapeError), match="want at most"):
        both(program)


def test_parties_at_different_points_are_told() -> None:
    with pytest.raises(mpc.ProgramMismatch):
        both(lambda s: gather(s, b"", 10) if s.rank else s.barrier())
    with pytest.raises(mpc.ProgramMismatch):
        both(lambda s: gather(s, b"", 10 + s.rank))
