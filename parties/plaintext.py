"""The demo's models trained by one party that sees everything, with NumPy: what the secret training is compared with.

Same layers, initial weights, shuffles, batches, loss, learning rate and momentum; only the arithmetic is floating point.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def train(
    x: Floats, y: Floats, widths: Sequence[int], *, epochs: int, size: int, lr: float, momentum: float, seed: int
) -> list[tuple[Floats, Floats]]:
    """Linear layers of these widths with ReLU between them, binary cross-entropy on the logits; (weight, bias) by layer."""
    rng = np.random.default_rng(seed)  # as `mpc.manual_seed(seed)`: public and alike at all parties
    layers = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        limit = 1 / math.sqrt(inputs)
        layers.append((rng.uniform(-limit, limit, (outputs, inputs)), rng.uniform(-limit, limit, outputs)))
    velocity = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), size):
            chosen = order[start : start + size]
            for (w, b), (vw, vb), (dw, db) in zip(layers, velocity, gradients(layers, x[chosen], y[chosen]), strict=True):
                vw *= momentum
                vw += dw
                vb *= momentum
                vb += db
                w -= lr * vw
                b -= lr * vb
    return layers


def gradients(layers: Sequence[tuple[Floats, Floats]], x: Floats, y: Floats) -> list[tuple[Floats, Floats]]:
    """Of the mean binary cross-entropy over all elements, by layer."""
    inputs = [x]
    for w, b in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ w.T + b, 0))
    weight, bias = layers[-1]
    delta = (1 / (1 + np.exp(-(inputs[-1] @ weight.T + bias))) - y) / y.size
    found = []
    for k in range(len(layers) - 1, -1, -1):
        found.append((delta.T @ inputs[k], delta.sum(0)))
        delta = (delta @ layers[k][0]) * (inputs[k] > 0)
    return found[::-1]


def logits(layers: Sequence[tuple[Floats, Floats]], x: Floats) -> Floats:
    """What the trained model says about each row of x."""
    for w, b in layers[:-1]:
        x = np.maximum(x @ w.T + b, 0)
    weight, bias = layers[-1]
    return x @ weight.T + bias
