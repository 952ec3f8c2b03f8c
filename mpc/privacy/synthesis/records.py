"""Class moments of clipped records, in clear and on shares: counts, sums, and sums of outer products about public means.

Both ways do the same: a record is scaled, its coordinates and then its norm are clipped, and what is summed are multiples of
a grid step, so that integer noise can be added exactly.
"""
from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError
from mpc.privacy.dp import budget
from mpc.privacy.dp.gaussian import Gaussian
from mpc.tensor import SecretTensor, where

Floats = npt.NDArray[np.float64]

CLEAR_BITS: Final = 12  # of a record in clear: sums of products of 2^29 records stay exact in a double
RELATIVE: Final = 2.0**-12  # how much below its bound a norm is clipped on shares, for the error of the inverse root


def triangle(columns: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices of the upper triangle with the diagonal: what is released of a symmetric matrix."""
    return np.triu_indices(columns)


class Records(ABC):
    """Scaled rows u, their classes, the range of each column (in which 0 lies) and the norm that bound them (None: none)."""

    rows: int
    columns: int
    step: float  # of the grid on which the rows are
    count_step: float

    @abstractmethod
    def counts(self) -> Any:
        """(classes,)"""

    @abstractmethod
    def sums(self) -> Any:
        """(classes, columns)"""

    @abstractmethod
    def scatter(self, means: Floats, norm: float | None, by_class: bool) -> Any:
        """Upper triangles of sum r r^T, r = u - means[class] clipped to ``norm``: (1 or classes, columns (columns + 1) / 2)."""

    @abstractmethod
    def open(self, value: Any, noise: Gaussian | None, what: str) -> Floats:
        """The values with noise, as an array at whoever may see it. Charged to the open budgets."""

    @property
    def product_step(self) -> float:
        """Grid of `scatter`."""
        return self.step**2


class ClearRecords(Records):
    """Rows in clear. They are rounded towards 0, so that no norm grows; everything after that is exact."""

    def __init__(
        self, u: Floats, classes: npt.NDArray[np.int64], number: int, bounds: tuple[Floats, Floats], norm: float | None
    ) -> None:
        self.u = _on_grid(_clipped(np.clip(u, *bounds), norm))
        self.one_hot = np.eye(number)[classes]
        self.rows, self.columns = u.shape
        self.step, self.count_step = 2.0**-CLEAR_BITS, 1.0

    def counts(self) -> Floats:
        return np.asarray(self.one_hot.sum(0))

    def sums(self) -> Floats:
        return np.asarray(self.one_hot.T @ self.u)

    def scatter(self, means: Floats, norm: float | None, by_class: bool) -> Floats:
        r = _on_grid(_clipped(self.u - self.one_hot @ means, norm))
        upper = triangle(self.columns)
        if not by_class:
            return np.asarray((r.T @ r)[upper])[None]
        return np.stack([(r[k > 0].T @ r[k > 0])[upper] for k in self.one_hot.T])

    def open(self, value: Any, noise: Gaussian | None, what: str) -> Floats:
        if noise is None:
            return np.asarray(value)
        step = {"class counts": self.count_step, "class sums": self.step}.get(what, self.product_step)
        mechanism, guarantee = noise.on_grid(step, value.size)
        budget.charge(None, guarantee, f"{noise}: {what}")
        return np.asarray((np.rint(value / step).astype(np.int64) + mechanism.sample(value.shape)) * step)


def _on_grid(u: Floats) -> Floats:
    return np.asarray(np.trunc(u * 2.0**CLEAR_BITS) * 2.0**-CLEAR_BITS)


def _clipped(u: Floats, norm: float | None) -> Floats:
    if norm is None:
        return u
    return np.asarray(u * np.minimum(1.0, norm / np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-300)))


class SecretRecords(Records):
    """Rows that nobody sees. What is opened is what `open` is asked for; its reason names it in the ledger.

    A norm is clipped by u * min(1, bound * rsqrt(|u|^2)), the factor kept within 0 .. 1, and then compared once more: a row
    that is still too long, or was (as it should never be) mangled by an inverse root out of range, counts as no record. So the
    bound does not depend on the accuracy of the inverse root. ``bounds``: None for columns without a range.
    """

    def __init__(
        self, u: SecretTensor, labels: SecretTensor, number: int, bounds: tuple[Floats, Floats] | None, norm: float | None
    ) -> None:
        self.party = u.party
        self.rows, self.columns = u.shape
        self.step = 2.0**-u.party.frac_bits
        u = u.detach()
        self.one_hot = labels.detach().unsqueeze(1) == np.arange(number)
        self.u, kept = _clipped_secret(u if bounds is None else u.clip(*bounds), norm)
        if kept is not None:
            self.one_hot = self.one_hot * kept.unsqueeze(1)
        self.count_step = 1.0

    def counts(self) -> SecretTensor:
        return self.one_hot.sum(0)

    def sums(self) -> SecretTensor:
        return self.one_hot.T @ self.u

    def scatter(self, means: Floats, norm: float | None, by_class: bool) -> SecretTensor:
        r, kept = _clipped_secret(self.u - self.one_hot @ means, norm)
        counted = self.one_hot.sum(1) if kept is None else self.one_hot.sum(1) * kept  # 0 for a label that is no class
        r = r * counted.unsqueeze(1)
        upper = triangle(self.columns)
        if not by_class:
            return (r.T @ r)[upper].unsqueeze(0)
        number = self.one_hot.shape[1]
        apart = (self.one_hot.unsqueeze(2) * r.unsqueeze(1)).reshape(self.rows, number * self.columns)
        products = (apart.T @ r).reshape(number, self.columns, self.columns)
        return products[(slice(None), *upper)]

    def open(self, value: Any, noise: Gaussian | None, what: str) -> Floats:
        reason = f"MomentSynthesizer: {what}" + ("" if noise else ", without differential privacy")
        out: Floats = value.reveal(dp=noise, reason=reason)
        return out


def _clipped_secret(u: SecretTensor, norm: float | None) -> tuple[SecretTensor, SecretTensor | None]:
    """(rows of at most this norm, bits: rows that count)."""
    if norm is None:
        return u, None
    step = 2.0**-u.party.frac_bits
    square, aim = (u * u).sum(1), max(0.0, norm * (1 - RELATIVE) - 2 * math.sqrt(u.shape[1]) * step)
    lower = 2 * (1 + norm) * step  # what rounding may add to the factor: without it, long rows would be lost
    factor = where(square > norm**2, square.rsqrt() * aim - lower, 1.0).clip(0, 1)
    u = u * factor.unsqueeze(1)
    return u, (u * u).sum(1) <= norm**2


def enlarged(norm: float, columns: int, step: float) -> float:
    """The norm that is accounted for: on shares each coordinate and the comparison may be off by two grid steps."""
    if not norm:
        raise ConfigError(f"{columns} columns, whose low is their high: there is nothing to release")
    return norm + 2 * math.sqrt(columns) * step + 2 * step / norm
