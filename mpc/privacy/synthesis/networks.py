"""The networks of a conditional GAN in torch: generators (noise, label) -> record, discriminators (record, label) -> logit.

Discriminators have no batch normalisation, so that the gradient of one record depends on that record alone (needed for DP-SGD).
A label enters the discriminator by projection: logit = w . f(x) + e_label . f(x) (Miyato and Koyama, "cGANs with projection
discriminator", 2018).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    Tensor = torch.Tensor

SMALLEST_IMAGE = 8


def image_pair(shape: tuple[int, int, int], classes: int, noise_dim: int, width: int) -> tuple[Any, Any]:
    """DCGAN for images of (channels, height, width), both multiples of 4: two strided convolutions each way."""
    from torch import nn

    channels, height, across = shape
    small = (2 * width, height // 4, across // 4)
    size = 2 * width * (height // 4) * (across // 4)
    generator = nn.Sequential(
        nn.Linear(noise_dim + classes, size), nn.Unflatten(1, small), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    features = nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Flatten(),
    )  # fmt: skip
    return _conditional(generator), _projection(features, size, classes)


def row_pair(
    columns: int, classes: int, noise_dim: int, hidden: Sequence[int], output: Callable[[Tensor], Tensor] | None
) -> tuple[Any, Any]:
    """Multilayer perceptrons for rows. ``output``: what turns the generator's last layer into a record (see `tables`)."""
    from torch import nn

    widths = [noise_dim + classes, *hidden]
    layers: list[Any] = []
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    layers.append(nn.Linear(widths[-1], columns))
    widths = [columns, *reversed(hidden)]
    judged: list[Any] = []
    for before, after in zip(widths, widths[1:], strict=False):
        judged += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
    return _conditional(nn.Sequential(*layers), output), _projection(nn.Sequential(*judged), widths[-1], classes)


def _conditional(body: Any, output: Callable[[Tensor], Tensor] | None = None) -> Any:
    import torch
    from torch import nn

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body

        def forward(self, z: Tensor, label: Tensor) -> Tensor:
            out: Tensor = self.body(torch.cat([z, label], 1))
            return out if output is None else output(out)

    return Generator()


def _projection(features: Any, size: int, classes: int) -> Any:
    from torch import nn

    class Discriminator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.judge = features, nn.Linear(size, 1)
            self.label = nn.Linear(classes, size, bias=False)

        def forward(self, x: Tensor, label: Tensor) -> Tensor:
            f = self.features(x)
            logit: Tensor = self.judge(f).squeeze(1) + (self.label(label) * f).sum(1)
            return logit

    return Discriminator()


def mixed(blocks: Sequence[tuple[int, int, bool]], temperature: float) -> Callable[[Tensor], Tensor]:
    """A generator's last step for a table: tanh for places, a softmax with Gumbel noise for choices.

    With that noise the largest entry is a sample of the distribution (Jang et al., "Categorical reparameterization", 2017).
    """
    import torch
    from torch.nn.functional import gumbel_softmax

    def output(x: Tensor) -> Tensor:
        parts = [gumbel_softmax(x[:, a:b], temperature) if hot else torch.tanh(x[:, a:b]) for a, b, hot in blocks]
        return torch.cat(parts, 1)

    return output
