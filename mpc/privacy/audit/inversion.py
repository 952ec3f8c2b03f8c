"""Update inversion: training records made again from what a client sends in federated learning."""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from mpc.errors import ConfigError, ShapeError
from mpc.fixed_point import as_array, decode
from mpc.privacy.audit.intervals import Floats
from mpc.privacy.audit.inversion_report import InversionReport

Update = list[Floats]
Invert = Callable[[Update], Floats]
Shape = tuple[int, ...]

SMALL: Final = 1e-9  # of the largest entry of a bias's gradient: below it a row holds rounding errors


def dense_inputs(update: Sequence[Any]) -> Floats:
    """The inputs of a first dense layer with bias, exactly: row i of grad W over grad b_i, (rows, features).

    ``update``: weight (outputs, inputs) and bias (outputs,) of that layer come first. For one record and one step
    grad W = d x^T and grad b = d, so every row with d_i != 0 is the record, whatever the learning rate. In a batch each row is
    a mean of the records weighted by their d_i: a unit that only one of them activated gives that one away.
    Source: Phong et al., Privacy-preserving deep learning via additively homomorphic encryption, 2018.
    """
    if len(update) < 2 or np.ndim(update[0]) != 2 or np.shape(update[1]) != np.shape(update[0])[:1]:
        shapes = [np.shape(a) for a in update[:2]]
        raise ShapeError(f"dense_inputs: got an update that starts with shapes {shapes}; want (outputs, inputs) and (outputs,)")
    weight, bias = np.asarray(update[0], np.float64), np.asarray(update[1], np.float64)
    largest = np.abs(bias).max(initial=0.0)
    rows = np.abs(bias) > SMALL * largest if largest > 0 else np.zeros(len(bias), np.bool_)
    return np.asarray(weight[rows] / bias[rows, None])


def update_inversion(
    messages: Sequence[Any], records: Sequence[Any], controls: Any, *, invert: Invert = dense_inputs,
    shapes: Sequence[Shape] | None = None, frac_bits: int = 16, least: float = 0.9, seed: int = 0,
) -> InversionReport:  # fmt: skip
    """How many of the ``records`` behind each message come back.

    ``messages``: per client and round what somebody sees: a list of arrays (an update), one array of all its values, ring
    words (uint64) or bytes - for the last three give ``shapes``, the update's; bytes and words are read as floats and as fixed
    point with ``frac_bits`` bits, at either end. ``records``: the training records behind each message; ``controls``: others of
    the same population, against which chance is measured. ``invert``: an update to candidate records, `dense_inputs` or a
    `gradient_matching.GradientMatching`.

    A record is recovered if one candidate explains at least ``least`` of it: 1 - |candidate - record|^2 / |record - mean|^2
    (the mean of the controls). The same is asked of as many controls, so that candidates that fit anything count for nothing.
    The adversary knows the model and the update's shapes. It picks no record itself: the report asks whether a candidate is
    there, which a real adversary may have to tell by eye.

    A low number does not show that an update is safe: other attacks, several rounds or a model chosen by the server find more.
    Shares and ciphertexts are another matter: the bytes are independent of the update, which no attack changes; the measured
    chance is a check of the wiring, not the proof. Raises ShapeError, ConfigError.
    """
    if not messages or len(messages) != len(records):
        raise ConfigError(f"update_inversion: got {len(messages)} messages and {len(records)} sets of records; want as many")
    others = np.asarray(as_array(controls), np.float64)
    if not len(others):
        raise ConfigError("update_inversion: got no controls; want records of strangers, as many as a message is about")
    others = others.reshape(len(others), -1)
    mean, rng = others.mean(0), np.random.default_rng(seed)
    found: list[Floats] = []
    chance: list[Floats] = []
    for place, (message, mine) in enumerate(zip(messages, records, strict=True)):
        x = np.asarray(as_array(mine), np.float64).reshape(len(mine), -1)
        if x.shape[1] != others.shape[1]:
            raise ShapeError(f"update_inversion: got records of {x.shape[1]} values, controls of {others.shape[1]}; want alike")
        if len(x) > len(others):
            raise ConfigError(f"update_inversion: got {len(others)} controls, {len(x)} records in message {place}; want more")
        candidates = _candidates(message, shapes, frac_bits, invert, x.shape[1])
        found.append(explained(candidates, x, mean))
        chance.append(explained(candidates, others[rng.permutation(len(others))[: len(x)]], mean))
    return InversionReport(tuple(found), tuple(chance), least)


def explained(candidates: Floats, records: Floats, mean: Floats) -> Floats:
    """Of each record the share that its nearest candidate explains, at most 1; never below 0: the mean is always at hand."""
    spread = np.maximum(((records - mean) ** 2).sum(1), 1e-300)
    if not len(candidates):
        return np.zeros(len(records))
    with np.errstate(over="ignore", invalid="ignore"):
        far = np.stack([((candidates - x) ** 2).sum(1).min() for x in records])
        return np.asarray(np.nan_to_num(np.maximum(0.0, 1 - far / spread)))


def _candidates(message: Any, shapes: Sequence[Shape] | None, frac_bits: int, invert: Invert, width: int) -> Floats:
    """What ``invert`` makes of every reading of a message."""
    out = []
    for update in _readings(message, shapes, frac_bits):
        with np.errstate(all="ignore"):
            got = np.asarray(as_array(invert(update)), np.float64)
        got = got.reshape(len(got), math.prod(got.shape[1:]) if got.ndim > 1 else width)
        if got.shape[1] != width:
            raise ShapeError(f"update_inversion: got candidates of {got.shape[1]} values; want {width}, as the records have")
        out.append(got[np.isfinite(got).all(1)])
    return np.concatenate(out) if out else np.zeros((0, width))


def _readings(message: Any, shapes: Sequence[Shape] | None, frac_bits: int) -> list[Update]:
    """The updates a message may be, as numbers."""
    if isinstance(message, (list, tuple)):
        return [[np.asarray(as_array(part), np.float64) for part in message]]
    if shapes is None:
        raise ConfigError("update_inversion: got messages that are no lists of arrays; want shapes=[...] of the update")
    count = sum(math.prod(shape) for shape in shapes)
    if isinstance(message, (bytes, bytearray, memoryview)):
        data = bytes(message)
    else:
        array = np.ascontiguousarray(as_array(message)).reshape(-1)
        if array.dtype != np.uint64:
            return [_split(array.astype(np.float64), shapes)] if array.size == count else _wrong(array.size, count)
        data = array.tobytes()
    out: list[Update] = []
    for kind in ("<f8", "<f4", "<u8"):
        size = np.dtype(kind).itemsize * count
        for part in {data[:size], data[-size:]} if len(data) >= size else ():  # a header may stand before, a seal behind
            values = np.frombuffer(part, kind)
            with np.errstate(invalid="ignore"):  # ciphertexts read as numbers are anything
                real = decode(values.astype(np.uint64), frac_bits) if kind == "<u8" else values.astype(np.float64)
            if np.isfinite(real).all():
                out.append(_split(real, shapes))
    return out


def _split(values: Floats, shapes: Sequence[Shape]) -> Update:
    cuts = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(values, cuts), shapes, strict=True)]


def _wrong(got: int, want: int) -> list[Update]:
    raise ShapeError(f"update_inversion: got a message of {got} values; shapes say {want}")
