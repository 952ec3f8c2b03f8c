"""Module: a part of a model, with parameters and sub-modules found by attribute, as in torch."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mpc import party
from mpc.errors import ConfigError, NotSupported, ShapeError
from mpc.fixed_point import Floats
from mpc.ops.value import Value, from_public, public
from mpc.tensor import SecretTensor

if TYPE_CHECKING:
    from typing import Self


class Parameter(SecretTensor):
    """A tensor that a module owns and an optimiser changes. From a public array (alike at all parties) or a tensor."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        if isinstance(data, SecretTensor):
            value = Value(data.party, data._value.settled())
        else:
            here = party.current()
            value = from_public(here, public(data, here.frac_bits))
        super().__init__(value, requires_grad)

    def __repr__(self) -> str:
        return f"Parameter(shape={tuple(self.shape)})"


class Module:
    """Subclass it, assign parameters and sub-modules in ``__init__`` after ``super().__init__()``, define ``forward``.

    Calling a module attributes its rounds and bytes to its name in the session's report.
    """

    training: bool
    _parameters: dict[str, Parameter]
    _modules: dict[str, Module]
    _label: str

    def __init__(self) -> None:
        object.__setattr__(self, "_parameters", {})
        object.__setattr__(self, "_modules", {})
        object.__setattr__(self, "_label", type(self).__name__)
        object.__setattr__(self, "training", True)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Parameter, Module)):
            if "_modules" not in self.__dict__:
                raise ConfigError(f"{type(self).__name__}: call super().__init__() before assigning {name}")
            self.__dict__.pop(name, None)
            if isinstance(value, Parameter):
                self._modules.pop(name, None)
                self._parameters[name] = value
            else:
                self._parameters.pop(name, None)
                self._modules[name] = value
                object.__setattr__(value, "_label", f"{name}:{type(value).__name__}")
            return
        if "_modules" in self.__dict__:
            self._parameters.pop(name, None)
            self._modules.pop(name, None)
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_modules"):
            found = self.__dict__.get(table, {}).get(name)
            if found is not None:
                return found
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._modules):
            if table.pop(name, None) is not None:
                return
        object.__delattr__(self, name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Subclasses define it."""
        raise NotSupported(f"{type(self).__name__} defines no forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with party.current().scope(self._label, layer=True):
            return self.forward(*args, **kwargs)

    # --- what is inside
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
        seen: set[int] = set()
        for at, module in self.named_modules():
            for name, parameter in module._parameters.items():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield (f"{at}.{name}" if at else name), parameter

    def parameters(self) -> Iterator[Parameter]:
        """All parameters; a shared one once."""
        for _, parameter in self.named_parameters():
            yield parameter

    def state_dict(self) -> dict[str, SecretTensor]:
        """The parameters' present values as secret tensors, by dotted name."""
        return {name: SecretTensor(Value(p.party, p._value.share, p._value.gain)) for name, p in self.named_parameters()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take values from secret tensors or public arrays by name. Raises ConfigError, ShapeError; all or nothing."""
        own = dict(self.named_parameters())
        if own.keys() != state.keys():
            missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
            raise ConfigError(f"load_state_dict: missing {missing}, not in the model {unknown}")
        new = {name: Parameter(value)._value for name, value in state.items()}
        for name, value in new.items():
            if value.shape != own[name].shape:
                raise ShapeError(f"load_state_dict: {name} has shape {own[name].shape}, got {value.shape}")
        for name, value in new.items():
            own[name]._value = value

    def reveal(self, to: int | Sequence[int] | None = None, reason: str = "") -> dict[str, Floats | None]:
        """Open every parameter to the ranks ``to`` (None: all): arrays by name there, None at the others.

        Reveals: the model; one line of the ledger per parameter.
        """
        why = f"{reason}: " if reason else ""
        return {
            name: p.party.reveal(p._value.settled(), to, f"{why}{name}", depth=2) for name, p in self.named_parameters()
        }

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

    def zero_grad(self) -> None:
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
