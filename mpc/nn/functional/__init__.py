"""Functions of `mpc.nn`: activations, linear maps, losses."""
from mpc.nn.functional.conv import conv1d, conv2d
from mpc.nn.functional.linear import linear
from mpc.nn.functional.losses import BCE_MAX_ERROR, binary_cross_entropy_with_logits, mse_loss
from mpc.ops.nonlinear import relu, sigmoid

__all__ = ["BCE_MAX_ERROR", "binary_cross_entropy_with_logits", "conv1d", "conv2d", "linear", "mse_loss", "relu", "sigmoid"]
