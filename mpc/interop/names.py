"""Which function of the table a step of an fx graph means."""
from __future__ import annotations

import builtins
import inspect
import operator
from collections.abc import Callable
from functools import cache
from typing import Any

from mpc.interop.functions import by_name


@cache
def _functions() -> dict[Callable[..., Any], str]:
    """torch's and Python's functions to the table's names."""
    import torch

    spaces = {"torch": torch, "F": torch.nn.functional, "operator": operator, "builtins": builtins}
    found = {}
    for dotted, name in by_name().items():
        space, _, rest = dotted.partition(".")
        if space in spaces:
            target: Any = spaces[space]
            for part in rest.split("."):
                target = getattr(target, part, None)
            if target is not None:
                found[target] = name
    return found


def inplace_name(node: Any) -> str:
    """The function's name without the underscore where a step changes its first argument, else ""."""
    if node.op not in ("call_method", "call_function"):
        return ""
    name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
    return name[:-1] if name.endswith("_") and not name.endswith("__") else ""


def inplace_position(node: Any) -> int | None:
    """Which positional argument of a function is ``inplace``."""
    if node.op != "call_function":
        return None
    try:
        names = list(inspect.signature(node.target).parameters)
    except (TypeError, ValueError):  # written in C
        return None
    return names.index("inplace") if "inplace" in names else None


def function_of(node: Any) -> str | None:
    """The table's name of what a step calls, or None."""
    names = by_name()
    found = names.get(f"Tensor.{node.target}") if node.op == "call_method" else _functions().get(node.target)
    plain = inplace_name(node)
    if found is None and plain:
        found = next((names[key] for key in (f"Tensor.{plain}", f"torch.{plain}", f"F.{plain}") if key in names), None)
    return found


def shown(node: Any) -> str:
    """The function's name for people."""
    if node.op == "call_method":
        return f"Tensor.{node.target}"
    module = (getattr(node.target, "__module__", None) or "torch").replace("torch._C._nn", "torch.nn.functional")
    return f"{module.lstrip('_')}.{getattr(node.target, '__name__', node.target)}"
