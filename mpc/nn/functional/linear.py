"""The linear map."""
from __future__ import annotations

from mpc.tensor import SecretTensor


def linear(x: SecretTensor, weight: SecretTensor, bias: SecretTensor | None = None) -> SecretTensor:
    """x @ weight.T + bias, x (..., in), weight (out, in), bias (out,). The result is truncated by its next user."""
    rows = x if x.ndim <= 2 else x.reshape(-1, x.shape[-1])
    out: SecretTensor = rows @ weight.T
    if bias is not None:
        out = out + bias
    return out if x.ndim <= 2 else out.reshape(*x.shape[:-1], weight.shape[0])
