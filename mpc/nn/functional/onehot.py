"""Rows with a one where a secret class says, and what is looked up with them."""
from __future__ import annotations

from typing import Any

import numpy as np

from mpc.autograd import Variable
from mpc.errors import ConfigError, NotSupported
from mpc.tensor import SecretTensor


def one_hot(tensor: SecretTensor, num_classes: int) -> SecretTensor:
    """Bits of shape (..., num_classes): 1 where the class is the tensor's, all 0 for what is no class.

    ``tensor``: integers as they were shared, nothing that was rounded. One opening per element and one equality test per
    class and element. The number of classes has to be said: the largest one is secret.
    """
    if num_classes < 1:
        raise ConfigError(f"one_hot: num_classes={num_classes}; want at least 1, said by the program")
    value = tensor._value
    value.party.protocol.open(value.share)  # before it is repeated
    wide = tensor.detach().unsqueeze(-1).broadcast_to(*tensor.shape, num_classes)
    return wide == np.broadcast_to(np.arange(num_classes), wide.shape)


def embedding(input: Any, weight: SecretTensor, padding_idx: int | None = None) -> SecretTensor:
    """Rows of weight (classes, width) by class: (..., width). ``input``: secret integers (`one_hot`, then one product), or
    public ones (a view: free). The gradient of row ``padding_idx`` is 0. Raises ConfigError for public classes out of range.
    """
    classes = weight.shape[0]
    if padding_idx is not None:
        if not -classes <= padding_idx < classes:
            raise ConfigError(f"embedding: padding_idx={padding_idx} of {classes} rows")
        learns = np.ones((classes, 1), np.int64)
        learns[padding_idx] = 0
        weight = weight * learns + weight.detach() * (1 - learns)
    if not isinstance(input, Variable):
        index = np.asarray(input)
        if index.dtype.kind not in "iu":
            raise NotSupported(f"embedding: public input of dtype {index.dtype}; want integers")
        if index.size and (index.min() < 0 or index.max() >= classes):
            raise ConfigError(f"embedding: classes from {index.min()} to {index.max()}; want 0 to {classes - 1}")
        return weight[index]
    rows = one_hot(input, classes)  # type: ignore[arg-type]
    out = rows.reshape(-1, classes) @ weight
    return out.reshape(*rows.shape[:-1], weight.shape[1])
