"""An `Architecture` with weights as a module of the engine: an interpreter of its steps."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mpc import party
from mpc.errors import ConfigError, MPCError, ShapeError
from mpc.fixed_point import as_array
from mpc.interop.architecture import Architecture, Arg, Dots, Group, Ref, Slice, Step, Tensor, used
from mpc.interop.functions import FUNCTIONS, secret
from mpc.interop.layers import LAYERS, PublicBatchNorm, build
from mpc.nn.module import Module, Parameter
from mpc.tensor import SecretTensor


class Part(Module):
    """A part of an imported model that only holds others: it has no forward of its own here."""


class Imported(Module):
    """A model that came from torch: trains and predicts as modules written for the engine do.

    Parameters and buffers have torch's names. Inputs may be secret or public (a product of public input and secret
    weights is local). A step that fails says where it stands in the model.
    """

    def __init__(self, architecture: Architecture) -> None:
        """Layers with fresh weights. Raises ConfigError naming what the engine does not have."""
        super().__init__()
        self.architecture = architecture
        self._paths: dict[str, Module] = {"": self}
        self._plain: dict[str, Any] = {}  # tensors that are public
        self._ends: dict[int, list[list[str]]] = {}
        object.__setattr__(self, "_label", architecture.name)
        for path, layer in architecture.layers.items():
            self._place(path, build(path, layer))
        for name, tensor in architecture.tensors.items():
            if tensor.role == "literal":
                self._plain[name] = np.asarray(tensor.values, _DTYPES[tensor.dtype]).reshape(tensor.shape)
        for steps in (architecture.steps, architecture.evaluation or ()):
            for step in steps:
                if step.op == "call":
                    if step.target not in FUNCTIONS:
                        raise ConfigError(f"{step.name}: no function {step.target}")
                    try:
                        FUNCTIONS[step.target].bind(step.args, step.kwargs)
                    except TypeError as error:
                        raise ConfigError(f"{step.name}: {step.target}(): {error}") from None
        object.__setattr__(self, "training", architecture.training)

    # --- building
    def _place(self, path: str, module: Module) -> None:
        parent, name = self._parent(path)
        setattr(parent, name, module)
        object.__setattr__(module, "_label", f"{path}:{type(module).__name__}")
        self._paths[path] = module

    def _parent(self, path: str) -> tuple[Module, str]:
        """The module that holds ``path``, made where it is missing, and the last name."""
        above, _, name = path.rpartition(".")
        if above not in self._paths:
            self._place(above, Part())
        return self._paths[above], name

    def set_weights(self, values: Mapping[str, Any]) -> None:
        """Put secret tensors (or public arrays) in the places of all tensors of the architecture that are no literals.

        Raises ConfigError, ShapeError unless every layer gets exactly the tensors that it has.
        """
        tensors = {n: t for n, t in self.architecture.tensors.items() if t.role != "literal"}
        placed: dict[str, Any] = {}
        wanted = {f"{path}.{name}" for path in self.architecture.layers for name in _own(self._paths[path])}
        missing = sorted(wanted - tensors.keys())
        if missing:
            raise ConfigError(f"the description has layers without {', '.join(missing)}")
        for name, tensor in tensors.items():
            parent, last = self._parent(name)
            if isinstance(parent, Module) and type(parent) is not Part and parent is not self:
                have = _own(parent).get(last)
                if have is None:
                    raise ConfigError(f"{name}: {type(parent).__name__} has no tensor of that name")
                if isinstance(have, int) != (tensor.role == "count"):
                    raise ConfigError(f"{name}: a {tensor.role}; the layer wants {type(have).__name__}")
                if not isinstance(have, int) and tuple(have.shape) != tensor.shape:
                    raise ShapeError(f"{name}: shape {tensor.shape}; the layer wants {tuple(have.shape)}")
            if tensor.role == "count":
                parent.register_buffer(last, int(tensor.values[0]))
                continue
            value = placed[tensor.same_as] if tensor.same_as else self._value(tensor, values[name], name)
            placed[name] = value
            if isinstance(value, np.ndarray):
                self._plain[name] = value
                setattr(parent, last, value)
            elif isinstance(value, Parameter):
                setattr(parent, last, value)
            else:
                parent.register_buffer(last, value)
        for path, layer in self.architecture.layers.items():
            if layer.kind.startswith("BatchNorm") and not any(isinstance(v, SecretTensor) for v in values.values()):
                self._place(path, PublicBatchNorm(self._paths[path]))

    def _value(self, tensor: Tensor, value: Any, name: str) -> Any:
        """A parameter, a buffer, or a public array where it is public and the layer takes one."""
        layer = self.architecture.layers.get(name.rpartition(".")[0])
        if not isinstance(value, SecretTensor) and (layer is None or LAYERS[layer.kind].weights):
            return as_array(value)
        return Parameter(value, tensor.trainable) if tensor.role == "parameter" else secret(value)

    # --- running
    def _steps(self) -> tuple[Step, ...]:
        steps = self.architecture.steps
        return steps if self.training or self.architecture.evaluation is None else self.architecture.evaluation

    def forward(self, *inputs: Any) -> Any:
        """What the torch module's forward computes. Raises ConfigError for another number of inputs."""
        steps = self._steps()
        wanted = [step.name for step in steps if step.op == "input"]
        if len(inputs) != len(wanted):
            raise ConfigError(f"{self._label} got {len(inputs)} inputs; want {len(wanted)}: {', '.join(wanted)}")
        given = iter(inputs)
        values: dict[str, Any] = {}
        for step, ends in zip(steps, self._last_uses(steps), strict=True):
            try:
                values[step.name] = self._run(step, values, given)
            except MPCError as error:
                what = self._paths[step.target]._label if step.op == "layer" else step.target or step.op
                error.add_note(f"in step {step.name} ({what}) of {self._label}")
                raise
            for name in ends:
                del values[name]
        return values[steps[-1].name]

    def _last_uses(self, steps: tuple[Step, ...]) -> list[list[str]]:
        """Which values each step uses as the last one: they are let go."""
        found = self._ends.get(id(steps))
        if found is None:
            last = {name: k for k, step in enumerate(steps) for name in (step.name, *used(step))}
            found = [[name for name, at in last.items() if at == k] for k in range(len(steps))]
            found[-1] = [name for name in found[-1] if name != steps[-1].name]
            self._ends[id(steps)] = found
        return found

    def _run(self, step: Step, values: Mapping[str, Any], given: Iterator[Any]) -> Any:
        if step.op == "input":
            x = next(given)
            return x if isinstance(x, SecretTensor) else as_array(x)
        args = [resolved(arg, values) for arg in step.args]
        if step.op == "output":
            return args[0]
        if step.op == "tensor":
            return self._tensor(step.target)
        if step.op == "layer":
            layer = self._paths[step.target]
            public = LAYERS[self.architecture.layers[step.target].kind].public
            return layer(args[0] if public else secret(args[0]))
        entry = FUNCTIONS[step.target]
        kwargs = {name: resolved(arg, values) for name, arg in step.kwargs.items()}
        if entry.free:
            return entry.apply(*args, **kwargs)
        with party.current().scope(f"{step.name}:{entry.name}", layer=True):
            return entry.apply(*args, **kwargs)

    def _tensor(self, name: str) -> Any:
        if name in self._plain:
            return self._plain[name]
        parent, last = self._parent(name)
        return getattr(parent, last)


_DTYPES = {"real": np.float64, "integer": np.int64, "truth": np.bool_}


def _own(module: Module) -> dict[str, Any]:
    """Parameters and buffers of one module, without those below it."""
    return {**module._parameters, **module._buffers}


def resolved(arg: Arg, values: Mapping[str, Any]) -> Any:
    """An argument with the values it refers to."""
    if isinstance(arg, Ref):
        return values[arg.name]
    if isinstance(arg, Group):
        items = [resolved(item, values) for item in arg.items]
        return items if arg.mutable else tuple(items)
    if isinstance(arg, Slice):
        return slice(*(resolved(part, values) for part in (arg.start, arg.stop, arg.step)))
    return Ellipsis if isinstance(arg, Dots) else arg
