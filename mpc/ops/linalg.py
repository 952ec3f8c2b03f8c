"""Matrix products: secret with secret, secret with public."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpc.autograd import Op
from mpc.errors import ShapeError
from mpc.masks import Then, matmul_shape
from mpc.ops.elementwise import operand
from mpc.ops.value import Operand, Value, encode
from mpc.sharing import Share

if TYPE_CHECKING:
    from mpc.tensor import SecretTensor


def product(x: Operand, y: Operand, fold: bool = True, then: Then | None = None) -> Operand:
    """x @ y of secrets and public arrays in any combination, with numpy.matmul's shapes; see `elementwise.product`.

    ``then``: public linear maps of the product, part of its kernel where both are secret.
    """
    if isinstance(x, Value):
        party = x.party
        if isinstance(y, Value):
            if fold:
                x.shrunk()
                y.shrunk()
            a, b = x.share, y.share
            if a.scale + b.scale > 2 * party.frac_bits:
                a, b = x.factor(fold), y.factor(fold)
            return Value(party, party.protocol.matmul(a, b, then), x.gain * y.gain)
        matmul_shape(x.shape, np.shape(y))
        words, scale = encode(np.asarray(y), party.frac_bits)
        return x.of(_moved(party.protocol.matmul_public(x.factor(fold) if scale else x.share, words, scale), then))
    if isinstance(y, Value):
        matmul_shape(np.shape(x), y.shape)
        words, scale = encode(np.asarray(x), y.party.frac_bits)
        product = y.party.protocol.matmul_public(y.factor(fold) if scale else y.share, words, scale, left=True)
        return y.of(_moved(product, then))
    plain = np.asarray(np.matmul(x, y))
    return plain if then is None else then.of(plain)


def _moved(share: Share, then: Then | None) -> Share:
    for kind, arg in () if then is None else then.moves:
        share = share.move(kind, arg)
    return share


def _swapped(v: Any) -> Any:
    """The last two axes exchanged."""
    n = len(v.shape)
    return v.transpose((*range(n - 2), n - 1, n - 2))


def _outer(g: Any, column: Any, row: Any) -> Operand:
    """column[..., None] @ row[None, :] with g opened before its view is taken, so that it is opened once."""
    if isinstance(g, Value):
        g.party.protocol.open(g.factor(False))
    return product(column.reshape((*column.shape, 1)), row.reshape((*row.shape[:-1], 1, row.shape[-1])), False)


def _gradient_x(g: Any, _: Any, x: Any, y: Any) -> Operand:
    if len(y.shape) == 1:
        return mul_vectors(g, y) if len(x.shape) == 1 else _outer(g, g, y)
    if len(x.shape) == 1:
        if len(y.shape) == 2:
            return product(y, g, False)
        wide: Any = product(g.reshape((*g.shape[:-1], 1, g.shape[-1])), _swapped(y), False)
        return wide.reshape((*wide.shape[:-2], wide.shape[-1]))
    return product(g, _swapped(y), False)


def _gradient_y(g: Any, _: Any, x: Any, y: Any) -> Operand:
    if len(x.shape) == 1:
        return mul_vectors(g, x) if len(y.shape) == 1 else _outer(g, x, g)
    if len(y.shape) == 1:
        if len(x.shape) == 2:
            return product(_swapped(x), g, False)
        wide: Any = product(_swapped(x), g.reshape((*g.shape, 1)), False)
        return wide.reshape(wide.shape[:-1])
    return product(_swapped(x), g, False)


def mul_vectors(g: Any, v: Any) -> Operand:
    """The gradient of a dot product: a scalar times a vector."""
    row: Any = product(g.reshape((1, 1)), v.reshape((1, v.shape[0])), False)
    return row.reshape(v.shape)


MATMUL = Op("matmul", product, (_gradient_x, _gradient_y))


def _matrix(x: SecretTensor, y: Any) -> Any:
    other = operand(x, y)
    if isinstance(other, float):
        raise ShapeError(f"matmul of shape {x.shape} and a number; want at least one dimension each (or use *)")
    return other


def matmul(x: SecretTensor, other: Any) -> SecretTensor:
    """x @ other with numpy's shapes (vectors, matrices, batches). Secret with secret: one round for what is not open
    yet; the truncation waits for the next user of the result, so a bias costs nothing and ReLU is fused with it.
    Range: every sum of products below 2^30 at 16 fraction bits. Raises ShapeError."""
    return MATMUL(x, _matrix(x, other))


def rmatmul(x: SecretTensor, other: Any) -> SecretTensor:
    """other @ x for a public other."""
    return MATMUL(_matrix(x, other), x)


def dot(x: SecretTensor, other: Any) -> SecretTensor:
    """The dot product of two vectors. Raises ShapeError for anything else."""
    y = _matrix(x, other)
    if x.ndim != 1 or len(y.shape) != 1:
        raise ShapeError(f"dot of shapes {tuple(x.shape)} and {tuple(y.shape)}; want two vectors (or use @)")
    return MATMUL(x, y)


def outer(x: SecretTensor, other: Any) -> SecretTensor:
    """The outer product of two vectors."""
    y = _matrix(x, other)
    if x.ndim != 1 or len(y.shape) != 1:
        raise ShapeError(f"outer of shapes {tuple(x.shape)} and {tuple(y.shape)}; want two vectors")
    return MATMUL(x.reshape(-1, 1), y.reshape(1, -1))
