"""What torch.nn.functional has, and the functions of section 7 of protocols.md."""
from __future__ import annotations

import math
from typing import Any

from mpc.interop.functions.table import function, is_public, secret
from mpc.nn import functional


@function("torch.relu", "F.relu", "Tensor.relu")
def relu(input: Any) -> Any:
    return secret(input).relu()


@function("F.relu6")
def relu6(input: Any) -> Any:
    return functional.relu6(secret(input))


@function("F.hardtanh")
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    return functional.hardtanh(secret(input), min_val, max_val)


@function("F.leaky_relu")
def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    return functional.leaky_relu(secret(input), negative_slope)


@function("torch.sigmoid", "F.sigmoid", "torch.special.expit", "Tensor.sigmoid")
def sigmoid(input: Any) -> Any:
    return secret(input).sigmoid()


@function("torch.tanh", "F.tanh", "Tensor.tanh")
def tanh(input: Any) -> Any:
    return secret(input).tanh()


@function("F.silu")
def silu(input: Any) -> Any:
    return functional.silu(secret(input))


@function("F.gelu", approximate=("none", "tanh"))
def gelu(input: Any, approximate: str = "none") -> Any:
    return secret(input).gelu()


@function("torch.softmax", "F.softmax", "Tensor.softmax", dtype=(None,))
def softmax(input: Any, dim: int, dtype: None = None) -> Any:
    return secret(input).softmax(dim)


@function("torch.log_softmax", "F.log_softmax", "Tensor.log_softmax", dtype=(None,))
def log_softmax(input: Any, dim: int, dtype: None = None) -> Any:
    return secret(input).log_softmax(dim)


@function("torch.exp", "Tensor.exp")
def exp(input: Any) -> Any:
    return secret(input).exp()


@function("torch.log", "Tensor.log")
def log(input: Any) -> Any:
    return secret(input).log()


@function("torch.sqrt", "Tensor.sqrt")
def sqrt(input: Any) -> Any:
    return math.sqrt(input) if isinstance(input, (int, float)) else secret(input).sqrt()


@function("torch.rsqrt", "Tensor.rsqrt")
def rsqrt(input: Any) -> Any:
    return secret(input).rsqrt()


@function("torch.reciprocal", "Tensor.reciprocal")
def reciprocal(input: Any) -> Any:
    return secret(input).reciprocal()


@function("torch.erf", "Tensor.erf")
def erf(input: Any) -> Any:
    return secret(input).erf()


@function("torch.sign", "Tensor.sign")
def sign(input: Any) -> Any:
    return secret(input).sign()


@function("torch.floor", "Tensor.floor")
def floor(input: Any) -> Any:
    return secret(input).floor()


@function("F.linear")
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    return functional.linear(input, weight, bias)


@function("torch.conv1d", "F.conv1d")
def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    return functional.conv1d(input, weight, bias, stride, padding, dilation, groups)


@function("torch.conv2d", "F.conv2d")
def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)


@function("torch.max_pool1d", "F.max_pool1d", ceil_mode=(False,), return_indices=(False,))
def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    return functional.max_pool1d(secret(input), kernel_size, stride, padding, dilation)


@function("torch.max_pool2d", "F.max_pool2d", ceil_mode=(False,), return_indices=(False,))
def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    return functional.max_pool2d(secret(input), kernel_size, stride, padding, dilation)


@function("torch.avg_pool1d", "F.avg_pool1d", ceil_mode=(False,))
def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    return functional.avg_pool1d(secret(input), kernel_size, stride, padding, False, count_include_pad)


@function("F.avg_pool2d", ceil_mode=(False,))
def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:
    return functional.avg_pool2d(secret(input), kernel_size, stride, padding, False, count_include_pad, divisor_override)


@function("F.adaptive_avg_pool2d")
def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    return functional.adaptive_avg_pool2d(secret(input), output_size)


@function("F.dropout")
def dropout(input: Any, p: float = 0.5, training: bool = True) -> Any:
    return functional.dropout(secret(input), p, training) if training else input


@function("F.layer_norm")
def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    return functional.layer_norm(secret(input), normalized_shape, weight, bias, eps)


@function("F.scaled_dot_product_attention", dropout_p=(0.0,), attn_mask=(None,), is_causal=(False,), enable_gqa=(False,))
def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    return ((query * scale) @ key.transpose(-2, -1)).softmax(-1) @ value


@function("F.embedding", max_norm=(None,), norm_type=(2.0,))
def embedding(input: Any, weight: Any, padding_idx: int | None = None, max_norm: None = None, norm_type: float = 2.0) -> Any:
    return functional.embedding(input, weight, None if is_public(weight) else padding_idx)  # of its gradient only


@function("F.one_hot")
def one_hot(input: Any, num_classes: int) -> Any:
    return functional.one_hot(secret(input), num_classes)
