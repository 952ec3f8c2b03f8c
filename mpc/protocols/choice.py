"""Which form of the comparison an operation takes: fewer rounds, or fewer bytes from the dealer (protocols.md, section 6)."""
from __future__ import annotations

from typing import Final, NamedTuple

from mpc.network import Network
from mpc.preprocessing.base import BYTE_TABLE_WORDS, LEVELS, TABLE_PLANES, ByteTables, Tables


class Variant(NamedTuple):
    """The correlations of one form: tables of r's chunks, and the kinds of `Merges` for d < r and d == r."""

    tables: type[Tables]
    tree: str
    equal: str


NIBBLES: Final = Variant(Tables, "tree", "equal")  # chunks of 4 bits: two merges, 41 bytes dealt for a comparison
BYTES: Final = Variant(ByteTables, "tree8", "equal8")  # chunks of 8 bits: one merge, 286 bytes

TABLE_EXTRA: Final = 8 * BYTE_TABLE_WORDS - TABLE_PLANES / 8  # bytes dealt for a value with its tables
MERGE_EXTRA: Final = (LEVELS["tree8"][1] - LEVELS["tree"][1] - LEVELS["tree"][3]) / 8  # and for a comparison with it
BYTE_SECONDS: Final = 5e-10  # to make, move and use one dealt byte beside the wire (measured: 0.45 ns on one machine)
LEAST_ROUND: Final = 1e-4  # seconds: parties that are closer share a machine, where processors and not the way decide


def variant(network: Network, values: int, comparisons: int) -> Variant:
    """The form for ``comparisons`` comparisons side by side with ``values`` tabulated values.

    A saved round is worth the time of one way. It costs ``TABLE_EXTRA`` and ``MERGE_EXTRA`` bytes, which travel unless they
    are stored. Public numbers alone decide, so all parties decide alike.
    """
    extra = values * TABLE_EXTRA + comparisons * MERGE_EXTRA
    seconds = extra * (BYTE_SECONDS + (0.0 if network.stored else 1.0 / network.bandwidth))
    return BYTES if network.one_way > max(seconds, LEAST_ROUND) else NIBBLES
