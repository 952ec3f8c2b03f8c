"""Module: a part of a model, with parameters and sub-modules found by attribute, as in torch."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from mpc import party
from mpc.errors import ConfigError, NotSupported, ShapeError
from mpc.fixed_point import Floats
from mpc.interop.weights import places, write_back
from mpc.ops.value import Value, from_public, public
from mpc.tensor import SecretTensor

if TYPE_CHECKING:
    from typing import Self


class Parameter(SecretTensor):
    """A tensor that a module owns and an optimiser changes. From a public array (alike at all parties) or a tensor."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        if isinstance(data, SecretTensor):
            data.party.note("parameter", data._value.number)
            value = Value(data.party, data._value.settled())
        else:
            here = party.current()
            value = from_public(here, public(data, here.frac_bits))
        super().__init__(value, requires_grad)

    def _in_place(self, other: Any) -> NoReturn:
        raise NotSupported("a parameter does not change in place; use an optimiser, or load_state_dict with new values")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = _in_place

    def __repr__(self) -> str:
        return f"Parameter(shape={tuple(self.shape)})"


class Module:
    """Subclass it, assign parameters and sub-modules in ``__init__`` after ``super().__init__()``, define ``forward``.

    Calling a module attributes its rounds and bytes to its name in the session's report.
    """

    training: bool
    _parameters: dict[str, Parameter]
    _buffers: dict[str, SecretTensor | int]
    _modules: dict[str, Module]
    _label: str

    def __init__(self) -> None:
        object.__setattr__(self, "_parameters", {})
        object.__setattr__(self, "_buffers", {})
        object.__setattr__(self, "_modules", {})
        object.__setattr__(self, "_label", type(self).__name__)
        object.__setattr__(self, "training", True)

    def __setattr__(self, name: str, value: Any) -> None:
        tables = self._tables()
        if isinstance(value, (Parameter, Module)):
            if not tables:
                raise ConfigError(f"{type(self).__name__}: call super().__init__() before assigning {name}")
            own: dict[str, Any] = self._parameters if isinstance(value, Parameter) else self._modules
            if isinstance(value, Module):
                object.__setattr__(value, "_label", f"{name}:{type(value).__name__}")
        elif tables and name in self._buffers and isinstance(value, (SecretTensor, int)):
            own = self._buffers
        else:
            if tables and name in self._parameters and isinstance(value, SecretTensor):
                raise NotSupported(f"{type(self).__name__}.{name} is a parameter; assign a Parameter, or None to drop it")
            for table in tables:
                table.pop(name, None)
            object.__setattr__(self, name, value)
            return
        self.__dict__.pop(name, None)
        for table in tables:
            if table is not own:
                table.pop(name, None)
        own[name] = value

    def _tables(self) -> tuple[dict[str, Any], ...]:
        """Where parameters, buffers and sub-modules are; nothing before ``__init__``."""
        found = self.__dict__
        return (self._parameters, self._buffers, self._modules) if "_modules" in found else ()

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table, {}).get(name)
            if found is not None:
                return found
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for table in self._tables():
            if table.pop(name, None) is not None:
                return
        object.__delattr__(self, name)

    def register_buffer(self, name: str, tensor: Any) -> None:
        """State that is no parameter: a secret tensor (or a public array, which becomes one), or a public integer that
        counts. None: no such state. It is part of `state_dict`."""
        if not self._tables():
            raise ConfigError(f"{type(self).__name__}: call super().__init__() before register_buffer({name!r})")
        if tensor is None:
            setattr(self, name, None)
            return
        self.__dict__.pop(name, None)
        self._parameters.pop(name, None)
        self._buffers[name] = tensor if isinstance(tensor, (SecretTensor, int)) else Parameter(tensor, False).detach()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Subclasses define it."""
        raise NotSupported(f"{type(self).__name__} defines no forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with party.current().scope(self._label, layer=True):
            return self.forward(*args, **kwargs)

    # --- what is inside
    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct sub-modules by name."""
        yield from self._modules.items()

    def children(self) -> Iterator[Module]:
        """The direct sub-modules."""
        yield from self._modules.values()

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, by dotted name; each once."""
        seen: set[int] = set()

        def walk(module: Module, at: str) -> Iterator[tuple[str, Module]]:
            if id(module) in seen:
                return
            seen.add(id(module))
            yield at, module
            for name, child in module._modules.items():
                yield from walk(child, f"{at}.{name}" if at else name)

        return walk(self, prefix)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters by dotted name; a shared one once."""
        return self._named("_parameters")

    def named_buffers(self) -> Iterator[tuple[str, SecretTensor | int]]:
        """All buffers by dotted name, secret tensors and public counts; a shared one once."""
        return self._named("_buffers")

    def _named(self, table: str) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for at, module in self.named_modules():
            for name, tensor in getattr(module, table).items():
                if id(tensor) not in seen:
                    if not isinstance(tensor, int):
                        seen.add(id(tensor))
                    yield (f"{at}.{name}" if at else name), tensor

    def parameters(self) -> Iterator[Parameter]:
        """All parameters; a shared one once."""
        for _, parameter in self.named_parameters():
            yield parameter

    def buffers(self) -> Iterator[SecretTensor | int]:
        """All buffers; a shared one once."""
        for _, buffer in self.named_buffers():
            yield buffer

    def state_dict(self) -> dict[str, Any]:
        """The present values of parameters and buffers by dotted name: secret tensors, and public counts as integers."""
        state = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        for t in state.values():  # new values follow, and peers must mean the same by them
            if not isinstance(t, int):
                t.party.note("state", t._value.number)
        return {
            name: t if isinstance(t, int) else SecretTensor(Value(t.party, t._value.share, t._value.gain))
            for name, t in state.items()
        }

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Take values by name from secret tensors, public arrays or torch tensors: a `state_dict` of either side.

        ``strict=False``: names that only one side has stay as they are. All or nothing. Raises ConfigError, ShapeError.
        """
        own: dict[str, Any] = dict(self.named_parameters()) | dict(self.named_buffers())
        if strict and own.keys() != state.keys():
            missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
            raise ConfigError(f"load_state_dict: missing {missing}, not in the model {unknown}")
        new = {
            name: int(state[name]) if isinstance(have, int) else Parameter(state[name])._value
            for name, have in own.items()
            if name in state
        }
        for name, value in new.items():
            if isinstance(value, Value) and value.shape != own[name].shape:
                raise ShapeError(f"load_state_dict: {name} has shape {own[name].shape}, got {value.shape}")
        modules = dict(self.named_modules())
        for name, value in new.items():
            if isinstance(value, Value):
                own[name]._value = value
            else:
                at, _, last = name.rpartition(".")
                modules[at]._buffers[last] = value

    def reveal(
        self, to: int | Sequence[int] | None = None, reason: str = "", into: Any = None
    ) -> dict[str, Floats | None]:
        """Open every parameter and buffer to the ranks ``to`` (None: all): arrays by name there, None at the others.
        Counts of batches are public and known to all.

        ``into``: a torch module with tensors of the same names and shapes, at receivers that want one: the values are
        copied into it, in place, in its dtypes. Reveals: the model; one line of the ledger per tensor. Raises ConfigError,
        ShapeError before anything is opened when ``into`` does not fit.
        """
        state = self.state_dict()
        if into is not None:
            places(into, {name: np.shape(t) if isinstance(t, int) else t.shape for name, t in state.items()})
        why = f"{reason}: " if reason else ""
        said = {name: p._value.said() for name, p in self.named_parameters()}
        out: dict[str, Floats | None] = {}
        for name, t in state.items():
            if isinstance(t, int):
                out[name] = np.asarray(float(t))  # a public count
            else:
                out[name] = t.party.reveal(t._value.settled(exact=True), to, f"{why}{name}", depth=2, remark=said.get(name, ""))
        if into is not None:
            write_back(into, out)
        return out

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call ``function`` on every module below and on this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # --- modes
    def train(self, mode: bool = True) -> Self:
        """Set training mode here and below."""
        for module in self.modules():
            object.__setattr__(module, "training", mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for gradients of all parameters (or ask no more)."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def extra_repr(self) -> str:
        """What stands in the parentheses of this module's repr."""
        return ""

    def __repr__(self) -> str:
        if not self._modules:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._modules.items()]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])
