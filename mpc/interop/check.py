"""`check`: what of a torch module cannot be imported, and what the rest will cost, before any party is there."""
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mpc import fixed_point
from mpc.errors import FixedPointRangeError, MPCError, NotSupported, ShapeError
from mpc.fixed_point import as_array
from mpc.interop.architecture import Problem
from mpc.interop.describe import TORCH, describe
from mpc.interop.trace import in_mode
from mpc.interop.trial import Trial, first
from mpc.report import Report, amount, duration
from mpc.report.text import columns

FRAC_BITS: Final = 16
COARSE: Final = 2.0**-8  # a tensor whose largest weight is below keeps less than 8 significant bits
VARIANCES: Final = (2.0**-8, 2.0**13)  # running ones that keep 8 bits at least, and their inverse roots too


@dataclass(frozen=True)
class Check:
    """What `check` found. ``unsupported``: every obstacle; empty when the module can be imported. ``warnings``: values
    that leave the range or lose their digits. ``forward``: the costs of one forward pass, ``training_step`` those of
    forward, backward and an SGD step where that was asked for; None where nothing can run. ``error``: the largest
    difference between the result and torch's."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    unsupported: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    forward: Report | None = None
    training_step: Report | None = None
    error: float | None = None

    @property
    def supported(self) -> bool:
        """Can it be imported?"""
        return not self.unsupported

    @property
    def rounds(self) -> int:
        """Of one forward pass. Raises NotSupported where nothing can run."""
        return self._forward().rounds

    @property
    def bytes_sent(self) -> int:
        """Online, by the party that sends most, to all others together, headers included; of one forward pass."""
        return self._forward().bytes_sent

    @property
    def offline_bytes(self) -> int:
        """From the dealer, for one forward pass."""
        return self._forward().offline_bytes

    def _forward(self) -> Report:
        if self.forward is None:
            raise NotSupported(str(self))
        return self.forward

    def __str__(self) -> str:
        inputs = " and ".join("x".join(map(str, shape)) or "one number" for shape in self.shapes)
        parts = []
        if self.unsupported:
            head = f"{self.name} cannot be imported: {len(self.unsupported)} obstacle{'s' * (len(self.unsupported) > 1)}"
            lines = [(p.where, p.what, p.instead) for p in self.unsupported]
            parts.append(f"{head}\n{columns(('where', 'what', 'instead'), lines, 3)}")
        for title, report in (("forward pass", self.forward), ("training step", self.training_step)):
            if report is not None:
                parts.append(f"{self.name}: {title} on {inputs}, {report.world_size} parties\n{_costs(report)}")
        if self.error is not None:
            parts.append(f"largest difference from torch: {self.error:.1e}")
        return "\n\n".join([*parts, *(f"warning: {text}" for text in self.warnings)]) + "\n"


def _costs(report: Report) -> str:
    lines = [
        (row.label + " (backward)" * row.backward, f"{row.rounds}", amount(row.bytes_sent), amount(row.offline_bytes))
        for row in (*report.by_layer(), report.total)
    ]
    table = columns(("layer", "rounds", "sent", "from dealer"), lines)
    times = [f"{duration(p.online)} on {p.network.name}" for p in report.predictions()]
    return f"{table}\npredicted: {', '.join(times)}, of which {duration(report.total.compute)} computing as on this machine"


def check(
    module: Any, example: Any, *, parties: int = 2, training: bool = False, frac_bits: int = FRAC_BITS
) -> Check:
    """What `from_torch` would say of ``module``, and what the model would cost. Needs no session and no other party.

    ``example``: an input as an array or torch tensor (its values are used), or its shape as a tuple of integers (random
    values); a list of these for several inputs. Everything unsupported is listed at once. The rounds and bytes are those
    of the real protocol, run with ``parties`` threads of this process on the example: exact, as only shapes decide them
    and who holds what: weights are taken as party 0's, inputs as those of party 1 and, one each, the next.
    The forward pass is that of evaluation mode, without the reveal; with ``training`` a step of SGD on the mean square of
    the first result is measured too. Headroom is that of the plaintext twin on the example. Nothing of it is secret.

    Raises ShapeError when torch itself cannot run the module on the example, ConfigError for what is no module.
    """
    architecture, values = describe(module)
    inputs = _inputs(module, example)
    shapes = tuple(x.shape for x in inputs)
    expected = _torch_result(module, inputs)
    problems, warnings = list(architecture.problems), list(_doubts(values, frac_bits))
    if problems:
        return Check(architecture.name, shapes, tuple(problems), tuple(warnings))
    limit = fixed_point.bound(frac_bits) / 2
    exact = all(bool(np.all(np.abs(as_array(v)) < 2 * limit)) for v in values.values())
    weights = values if exact else {n: np.nan_to_num(as_array(v)).clip(-limit, limit) for n, v in values.items()}
    work = Trial(architecture, weights, inputs, parties, frac_bits)
    try:
        warnings += work.headroom()
        forward, result = work.forward()
        step = work.training_step() if training else None
    except FixedPointRangeError as error:
        raise FixedPointRangeError(f"the example: {error}") from None
    except MPCError as error:
        notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("in step ")]
        where = notes[0].removeprefix("in step ") if notes else "forward()"
        return Check(architecture.name, shapes, (Problem(str(error), where),), tuple(warnings))
    worst = float(np.abs(result - expected).max(initial=0.0)) if exact and expected is not None else None
    return Check(architecture.name, shapes, (), tuple(warnings), forward, step, worst)


def _inputs(module: Any, example: Any) -> list[Any]:
    """The inputs as NumPy arrays. Raises NotSupported for what is neither an array nor a shape."""
    rng = np.random.default_rng(0)
    shape = isinstance(example, tuple) and all(isinstance(n, (int, np.integer)) for n in example)
    several = isinstance(example, list) or (isinstance(example, tuple) and not shape)
    if several:
        return [x for one in example for x in _inputs(module, one)]
    return [rng.standard_normal(example) if shape else as_array(example)]


def _torch_result(module: Any, inputs: Sequence[Any]) -> Any:
    """What torch computes in evaluation mode: the first result as an array."""
    import torch

    from_module = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    tensors = [
        torch.as_tensor(x).to(from_module) if x.dtype.kind == "f" else torch.as_tensor(x, device=from_module.device)
        for x in inputs
    ]
    try:
        with TORCH, torch.no_grad(), in_mode(module, False):
            out = module(*tensors)
    except Exception as error:  # whatever a user's forward raises
        raise ShapeError(f"torch cannot run {type(module).__name__} on this example: {error}") from error
    return as_array(first(out))


def _doubts(values: Mapping[str, Any], frac_bits: int) -> Iterator[str]:
    """What can be said of the weights alone."""
    bound = fixed_point.bound(frac_bits)
    for name, value in values.items():
        array = np.abs(as_array(value).astype(np.float64))
        if not array.size:
            continue
        largest = float(array.max())
        if not largest < bound:  # also NaN
            yield f"{name} reaches {largest:g}; weights stay below 2^{int(math.log2(bound))} at {frac_bits} fraction bits"
        elif 0.0 < largest < COARSE * 2.0 ** (FRAC_BITS - frac_bits):
            yield f"{name} is at most {largest:.1e}: fewer than 8 bits of it are kept; scale it up or use more frac_bits"
        if array.ndim >= 2 and not name.endswith("running_var"):
            reach = float(array.reshape(array.shape[0], -1).sum(1).max())
            if reach >= bound / 4:
                yield (f"{name} sums {math.prod(array.shape[1:])} products with weights of {reach:g} together: inputs "
                       f"above {bound / reach:.2g} leave the range")
        if name.endswith("running_var") and (largest > VARIANCES[1] or float(array.min()) < VARIANCES[0]):
            yield f"{name} lies in [{float(array.min()):g}, {largest:g}]; want [2^-8, 2^13]: rescale the layer's input"
