"""A torch module as an `Architecture` and its tensors."""
from __future__ import annotations

import operator
from threading import Lock
from typing import Any

from mpc.errors import ConfigError
from mpc.interop.architecture import (
    MAX_LITERAL,
    Architecture,
    Arg,
    Dots,
    Group,
    Layer,
    Problem,
    Ref,
    Slice,
    Step,
    Tensor,
)
from mpc.interop.functions import FUNCTIONS, INSTEAD
from mpc.interop.layers import LAYERS, check_options, instead_of
from mpc.interop.names import function_of, inplace_position, shown
from mpc.interop.trace import trace

COUNTER = "num_batches_tracked"  # of batch norms: how many batches they have seen
TORCH = Lock()  # torch.fx patches torch while it traces, and modes change: one party of a process after the other


def describe(module: Any) -> tuple[Architecture, dict[str, Any]]:
    """The architecture (with every problem found, in both modes) and the torch tensors of its parameters and buffers.

    Raises ConfigError for what is no torch module.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ConfigError(f"got {type(module).__name__}; want a torch.nn.Module")
    if any(type(p).__name__ == "UninitializedParameter" for p in module.parameters()):
        raise ConfigError("the module has lazy layers; run it once in torch so that they have shapes")
    kind = type(module)
    alone = kind.__module__.startswith("torch.nn.modules") and not list(module.children())
    if alone and list(module.buffers()):  # they would change while its own forward is traced
        what = Problem(f"{kind.__name__} is one layer", "forward()", f"wrap it: torch.nn.Sequential({kind.__name__}(...))")
        return Architecture(kind.__name__, problems=(what,)), {}
    with TORCH:
        mode = module.training  # a trace in another thread would change it
        work = _Description(module)
        training, evaluation = work.steps(True), work.steps(False)
    architecture = Architecture(
        type(module).__name__,
        work.layers,
        work.tensors,
        training,
        None if training == evaluation else evaluation,
        mode,
        tuple(dict.fromkeys(work.problems)),
    )
    return architecture, work.values


class _Description:
    """What is found on the way through a module."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.layers: dict[str, Layer] = {}
        self.tensors: dict[str, Tensor] = {}
        self.values: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._first: dict[int, str] = {}
        for name, p in root.named_parameters(remove_duplicate=False):
            self._tensor(name, p, "parameter", p.requires_grad)
        for name, b in root.named_buffers(remove_duplicate=False):
            if b.is_floating_point():
                self._tensor(name, b, "buffer")
            elif name.rpartition(".")[2] == COUNTER:
                self.tensors[name] = Tensor((), "count", dtype="integer", values=(float(b),))

    def _tensor(self, name: str, value: Any, role: Any, trainable: bool = False) -> None:
        """Note a tensor that is somebody's secret."""
        if value.is_complex() or value.is_sparse or value.is_quantized:
            self.problems.append(Problem(f"a tensor of dtype {value.dtype}, {value.layout}", name, "want real dense numbers"))
            return
        first = self._first.setdefault(id(value), name)
        same = None if first == name else first
        self.tensors[name] = Tensor(tuple(value.shape), role, trainable, same, _dtype(value))
        if same is None:
            self.values[name] = value.detach()

    def steps(self, training: bool) -> tuple[Step, ...]:
        """The steps in one mode."""
        graph, literals, problems = trace(self.root, training)
        self.problems += problems
        blocked = {p.where.partition(" ")[0] for p in problems}
        if graph is None:
            self._all_layers("")
            return ()
        for path in blocked & {name for name, _ in self.root.named_modules()}:
            self._all_layers(path)
        out = []
        for node in graph.nodes:
            if node.op == "call_module" and node.target in blocked:
                continue
            step = getattr(self, f"_{node.op}")(node, literals) if node.op != "get_attr" else self._read(node, literals)
            if step is not None:
                out.append(step)
        return tuple(out)

    def _all_layers(self, path: str) -> None:
        """Report the unsupported layers of a part that cannot be traced."""
        for name, part in self.root.get_submodule(path).named_modules(prefix=path):
            leaf = type(part).__module__.startswith("torch.nn.") and not list(part.children())
            if leaf and type(part).__name__ not in ("Sequential", "ModuleList", "ModuleDict", "ParameterList"):
                self._layer(name, part)

    def _problem(self, what: str, where: str, instead: str = "") -> None:
        self.problems.append(Problem(what, where, instead))

    # --- nodes
    def _placeholder(self, node: Any, literals: Any) -> Step | None:
        if node.target.startswith("*"):
            self._problem(f"forward() takes {node.target}", "forward()", "name its arguments")
        return Step(node.name, "input")

    def _output(self, node: Any, literals: Any) -> Step | None:
        args = self._args(node, node.args)
        return None if args is None else Step(node.name, "output", "", args)

    def _read(self, node: Any, literals: dict[str, Any]) -> Step | None:
        """A parameter, a buffer, another tensor of the module, or one that the code spells out."""
        import torch

        name = node.target
        if name in literals:
            value = literals[name]
            flat = value.detach().double().flatten().tolist()
            if len(flat) > MAX_LITERAL:
                self._problem(f"a tensor of {len(flat)} numbers made in forward()", node.name, "make it a buffer")
                return None
            found = Tensor(tuple(value.shape), "literal", dtype=_dtype(value), values=tuple(flat))
            if self.tensors.setdefault(name, found) != found:  # the other mode has another one of this name
                name += "_evaluation"
                self.tensors[name] = found
        elif name not in self.tensors:
            value = operator.attrgetter(name)(self.root)
            if not isinstance(value, torch.Tensor):
                self._problem(f"reads {name}, a {type(value).__name__}", node.name)
                return None
            self._tensor(name, value, "buffer")
        return Step(node.name, "tensor", name)

    def _call_module(self, node: Any, literals: Any) -> Step | None:
        part = self.root.get_submodule(node.target)
        kind = type(part).__name__
        args = self._args(node, node.args)
        if not self._layer(node.target, part) or args is None:
            return None
        if node.kwargs or len(args) != 1:
            self._problem(f"{kind} called with {len(args)} arguments and {sorted(node.kwargs)}", node.target, "want one")
            return None
        return Step(node.name, "layer", node.target, args)

    def _layer(self, path: str, part: Any) -> bool:
        """Note a layer; False where it is not supported."""
        kind = type(part).__name__
        if path in self.layers:
            return True
        if kind not in LAYERS:
            self._problem(f"no layer {kind}", path, instead_of(kind))
            return False
        entry = LAYERS[kind]
        count = len(self.problems)
        for name, allowed in entry.limits.items():
            got = getattr(part, name, allowed[0])
            if got not in allowed:
                self._problem(f"{kind} with {name}={got!r}", path, f"want {' or '.join(map(repr, allowed))}")
        if part._forward_hooks or part._forward_pre_hooks:
            self._problem(f"{kind} with hooks", path, "remove them (remove_weight_norm() for weight_norm)")
        options: dict[str, Arg] = {name: self._arg(getattr(part, name), path) for name in entry.options if hasattr(part, name)}
        flags = {name: getattr(part, attribute, None) is not None for name, attribute in entry.flags.items()}
        options.update({name: False for name, there in flags.items() if not there})
        try:
            check_options(kind, options)
        except ConfigError as error:
            self._problem(str(error), path)
        if len(self.problems) > count:
            return False
        self.layers[path] = Layer(kind, options, part.training)
        return True

    def _call_function(self, node: Any, literals: Any) -> Step | None:
        """A function or method, also in its variant that works in place."""
        function, text = function_of(node), shown(node)
        if function is None:
            hint = INSTEAD.get(text.rpartition(".")[2].strip("_"), "write it with other functions")
            self._problem(f"no function {text}", node.name, hint)
            return None
        args, position = node.args, inplace_position(node)
        if position is not None:
            args = args[:position] + args[position + 1 :]
        args = self._args(node, args)
        named = {name: self._arg(value, node) for name, value in node.kwargs.items()}
        if args is None:
            return None
        try:
            args, named = FUNCTIONS[function].bind(args, named)
        except TypeError as error:
            self._problem(f"{function}(): {error}", node.name)
            return None
        return Step(node.name, "call", function, tuple(args), named)

    _call_method = _call_function

    # --- arguments
    def _args(self, node: Any, args: Any) -> tuple[Arg, ...] | None:
        before = len(self.problems)
        out = tuple(self._arg(arg, node) for arg in args)
        return out if len(self.problems) == before else None

    def _arg(self, arg: Any, node: Any) -> Arg:
        """An argument as plain data."""
        import torch

        if arg is None or isinstance(arg, (bool, int, float, str)):
            return arg
        if isinstance(arg, torch.fx.Node):
            return Ref(arg.name)
        if isinstance(arg, (tuple, list)):
            return Group(tuple(self._arg(item, node) for item in arg), isinstance(arg, list))
        if isinstance(arg, slice):
            return Slice(*(self._arg(part, node) for part in (arg.start, arg.stop, arg.step)))
        if arg is Ellipsis:
            return Dots()
        if isinstance(arg, (torch.dtype, torch.device, torch.memory_format)):
            return None  # values are fixed-point whatever torch calls them
        self._problem(f"an argument of type {type(arg).__name__}", getattr(node, "name", str(node)))
        return None


def _dtype(value: Any) -> Any:
    return "real" if value.is_floating_point() else "truth" if str(value.dtype) == "torch.bool" else "integer"
