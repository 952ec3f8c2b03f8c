"""Inputs that no party holds alone: what one party has alone it computes alone, which tests nothing of a protocol."""
from __future__ import annotations

from typing import Any

import numpy as np

import mpc


def mixed(x: Any, requires_grad: bool = False) -> mpc.SecretTensor:
    """A leaf of value x to which parties 0 and 1 contributed a part each."""
    value = np.asarray(x, np.float64)
    part = np.copysign(0.125, value)  # no summand is beyond the range if x is not
    whole = mpc.share(value - part, owner=0) + mpc.share(part, owner=1)
    return whole.detach().requires_grad_(requires_grad)
