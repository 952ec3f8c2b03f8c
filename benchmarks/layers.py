"""The layers at batch 128: forward, and forward with backward; errors against the same layer of torch in float64."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

import mpc
from mpc.benchmarks.harness import Workload
from mpc.benchmarks.protocols import Operation, settle
from mpc.party import Party
from mpc.tensor import SecretTensor


class Case(NamedTuple):
    """``layer``: from mpc.nn or torch.nn, for inputs of 128 times ``shape``."""

    layer: Callable[[Any], Any]
    shape: tuple[int, ...]


CASES: Final[dict[str, Case]] = {
    "conv2d": Case(lambda nn: nn.Conv2d(16, 32, 3, padding=1), (16, 14, 14)),
    "maxpool2d": Case(lambda nn: nn.MaxPool2d(2), (6, 28, 28)),
    "avgpool2d": Case(lambda nn: nn.AvgPool2d(2), (6, 28, 28)),
    "batchnorm2d": Case(lambda nn: nn.BatchNorm2d(16), (16, 14, 14)),
    "layernorm": Case(lambda nn: nn.LayerNorm(128), (128,)),
}
BACKWARD: Final = "-backward"


class Layer(Operation):
    """A layer whose input and parameters are secret and are trained: fresh inputs each run, the parameters stay."""

    def __init__(self, name: str, backward: bool, party: Party, quick: bool) -> None:
        super().__init__(party, quick)
        self.case, self.backward = CASES[name], backward
        self.shape = (4 if quick else 128, *self.case.shape)
        self.size = "x".join(map(str, self.shape))
        self.layer = self.case.layer(mpc.nn)
        self.slope: Any = None  # of a public linear loss

    def prepare(self) -> SecretTensor:
        x = self.secret(self.shape).detach().requires_grad_(self.backward)
        self.layer.zero_grad()
        return x

    def run(self, state: SecretTensor) -> SecretTensor:
        if not self.backward:
            with mpc.no_grad():
                return settle(self.layer(state))
        out: SecretTensor = self.layer(state)
        if self.slope is None:
            self.slope = np.round(np.random.default_rng(2).normal(size=out.shape) * 16) / 16
        (out * self.slope).sum().backward()
        for tensor in (state, *self.layer.parameters()):
            settle(tensor.grad)
        return out

    def finish(self, state: SecretTensor, result: SecretTensor) -> tuple[str, dict[str, Any]]:
        x = state.reveal(reason="error of the layer")
        start = self.layer.reveal(reason="error of the layer")
        got = [result.reveal(reason="error of the layer")]
        if self.backward:
            inner = [p.grad for p in self.layer.parameters()]
            got += [t.reveal(reason="error of the gradient") for t in (state.grad, *inner)]
        if self.party.rank:
            return "", {}  # the row is rank 0's
        try:
            import torch
        except ImportError:
            return "no error: torch is not installed", {}
        layer = self.case.layer(torch.nn).double()
        layer.load_state_dict({**layer.state_dict(), **{name: torch.tensor(v) for name, v in start.items()}})
        inputs = torch.tensor(x, requires_grad=self.backward)
        out = layer(inputs)
        want = [out.detach().numpy()]
        if self.backward:
            (out * torch.tensor(self.slope)).sum().backward()
            want += [t.grad.numpy() for t in (inputs, *layer.parameters())]
        errors = [float(np.abs(a - b).max()) for a, b in zip(got, want, strict=True)]
        largest = [float(np.abs(b).max()) for b in want]
        names = ["input", *(name for name, _ in self.layer.named_parameters())]
        parts = [f"{n} {error:.1e} of {most:.3g}" for n, error, most in zip(names, errors[1:], largest[1:], strict=False)]
        note = f"gradients: {', '.join(parts)}" if parts else ""
        return note, {"max_error": errors[0], "errors": errors, "largest": largest}


WORKLOADS: Final[dict[str, Callable[[Party, bool], Workload]]] = {
    name + (BACKWARD if backward else ""): partial(Layer, name, backward)
    for name in CASES
    for backward in (False, True)
}
