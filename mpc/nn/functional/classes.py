"""Losses of classes: cross-entropy of logits, negative log-likelihood of log-probabilities."""
from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.autograd import Op, Variable
from mpc.errors import ConfigError, NotSupported, ShapeError
from mpc.nn.functional.onehot import one_hot
from mpc.nn.functional.reduction import checked_reduction, factor, lazy, over, without_gradient, without_tape
from mpc.ops.elementwise import mul, operand, scaled
from mpc.ops.value import Operand, Value, add, total
from mpc.tensor import SecretTensor

Floats = npt.NDArray[np.float64]


class _Rows(NamedTuple):
    """Classes on the last axis: ``target`` weighs -log p of every class, a mean divides by ``divisor``."""

    target: Any
    divisor: float


def _row_sums(t: Operand) -> Any:
    """What the weights of each row add up to; None where that is 1 for all of them."""
    summed = total(t, (len(t.shape) - 1,), True)  # type: ignore[union-attr]
    return None if isinstance(summed, np.ndarray) and np.all(summed == 1.0) else summed


def _entropy(z: Value, t: Operand, ones: bool, divisor: float, reduction: str) -> Value:
    def value() -> Operand:
        logs = without_tape(lambda x: x.log_softmax(-1), z)
        return scaled(total(mul(logs, t), (z.ndim - 1,), False), -1.0)

    return lazy(z, z.shape[:-1], reduction, divisor, value)


def _entropy_gradient(g: Any, _: Any, z: Value, t: Operand, ones: bool, divisor: float, reduction: str) -> Operand:
    """(softmax(z) - t) / n; ``ones``: the rows of t add up to 1."""
    p: Operand = without_tape(lambda x: x.softmax(-1), z)
    sums = None if ones else _row_sums(t)
    slope = add(p if sums is None else mul(p, sums), t, -1)
    rows = g if g.shape == () else g.reshape((*g.shape, 1))
    return scaled(mul(over(rows, z.shape), slope, False), factor(reduction, divisor))


def _likelihood(logs: Value, t: Operand, divisor: float, reduction: str) -> Value:
    compute = lambda: scaled(total(mul(logs, t), (logs.ndim - 1,), False), -1.0)  # noqa: E731
    return lazy(logs, logs.shape[:-1], reduction, divisor, compute)


def _likelihood_gradient(g: Any, _: Any, logs: Value, t: Operand, divisor: float, reduction: str) -> Operand:
    rows = g if g.shape == () else g.reshape((*g.shape, 1))
    return scaled(mul(over(rows, logs.shape), t, False), -factor(reduction, divisor))


CROSS_ENTROPY = Op("cross_entropy", _entropy, (_entropy_gradient, None))
NLL = Op("nll_loss", _likelihood, (_likelihood_gradient, None))


def _last(x: Any) -> Any:
    """The class axis, which is the second (the only one of a single row), moved to the end."""
    if x.ndim <= 2:
        return x
    return x.transpose((0, *range(2, x.ndim), 1)) if isinstance(x, np.ndarray) else x.permute(0, *range(2, x.ndim), 1)


def _weights(weight: Any, classes: int, what: str) -> Floats | None:
    if weight is None:
        return None
    if isinstance(weight, Variable):
        raise NotSupported(f"{what}: secret class weights are not supported; want public ones")
    numbers = np.asarray(weight, np.float64)
    if numbers.shape != (classes,):
        raise ShapeError(f"{what}: weight of shape {numbers.shape}; want ({classes},), one per class")
    return numbers


