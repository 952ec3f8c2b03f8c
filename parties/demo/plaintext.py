"""The demo's models trained by one party that sees everything, with NumPy: what the secret training is compared with.

Same layers, initial weights, shuffles, batches, loss, learning rate and momentum; only the arithmetic is floating point.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mpc.parties.demo.data import Floats
from mpc.parties.demo.programs import Model


def train(x: Floats, y: Floats, model: Model, seed: int) -> list[tuple[Floats, Floats]]:
    """Linear layers with ReLU between them, by SGD with momentum; (weight, bias) by layer."""
    rng = np.random.default_rng(seed)  # as `mpc.manual_seed(seed)`: public and alike at all parties
    layers = []
    for inputs, outputs in zip(model.widths, model.widths[1:], strict=False):
        limit = 1 / math.sqrt(inputs)
        layers.append((rng.uniform(-limit, limit, (outputs, inputs)), rng.uniform(-limit, limit, outputs)))
    velocity = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    for epoch in range(model.epochs):
        order, lr = rng.permutation(len(x)), model.lr * model.rate(epoch)
        for start in range(0, len(x), model.size):
            chosen = order[start : start + model.size]
            slopes = gradients(layers, x[chosen], y[chosen], model.classes)
            for layer, velocities, found in zip(layers, velocity, slopes, strict=True):
                for parameter, v, slope in zip(layer, velocities, found, strict=True):
                    v *= model.momentum
                    v += slope
                    parameter -= lr * v
    return layers


def gradients(
    layers: Sequence[tuple[Floats, Floats]], x: Floats, y: Floats, classes: bool
) -> list[tuple[Floats, Floats]]:
    """By layer, of the mean loss: softmax cross-entropy of rows, or binary cross-entropy of elements."""
    inputs = [x]
    for w, b in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ w.T + b, 0))
    weight, bias = layers[-1]
    z = inputs[-1] @ weight.T + bias
    if classes:
        powers = np.exp(z - z.max(1, keepdims=True))
        delta = (powers / powers.sum(1, keepdims=True) - y) / len(y)
    else:
        delta = (1 / (1 + np.exp(-z)) - y) / y.size
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
