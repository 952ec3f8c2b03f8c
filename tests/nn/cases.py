"""One table of layers: the same expression makes the layer of torch and of `mpc.nn`."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

ULP = 2.0**-16


@dataclass(frozen=True)
class Case:
    """``make(nn)`` with nn = torch.nn or mpc.nn; inputs of ``shape`` from ``low`` to ``high``.

    ``ulps``: the largest error of the value in units of 2^-16; of gradients ``gradient_ulps`` (None: four times that).
    """

    name: str
    make: Callable[..., Any]
    shape: tuple[int, ...]
    ulps: float
    gradient_ulps: float | None = None
    low: float = -2.0
    high: float = 2.0

    def input(self) -> np.ndarray:
        """Distinct multiples of 2^-16 away from 0, where activations have an edge."""
        x = np.random.default_rng(sum(map(ord, self.name))).uniform(self.low, self.high, self.shape)
        return np.round(np.where(np.abs(x) < 0.01, 0.25, x) / ULP) * ULP

    def seed(self, shape: tuple[int, ...]) -> np.ndarray:
        """The weights of the loss: every element's gradient differs."""
        return np.random.default_rng(7).integers(-8, 9, shape) / 8.0


CASES = [
    Case("Linear", lambda nn: nn.Linear(4, 3), (5, 4), 2),
    Case("Linear batch", lambda nn: nn.Linear(4, 3, bias=False), (2, 5, 4), 2),
    Case("Conv1d", lambda nn: nn.Conv1d(3, 4, 3), (2, 3, 9), 2),
    Case("Conv1d one record", lambda nn: nn.Conv1d(3, 4, 3, padding=1), (3, 9), 2),
    Case("Conv1d strided", lambda nn: nn.Conv1d(2, 4, 3, stride=2, padding=2, groups=2), (2, 2, 8), 2),
    Case("Conv1d same", lambda nn: nn.Conv1d(2, 3, 4, padding="same", dilation=2, bias=False), (2, 2, 9), 2),
    Case("Conv2d", lambda nn: nn.Conv2d(2, 3, 3), (2, 2, 6, 5), 2),
    Case("Conv2d one record", lambda nn: nn.Conv2d(2, 3, 3), (2, 6, 5), 2),
    Case("Conv2d padded", lambda nn: nn.Conv2d(2, 3, 3, padding=1, bias=False), (2, 2, 4, 5), 2),
    Case("Conv2d kernel of one", lambda nn: nn.Conv2d(3, 2, 1), (2, 3, 4, 5), 2),
    Case("Conv2d wide padding", lambda nn: nn.Conv2d(2, 3, 2, padding=2), (2, 2, 3, 4), 2),
    Case("Conv2d oblong", lambda nn: nn.Conv2d(2, 3, (3, 2), padding=(2, 1)), (2, 2, 4, 5), 2),
    Case("Conv2d same", lambda nn: nn.Conv2d(2, 3, (4, 3), padding="same"), (2, 2, 5, 6), 2),
    Case("Conv2d valid", lambda nn: nn.Conv2d(2, 3, 3, padding="valid"), (2, 2, 5, 6), 2),
    Case("Conv2d strided", lambda nn: nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 2, 7, 6), 2),
    Case("Conv2d stride leaves a rest", lambda nn: nn.Conv2d(2, 3, 2, stride=(3, 4)), (2, 2, 7, 6), 2),
    Case("Conv2d dilated", lambda nn: nn.Conv2d(2, 3, 3, dilation=(2, 1), padding=1), (2, 2, 6, 5), 2),
    Case("Conv2d groups", lambda nn: nn.Conv2d(4, 6, 3, groups=2, padding=1), (2, 4, 4, 5), 2),
    Case("Conv2d depthwise strided", lambda nn: nn.Conv2d(3, 6, 3, groups=3, stride=2), (2, 3, 5, 5), 2),
    Case("Conv2d twice", lambda nn: nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 2)), (2, 2, 5, 6), 6, 32),
    Case("AvgPool1d", lambda nn: nn.AvgPool1d(3), (2, 3, 10), 2),
    Case("AvgPool2d", lambda nn: nn.AvgPool2d(2), (2, 3, 4, 6), 1),
    Case("AvgPool2d leaves a rest", lambda nn: nn.AvgPool2d((2, 3)), (3, 5, 7), 2),
    Case("AvgPool2d overlapping", lambda nn: nn.AvgPool2d(3, stride=2, padding=1), (2, 2, 5, 6), 2),
    Case("AvgPool2d without padding", lambda nn: nn.AvgPool2d(3, 1, 1, count_include_pad=False), (2, 2, 4, 5), 4),
    Case("AvgPool2d divisor", lambda nn: nn.AvgPool2d(2, divisor_override=3), (2, 2, 4, 4), 2),
    Case("AvgPool2d between", lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(2, 2, 2)),
         (2, 1, 8, 8), 6, 32),
    Case("AvgPool2d first", lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.ReLU()), (2, 1, 8, 8), 4, 32),
    Case("AdaptiveAvgPool2d", lambda nn: nn.AdaptiveAvgPool2d((1, None)), (2, 3, 4, 5), 2),
    Case("AdaptiveAvgPool2d of divisors", lambda nn: nn.AdaptiveAvgPool2d(2), (2, 3, 4, 6), 2),
    Case("MaxPool1d", lambda nn: nn.MaxPool1d(3), (2, 3, 10), 1, 1),
    Case("MaxPool2d", lambda nn: nn.MaxPool2d(2), (2, 3, 4, 6), 1, 1),
    Case("MaxPool2d one record", lambda nn: nn.MaxPool2d((2, 3)), (3, 5, 7), 1, 1),
    Case("MaxPool2d overlapping", lambda nn: nn.MaxPool2d(3, stride=2, padding=1), (2, 2, 5, 6), 1, 1),
    Case("MaxPool2d padded below zero", lambda nn: nn.MaxPool2d(2, padding=1), (2, 2, 4, 4), 1, 1, -2, -1),
    Case("MaxPool2d dilated", lambda nn: nn.MaxPool2d(2, stride=1, dilation=(1, 2)), (2, 2, 4, 5), 1, 1),
    Case("MaxPool2d between", lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(2, 2, 2)),
         (2, 1, 8, 8), 6, 32),
    Case("BatchNorm1d", lambda nn: nn.BatchNorm1d(3), (8, 3), 6, 32),
    Case("BatchNorm1d of rows", lambda nn: nn.BatchNorm1d(3, momentum=None), (4, 3, 5), 6, 32),
    Case("BatchNorm1d plain", lambda nn: nn.BatchNorm1d(3, affine=False), (8, 3), 6, 32),
    Case("BatchNorm2d", lambda nn: nn.BatchNorm2d(3, momentum=0.3), (4, 3, 4, 5), 6, 32),
    Case("BatchNorm2d without statistics", lambda nn: nn.BatchNorm2d(2, track_running_stats=False), (3, 2, 4, 5), 6, 32),
    Case("BatchNorm2d far from 0", lambda nn: nn.BatchNorm2d(2), (4, 2, 3, 5), 6, 32, 20, 24),
    Case("BatchNorm2d between", lambda nn: nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 2)),
         (4, 1, 6, 6), 32, 200),
    Case("LayerNorm", lambda nn: nn.LayerNorm(6), (4, 6), 6, 32),
    Case("LayerNorm two axes", lambda nn: nn.LayerNorm((3, 5), bias=False), (2, 4, 3, 5), 6, 32),
    Case("LayerNorm plain", lambda nn: nn.LayerNorm(6, elementwise_affine=False), (2, 3, 6), 6, 32),
    Case("ReLU", lambda nn: nn.ReLU(), (4, 6), 0, 0),
    Case("ReLU6", lambda nn: nn.ReLU6(), (4, 6), 0, 0, -3, 9),
    Case("Hardtanh", lambda nn: nn.Hardtanh(-0.5, 1.5), (4, 6), 0, 0),
    Case("LeakyReLU", lambda nn: nn.LeakyReLU(0.2), (4, 6), 2, 2),
    Case("Sigmoid", lambda nn: nn.Sigmoid(), (4, 6), 20, 20, -8, 8),
    Case("Tanh", lambda nn: nn.Tanh(), (4, 6), 40, 40, -4, 4),
    Case("GELU", lambda nn: nn.GELU(), (4, 6), 66, 66, -5, 5),
    Case("SiLU", lambda nn: nn.SiLU(), (4, 6), 160, 200, -8, 8),
    Case("Softmax", lambda nn: nn.Softmax(-1), (4, 6), 33, 66, -5, 5),
    Case("Softmax of channels", lambda nn: nn.Softmax(1), (2, 4, 3), 33, 66, -5, 5),
    Case("LogSoftmax", lambda nn: nn.LogSoftmax(1), (4, 6), 33, 264, -5, 5),
    Case("Unflatten", lambda nn: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (3, -1)), nn.Identity()), (2, 2, 3, 4), 0, 0),
]
