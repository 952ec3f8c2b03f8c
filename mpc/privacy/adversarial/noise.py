"""Gaussian noise that protects what is handed out: from the operating system, never seeded."""
from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mpc import prg


def gaussian(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Independent standard normal values of this shape (Box and Muller's transform of 53-bit uniform values).

    The uniform values are an AES-128-CTR stream under a key that the operating system gives anew for every call. In floating
    point: the tail ends at 8.6, and low-order bits are not those of a Gaussian, so it carries no guarantee of differential
    privacy (for one: `mpc.privacy.Gaussian`).
    """
    count = math.prod(shape)
    half = (count + 1) // 2
    key = prg.derive(prg.fresh_secret(), "adversarial noise")
    uniform = ((prg.words(key, 0, 0, 2 * half) >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log(uniform[:half])), 2 * np.pi * uniform[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count].reshape(shape)
