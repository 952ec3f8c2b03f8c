"""The protocol workloads: one operation on secret tensors each, truncation included."""
from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

import mpc
from mpc.benchmarks.catalog import BY_NAME
from mpc.benchmarks.harness import Workload, begun
from mpc.benchmarks.rows import Line
from mpc.party import Party
from mpc.tensor import SecretTensor


def settle(x: SecretTensor) -> SecretTensor:
    """Truncate now what would be truncated by its next user, and wait for what is on its way: the result then costs what it
    costs."""
    _ = x._value.settled().words
    return x


class Operation:
    """Secrets drawn from the session's public generator (the time does not depend on values), in parts of two parties:
    what one party owns costs less, as an input does, than what was computed in secret."""

    size = ""

    def __init__(self, party: Party, quick: bool) -> None:
        self.party = party
        self.quick = quick

    def secret(self, shape: tuple[int, ...], low: float = -4.0, high: float = 4.0) -> SecretTensor:
        return self.in_parts(self.party.public_rng.uniform(low, high, shape))

    def in_parts(self, value: Any) -> SecretTensor:
        """``value``, as it is encoded, of which no party holds more than a part."""
        unit = 2.0**-self.party.frac_bits
        part = np.round(self.party.public_rng.uniform(-4, 4, np.shape(value)) / unit) * unit
        rest = np.round(value / unit) * unit - part
        rank = self.party.rank
        return mpc.share(rest if rank == 0 else None, 0) + mpc.share(part if rank == 1 else None, 1)

    def finish(self, state: Any, result: Any) -> tuple[str, dict[str, Any]]:
        return "", {}


class Round(Operation):
    size = "100 exchanges"

    def prepare(self) -> None:
        return None

    def run(self, state: Any) -> None:
        for _ in range(100):
            self.party.barrier()


class _Matmul(Operation):
    shape: tuple[int, int, int]

    def __init__(self, party: Party, quick: bool) -> None:
        super().__init__(party, quick)
        self.m, self.k, self.n = (side // 8 for side in self.shape) if quick else self.shape
        self.size = f"{self.m}x{self.k}x{self.n}"

    def prepare(self) -> Any:
        return self.secret((self.m, self.k)), self.secret((self.k, self.n))

    def run(self, state: Any) -> SecretTensor:
        x, y = state
        return settle(x @ y)


class Matmul256(_Matmul):
    shape = (256, 256, 256)


class Matmul1024(_Matmul):
    shape = (1024, 1024, 1024)


class Matmul784(_Matmul):
    shape = (128, 784, 128)


class Product(Operation):
    def prepare(self) -> Any:
        n = 10**3 if self.quick else 10**6
        self.size = f"{n}"
        return self.secret((n,)), self.secret((n,))

    def run(self, state: Any) -> SecretTensor:
        x, y = state
        return settle(x * y)


class _Unary(Operation):
    count: int

    def prepare(self) -> Any:
        n = self.count // 1000 if self.quick else self.count
        self.size = f"{n}"
        return self.secret((n,))


class Compare(_Unary):
    count = 10**5

    def run(self, state: Any) -> Any:
        return settle(state > 0)


class Relu(_Unary):
    count = 10**6

    def run(self, state: Any) -> Any:
        return settle(state.relu())


class Sequence(Operation):
    def prepare(self) -> Any:
        self.steps = 5 if self.quick else 100
        self.size = f"{self.steps} products"
        return self.secret((), 0.9, 1.1), self.secret((), 0.99, 1.01)

    def run(self, state: Any) -> Any:
        y, x = state
        for _ in range(self.steps):
            y = y * x
        return settle(y)

    def finish(self, state: Any, result: Any) -> tuple[str, dict[str, Any]]:
        y, x = (v.reveal(reason="error of the products") for v in state)
        got = result.reveal(reason="error of the products")
        error = float(abs(got - y * x**self.steps))
        return f"error {error:.1e}", {"error": error}


def first_reveal() -> float:
    """In every party: when the first revealed result is there, on the machine's clock."""
    with mpc.session() as party:
        x = mpc.share(1.5 if party.rank == 0 else None, 0)
        x.reveal(reason="first result")
        return time.monotonic()


def start(parties: int, repeat: int, quick: bool) -> Line:
    """From the call of `mpc.local` in this process to the last party's first revealed result."""
    entry = BY_NAME["start"]
    line = begun(entry, parties == 2 and not quick)
    whole = []
    for _ in range(1 if quick else repeat):
        started = time.monotonic()
        line.runs.append(max(mpc.local(first_reveal, parties)) - started)
        whole.append(time.monotonic() - started)
    line.note = f"{float(np.median(whole)):.2f} s until all have ended"
    line.extra = {"until_ended": whole}
    return line


WORKLOADS: Final[dict[str, type[Workload]]] = {
    "round": Round,
    "matmul-256": Matmul256,
    "matmul-1024": Matmul1024,
    "matmul-784": Matmul784,
    "product": Product,
    "compare": Compare,
    "relu": Relu,
    "sequence": Sequence,
}
