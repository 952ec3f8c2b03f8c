"""SecretTensor: a tensor nobody can see, with PyTorch's operators."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from mpc import autograd, party
from mpc.autograd import Variable
from mpc.errors import NotSupported
from mpc.fixed_point import Floats
from mpc.masks import Shape
from mpc.ops import activations, elementwise, linalg, movement, nonlinear, order, powers, reduce
from mpc.ops.value import Value, from_public, public

if TYPE_CHECKING:
    from typing import Self

_INSTEAD = {
    "item": "use .reveal(reason=...): it opens the value, writes the ledger and returns a NumPy array",
    "numpy": "use .reveal(reason=...): it opens the value, writes the ledger and returns a NumPy array",
    "tolist": "use .reveal(reason=...).tolist(): it opens the value and writes the ledger",
    "data": "use .detach()",
    "dtype": "values are fixed-point numbers modulo 2^64; session.frac_bits says how many fraction bits",
    "to": "tensors live at their party, there is no device",
    "cuda": "tensors live at their party, there is no device",
    "float": "every value is fixed-point already",
    "long": "every value is fixed-point already",
    "half": "every value is fixed-point already",
    "nonzero": "positions of secret values are secret: use where()",
    "masked_fill": "use where(mask, value, x)",
    "masked_select": "the number of selected values would be public: multiply by the mask or use where()",
    "var": "use ((x - x.mean(0)) ** 2).mean(0)",
    "swapaxes": "use transpose(dim0, dim1)",
}


class _Missing(NotSupported, AttributeError):
    """NotSupported that `hasattr` and `copy` understand."""


class SecretTensor(Variable):
    """One party's part of a tensor of fixed-point reals that no party sees.

    Operators, names, argument order and broadcasting follow PyTorch. Operands may be public: numbers, NumPy arrays,
    torch tensors. Values carry `frac_bits` fraction bits (16 by default) in |x| < 2^15; a product is rounded once, when
    its result is used as a factor again or revealed, to one of the two neighbours. Comparisons give tensors of 0 and 1.
    Nothing reveals values but `reveal`; ``if``, ``float()``, printing, pickling and NumPy conversion are refused.
    """

    __slots__ = ()
    __array_ufunc__ = None  # NumPy leaves `array + tensor` to us
    __array_priority__ = 1000
    __hash__ = object.__hash__

    # --- operators: elementwise
    __add__ = __radd__ = add = elementwise.plus
    __sub__ = sub = elementwise.minus
    __rsub__ = elementwise.rminus
    __mul__ = __rmul__ = mul = elementwise.multiply
    __truediv__ = div = powers.divide
    __rtruediv__ = powers.rdivide
    __neg__ = neg = elementwise.negate
    __pow__ = pow = powers.power
    __mod__ = remainder = order.modulo
    __lt__ = lt = elementwise.less
    __le__ = le = elementwise.less_equal
    __gt__ = gt = elementwise.greater
    __ge__ = ge = elementwise.greater_equal
    __eq__ = eq = elementwise.equal  # type: ignore[assignment]
    __ne__ = ne = elementwise.not_equal  # type: ignore[assignment]
    __and__ = __rand__ = elementwise.both
    __or__ = __ror__ = elementwise.either
    __invert__ = elementwise.complement
    square = elementwise.square
    # --- linear algebra
    __matmul__ = matmul = mm = linalg.matmul
    __rmatmul__ = linalg.rmatmul
    dot = linalg.dot
    outer = linalg.outer
    # --- reductions
    sum = reduce.sum_
    mean = reduce.mean
    # --- movement
    __getitem__ = movement.index
    __setitem__ = movement.assign
    reshape = view = movement.reshape
    flatten = movement.flatten
    transpose = movement.transpose
    permute = movement.permute
    squeeze = movement.squeeze
    unsqueeze = movement.unsqueeze
    expand = movement.expand
    broadcast_to = movement.broadcast_to
    T = property(movement.reversed_axes, doc="All axes in reverse order.")
    t = movement.reversed_axes
    # --- nonlinear
    relu = nonlinear.relu
    sigmoid = activations.sigmoid
    tanh = activations.tanh
    erf = activations.erf
    gelu = activations.gelu
    softmax = activations.softmax
    log_softmax = activations.log_softmax
    exp = powers.exp
    log = powers.log
    sqrt = powers.sqrt
    rsqrt = powers.rsqrt
    reciprocal = powers.reciprocal
    # --- order
    max = order.max_
    min = order.min_
    amax = order.amax
    amin = order.amin
    argmax = order.argmax
    argmin = order.argmin
    maximum = order.maximum
    minimum = order.minimum
    sort = order.sort
    topk = order.topk
    median = order.median
    sign = order.sign
    floor = order.floor
    __abs__ = abs = nonlinear.absolute
    clip = clamp = nonlinear.clip

    @property
    def shape(self) -> Shape:
        """The public shape."""
        return self._value.shape

    @property
    def ndim(self) -> int:
        return len(self._value.shape)

    def dim(self) -> int:
        """The number of axes."""
        return len(self._value.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self._value.shape if dim is None else self._value.shape[dim]

    def numel(self) -> int:
        """The number of elements."""
        return int(np.prod(self._value.shape, dtype=np.int64))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[SecretTensor]:
        """Over the first axis, as secret tensors."""
        for i in range(len(self)):
            yield self[i]

    # --- the tape
    def backward(self, gradient: Any = None) -> None:
        """Add the gradient of this scalar to ``grad`` of every leaf it depends on; see `mpc.autograd.backward`."""
        if gradient is None or isinstance(gradient, Variable):
            autograd.backward(self, None if gradient is None else gradient._value)
        else:
            autograd.backward(self, np.asarray(public(gradient, self.party.frac_bits)))

    def detach(self) -> SecretTensor:
        """The same value without its history. Free; what is truncated or opened in one is so in the other."""
        return SecretTensor(self._value)

    def clone(self) -> SecretTensor:
        """The same value and history: tensors do not change in place, so nothing is copied."""
        return movement.RESHAPE(self, self.shape)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for a gradient of this leaf (or ask no more)."""
        if self._node is not None:
            raise NotSupported("requires_grad_() of a computed tensor; want a leaf (use detach() first)")
        self.requires_grad = requires_grad
        return self

    # --- opening
    def reveal(
        self, to: int | Sequence[int] | None = None, reason: str = "", check_range: bool = True, dp: Any = None
    ) -> Floats | None:
        """Open the values to the ranks ``to`` (None: all); a float64 array there, None at the others.

        Reveals: every value, as a line of the ledger with call site, shape, recipients and ``reason``. Pending products
        are truncated by floor first, once; the error of a sum of products is then below 2^-16 (at 16 fraction bits).
        Raises FixedPointRangeError when a value that all parties receive left the encoding range, warns where only some
        receive it (an exception would tell the others); ``check_range=False``: neither.

        ``dp``: a mechanism of `mpc.privacy` (Laplace, Gaussian): noise that no party knows is added to the exact integers
        before anything opens, instead of a pending truncation, and the ledger's line says what that guarantees. The range
        is not checked then: noise may be larger. Raises BudgetExceeded, with nothing opened.
        """
        value = self._value
        value.party.note("value", value.number, dp is not None)
        if dp is None:
            return value.party.reveal(value.settled(exact=True), to, reason, check_range, depth=2, remark=value.said())
        if isinstance(dp, type) or not hasattr(dp, "release"):
            raise TypeError(f"reveal(dp={dp!r}); want a mechanism, privacy.Laplace(epsilon, sensitivity) or .Gaussian(...)")
        receivers = value.party.receivers(to)  # before anything is charged
        share, remark, factor = dp.release(value, reason)
        return value.party.reveal(share, receivers, reason, check_range=False, depth=2, remark=remark, factor=factor)

    # --- what would reveal by accident
    def __bool__(self) -> NoReturn:
        raise TypeError("a secret tensor has no truth value: nothing secret may decide a branch. Use mpc.where(condition, "
                        "x, y), or reveal(reason=...) if everybody may know")

    def _no_number(self) -> NoReturn:
        raise TypeError("a secret tensor is not a number here; use reveal(reason=...) if everybody may know it, "
                        "or where() to choose by it")

    __float__ = __int__ = __complex__ = __index__ = _no_number

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("a secret tensor is no NumPy array; use reveal(reason=...), and where() instead of a mask")

    def __contains__(self, item: Any) -> NoReturn:
        raise TypeError("`in` would branch on secret values; use (x == item).sum(), and where() to choose")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret tensor cannot be pickled: it is one party's share in a running session. "
                        "Use reveal(reason=...) for its values")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self.__reduce__()

    def __getstate__(self) -> NoReturn:
        self.__reduce__()

    def __copy__(self) -> SecretTensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> SecretTensor:
        """A leaf of the same value; shares never change in place, so they are not copied."""
        if self._node is not None:
            raise NotSupported("copy of a computed tensor; use detach() first")
        self.party.note("copy", self._value.number)
        out = type(self).__new__(type(self))
        Variable.__init__(out, Value(self.party, self._value.share, self._value.gain), self.requires_grad)
        return out

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        hint = _INSTEAD.get(name)
        supported = ", ".join(sorted(n for n in vars(SecretTensor) if not n.startswith("_")))
        raise _Missing(f"SecretTensor.{name} is not supported" + (f": {hint}" if hint else f"; supported are {supported}"))

    def __repr__(self) -> str:
        grad = ", requires_grad=True" if self.requires_grad else ""
        return f"SecretTensor(shape={tuple(self.shape)}{grad})"


Variable.result = SecretTensor


def share(value: Any, owner: int, requires_grad: bool = False) -> SecretTensor:
    """Share an array that party ``owner`` holds; the others pass None (what they pass is ignored).

    Reveals the shape. Integers and reals alike become fixed-point values, |x| < 2^15 at 16 fraction bits, error
    2^-17. Raises FixedPointRangeError at every party, ConfigError for an unknown owner.
    """
    here = party.current()
    return SecretTensor(Value(here, here.share(value, owner)), requires_grad)


def constant(value: Any, requires_grad: bool = False) -> SecretTensor:
    """A public array, known to and passed by all parties, as a secret tensor: initial weights, padding."""
    here = party.current()
    return SecretTensor(from_public(here, public(value, here.frac_bits)), requires_grad)


where = elementwise.where
cat = movement.cat
stack = movement.stack
no_grad = autograd.no_grad