def _rows(
    x: SecretTensor, target: Any, weight: Any, ignore_index: int, smoothing: float, reduction: str, what: str
) -> tuple[SecretTensor, _Rows]:
    checked_reduction(reduction, what)
    if not 0.0 <= smoothing <= 1.0:
        raise ConfigError(f"{what}: label_smoothing={smoothing}; want 0 to 1")
    if not x.ndim:
        raise ShapeError(f"{what}: input without axes; want (N, classes, ...) or (classes,)")
    classes = x.shape[0] if x.ndim == 1 else x.shape[1]
    index_shape = () if x.ndim == 1 else (x.shape[0], *x.shape[2:])
    y = without_gradient(target if isinstance(target, Variable) else np.asarray(operand(x, target)), what)
    w = _weights(weight, classes, what)
    z = _last(x)
    rows = math.prod(index_shape)
    if tuple(y.shape) == tuple(x.shape):
        t, divisor = _last(y), float(rows)
        if smoothing:
            t = t * (1.0 - smoothing) + smoothing / classes
        return z, _Rows(t if w is None else t * w, divisor)
    if tuple(y.shape) != index_shape:
        raise ShapeError(
            f"{what}: input of shape {tuple(x.shape)} and target of shape {tuple(y.shape)}; want classes of shape "
            f"{index_shape} or probabilities of shape {tuple(x.shape)}"
        )
    if isinstance(y, Variable):
        if w is not None:
            raise NotSupported(f"{what}: class weights with secret classes; give one-hot rows as target instead")
        t, kept = one_hot(y, classes), float(rows)  # type: ignore[arg-type]
    else:
        t, kept = _public_rows(y, classes, w, ignore_index, what)
    if smoothing and isinstance(t, np.ndarray):
        used = t.any(-1, keepdims=True) if w is None else _used(y, ignore_index)
        t = t * (1.0 - smoothing) + used * (smoothing / classes) * (1.0 if w is None else w)
    elif smoothing:
        t = t * (1.0 - smoothing) + smoothing / classes
    return z, _Rows(t, kept)


def _used(classes: npt.NDArray[Any], ignore_index: int) -> npt.NDArray[Any]:
    return (classes != ignore_index)[..., None]


def _public_rows(
    y: npt.NDArray[Any], classes: int, weight: Floats | None, ignore_index: int, what: str
) -> tuple[npt.NDArray[Any], float]:
    """One-hot rows of public classes, times their weights; and what a mean divides by."""
    if np.any(y != np.floor(y)):
        raise ConfigError(f"{what}: public classes that are no integers; want 0 to {classes - 1}")
    used = _used(y, ignore_index)
    wrong = used[..., 0] & ((y < 0) | (y >= classes))
    if wrong.any():
        raise ConfigError(f"{what}: class {y[wrong].flat[0]}; want 0 to {classes - 1}, or {ignore_index} to ignore a row")
    rows = (np.arange(classes) == y[..., None]) & used
    t = rows.astype(np.int64) if weight is None else rows * weight
    divisor = float(t.sum())
    if not divisor:
        raise ConfigError(f"{what}: every row is ignored or weighs nothing; a mean of no rows is not defined")
    return t, divisor


def cross_entropy(
    input: SecretTensor, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> SecretTensor:
    """Mean of -log softmax(input) at the target's class; input (N, classes, ...) or (classes,).

    ``target``: one-hot rows or probabilities, secret or public, of the input's shape (secret rows add up to 1), or
    classes: public integers, or secret ones (one equality test per class). ``weight``: public, per class. The gradient
    is (softmax - target) / n. Lazy: the value is computed, by `log_softmax`, when it is used. Raises ShapeError,
    ConfigError, NotSupported for targets that require a gradient.
    """
    z, (t, divisor) = _rows(input, target, weight, ignore_index, label_smoothing, reduction, "cross_entropy")
    return CROSS_ENTROPY(z, t, isinstance(t, Variable) and weight is None, divisor, reduction)


def nll_loss(
    input: SecretTensor, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> SecretTensor:
    """Mean of -input at the target's class; input: log-probabilities (N, classes, ...) or (classes,). Targets as in
    `cross_entropy`. Local for public classes, else lazy."""
    z, (t, divisor) = _rows(input, target, weight, ignore_index, 0.0, reduction, "nll_loss")
    return NLL(z, t, divisor, reduction)
