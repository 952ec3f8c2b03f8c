"""Images as few numbers: coordinates in a basis, principal components of the data or (public) low-frequency cosines."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
ROWS = 20_000  # that principal components are computed from


@dataclass(frozen=True)
class Basis:
    """coordinates = (pixels - mean) @ vectors / scale."""

    mean: Floats  # (pixels,)
    vectors: Floats  # (pixels, components), orthonormal
    scale: Floats  # (components,)

    def encode(self, pixels: Floats) -> Floats:
        return np.asarray((pixels - self.mean) @ self.vectors / self.scale, np.float32)

    def decode(self, coordinates: Floats) -> Floats:
        """Pixels in [-1, 1]."""
        return np.asarray(np.clip(coordinates * self.scale @ self.vectors.T + self.mean, -1, 1), np.float32)


def principal(pixels: Floats, count: int) -> Basis:
    """The strongest components, each scaled by the root of its standard deviation: what matters more stays larger.

    Mean, components and scales are data: with them a sample is a sum of what the training images have in common."""
    some = pixels[:: max(1, len(pixels) // ROWS)].astype(np.float64)
    mean = some.mean(0)
    values, vectors = np.linalg.eigh(np.cov((some - mean).T))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    scale = np.maximum(values, 1e-12) ** 0.25
    scale *= math.sqrt(float((values / scale**2).mean()))  # mean square of a coordinate: 1
    return Basis(*(np.asarray(v, np.float32) for v in (mean, vectors, scale)))


def cosines(height: int, width: int, channels: int, count: int) -> Basis:
    """The ``count`` lowest frequencies of the two-dimensional cosine transform: public, whatever the data are."""
    tables = [np.cos(np.pi * np.outer(np.arange(n) + 0.5, np.arange(n)) / n) for n in (height, width)]
    tables = [t / np.linalg.norm(t, axis=0) for t in tables]
    order = sorted((i * i / height**2 + j * j / width**2, i, j) for i in range(height) for j in range(width))
    chosen = [np.outer(tables[0][:, i], tables[1][:, j]).reshape(-1) for _, i, j in order[: max(1, count // channels)]]
    vectors = np.kron(np.eye(channels), np.stack(chosen, 1))
    return Basis(*(np.asarray(v, np.float32) for v in (
        np.zeros(len(vectors)), vectors, np.full(vectors.shape[1], math.sqrt(len(vectors) / vectors.shape[1])))))  # fmt: skip
