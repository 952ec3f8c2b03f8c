"""Functions of `mpc.nn`: activations, linear maps, pooling, losses."""
from mpc.nn.functional.conv import conv1d, conv2d
from mpc.nn.functional.linear import linear
from mpc.nn.functional.losses import BCE_MAX_ERROR, binary_cross_entropy_with_logits, mse_loss
from mpc.nn.functional.pooling import adaptive_avg_pool2d, avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from mpc.ops.nonlinear import relu, sigmoid

__all__ = [
    "BCE_MAX_ERROR",
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "linear",
    "max_pool1d",
    "max_pool2d",
    "mse_loss",
    "relu",
    "sigmoid",
]  # fmt: skip
