"""The networks that are measured, built from ``mpc.nn`` or from ``torch.nn``: the same layers in the same order."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

CLASSES: Final = 10


def perceptron(nn: Any, widths: Sequence[int] = (784, 128, 128, CLASSES)) -> Any:
    """Linear layers of these widths with ReLU between them."""
    layers: list[Any] = []
    for wide, narrow in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def lenet(nn: Any, pool: str) -> Any:
    """LeNet-5 for images of 1x28x28, with ReLU after the pooling (as LeNet squashes); ``pool``: AvgPool2d or MaxPool2d."""
    smaller = getattr(nn, pool)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), smaller(2), nn.ReLU(),
        nn.Conv2d(6, 16, 5), smaller(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, CLASSES),
    )  # fmt: skip
