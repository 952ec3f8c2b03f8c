"""Normalising layers; see `mpc.nn.functional.batch_norm` for range and error."""
from __future__ import annotations

from typing import Any

import numpy as np

from mpc.errors import ConfigError, ShapeError
from mpc.nn.functional.normalization import batch_norm, layer_norm
from mpc.nn.module import Module, Parameter
from mpc.tensor import SecretTensor


class _BatchNorm(Module):
    """The running statistics are secret buffers, `num_batches_tracked` a public count; in evaluation they are used."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: SecretTensor | None
    running_var: SecretTensor | None
    num_batches_tracked: int | None
    _axes: tuple[int, ...]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        if num_features < 1 or (momentum is not None and not 0.0 <= momentum <= 1.0):
            raise ConfigError(
                f"{type(self).__name__}({num_features}, momentum={momentum}); want features, momentum 0 to 1 or None"
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features)) if affine else None
        self.bias = Parameter(np.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", np.zeros(num_features) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", 0 if track_running_stats else None)

    def forward(self, x: SecretTensor) -> SecretTensor:
        if x.ndim not in self._axes or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: input of shape {tuple(x.shape)}; want {self.num_features} channels on the second "
                f"of {' or '.join(map(str, self._axes))} axes"
            )
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            if self.momentum is None:
                momentum = 1.0 / self.num_batches_tracked  # the plain mean of all batches
        return batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, momentum, self.eps
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Normalises every feature of (N, C) or (N, C, L) over the batch."""

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalises every channel of (N, C, H, W) over the batch and its pixels."""

    _axes = (4,)


class LayerNorm(Module):
    """Normalises every record over its last axes, those of ``normalized_shape``."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        given = normalized_shape
        self.normalized_shape = tuple(given) if isinstance(given, (tuple, list)) else (int(given),)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = Parameter(np.ones(self.normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape)) if elementwise_affine and bias else None

    def forward(self, x: SecretTensor) -> SecretTensor:
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
