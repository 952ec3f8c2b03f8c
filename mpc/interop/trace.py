"""torch.fx on a torch module: the steps of its forward in one mode, with in-place changes written as new values."""
from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, NamedTuple

from mpc.interop.architecture import Problem
from mpc.interop.functions import FUNCTIONS
from mpc.interop.names import inplace_name, inplace_position

_HINT = (
    "its steps must not depend on values: no `if` or loop over tensors, no item(), numpy() or len() of them, "
    "no assignment to x[...]; where() chooses by value, and what depends on shapes alone may be an attribute"
)


class Trace(NamedTuple):
    """An fx graph (None where there is none), tensors that the code spells out, and what could not be traced."""

    graph: Any
    literals: dict[str, Any]
    problems: list[Problem]


@contextmanager
def in_mode(module: Any, training: bool) -> Iterator[None]:
    """The module in one mode; each part as it was afterwards."""
    before = [(part, part.training) for part in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode


def trace(root: Any, training: bool) -> Trace:
    """Trace ``root.forward``. Sub-modules that cannot be traced become steps without a meaning and are reported, so
    that one pass finds all of them. Arguments that have plain defaults keep them."""
    import torch

    blocked: dict[Any, Problem] = {}

    own = get_ident()

    class Tracer(torch.fx.Tracer):
        """torch.fx replaces methods of all modules while it traces: what another thread calls is not traced."""

        def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
            return m in blocked or super().is_leaf_module(m, module_qualified_name)

        def call_module(self, m: Any, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return super().call_module(m, forward, args, kwargs) if get_ident() == own else forward(*args, **kwargs)

        def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
            return super().getattr(attr, attr_val, parameter_proxy_cache) if get_ident() == own else attr_val

    paths = {part: name for name, part in root.named_modules()}
    while root not in blocked:
        before = set(vars(root))
        try:
            with in_mode(root, training):
                graph = Tracer().trace(root, concrete_args=_defaults(root))
        except Exception as error:  # whatever forward() raises when it is given a proxy
            part, line = _culprit(error, root, paths, set(blocked))
            name = f"{paths[part] or 'forward()'} ({type(part).__name__}{line})"
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            blocked[part] = Problem(f"cannot be traced: {reason}", name, _HINT)
            continue
        finally:
            literals = {name: vars(root).pop(name) for name in set(vars(root)) - before}
        problems = _settle(graph, root)
        return Trace(graph, literals, [*blocked.values(), *problems])
    return Trace(None, {}, list(blocked.values()))


def _defaults(root: Any) -> dict[str, Any]:
    """Arguments of forward that have a plain default."""
    parameters = inspect.signature(root.forward).parameters.values()
    return {p.name: p.default for p in parameters if p.default is None or isinstance(p.default, (bool, int, float, str))}


def _culprit(error: BaseException, root: Any, paths: dict[Any, str], blocked: set[Any]) -> tuple[Any, str]:
    """The innermost of the user's modules in whose code an exception arose, and where."""
    import torch

    found, line = root, ""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        part = frame.f_locals.get("self")
        inside = str(frame.f_globals.get("__name__", "")).startswith("torch.")  # torch's own code around the user's
        if not inside and isinstance(part, torch.nn.Module) and part in paths and part not in blocked:
            found, line = part, f", {os.path.basename(frame.f_code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found, line


# --- in-place changes
def _changes(node: Any, root: Any) -> bool:
    """Does this step change its first argument?"""
    if node.op == "call_module":
        return bool(getattr(root.get_submodule(node.target), "inplace", False))
    if node.op == "call_function":
        flag = node.kwargs.get("inplace", False)
        position = inplace_position(node)
        if position is not None and len(node.args) > position:
            flag = node.args[position]
        return bool(flag) or bool(inplace_name(node))
    return bool(inplace_name(node))


def _settle(graph: Any, root: Any) -> list[Problem]:
    """Later uses of what was changed in place see the result; views of it must not be used again."""
    import torch

    order = {node: k for k, node in enumerate(graph.nodes)}
    problems = []
    views = {name for entry in FUNCTIONS.values() if entry.view for name in _short(entry.names)}

    def is_view(node: Any) -> bool:
        if node.op == "call_module":
            return isinstance(root.get_submodule(node.target), (torch.nn.Flatten, torch.nn.Identity, torch.nn.Unflatten))
        name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
        return node.op in ("call_method", "call_function") and (name in views or bool(inplace_name(node)))

    def origin(node: Any) -> Any:
        while is_view(node) and node.args and isinstance(node.args[0], torch.fx.Node):
            node = node.args[0]
        return node

    for node in list(graph.nodes):
        if not (_changes(node, root) and node.args and isinstance(node.args[0], torch.fx.Node)):
            continue
        base = node.args[0]
        at = order[node]
        source = origin(base)
        for other in list(order)[:at]:
            seen = [u for u in other.users if order[u] > at]
            if seen and other is not base and origin(other) is source:
                what = f"changes {source.name} in place, and {seen[0].name} uses another view of it"
                problems.append(Problem(what, node.name, "use the function without the underscore or inplace=True"))
        base.replace_all_uses_with(node, delete_user_cb=lambda user, at=at: order[user] > at)  # type: ignore[misc]
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    plain = _defaults(root)
    defaulted = {n for n, name in zip(inputs, inspect.signature(root.forward).parameters, strict=False) if name in plain}
    for node in reversed(list(graph.nodes)):
        asserts = node.op == "call_function" and getattr(node.target, "__name__", "") in ("_assert", "_assert_is_none")
        pure = node.op not in ("placeholder", "output")
        if asserts or (not node.users and (pure or node in defaulted)):
            graph.erase_node(node)
    return problems


def _short(names: tuple[str, ...]) -> Iterator[str]:
    return (name.rpartition(".")[2] for name in names)
