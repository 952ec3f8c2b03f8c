"""Torch models as users write them. Importing this needs no torch: `build` defines the classes when it is there."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """``make(models)`` gives the module; inputs of ``shape``. ``tolerance``: of the result; ``trained``: of the weights
    after two steps of SGD with ``lr``."""

    name: str
    make: Callable[[Any], Any]
    shape: tuple[int, ...]
    tolerance: float = 1e-4
    trained: float = 1.5e-4
    lr: float = 0.1
    tokens: int = 0  # inputs are one-hot rows of this many

    def input(self) -> np.ndarray:
        """Multiples of 2^-16."""
        rng = np.random.default_rng(sum(map(ord, self.name)))
        if self.tokens:
            return np.eye(self.tokens)[rng.integers(0, self.tokens, self.shape)]
        return np.round(rng.normal(size=self.shape) * 65536) / 65536

    def module(self, torch: Any) -> Any:
        """Fresh, in training mode, with weights that the ring holds exactly."""
        torch.manual_seed(5)
        module = self.make(build(torch))
        with torch.no_grad():
            for p in module.parameters():
                p.copy_((p * 65536).round() / 65536)
        return module


CASES = [
    Case("MLP", lambda m: m.nn.Sequential(m.nn.Linear(6, 8), m.nn.ReLU(), m.nn.Linear(8, 3)), (5, 6)),
    Case("LeNet", lambda m: m.LeNet(), (2, 1, 16, 16)),
    Case("max pools", lambda m: m.MaxPools(), (2, 1, 12, 12)),
    Case("residual MLP", lambda m: m.Residual(), (5, 2, 4)),
    Case("residual convolutions", lambda m: m.ResidualBlock(), (3, 2, 6, 6)),
    Case("text classifier", lambda m: m.Text(), (4, 6), tokens=9),
    Case("GELU and LayerNorm", lambda m: m.Modern(), (4, 8)),
    Case("attention", lambda m: m.Attention(), (2, 5, 4), 4e-4),
    Case("shapes", lambda m: m.Shapes(), (4, 6)),
    Case("in place", lambda m: m.InPlace(), (4, 6)),
    Case("shared layers", lambda m: m.Tied(), (4, 6)),
]


def build(torch: Any) -> SimpleNamespace:
    """The classes."""
    nn, F = torch.nn, torch.nn.functional

    class LeNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(1, 3, 5), nn.ReLU(inplace=True), nn.AvgPool2d(2), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
            )
            self.classifier = nn.Sequential(nn.Linear(4 * 36, 10), nn.ReLU(), nn.Linear(10, 5))

        def forward(self, x: Any) -> Any:
            x = self.features(x)
            x = torch.flatten(x, 1)
            return self.classifier(x)

    class MaxPools(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.pool, self.fc = nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            x = self.pool(F.relu(self.conv(x)))
            x = F.max_pool2d(x, 3, stride=2)
            return self.fc(x.view(x.shape[0], -1))

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
            self.scale = nn.Parameter(torch.tensor([0.5, -1.5]))
            self.register_buffer("shift", torch.tensor([0.25]))

        def forward(self, x: Any, mask: Any = None) -> Any:
            x = x.view(x.size(0), -1)
            if mask is not None:
                x = x * mask
            y = F.relu(self.first(x))
            y = self.second(y) * 0.5 + x
            return torch.relu(y).reshape(-1, 2, 4).mean(2) * self.scale - self.shift

    class ResidualBlock(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
            self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
            self.down = nn.Conv2d(2, 4, 1)
            self.relu, self.pool, self.fc = nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            identity = self.down(x)
            out = self.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            out += identity
            out = self.relu(out)
            return self.fc(self.pool(out).flatten(1))

    class Text(nn.Module):
        """The embedding of one-hot rows is a product."""

        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = nn.Linear(9, 5, bias=False), nn.Linear(5, 2)

        def forward(self, x: Any) -> Any:
            return self.out(torch.sigmoid(self.table(x).mean(dim=1)))

    class Modern(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.up, self.act, self.down = nn.LayerNorm(8), nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8)
            self.drop, self.head = nn.Dropout(0.0), nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            x = x + self.drop(self.down(self.act(self.up(self.norm(x)))))
            return self.head(x)

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 2)
            self.dim = 4

        def forward(self, x: Any) -> Any:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            scores = q @ k.transpose(-2, -1) / self.dim**0.5
            return self.out(F.softmax(scores, dim=-1) @ v)

    class Shapes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 6)
            self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3) / 8)
            self.register_buffer("mix", torch.tensor([[1.0], [0.5], [-1.0]]))

        def forward(self, x: Any) -> Any:
            n = x.shape[0]
            a = self.fc(x).view(n, x.size(1) // 3, 3)
            b = torch.cat([a, a.permute(0, 1, 2) * torch.tensor([1.0, -0.5, 2.0])], dim=1)
            c = torch.stack([b[:, 0], b[:, -1, :], b[..., 1, :]], 1).unsqueeze(0).squeeze(0)
            d = torch.sub(c, b[:, :3], alpha=0.5).transpose(1, 2) @ self.mix
            e = torch.matmul(self.weight, d) / 2 + (-d.sum(dim=1, keepdim=True))
            return F.linear(e.flatten(1).neg()[..., :2], self.weight.t(), None)

    class InPlace(nn.Module):
        """What changes x changes it for the addition too."""

        def __init__(self) -> None:
            super().__init__()
            self.fc, self.relu = nn.Linear(6, 6), nn.ReLU(inplace=True)

        def forward(self, x: Any) -> Any:
            y = self.fc(x)
            z = self.relu(y) * 2
            z.add_(1.0)
            return y + z

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(6, 6)
            self.two = nn.Linear(6, 6)
            self.two.weight = self.one.weight
            self.again = self.one

        def forward(self, x: Any) -> Any:
            return self.again(self.two(self.one(x)).relu())

    return SimpleNamespace(**{k: v for k, v in locals().items() if isinstance(v, type)}, nn=nn)
