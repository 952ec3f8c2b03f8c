"""From noisy class moments to Gaussians, and samples of them: pure post-processing."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_VARIANCE = 1e-6


def symmetric(upper: Floats, columns: int) -> Floats:
    """Matrices (.., columns, columns) from their upper triangles."""
    rows, across = np.triu_indices(columns)
    out = np.empty((*upper.shape[:-1], columns, columns))
    out[..., rows, across] = upper
    out[..., across, rows] = upper
    return out


def repaired(covariance: Floats, least: float = LEAST_VARIANCE) -> Floats:
    """The nearest matrix (Frobenius) whose eigenvalues are at least ``least``: noise may have made some negative."""
    values, vectors = np.linalg.eigh((covariance + np.swapaxes(covariance, -1, -2)) / 2)
    return np.asarray((vectors * np.maximum(values, least)[..., None, :]) @ np.swapaxes(vectors, -1, -2))


def root(covariance: Floats) -> Floats:
    """L with L L^T = covariance, for a positive semi-definite one."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])


def draw(means: Floats, roots: Floats, classes: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """One row for each class number: mean + root @ standard normal."""
    out = rng.standard_normal((len(classes), means.shape[1]))
    for k in np.unique(classes):
        chosen = classes == k
        out[chosen] = means[k] + out[chosen] @ roots[k if len(roots) > 1 else 0].T
    return out
