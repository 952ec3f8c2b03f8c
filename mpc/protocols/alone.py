"""What one party holds alone it computes alone: kernels on inputs that met no other secret cost nothing and reveal nothing."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from mpc.fixed_point import Words
from mpc.masks import Shape
from mpc.protocols.clear import Clear
from mpc.protocols.series import Series
from mpc.sharing import Share

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


class Alone(Clear):
    """The plaintext twin as an owner runs it: without range checks, whose errors would tell the others."""

    def _check(self, what: str, real: np.ndarray, scale: int, bits: int, shift: int = 0) -> None:
        pass

    def _truncated(self, x: Share, bits: int) -> Share:
        """To the nearest: unbiased, as truncations on shares are."""
        return super()._truncated(Share(x.words + np.uint64(1 << (bits - 1)), x.scale), bits)

    def truncate(self, x: Share, bits: int, exact: bool = False) -> Share:
        with self.party.scope("truncate"):
            return super()._truncated(x, bits) if exact else self._truncated(x, bits)


def alone(kernel: Kernel) -> Kernel:
    """A kernel that the owner of its first operand, if there is one, computes by itself; the others hold zeros in its shape."""

    @wraps(kernel)
    def run(self: Any, x: Share, *args: Any, **options: Any) -> Any:
        owner = x.owner
        if owner is None:
            return kernel(self, x, *args, **options)
        party = self.party
        party.note(kernel.__name__, "alone", owner, x.shape, x.scale, [_public(arg) for arg in (*args, *options.values())])
        result = getattr(Alone(party), kernel.__name__)(x, *args, **options)
        if isinstance(result, tuple):
            return tuple(held(part, owner, party.rank) for part in result)
        return held(result, owner, party.rank)

    return run  # type: ignore[return-value]


def _public(arg: Any) -> Any:
    """What the transcript holds of a kernel's public argument."""
    return arg.key if isinstance(arg, Series) else tuple(arg) if isinstance(arg, Sequence) else arg


def held(result: Share, owner: int, rank: int) -> Share:
    """The result of what ``owner`` computed; zeros elsewhere."""
    return owned(result.words if rank == owner else None, result.shape, result.scale, owner)


def owned(words: Words | None, shape: Shape, scale: int, owner: int) -> Share:
    """What ``owner`` holds alone: its words there, and None elsewhere, where zeros without memory (read-only) stand."""
    return Share(np.broadcast_to(np.uint64(0), shape) if words is None else np.asarray(words), scale, owner=owner)
