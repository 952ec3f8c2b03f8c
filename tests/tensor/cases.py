"""One table of operations: the same expression in torch and on secret tensors, value and gradient."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """``function(lib, *tensors)`` with lib = torch or mpc; ``shapes`` of its inputs, drawn from ``low`` to ``high``."""

    name: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    low: float = -3.0
    high: float = 3.0
    tolerance: float = 2e-4
    gradient: bool = True

    def inputs(self) -> list[np.ndarray]:
        """Multiples of 2^-16 away from 0, where ReLU and comparisons have an edge."""
        rng = np.random.default_rng(sum(map(ord, self.name)))
        out = []
        for shape in self.shapes:
            x = rng.uniform(self.low, self.high, shape)
            x = np.where(np.abs(x) < 0.01, 0.25, x)
            out.append(np.round(x * 65536) / 65536)
        return out

    def seed(self, shape: tuple[int, ...]) -> np.ndarray:
        """The weights of the loss: every element's gradient differs."""
        return np.random.default_rng(7).integers(-8, 9, shape) / 8.0


A23, A3, B4 = (2, 3), (3,), (4,)
PUBLIC = np.array([[0.5, -1.25, 2.0], [1.0, 0.3, -0.7]])
INTEGERS = np.array([[1, -2, 3], [0, 1, 0]])


def _power(n: int) -> Callable[..., Any]:
    return lambda F, x: x**n


