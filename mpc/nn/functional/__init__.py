"""Functions of `mpc.nn`: activations, linear maps, pooling, normalisation, losses."""
from mpc.nn.functional.activation import gelu, hardtanh, leaky_relu, log_softmax, relu6, silu, softmax, tanh
from mpc.nn.functional.binary import binary_cross_entropy_with_logits
from mpc.nn.functional.classes import cross_entropy, nll_loss
from mpc.nn.functional.conv import conv1d, conv2d
from mpc.nn.functional.dropout import dropout
from mpc.nn.functional.linear import linear
from mpc.nn.functional.normalization import batch_norm, layer_norm
from mpc.nn.functional.onehot import embedding, one_hot
from mpc.nn.functional.pooling import adaptive_avg_pool2d, avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from mpc.nn.functional.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from mpc.ops.activations import sigmoid
from mpc.ops.nonlinear import relu

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "hardtanh",
    "huber_loss",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool1d",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "tanh",
]  # fmt: skip
