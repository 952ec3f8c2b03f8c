"""`from_torch`: the architecture travels in public, the weights as shares."""
from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from mpc import party
from mpc.errors import ConfigError, NotSupported
from mpc.interop.architecture import Architecture, Problem, decode
from mpc.interop.describe import describe
from mpc.interop.imported import Imported
from mpc.interop.weights import check_range, share_all
from mpc.party import Party
from mpc.transport import frames
from mpc.transport.frames import HEADER_WORDS, Kind


def from_torch(module: Any, owner: int | None = 0) -> Imported:
    """A torch module as a module of the engine, with the weights that ``owner`` has.

    At the owner ``module`` is a torch.nn.Module, fresh or trained; the others pass None, or a module of the same
    architecture whose weights are ignored. ``owner=None``: every party passes the same module and its weights are
    public; products with them are local, and they cannot be trained.

    Reveals to all parties: the architecture - layers, public hyper-parameters, shapes, the steps of ``forward``, numbers
    and tensors spelled out in its code, how many batches a batch norm has seen. It travels as plain data. Weights and
    buffers are shared at the session's scale, error 2^-17, |w| < 2^15 at 16 fraction bits. Rounds: three.

    torch.fx traces ``forward`` in training and in evaluation mode: its steps may depend on the mode and on shapes, not on
    values, and arguments that have a plain default keep it; no other thread may run the module meanwhile. The result is in the
    mode the owner's module is in.

    Raises at every party: NotSupported listing everything that is not supported, ConfigError when architectures differ,
    FixedPointRangeError for weights beyond the range.
    """
    here = party.current()
    with here.scope("from_torch"):
        if owner is None:
            return _public(here, module)
        if not isinstance(owner, (int, np.integer)) or not 0 <= owner < here.world_size:
            raise ConfigError(f"got owner {owner!r}; want a rank from 0 to {here.world_size - 1}, or None")
        mine, values = (None, None) if module is None else describe(module)
        if mine is None and here.rank == owner:
            raise ConfigError(f"party {owner} owns the model and gave None; want its torch.nn.Module")
        return imported(here, mine, values, int(owner))


def imported(here: Party, mine: Architecture | None, values: dict[str, Any] | None, owner: int) -> Imported:
    """`from_torch` of a module that is described already (None at a party that has none)."""
    found = exchange(here, mine, owner)
    if found.problems:
        raise NotSupported(listed(found.problems))
    if mine is not None and here.rank != owner:
        compare(mine, found, owner)
    model = Imported(found)
    here.sync(Kind.BARRIER, "from_torch", owner)  # whoever refuses it has said so by now
    model.set_weights(share_all(here, _shapes(found), values if here.rank == owner else None, owner))
    return model


def _shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Names and shapes of everything that is shared."""
    tensors = architecture.tensors.items()
    return {name: t.shape for name, t in tensors if not t.is_public and t.same_as is None}


def _public(here: Party, module: Any) -> Imported:
    """Every party has the module with its weights."""
    if module is None:
        raise ConfigError("from_torch(None, owner=None): public weights are everybody's; every party passes the module")
    architecture, values = describe(module)
    if architecture.problems:
        raise NotSupported(listed(architecture.problems))
    arrays = {}
    digest = hashlib.blake2b(architecture.encode(), digest_size=16)
    for name, value in values.items():
        check_range(name, value, here.frac_bits)
        arrays[name] = value.cpu().double().numpy()
        digest.update(arrays[name].tobytes())
    model = Imported(architecture)
    here.sync(Kind.BARRIER, "from_torch", digest.hexdigest())
    model.set_weights(arrays)
    return model


def exchange(here: Party, architecture: Architecture | None, owner: int) -> Architecture:
    """The owner's architecture at every party. Raises ConfigError for a description that is none."""
    op = here.next_op()
    here.note("from_torch", op, owner)
    frame = None
    size: tuple[int, ...] = ()
    if here.rank == owner:
        assert architecture is not None
        data = architecture.encode()
        frame, size = frames.new(-(-len(data) // 8)), (len(data),)
        frame[HEADER_WORDS:] = np.frombuffer(data.ljust(8 * (frame.size - HEADER_WORDS), b"\0"), np.uint64)
    shape, words = here.from_owner(owner, frame, size, op, Kind.BROADCAST, lambda size: -(-math.prod(size) // 8))
    data = words.tobytes()
    here.note("architecture", shape, hashlib.blake2b(data, digest_size=16).hexdigest())
    if len(shape) != 1 or not 0 <= len(data) - shape[0] < 8:
        raise ConfigError(f"the description of party {owner}'s model has {len(data)} bytes and says {shape}")
    return decode(data[: shape[0]])


def compare(mine: Architecture, theirs: Architecture, owner: int) -> None:
    """Raise ConfigError naming what differs between this party's module and the owner's."""

    def flat(a: Architecture) -> dict[str, Any]:
        out: dict[str, Any] = {f"layer {path}": (v.kind, v.options) for path, v in a.layers.items()}
        out |= {f"tensor {name}": t.shape for name, t in a.tensors.items()}
        out |= {f"step {s.name}": (s.op, s.target, s.args, s.kwargs) for s in a.steps}
        return out | {f"step {s.name} (evaluation)": (s.op, s.target, s.args, s.kwargs) for s in a.evaluation or ()}

    own, other = flat(mine), flat(theirs)
    differ = [name for name in (*own, *(n for n in other if n not in own)) if own.get(name) != other.get(name)]
    if differ:
        details = "; ".join(f"{n}: {_text(own.get(n))}, the owner's {_text(other.get(n))}" for n in differ[:5])
        more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
        raise ConfigError(f"this party's module has another architecture than party {owner}'s: {details}{more}")


def _text(found: Any) -> str:
    return "none" if found is None else str(found)


def listed(problems: tuple[Problem, ...]) -> str:
    """All problems, one a line."""
    head = f"{len(problems)} thing{'s' * (len(problems) > 1)} in this torch module cannot be imported:"
    return "\n  ".join([head, *map(str, problems)])


