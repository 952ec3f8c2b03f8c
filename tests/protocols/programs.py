"""What the protocol suites share: shares made to order, one run of a program on every party, exact results."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import mpc
from mpc.network import LOOPBACK, Network
from mpc.party import Party
from mpc.sharing import Share

PARTIES = (2, 3, 4, 5)
MAX = (1 << 64) - 1
PRODUCT_RANGE = 1 << 62  # truncation, comparison after a product: -2^62 <= x < 2^62

FAR = Network(one_way=1e3, bandwidth=1e9)  # a round is worth any number of bytes: chunks of 8 bits
NETWORKS = {"three rounds": LOOPBACK, "two rounds": FAR}
network = LOOPBACK  # of the programs below; the fixture `form` sets it

# how the first N - 1 shares are chosen; the last one is what is missing
SHARINGS = ("uniform", "zeros", "ones", "halves")


def words(values: Any) -> np.ndarray:
    """Signed Python or NumPy integers as ring words."""
    return np.array([int(v) % (1 << 64) for v in np.ravel(values)], np.uint64).reshape(np.shape(values))


def signed(ring_words: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(ring_words).view(np.int64)


def shares_of(secret: np.ndarray, parties: int, sharing: str = "uniform", seed: int = 0) -> list[np.ndarray]:
    """Additive shares of words, the first N - 1 as ``sharing`` says."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(parties - 1):
        if sharing == "uniform":
            made.append(rng.integers(0, MAX, secret.shape, np.uint64, endpoint=True))
        else:
            constant = {"zeros": 0, "ones": MAX, "halves": 1 << 63}[sharing]
            made.append(np.full(secret.shape, constant, np.uint64))
    last = secret.copy()
    for part in made:
        last -= part
    return [*made, last]


def run(
    program: Callable[..., Any], parties: int, *operands: Sequence[np.ndarray], protocol: str = "additive", scale: int = 0
) -> list[Any]:
    """Run program(party, share, ...) on every party; each operand is a list of words by rank."""

    def party_main() -> Any:
        with mpc.session() as s:
            s.network = network
            mine = [Share(np.array(op[s.rank]), scale) for op in operands]
            return program(s, *mine)

    return mpc.local(party_main, parties=parties, protocol=protocol, threads=True, deadline=20)


def revealed(program: Callable[..., Share], parties: int, *operands: Sequence[np.ndarray]) -> np.ndarray:
    """The ring words that ``program``'s result stands for, the sum of what the parties hold."""

    def main(s: Party, *shares: Share) -> np.ndarray:
        return np.array(program(s, *shares).words)

    total = run(main, parties, *operands)
    out = np.zeros(total[0].shape, np.uint64)
    for part in total:
        out += part
    return out
