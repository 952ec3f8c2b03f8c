"""Every function and every layer of the tables, in a graph, against torch; nothing in the tables goes untried."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.interop.describe import describe
from mpc.interop.functions import FUNCTIONS
from mpc.interop.layers import LAYERS
from tests.owners import mixed

torch = pytest.importorskip("torch", reason="models come from torch")
nn, F = torch.nn, torch.nn.functional

X, Y = (np.round(np.random.default_rng(k).normal(size=(2, 3, 4)) * 4096) / 4096 for k in (1, 2))
M = torch.tensor(np.round(np.random.default_rng(3).normal(size=(4, 4)) * 64) / 64)
IMAGE = np.arange(72.0).reshape(2, 1, 6, 6) % 7 / 4 - 0.5
BITS = torch.tensor([True, False, True, False])

#: forward(x, y) on two inputs of shape (2, 3, 4), and how far the result may be from torch's.
GRAPHS: dict[str, tuple[Callable[..., Any], float]] = {
    "sums": (lambda x, y: torch.add(x, y, alpha=2) + x.add(1) - torch.sub(x, 2 * y) + y.sub(x, alpha=0.5) + 3, 2e-5),
    "reversed": (lambda x, y: torch.rsub(x, y) + (1 - x) + (2 / (y * y + 1)), 3e-4),
    "products": (lambda x, y: x * y + torch.mul(x, 0.5) + x.mul(y) * -0.5 + torch.neg(x) + (-y), 5e-5),
    "quotients": (lambda x, y: x / 3 + torch.div(y, 2) + x.div(y.square() + 1), 1.5e-4),
    "powers": (lambda x, y: x**2 + torch.pow(y, 3) + (x * x + 1) ** 0.5 + (x * x + 1) ** -1, 2e-4),
    "size": (lambda x, y: (x.abs() + abs(y)).clamp(0.25, 1.5) + torch.clamp(x, max=1.0) + x.clip(min=0), 2e-5),
    "sign": (lambda x, y: torch.sign(x) + torch.floor(y * 2) + x.sign(), 1e-6),
    "mod": (lambda x, y: torch.remainder(x, 0.5), 2e-5),
    "matmul": (lambda x, y: x @ M + torch.matmul(y, M) + torch.bmm(x, x.transpose(1, 2)) @ y, 1.5e-4),
    "addmm": (lambda x, y: torch.addmm(x[0], y[0], M, beta=0.5, alpha=2), 5e-5),
    "compare": (lambda x, y: (x < y) * 1 + (x <= 0) * 2 + (x > 1) * 4 + (x >= y) * 8 + torch.lt(x, 0.5), 0),
    "equal": (lambda x, y: x.eq(x) * 1 + torch.ne(x, y) * 2, 0),
    "where": (lambda x, y: torch.where(x > 0, x, y) + x.where(BITS, y) + x.masked_fill(y > 0, 2.0), 2e-5),
    "extremes": (lambda x, y: torch.maximum(x, y) - torch.minimum(x, y) + torch.max(x, y) - torch.min(y, x), 2e-5),
    "max": (lambda x, y: x.max(-1)[0] + torch.max(y, 2).values + x.amax(1).sum() + y.max() + x.amax((1, 2)).sum(), 2e-5),
    "min": (lambda x, y: x.min(-1)[0] - torch.min(y, dim=2).values + x.amin(1).sum() + y.min(), 2e-5),
    "argmax": (lambda x, y: torch.argmax(x, 2) + x.max(2).indices + x.argmax() + x.argmax(keepdim=True)[0], 0),
    "argmin": (lambda x, y: torch.argmin(x, 2, keepdim=True) + x.argmin(keepdim=True), 0),
    "median": (lambda x, y: x.median() + torch.median(y, 2).values + x.median(1, True)[0].sum(2), 2e-5),
    "sort": (lambda x, y: torch.sort(x, dim=2, descending=True)[0] + torch.topk(y, 2)[0].sum(2, keepdim=True), 2e-5),
    "stable sort": (lambda x, y: torch.sort(x, dim=1, stable=True)[1] + x.topk(1, 2, largest=False).indices, 0),
    "sum": (
        lambda x, y: x.sum() + y.sum(1).sum(dim=(0, 1)) + x.mean() + y.mean((1, 2), keepdim=True) + x.mean(axis=0),
        5e-5,
    ),
    "var": (lambda x, y: x.var(1) + torch.var(y, dim=1, unbiased=False) + x.std(dim=1), 2e-4),
    "shapes": (
        lambda x, y: x.view(x.size(0), -1).reshape(3, 8).flatten().unflatten(0, (4, -1))
        + (y.dim() + y.numel() + y.shape.numel()),
        2e-5,
    ),
    "axes": (lambda x, y: x.permute(2, 0, 1).transpose(0, 2).unsqueeze(1).squeeze(1) @ x[0].t() + y.mT[0, 0, 0], 5e-5),
    "parts": (lambda x, y: torch.cat(x.chunk(2, -1), 1) + torch.stack(y.unbind(2)[:2], 2).repeat(1, 2, 1)[:, :6], 2e-5),
    "split": (
        lambda x, y: x.split([1, 3], 2)[1] + torch.split(y, 3, dim=2)[0].narrow(2, 0, 3) + x.select(2, 0)[..., None],
        2e-5,
    ),
    "spread": (lambda x, y: x[:1].expand(2, -1, 4) + y[:, :1].expand_as(x) + x[None, 0] * y.reshape_as(x), 5e-5),
    "same": (lambda x, y: x.contiguous().to(torch.float64).clone() + y.detach().type_as(x), 2e-5),
    "index": (lambda x, y: x[:, [0, 2, 2]] + y[torch.tensor([1, 0])] + x[..., BITS].sum() + x[:, -1:, ::2].sum(), 2e-5),
    "sizes": (lambda x, y: x * (x.shape[-1] // 3 + x.shape[1] % 2) / y.shape[0] ** 2, 2e-5),
    "rectified": (
        lambda x, y: F.relu(x) + torch.relu(y) + x.relu() + F.leaky_relu(y, 0.125) + F.relu6(x * 5) + F.hardtanh(y),
        2e-5,
    ),
    "activations": (lambda x, y: torch.sigmoid(x) + y.tanh() + F.gelu(x) + F.silu(y) + torch.erf(x), 6e-4),
    "softmax": (lambda x, y: F.softmax(x, dim=-1) + torch.log_softmax(y, 1) + x.softmax(2), 6e-4),
    "exponentials": (lambda x, y: torch.exp(-x.square()) + (y.square() + 0.5).log(), 1e-4),
    "roots": (lambda x, y: (x.abs() + 1).sqrt() + torch.rsqrt(y.square() + 1) + (x.square() + 1).reciprocal(), 3e-4),
    "linear": (lambda x, y: F.linear(x, M, M[0]), 5e-5),
    "dropout": (lambda x, y: F.dropout(x, 0.5, training=False) + F.dropout(y, 0.0), 2e-5),
    "layer_norm": (lambda x, y: F.layer_norm(x, (4,), M[0], M[1]), 6e-4),
    "attention": (lambda x, y: F.scaled_dot_product_attention(x, y, x), 4e-4),
    "convolutions": (lambda x, y: F.conv1d(x, M[:3, :3].reshape(3, 1, 3), M[0, :3], padding=1, groups=3), 5e-5),
    "pools": (lambda x, y: F.max_pool1d(x, 2) + F.avg_pool1d(y, 2), 2e-5),
    "images": (
        lambda x, y: F.max_pool2d(x[None], (1, 2)) + F.avg_pool2d(y[None], (1, 2)) + F.adaptive_avg_pool2d(x, (3, 1)),
        2e-5,
    ),
    "conv2d": (lambda x, y: F.conv2d(x.unsqueeze(1), M[:2].view(2, 1, 2, 2), stride=(1, 2)), 5e-5),
    "embedding": (lambda x, y: F.embedding((x[:, 0] > 0) * 1, M) + F.embedding((y[:, 1] > 0) * 2, M, padding_idx=0), 5e-5),
    "one_hot": (lambda x, y: F.one_hot((x[:, 0] > 0) * 1, 3) * y[:, :1, :1, None], 2e-5),
}


class Net(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any, y: Any) -> Any:
        return self.function(x, y)


def run(program: Callable[[], Any], parties: int, protocol: str) -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


@pytest.mark.parametrize("protocol,parties", [("clear", 2), ("additive", 2)])
@pytest.mark.parametrize("name", GRAPHS)
def test_functions_agree_with_torch(name: str, protocol: str, parties: int) -> None:
    function, tolerance = GRAPHS[name]

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(Net(function).eval() if s.rank == 0 else None)
            return model(mixed(X), mixed(Y)).reveal()

    want = function(torch.tensor(X), torch.tensor(Y)).double().numpy()
    got = run(program, parties, protocol)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=tolerance, rtol=0)


def test_every_function_is_tried() -> None:
    calls = {step.target for function, _ in GRAPHS.values() for step in described(Net(function)).steps if step.op == "call"}
    assert sorted(FUNCTIONS.keys() - calls) == []


def described(module: Any) -> Any:
    architecture = describe(module.eval())[0]
    assert architecture.problems == ()
    return architecture


LAYER_CASES: list[tuple[Any, Any, float]] = [
    (lambda: nn.AdaptiveAvgPool2d(3), IMAGE, 1e-4),
    (lambda: nn.AvgPool1d(2, stride=1, padding=1, count_include_pad=False), X, 1e-4),
    (lambda: nn.AvgPool2d(3, 2, 1, divisor_override=5), IMAGE, 1e-4),
    (lambda: nn.BatchNorm1d(3, eps=0.01), X, 1e-4),
    (lambda: nn.BatchNorm1d(3, affine=False, momentum=None), X, 1e-4),
    (lambda: nn.BatchNorm2d(1, track_running_stats=False), IMAGE, 1e-4),
    (lambda: nn.Conv1d(3, 6, 2, stride=2, padding=1, groups=3), X, 1e-4),
    (lambda: nn.Conv2d(1, 2, (2, 3), padding="same", dilation=2, bias=False), IMAGE, 2e-4),
    (lambda: nn.Dropout(0.5), X, 1e-4),
    (lambda: nn.Embedding(5, 2, padding_idx=1), np.array([0, 1, 4]), 1e-4),
    (lambda: nn.Embedding(4, 3), np.array([[0, 3], [2, 2]]), 1e-4),
    (lambda: nn.Flatten(0, 1), X, 1e-4),
    (lambda: nn.GELU(), X, 1e-3),
    (lambda: nn.Identity(5, unused=True), X, 1e-4),
    (lambda: nn.LayerNorm((3, 4), eps=0.1), X, 1e-4),
    (lambda: nn.LayerNorm(4, elementwise_affine=False), X, 2e-4),
    (lambda: nn.LeakyReLU(0.2), X, 1e-4),
    (lambda: nn.Linear(4, 2, bias=False), X, 1e-4),
    (lambda: nn.LogSoftmax(-1), X, 5e-4),
    (lambda: nn.MaxPool1d(2, 1, dilation=2), X, 1e-4),
    (lambda: nn.MaxPool2d(3, 1, padding=1), IMAGE, 1e-4),
    (lambda: nn.ReLU(), X, 1e-4),
    (lambda: nn.Sigmoid(), X, 3e-4),
    (lambda: nn.Softmax(1), X, 5e-4),
    (lambda: nn.Tanh(), X, 6e-4),
    (lambda: nn.Hardtanh(-0.5, 0.75), X, 1e-4),
    (lambda: nn.ReLU6(), X, 1e-4),
    (lambda: nn.SiLU(), X, 1e-3),
    (lambda: nn.Unflatten(2, (2, -1)), X, 1e-4),
]


@pytest.mark.parametrize("owner", [0, None], ids=["secret", "public"])
@pytest.mark.parametrize("make,data,tolerance", LAYER_CASES, ids=lambda v: type(v()).__name__ if callable(v) else "")
def test_layers_agree_with_torch(make: Any, data: np.ndarray, tolerance: float, owner: int | None) -> None:
    torch.manual_seed(2)
    module = nn.Sequential(make()).double().eval()
    for name, b in module.named_buffers():
        if b.is_floating_point():
            b.copy_(torch.rand(b.shape) + (0.5 if name.endswith("var") else -0.5))

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(module if owner is None or s.rank == 0 else None, owner)
            if owner is not None:
                assert sorted(model.reveal()) == sorted(module.state_dict())
            return model(mixed(data)).reveal()

    want = module(torch.tensor(data)).detach().numpy()
    np.testing.assert_allclose(run(program, 2, "additive"), want, atol=tolerance, rtol=0)


def test_every_layer_is_tried() -> None:
    tried = {type(make()).__name__ for make, *_ in LAYER_CASES}
    assert sorted(LAYERS.keys() ^ tried) == []
