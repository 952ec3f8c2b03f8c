"""The functions: time and largest error in the same run, against float64 of the encoded input."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import erf
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.benchmarks.catalog import BY_NAME
from mpc.benchmarks.harness import Workload
from mpc.benchmarks.protocols import Operation, settle
from mpc.party import Party
from mpc.tensor import SecretTensor

Floats = npt.NDArray[np.float64]
_ERF: Final = np.vectorize(erf)


def _line(low: float, high: float) -> Callable[[int], Floats]:
    return lambda n: np.linspace(low, high, n)


def _octaves(low: float, high: float) -> Callable[[int], Floats]:
    return lambda n: np.geomspace(low, high, n)


def _both_signs(n: int) -> Floats:
    half = np.geomspace(2.0**-6, 2.0**13, n // 2)
    return np.concatenate([-half, half])


def _rows(rows: int, columns: int) -> Callable[[int], Floats]:
    """Normal logits of deviation 4; ``n`` elements at most."""
    return lambda n: np.random.default_rng(1).normal(0, 4, (max(2, min(rows, n // columns)), columns))


def _softmax(x: Floats) -> Floats:
    powers = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def _log_softmax(x: Floats) -> Floats:
    high = x.max(1, keepdims=True)
    return np.asarray(x - high - np.log(np.exp(x - high).sum(1, keepdims=True)))


class Case(NamedTuple):
    """``points(n)``: about n inputs that reach over the whole domain."""

    method: Callable[[Any], SecretTensor]
    reference: Callable[[Floats], Any]
    points: Callable[[int], Floats]


_POSITIVE: Final = _octaves(2.0**-8, 2.0**13)
_ROW: Final = _line(-100, 100)
CASES: Final[dict[str, Case]] = {
    "sigmoid": Case(lambda x: x.sigmoid(), lambda x: 1 / (1 + np.exp(-x)), _line(-32, 32)),
    "tanh": Case(lambda x: x.tanh(), np.tanh, _line(-16, 16)),
    "erf": Case(lambda x: x.erf(), _ERF, _line(-16, 16)),
    "gelu": Case(lambda x: x.gelu(), lambda x: x * (1 + _ERF(x / 2**0.5)) / 2, _line(-16, 16)),
    "exp": Case(lambda x: x.exp(), np.exp, _line(-16, 10)),
    "exp-negative": Case(lambda x: x.exp(), np.exp, _line(-16, 0)),
    "reciprocal": Case(lambda x: x.reciprocal(), lambda x: 1 / x, _both_signs),
    "sqrt": Case(lambda x: x.sqrt(), np.sqrt, _POSITIVE),
    "rsqrt": Case(lambda x: x.rsqrt(), lambda x: x**-0.5, _POSITIVE),
    "log": Case(lambda x: x.log(), np.log, _POSITIVE),
    "softmax": Case(lambda x: x.softmax(1), _softmax, _rows(1000, 10)),
    "softmax-wide": Case(lambda x: x.softmax(1), _softmax, _rows(100, 1000)),
    "log-softmax": Case(lambda x: x.log_softmax(1), _log_softmax, _rows(1000, 10)),
    "log-softmax-wide": Case(lambda x: x.log_softmax(1), _log_softmax, _rows(100, 1000)),
    "max": Case(lambda x: x.amax(1), lambda x: x.max(1), _rows(1000, 10)),
    "max-wide": Case(lambda x: x.amax(1), lambda x: x.max(1), _rows(100, 1000)),
    "argmax": Case(lambda x: x.argmax(1), lambda x: x.argmax(1), _rows(1000, 10)),
    "argmax-wide": Case(lambda x: x.argmax(1), lambda x: x.argmax(1), _rows(100, 1000)),
    "sort": Case(lambda x: x.sort()[0], np.sort, _ROW),
    "median": Case(lambda x: x.median(), lambda x: np.sort(x)[(x.size - 1) // 2], _ROW),
}
COUNTS: Final = {"sort": 1000, "median": 1000}  # 10^5 elements otherwise


class Function(Operation):
    """One function of ``CASES`` on fresh secrets in a public order that no sorting profits from."""

    def __init__(self, name: str, party: Party, quick: bool) -> None:
        super().__init__(party, quick)
        self.name, self.case = name, CASES[name]
        points = self.case.points(100 if quick else COUNTS.get(name, 10**5))
        points = np.random.default_rng(0).permutation(points.ravel()).reshape(points.shape)
        unit = 2.0**-party.frac_bits
        self.points = np.round(points / unit) * unit  # as they are encoded
        self.size = "x".join(map(str, points.shape))

    def prepare(self) -> SecretTensor:
        return self.in_parts(self.points)

    def run(self, state: SecretTensor) -> SecretTensor:
        return settle(self.case.method(state))

    def finish(self, state: Any, result: SecretTensor) -> tuple[str, dict[str, Any]]:
        got = result.reveal(reason=f"error of {self.name}")
        return "", {"max_error": largest_error(self.name, got, self.case.reference(self.points), self.party.frac_bits)}


def largest_error(name: str, got: Any, want: Any, frac_bits: int) -> float:
    """Of the kind that the catalog's figure to reach is: absolute; or relative, where values so small that two units of
    the encoding are more than the figure count as the smallest for which they are not."""
    entry = BY_NAME[name]
    error = np.abs(np.asarray(got) - want)
    if entry.relative:
        assert entry.goal_error
        error = error / np.maximum(np.abs(want), 2 * 2.0**-frac_bits / entry.goal_error)
    return float(error.max())


WORKLOADS: Final[dict[str, Callable[[Party, bool], Workload]]] = {name: partial(Function, name) for name in CASES}
