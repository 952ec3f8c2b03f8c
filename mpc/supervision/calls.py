"""A function and its arguments as bytes for processes of this machine."""
from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mpc.errors import NotSupported


def pickled_call(function: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    import cloudpickle  # not needed by a child

    module = sys.modules.get(getattr(function, "__module__", None) or "")
    by_value = module is not None and module.__name__ != "__main__" and not _importable(module)
    try:
        if by_value:
            cloudpickle.register_pickle_byvalue_of(module)
        return bytes(cloudpickle.dumps((function, args)))
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        raise NotSupported(f"mpc.local cannot send {name} and its arguments to the parties: {error}") from error
    finally:
        if by_value:
            cloudpickle.unregister_pickle_byvalue_of(module)


def _importable(module: ModuleType) -> bool:
    """Would a child find this very file under the module's name?"""
    parent = module.__name__.rpartition(".")[0]
    path = getattr(sys.modules.get(parent), "__path__", None)
    if parent and path is None:
        return False
    for finder in sys.meta_path:
        spec = finder.find_spec(module.__name__, path)
        if spec is not None:
            return spec.origin == module.__file__
    return False