CASES = [
    Case("add", lambda F, x, y: x + y, (A23, A23)),
    Case("add broadcast", lambda F, x, y: x + y, (A23, A3)),
    Case("add column", lambda F, x, y: x + y, ((2, 1), (1, 3))),
    Case("add number", lambda F, x: 1.5 + x + 2, (A23,)),
    Case("add array", lambda F, x: x + F.public(PUBLIC), (A23,)),
    Case("add array larger", lambda F, x: x + F.public(PUBLIC), (A3,)),
    Case("add itself", lambda F, x: x + x, (A23,)),
    Case("sub", lambda F, x, y: x - y, (A23, A3)),
    Case("sub from number", lambda F, x: 1 - x, (A23,)),
    Case("sub from array", lambda F, x: F.public(PUBLIC) - x, (A23,)),
    Case("neg", lambda F, x: -x, (A23,)),
    Case("mul", lambda F, x, y: x * y, (A23, A23)),
    Case("mul broadcast", lambda F, x, y: x * y, (A23, A3)),
    Case("mul outer", lambda F, x, y: x * y, ((4, 1), (1, 5))),
    Case("mul scalar tensor", lambda F, x, y: x * y, (A23, ())),
    Case("mul number", lambda F, x: x * 0.3 * 2, (A23,)),
    Case("mul array", lambda F, x: F.public(PUBLIC) * x, (A23,)),
    Case("mul array wider", lambda F, x: x * F.public(PUBLIC), (A3,)),
    Case("mul integers", lambda F, x: x * F.public(INTEGERS), (A23,)),
    Case("mul chain", lambda F, x, y, z: x * y * z * x, (A23, A23, A23), -2, 2, 1e-3),
    Case("mul factors", lambda F, x, y: (x * 0.1) * (y / 7) + x * y * 0.01, (A23, A23)),
    Case("factor sums", lambda F, x, y: (x * 0.3 + y * 0.7 - x / 3) * y, (A23, A23), tolerance=5e-4),
    Case("same factor", lambda F, x, y: x * 0.1 - y * 0.1, (A23, A23)),
    Case("opposite factor", lambda F, x, y: -x + y, (A23, A23)),
    Case("div", lambda F, x: x / 3, (A23,)),
    Case("div power of two", lambda F, x: x / 8, (A23,), tolerance=2e-5),
    Case("div array", lambda F, x: x / F.public(PUBLIC * 100), (A23,)),
    Case("square", lambda F, x: F.square(x), (A23,), tolerance=4e-4),
    Case("product with itself", lambda F, x: x * x, (A23,), tolerance=4e-4),
    *(Case(f"power {n}", _power(n), (A23,), -1.5, 1.5, 1e-3) for n in range(6)),
    Case("less", lambda F, x, y: x < y, (A23, A3), gradient=False),
    Case("less equal number", lambda F, x: x <= 0.5, (A23,), gradient=False),
    Case("greater number", lambda F, x: x > 0.5, (A23,), gradient=False),
    Case("greater of products", lambda F, x, y: x * y > x * 0.7, (A23, A23), gradient=False),
    Case("greater equal", lambda F, x, y: x >= y, (A23, A23), gradient=False),
    Case("compare negated", lambda F, x, y: -x < -y, (A23, A23), gradient=False),
    Case("equal", lambda F, x: x == F.public(np.zeros(A23)) + x, (A23,), gradient=False),
    Case("not equal", lambda F, x: x != x + F.public(INTEGERS), (A23,), gradient=False),
    Case("bits", lambda F, x, y: ((x > 0) & (y > 0)) | ~(x > y), (A23, A23), gradient=False),
    Case("where", lambda F, x, y: F.where(x > y, x * 2, y), (A23, A3), tolerance=5e-4),
    Case("where public values", lambda F, x: F.where(x > 0, F.public(PUBLIC), F.public(-PUBLIC)) * x, (A23,)),
    Case("where public mask", lambda F, x, y: F.where(F.mask(INTEGERS > 0), x, y), (A23, A23)),
    Case("where number", lambda F, x: F.where(x > 0, x, F.public(np.zeros(A23)) + 0.5), (A23,)),
    Case("matmul", lambda F, x, y: x @ y, ((3, 4), (4, 5)), tolerance=5e-4),
    Case("matmul vector right", lambda F, x, y: x @ y, ((3, 4), (4,)), tolerance=5e-4),
    Case("matmul vector left", lambda F, x, y: x @ y, ((4,), (4, 5)), tolerance=5e-4),
    Case("matmul vectors", lambda F, x, y: x @ y, ((4,), (4,)), tolerance=5e-4),
    Case("dot", lambda F, x, y: x.dot(y), ((4,), (4,)), tolerance=5e-4),
    Case("outer", lambda F, x, y: x.outer(y), ((4,), (3,)), tolerance=5e-4),
    Case("matmul batch", lambda F, x, y: x @ y, ((2, 3, 4), (2, 4, 5)), tolerance=5e-4),
    Case("matmul batch broadcast", lambda F, x, y: x @ y, ((2, 3, 4), (4, 5)), tolerance=5e-4),
    Case("matmul batch vector", lambda F, x, y: x @ y, ((2, 3, 4), (4,)), tolerance=5e-4),
    Case("matmul vector batch", lambda F, x, y: x @ y, ((3,), (2, 3, 4)), tolerance=5e-4),
    Case("matmul public right", lambda F, x: x @ F.public(PUBLIC.T), ((4, 3),), tolerance=5e-4),
    Case("matmul public left", lambda F, x: F.public(PUBLIC) @ x, ((3, 4),), tolerance=5e-4),
    Case("matmul then bias", lambda F, x, y, b: x @ y + b, ((3, 4), (4, 5), (5,)), tolerance=5e-4),
    Case("two layers", lambda F, x, y, b, z: F.relu(x @ y + b) @ z, ((3, 4), (4, 5), (5,), (5, 2)), -1, 1, 1e-3),
    Case("matmul chain", lambda F, x, y: (x @ y).T @ x * 0.1, ((3, 4), (4, 5)), -1, 1, 1e-3),
    Case("sum", lambda F, x: x.sum(), (A23,)),
    Case("sum axis", lambda F, x: x.sum(0) + x.sum(-1, keepdims=True), ((2, 3),)),
    Case("sum dim", lambda F, x: x.sum(dim=(0, 2), keepdim=True), ((2, 3, 4),)),
    Case("sum of products", lambda F, x, y: (x * y).sum(1), (A23, A23), tolerance=5e-4),
    Case("mean", lambda F, x: x.mean(), (A23,)),
    Case("mean axis", lambda F, x: x.mean(axis=1), (A23,)),
    Case("mean of four", lambda F, x: x.mean(dim=0, keepdim=True) * x, ((4, 3),)),
    Case("mean of squares", lambda F, x, y: ((x - y) ** 2).mean(), (A23, A3), tolerance=4e-4),
    Case("mean of many", lambda F, x: x.mean(0) * x.mean(0), ((300, 2),), 5, 20, 5e-3),
    Case("variance", lambda F, x: ((x - x.mean(0)) ** 2).mean(0), ((7, 3),), tolerance=5e-4),
    Case("mean of bits", lambda F, x: (x > 0).double().mean() if F.plain else (x > 0).mean(), (A23,), gradient=False),
    Case("reshape", lambda F, x: x.reshape(3, -1) * x.view((3, 2)), (A23,), tolerance=5e-4),
    Case("flatten", lambda F, x: x.flatten(1).flatten(), ((2, 3, 2),)),
    Case("transpose", lambda F, x: x.transpose(0, -1), ((2, 3, 4),)),
    Case("permute", lambda F, x: x.permute(2, 0, 1), ((2, 3, 4),)),
    Case("T", lambda F, x: x.T @ x, (A23,), tolerance=5e-4),
    Case("squeeze", lambda F, x: x.squeeze(1).unsqueeze(0).squeeze(), ((2, 1, 3),)),
    Case("expand", lambda F, x: x.expand(4, -1, 3), ((2, 1),)),
    Case("broadcast_to", lambda F, x: F.broadcast_to(x * x, (4, 2, 3)), (A23,), tolerance=2e-3),
    Case("index", lambda F, x: x[1] + x[:, 0].sum() + x[-1, ::2].sum(), (A23,)),
    Case("index arrays", lambda F, x: x[F.indices([0, 2, 2, 1])], ((3, 2),)),
    Case("index pairs", lambda F, x: x[F.indices([0, 1, 1]), F.indices([2, 0, 0])], (A23,)),
    Case("index mask", lambda F, x: x[F.mask(np.array([True, False, True]))], ((3, 2),)),
    Case("index none", lambda F, x: x[:, None, 1:] * x[..., None, :1], (A23,), tolerance=5e-4),
    Case("cat", lambda F, x, y: F.cat([x, y * 0.5, x * x], 1), (A23, (2, 2)), tolerance=5e-4),
    Case("cat same factor", lambda F, x, y: F.cat([-x, -y]), (A23, (1, 3))),
    Case("stack", lambda F, x, y: F.stack([x, y], 1), (A23, A23)),
    Case("relu", lambda F, x: F.relu(x), (A23,)),
    Case("relu of product", lambda F, x, y: F.relu(x * y), (A23, A23), tolerance=4e-4),
    Case("relu of factor", lambda F, x: F.relu(x * -0.37), (A23,)),
    Case("relu twice", lambda F, x: F.relu(F.relu(x) - 1), (A23,)),
    Case("abs", lambda F, x: abs(x) + x.abs(), (A23,)),
    Case("clip", lambda F, x: x.clip(-1, 1.5), (A23,)),
    Case("clamp min", lambda F, x: x.clamp(min=-0.5), (A23,)),
    Case("clamp max", lambda F, x: x.clamp(max=0.5), (A23,)),
    Case("sigmoid", lambda F, x: F.sigmoid(x), ((5, 7),), -12, 12, 5e-4),
    Case("sigmoid of product", lambda F, x, y: F.sigmoid(x @ y), ((3, 4), (4, 2)), -1, 1, 1e-3),
    Case("sigmoid of factor", lambda F, x: F.sigmoid(x * 1.7 / 3) * 2, (A23,), tolerance=8e-4),
    Case("tanh", lambda F, x: x.tanh(), ((5, 7),), -16, 16, 5e-4),
    Case("erf", lambda F, x: x.erf(), ((5, 7),), -4, 4, 3e-4),
    Case("gelu", lambda F, x: F.gelu(x), ((5, 7),), -16, 16, 5e-4),
    Case("gelu of product", lambda F, x, y: F.gelu(x @ y), ((3, 4), (4, 2)), -1, 1, 5e-4),
    Case("exp", lambda F, x: x.exp(), ((5, 7),), -16, 3, 2e-4),
    Case("exp of product", lambda F, x, y: (x @ y).exp(), ((3, 4), (4, 2)), -1, 1, 8e-4),
    Case("log", lambda F, x: x.log(), ((5, 7),), 0.3, 30, 2e-4),
    Case("log of product", lambda F, x, y: (x * y).log(), (A23, A23), 0.5, 3, 5e-4),
    Case("sqrt", lambda F, x: x.sqrt(), ((5, 7),), 0.25, 100, 5e-4),
    Case("rsqrt", lambda F, x: x.rsqrt(), ((5, 7),), 0.25, 100, 4e-4),
    Case("reciprocal", lambda F, x: x.reciprocal(), ((5, 7),), 0.5, 50, 3e-4),
    Case("reciprocal of negatives", lambda F, x: 2 / x, ((5, 7),), -50, -0.5, 6e-4),
    Case("divide by secret", lambda F, x, y: x / y, (A23, A23), 0.5, 3, 1e-3),
    Case("divide broadcast", lambda F, x, y: x / y, (A23, A3), 0.5, 3, 1e-3),
    Case("negative power", lambda F, x: x**-2, ((5, 7),), 0.7, 5, 1e-3),
    Case("half powers", lambda F, x: x**0.5 + x**-0.5, ((5, 7),), 0.5, 20, 6e-4),
    Case("softmax", lambda F, x: x.softmax(1), ((4, 10),), -8, 8, 5e-4),
    Case("softmax first axis", lambda F, x: x.softmax(0), ((5, 4),), -8, 8, 5e-4),
    Case("softmax middle axis", lambda F, x: x.softmax(dim=1), ((2, 3, 4),), -8, 8, 5e-4),
    Case("softmax of product", lambda F, x, y: (x @ y).softmax(-1), ((3, 4), (4, 5)), -1, 1, 5e-4),
    Case("softmax of many", lambda F, x: x.softmax(-1), ((2, 40),), -8, 8, 5e-4),
    Case("log_softmax", lambda F, x: x.log_softmax(1), ((4, 10),), -8, 8, 5e-4),
    Case("log_softmax of many", lambda F, x: x.log_softmax(-1), ((2, 40),), -8, 8, 8e-4),
    Case("max", lambda F, x: x.max(), ((4, 5),)),
    Case("max axis", lambda F, x: x.max(1).values + x.max(dim=1)[0] * 0.5, ((4, 5),)),
    Case("max keepdim", lambda F, x: x - x.max(0, keepdim=True).values, ((4, 5),)),
    Case("max of product", lambda F, x, y: (x @ y).amax(1), ((3, 4), (4, 5)), tolerance=5e-4),
    Case("max of many", lambda F, x: x.amax(-1), ((2, 3, 40),)),
    Case("min", lambda F, x: x.min() + x.min(1).values.sum(), ((4, 5),)),
    Case("amin", lambda F, x: x.amin(0), ((4, 5),)),
    Case("places", lambda F, x: x.max(0).indices * 10 + x.argmin(0), ((6, 5),), gradient=False),
    Case("argmax", lambda F, x: x.argmax(1), ((6, 40),), gradient=False),
    Case("argmax of all", lambda F, x: x.argmax() + x.argmax(dim=1, keepdim=True), ((6, 5),), gradient=False),
    Case("maximum", lambda F, x, y: F.maximum(x, y) - F.minimum(x, y) * 0.5, (A23, A3)),
    Case("sort", lambda F, x: x.sort(1).values * 0.5, ((3, 7),)),
    Case("sort descending", lambda F, x: x.sort(dim=0, descending=True)[0], ((5, 3),)),
    Case("sort of product", lambda F, x, y: (x @ y).sort(1).values, ((3, 4), (4, 5)), tolerance=5e-4),
    Case("sort places", lambda F, x: x.sort(-1).indices, ((3, 7),), gradient=False),
    Case("topk", lambda F, x: x.topk(3, 1).values, ((4, 9),)),
    Case("topk smallest", lambda F, x: x.topk(2, dim=0, largest=False).values, ((9, 3),)),
    Case("topk places", lambda F, x: x.topk(3).indices, ((4, 9),), gradient=False),
    Case("median", lambda F, x: x.median(), ((3, 5),)),
    Case("median axis", lambda F, x: x.median(1, True).values + x.median(0, keepdim=True).values, ((4, 5),)),
    Case("median places", lambda F, x: x.median(1).indices, ((4, 6),), gradient=False),
    Case("sign", lambda F, x: x.sign(), (A23,), gradient=False),
    Case("floor", lambda F, x: x.floor(), (A23,), gradient=False),
    Case("remainder", lambda F, x: x % 0.5 + x % 2, (A23,)),
    Case("shared input", lambda F, x, y: F.relu(x @ y) * (x @ y) + x.sum(1, keepdim=True), ((3, 4), (4, 5)), -1, 1, 1e-3),
]
