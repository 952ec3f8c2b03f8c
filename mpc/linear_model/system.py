"""The normal equations of secret columns: centred, scaled, opened once, with an inverse as preconditioner."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from mpc.estimator import power_of_two
from mpc.linear_model.inverse import inverse, product, shortened
from mpc.ops.value import Value
from mpc.sharing import Share, add
from mpc.tensor import SecretTensor, cat, constant

if TYPE_CHECKING:
    from mpc.party import Party

GRADIENT_BITS: Final = 28  # weak directions divide a gradient by up to 2^13
WEIGHT_BITS: Final = 32  # of a penalty's weights, below 1
LOWEST, HIGHEST = -9, 14  # column standard deviations from 2^-9 to 2^14


def exponent(rows: int) -> int:
    """ceil(log2 rows): sums over rows are scaled by 2^-exponent, a change of scale only."""
    return math.ceil(math.log2(rows)) if rows > 1 else 0


class System:
    """Columns x C of x (rows, features), with C secret powers of two so that curvature * mean squares + penalty of each
    lie in [1/4, 1): coefficients u of x C stand for C u of x. Sums over rows are scaled by 2^-q, q = ceil(log2 rows).

    ``penalty`` belongs to 2^-q |x w - y|^2 + penalty |w|^2, and ``curvature`` (a power of two) multiplies x.T x only.
    ``centre``: subtract column means, in which an intercept decouples; ``ones``: append a column of ones, unpenalised.
    """

    def __init__(
        self, x: SecretTensor, penalty: float, centre: bool = True, ones: bool = False, curvature: float = 1.0
    ) -> None:
        self.party = party = x.party
        self.rows = x.shape[0]
        self.q = exponent(self.rows)
        self.curvature = int(math.log2(curvature))
        self.mean: SecretTensor | None = None
        if centre:
            self.mean = x.mean(0)
            self.mean._value.settled()
            x = x - self.mean
        size = x.square().sum(0) * (2.0**-self.q * curvature) + penalty
        self.scale, _ = power_of_two(size, 2, LOWEST, HIGHEST)
        x = x * self.scale
        if ones:
            x = cat([x, constant(np.ones((self.rows, 1)))], 1)
        self.x = x
        self.x_share = x._value.settled()
        party.protocol.open(self.x_share)
        self.penalty = self._penalty(penalty, ones) if penalty else None

    def _penalty(self, penalty: float, ones: bool) -> Share:
        """penalty C^2 (features, 1): what u is penalised by."""
        weight = shortened(self.party, (self.scale.square() * penalty)._value.absorbed(), WEIGHT_BITS)
        if ones:
            weight = Share(np.concatenate([weight.words, np.zeros(1, np.uint64)]), weight.scale)
        return weight.reshape((-1, 1))

    def inverse(self, extra: Share | None = None) -> Share:
        """(curvature C x.T x C / 2^q + penalty C^2 + extra)^-1, ``extra`` (features, 1) below 1."""
        half = extra is not None  # then the diagonal is below 2
        gram = self.party.protocol.matmul(self.x_share.transpose((1, 0)), self.x_share)
        gram = gram.rescaled(gram.scale + self.q - self.curvature)
        for diagonal in (self.penalty, extra):
            if diagonal is not None:
                gram = add(gram, Share(np.diag(diagonal.words[:, 0]), diagonal.scale))
        out = inverse(self.party, gram.rescaled(gram.scale + half))
        return out.rescaled(out.scale + half)

    def gradient(self, residual: SecretTensor, u: SecretTensor | None = None) -> Share:
        """(x C).T residual / 2^q - penalty C^2 u, (features, targets), at scale `GRADIENT_BITS` or less."""
        protocol = self.party.protocol
        out = protocol.matmul(self.x_share.transpose((1, 0)), residual._value.settled())
        out = out.rescaled(out.scale + self.q)
        if self.penalty is not None and u is not None:
            out = add(out, -protocol.mul(u._value.settled(), self.penalty))
        return shortened(self.party, out, GRADIENT_BITS)

    def times(self, matrix: Share, gradient: Share) -> SecretTensor:
        """matrix @ gradient at frac_bits."""
        return tensor(self.party, product(self.party, matrix, gradient, self.party.frac_bits))


def tensor(party: Party, share: Share) -> SecretTensor:
    """A share as a tensor."""
    return SecretTensor(Value(party, share))
