"""Convolutional layers."""
from __future__ import annotations

import math
from typing import Any

from mpc import party
from mpc.errors import ConfigError, NotSupported
from mpc.nn.functional.conv import conv1d, conv2d
from mpc.nn.functional.windowed import sizes
from mpc.nn.module import Module, Parameter
from mpc.tensor import SecretTensor


class _Conv(Module):
    """Initial values are torch's, uniform within 1 / sqrt(in_channels / groups * kernel), from the public generator."""

    weight: Parameter
    bias: Parameter | None
    _axes: int

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        name, axes = type(self).__name__, self._axes
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ConfigError(
                f"{name}({in_channels}, {out_channels}, groups={groups}); want channels that the groups divide"
            )
        if padding_mode != "zeros":
            raise NotSupported(f"{name}: padding_mode={padding_mode!r}; only 'zeros' is supported")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = sizes(kernel_size, axes, "kernel_size")
        self.stride, self.dilation = sizes(stride, axes, "stride"), sizes(dilation, axes, "dilation")
        self.padding = padding if isinstance(padding, str) else sizes(padding, axes, "padding", 0)
        self.padding_mode = padding_mode
        rng = party.current().public_rng
        limit = 1.0 / math.sqrt(in_channels // groups * math.prod(self.kernel_size))
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(rng.uniform(-limit, limit, shape))
        self.bias = Parameter(rng.uniform(-limit, limit, out_channels)) if bias else None

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        ones, zeros = (1,) * self._axes, (0,) * self._axes
        for option, usual in (("padding", zeros), ("dilation", ones), ("groups", 1)):
            value = getattr(self, option)
            text += "" if value == usual else f", {option}={value!r}"
        return text + ("" if self.bias is not None else ", bias=False")


class Conv1d(_Conv):
    """Convolution of (N, C, L) or (C, L); see `mpc.nn.functional.conv2d`."""

    _axes = 1

    def forward(self, x: SecretTensor) -> SecretTensor:
        return conv1d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """Convolution of (N, C, H, W) or (C, H, W); see `mpc.nn.functional.conv2d`."""

    _axes = 2

    def forward(self, x: SecretTensor) -> SecretTensor:
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
