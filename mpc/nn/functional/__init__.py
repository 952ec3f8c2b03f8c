"""Functions of `mpc.nn`: activations, linear maps, pooling, losses."""
from mpc.nn.functional.binary import binary_cross_entropy_with_logits
from mpc.nn.functional.classes import cross_entropy, nll_loss
from mpc.nn.functional.conv import conv1d, conv2d
from mpc.nn.functional.linear import linear
from mpc.nn.functional.onehot import embedding, one_hot
from mpc.nn.functional.pooling import adaptive_avg_pool2d, avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from mpc.ops.activations import sigmoid
from mpc.nn.functional.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from mpc.ops.nonlinear import relu

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "cross_entropy",
    "embedding",
    "huber_loss",
    "l1_loss",
    "linear",
    "max_pool1d",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "sigmoid",
    "smooth_l1_loss",
]  # fmt: skip
