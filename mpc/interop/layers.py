"""The table of layers: what torch calls its hyper-parameters, and which layer or function of the engine takes them."""
from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from mpc.errors import ConfigError, MPCError
from mpc.interop.architecture import Arg, Layer
from mpc.interop.functions import plain
from mpc.nn import functional, layers
from mpc.nn.module import Module
from mpc.tensor import SecretTensor


class Kind(NamedTuple):
    """``options``: torch's attributes, which are also the constructor's arguments. ``flags``: arguments that say whether
    torch's attribute is there. ``limits``: attributes with the values that are supported. ``public``: takes public input.
    ``weights``: they may be public arrays."""

    options: tuple[str, ...] = ()
    flags: Mapping[str, str] = {}
    limits: Mapping[str, tuple[Any, ...]] = {}
    public: bool = False
    weights: bool = False


_CONV: Final = Kind(
    ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"),
    {"bias": "bias"}, {"padding_mode": ("zeros",)}, True, True,
)  # fmt: skip
_NORM: Final = Kind(
    ("num_features", "eps", "momentum"),
    {"affine": "weight", "track_running_stats": "running_mean"}, weights=True,
)  # fmt: skip
_POOL: Final = ("kernel_size", "stride", "padding")

LAYERS: Final[dict[str, Kind]] = {
    "AdaptiveAvgPool2d": Kind(("output_size",)),
    "AvgPool1d": Kind((*_POOL, "count_include_pad"), limits={"ceil_mode": (False,)}),
    "AvgPool2d": Kind((*_POOL, "count_include_pad", "divisor_override"), limits={"ceil_mode": (False,)}),
    "BatchNorm1d": _NORM,
    "BatchNorm2d": _NORM,
    "Conv1d": _CONV,
    "Conv2d": _CONV,
    "Dropout": Kind(("p",)),
    "Embedding": Kind(("num_embeddings", "embedding_dim", "padding_idx"), limits={"max_norm": (None,), "sparse": (False,)}),
    "Flatten": Kind(("start_dim", "end_dim"), public=True),
    "GELU": Kind(limits={"approximate": ("none", "tanh")}),
    "Hardtanh": Kind(("min_val", "max_val")),
    "Identity": Kind(public=True),
    "LayerNorm": Kind(("normalized_shape", "eps"), {"elementwise_affine": "weight", "bias": "bias"}, weights=True),
    "LeakyReLU": Kind(("negative_slope",)),
    "Linear": Kind(("in_features", "out_features"), {"bias": "bias"}, public=True, weights=True),
    "LogSoftmax": Kind(("dim",)),
    "MaxPool1d": Kind((*_POOL, "dilation"), limits={"ceil_mode": (False,), "return_indices": (False,)}),
    "MaxPool2d": Kind((*_POOL, "dilation"), limits={"ceil_mode": (False,), "return_indices": (False,)}),
    "ReLU": Kind(),
    "ReLU6": Kind(),
    "SiLU": Kind(),
    "Sigmoid": Kind(),
    "Softmax": Kind(("dim",)),
    "Tanh": Kind(),
    "Unflatten": Kind(("dim", "unflattened_size"), public=True),
}  # fmt: skip

_PER_PIXEL: Final = "use BatchNorm2d or LayerNorm"
_PIECES: Final = "use ReLU, LeakyReLU or GELU"
_CELLS: Final = "unroll it with Linear, sigmoid and tanh over a public number of steps"
#: What to use instead, by the beginning of a name.
INSTEAD: Final[dict[str, str]] = {
    "AdaptiveMaxPool": "use MaxPool2d with a fixed window, or AdaptiveAvgPool2d",
    "AlphaDropout": "use Dropout",
    "AvgPool": "use AvgPool1d or AvgPool2d",
    "BatchNorm": "use BatchNorm1d or BatchNorm2d",
    "CELU": _PIECES,
    "Conv": "use Conv1d or Conv2d (transposed: repeat and convolve)",
    "Dropout": "use Dropout",
    "ELU": _PIECES,
    "EmbeddingBag": "use Embedding and mean(1)",
    "FeatureAlphaDropout": "use Dropout",
    "GLU": "use chunk(), sigmoid and *",
    "GRU": _CELLS,
    "GroupNorm": _PER_PIXEL,
    "Hard": "use clamp() of a linear function",
    "InstanceNorm": _PER_PIXEL,
    "LSTM": _CELLS,
    "LocalResponseNorm": _PER_PIXEL,
    "MaxPool": "use MaxPool1d or MaxPool2d",
    "Mish": _PIECES,
    "MultiheadAttention": "write it with Linear, matmul and softmax",
    "Parametrized": "remove_parametrizations() first",
    "PReLU": "use LeakyReLU: a slope that is not trained",
    "RMSNorm": "use LayerNorm",
    "RNN": _CELLS,
    "RReLU": "use LeakyReLU",
    "SELU": _PIECES,
    "Soft": _PIECES,
    "Transformer": "write it with Linear, LayerNorm, matmul and softmax",
    "Upsample": "use unsqueeze(), expand() and reshape()",
}


def instead_of(name: str) -> str:
    """What to use instead of an unsupported layer."""
    found = [hint for start, hint in INSTEAD.items() if name.startswith(start)]
    return found[0] if found else f"supported are {', '.join(sorted(LAYERS))}"


def layer_class(kind: str) -> type[Module]:
    """The engine's layer. Raises ConfigError for kinds that are not in the table."""
    found = getattr(layers, kind, None) if kind in LAYERS else None
    if found is None:
        raise ConfigError(f"no layer {kind}")
    return found


def check_options(kind: str, options: Mapping[str, Arg]) -> None:
    """Raise ConfigError unless the layer's constructor takes these arguments."""
    try:
        inspect.signature(layer_class(kind)).bind(**options)
    except TypeError as error:
        raise ConfigError(f"{kind}: {error}") from None


class PublicBatchNorm(Module):
    """A batch norm whose weights and statistics are everybody's: in evaluation one public factor and summand per channel,
    local. In training the batch's statistics, which stay secret; the running ones do not move."""

    def __init__(self, layer: Module) -> None:
        """``layer``: with public arrays in the places of its tensors."""
        super().__init__()
        self.eps, self.training = layer.eps, layer.training
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = layer.running_mean, layer.running_var

    def forward(self, x: SecretTensor) -> SecretTensor:
        weight, bias = (None if v is None else v.reshape(1, -1, *(1,) * (x.ndim - 2)) for v in (self.weight, self.bias))
        if self.training or self.running_var is None:
            out = functional.batch_norm(x, None, None, None, None, True, 0.0, self.eps)
            return out if weight is None else out * weight + bias
        shape = (1, -1, *(1,) * (x.ndim - 2))
        factor = 1.0 / np.sqrt(self.running_var.reshape(shape) + self.eps) * (1.0 if weight is None else weight)
        return x * factor + ((0.0 if bias is None else bias) - self.running_mean.reshape(shape) * factor)


def build(path: str, layer: Layer) -> Module:
    """The layer with fresh public weights, which the caller replaces. Raises ConfigError naming the layer."""
    check_options(layer.kind, layer.options)
    try:
        built = layer_class(layer.kind)(**{name: plain(value) for name, value in layer.options.items()})
    except (MPCError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {layer.kind} with {dict(layer.options)}: {error}") from None
    return built.train(layer.training)
