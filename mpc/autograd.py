"""The tape: operations that remember their inputs, and the backward pass over them.

An `Op` is a forward function on `Value`s and one gradient function per input. Gradients are Values too (or public
arrays, as the seed of a loss is), without a tape of their own; they keep public factors such as 1/n beside the share,
to be applied by the optimiser's one truncation.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mpc.errors import NotSupported, ShapeError
from mpc.masks import Shape
from mpc.ops.value import Operand, Value, add, from_public, structure, unbroadcast

if TYPE_CHECKING:
    from mpc.party import Party
    from mpc.report import Account
    from mpc.tensor import SecretTensor

_RECORDING: ContextVar[bool] = ContextVar("mpc_recording", default=True)

Gradient = Callable[..., Operand]


@contextmanager
def no_grad() -> Iterator[None]:
    """Record no operation inside: results need no gradient. For inference and for updates of parameters."""
    token = _RECORDING.set(False)
    try:
        yield
    finally:
        _RECORDING.reset(token)


class Variable:
    """A value and its place on the tape. `mpc.tensor.SecretTensor` adds the operators; see there."""

    __slots__ = ("__weakref__", "_node", "_value", "grad", "requires_grad")

    result: ClassVar[type[SecretTensor]]  # the class of every operation's result

    _value: Value
    _node: Node | None
    grad: SecretTensor | None
    requires_grad: bool

    def __init__(self, value: Value, requires_grad: bool = False) -> None:
        self._value = value
        self._node = None
        self.grad = None
        self.requires_grad = requires_grad

    @property
    def party(self) -> Party:
        return self._value.party

    @property
    def is_leaf(self) -> bool:
        return self._node is None


class Node:
    """One recorded operation: what is needed to compute its inputs' gradients."""

    __slots__ = ("account", "args", "op", "saved", "values")

    def __init__(self, op: Op, args: tuple[Any, ...], values: Sequence[Any], saved: Any, account: Account) -> None:
        self.op = op
        self.account = account  # where its costs went: its gradient's go beside them
        self.args = args
        self.values = values
        self.saved = saved


class Op:
    """A differentiable operation.

    ``forward(*values)`` gets Values for tensors and everything else as it is; it returns a Value, or (Value, saved).
    ``gradients[i](g, saved, *values)`` gives the gradient of input i, at the output's broadcast shape if need be; a
    single function gets i first (operations with any number of inputs). None: that input has no gradient.
    """

    __slots__ = ("forward", "gradients", "name")

    def __init__(
        self, name: str, forward: Callable[..., Any], gradients: Sequence[Gradient | None] | Gradient
    ) -> None:
        self.name = name
        self.forward = forward
        self.gradients = gradients

    def __call__(self, *args: Any) -> SecretTensor:
        values = []
        wanted = False
        for arg in args:
            if isinstance(arg, Variable):
                values.append(arg._value)
                wanted = wanted or arg.requires_grad
            else:
                values.append(arg)
        party = _party_of(values)
        party.note(self.name, *map(structure, values))
        value = self.forward(*values)
        saved = None
        if type(value) is tuple:
            value, saved = value
        out = Variable.result(value)
        if wanted and _RECORDING.get():
            out.requires_grad = True
            out._node = Node(self, args, values, saved, party.books.account)
        return out

    def gradient(self, i: int, g: Operand, saved: Any, values: Sequence[Any]) -> Operand | None:
        """The gradient of input i, summed to its shape; None where the operation has none."""
        if callable(self.gradients):
            got = self.gradients(i, g, saved, *values)
        else:
            function = self.gradients[i]
            if function is None:
                return None
            got = function(g, saved, *values)
        return unbroadcast(got, values[i].shape)


def _party_of(values: Sequence[Any]) -> Party:
    return next(v for v in values if isinstance(v, Value)).party


def backward(root: Variable, gradient: Operand | None = None) -> None:
    """Add d(root)/d(leaf) to ``grad`` of every leaf that requires it.

    ``gradient``: of the root's own shape; 1 for scalars by default. Cost: one pass over the tape in reverse order;
    gradients of products open nothing that the forward pass has opened. Raises ShapeError, NotSupported.
    """
    if not root.requires_grad:
        raise NotSupported("backward() of a tensor that depends on nothing with requires_grad=True")
    shape = root._value.shape
    if gradient is None:
        if shape not in ((), (1,), (1, 1)):
            raise ShapeError(f"backward() without a gradient of a tensor of shape {shape}; want a scalar, e.g. a mean")
        gradient = np.broadcast_to(np.float64(1.0), shape)
    got: Shape = gradient.shape if isinstance(gradient, Value) else np.shape(gradient)
    if got != shape:
        raise ShapeError(f"backward() with a gradient of shape {got} for a tensor of shape {shape}")
    root.party.note("backward", root._value.number, structure(gradient))
    pending: dict[int, Operand] = {id(root): gradient}
    with root._value.party.backward_scope() as scope:
        for tensor in _order(root):
            g = pending.pop(id(tensor), None)
            if g is None:
                continue
            node = tensor._node
            if node is None:
                _accumulate(tensor, g)
                continue
            scope.at(node.account)
            for i, arg in enumerate(node.args):
                if isinstance(arg, Variable) and arg.requires_grad:
                    part = node.op.gradient(i, g, node.saved, node.values)
                    if part is not None:
                        before = pending.get(id(arg))
                        pending[id(arg)] = part if before is None else add(before, part)


def _order(root: Variable) -> list[Variable]:
    """Everything on the tape behind ``root`` that requires a gradient, outputs before inputs."""
    done: list[Variable] = []
    seen = {id(root)}
    stack: list[tuple[Variable, Iterator[Any]]] = [(root, iter(root._node.args if root._node else ()))]
    while stack:
        tensor, rest = stack[-1]
        for arg in rest:
            if isinstance(arg, Variable) and arg.requires_grad and id(arg) not in seen:
                seen.add(id(arg))
                stack.append((arg, iter(arg._node.args if arg._node else ())))
                break
        else:
            stack.pop()
            done.append(tensor)
    done.reverse()
    return done


def _accumulate(leaf: Variable, g: Operand) -> None:
    value = g if isinstance(g, Value) else from_public(leaf.party, g)
    if leaf.grad is not None:
        summed = add(leaf.grad._value, value)
        assert isinstance(summed, Value)
        value = summed
    leaf.grad = Variable.result(value)
