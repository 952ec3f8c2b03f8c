"""A protocol that notes which kernels are called, and which of their shares were open already."""
from __future__ import annotations

from collections import Counter
from typing import Any

from mpc.sharing import Share

KERNELS = (
    "mul", "mul_truncated", "square", "matmul", "truncate", "negative", "is_zero", "relu", "at_least", "series", "saturated",
    "exp", "largest", "open",
)  # fmt: skip


class Recorder:
    """Stands in for ``party.protocol``: ``calls`` is a list of (kernel, opened before? per share)."""

    def __init__(self, party: Any) -> None:
        self._inner = party.protocol
        self.calls: list[tuple[str, tuple[bool, ...]]] = []
        party.protocol = self

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._inner, name)
        if name not in KERNELS:
            return function

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, tuple(a.opened is not None for a in args if isinstance(a, Share))))
            return function(*args, **kwargs)

        return noted

    def counts(self) -> dict[str, int]:
        """Calls by kernel since the last `clear`."""
        return dict(Counter(name for name, _ in self.calls))

    def clear(self) -> None:
        self.calls.clear()
