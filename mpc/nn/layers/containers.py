"""Modules made of modules."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, overload

from mpc.errors import ConfigError
from mpc.nn.module import Module


class ModuleList(Module):
    """A list of modules whose parameters are the owner's."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> None:
        """Add a module at the end."""
        if not isinstance(module, Module):
            raise ConfigError(f"{type(self).__name__}: got {type(module).__name__}; want a Module")
        setattr(self, str(len(self._modules)), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> list[Module]: ...
    def __getitem__(self, index: int | slice) -> Module | list[Module]:
        return list(self._modules.values())[index]


class Sequential(ModuleList):
    """Modules one after the other; as in torch also a dict of them by name."""

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            super().__init__()
            for name, module in modules[0].items():
                if not isinstance(module, Module):
                    raise ConfigError(f"Sequential: got {type(module).__name__} as {name!r}; want a Module")
                setattr(self, name, module)
        else:
            super().__init__(modules)  # type: ignore[arg-type]  # append refuses what is no Module

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x
