"""What is refused, at every party: modules that cannot be imported, and modules that do not fit."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from tests.interop.models import CASES

torch = pytest.importorskip("torch", reason="models come from torch")
nn = torch.nn


def run(program: Callable[[], Any], parties: int = 2) -> list[Any]:
    return mpc.local(program, parties=parties, threads=True)


def errors(make: Callable[[int], Any], owner: int | None = 0, parties: int = 2) -> list[tuple[type, str]]:
    """Which error from_torch raises at each party, and what it says. ``make``: rank to module."""
    found: dict[int, tuple[type, str]] = {}

    def program() -> None:
        rank = -1
        try:
            with mpc.session() as s:
                rank = s.rank
                mpc.nn.from_torch(make(rank), owner)
        except mpc.MPCError as error:
            found[rank] = (type(error), str(error))

    run(program, parties)
    return [found[rank] for rank in sorted(found)]


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.elu, self.fine = nn.ELU(), nn.Linear(2, 2)

    def forward(self, x: Any) -> Any:
        return self.elu(x) if x.sum() > 0 else self.fine(x)


class Bad(nn.Module):
    """Every kind of obstacle, each of which would hide the next one if the first stopped the search."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.group = nn.LSTM(4, 4), nn.GroupNorm(2, 4)
        self.conv = nn.Conv2d(1, 2, 3, padding_mode="circular")
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.hooked = nn.Linear(4, 4)
        self.hooked.register_forward_hook(lambda *_: None)
        self.inner = Inner()
        self.unused = nn.Mish()

    def forward(self, x: Any) -> Any:
        x = self.group(self.pool(self.conv(x)))
        x = torch.cumsum(x, 1)
        x = nn.functional.max_pool2d(x, 2, ceil_mode=True).logsumexp(1)
        x, _ = self.lstm(self.hooked(self.inner(x)))
        y = x[0]
        y.relu_()
        return torch.softmax(x + float("inf"), 1, dtype=torch.float64)


OBSTACLES = [
    "Inner, test_refusals.py", "inner.elu: no layer ELU; use ReLU", "conv: Conv2d with padding_mode='circular'; want 'zeros'",
    "pool: MaxPool2d with ceil_mode=True", "group: no layer GroupNorm; use", "no function torch.cumsum",
    "max_pool2d(): ceil_mode=True; want False", "no function Tensor.logsumexp", "hooked: Linear with hooks",
    "lstm: no layer LSTM; unroll", "changes lstm in place, and add uses another view", "the number inf",
]  # fmt: skip


@pytest.mark.parametrize("owner", [1, None])
def test_everything_unsupported_is_listed_at_once_at_every_party(owner: int | None) -> None:
    got = errors(lambda rank: Bad() if owner is None or rank == owner else None, owner, 3)
    assert len(got) == 3
    for kind, text in got:
        assert kind is mpc.NotSupported
        assert [part for part in OBSTACLES if part not in text] == []
        assert text.startswith(f"{len(OBSTACLES)} things") and "Mish" not in text and "fine" not in text


def test_architectures_that_differ() -> None:
    got = errors(lambda rank: nn.Sequential(nn.Linear(3, 4 + (rank == 2)), nn.ReLU()), 0, 3)
    assert [kind for kind, _ in got] == [mpc.ConfigError] * 3
    assert "0.weight: (5, 3), the owner's (4, 3)" in got[2][1] and "party 2" in got[0][1] and "party 2" in got[1][1]


def test_same_architecture_with_other_weights_is_the_owners() -> None:
    module, other = CASES[0].module(torch), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()

    def program() -> Any:
        with mpc.session() as s:
            return mpc.nn.from_torch(module if s.rank == 0 else other).reveal()

    for got in run(program, 3):
        assert all(np.array_equal(got[name], p.detach().numpy()) for name, p in module.named_parameters())


def test_public_weights_that_differ() -> None:
    modules = [nn.Linear(3, 2), nn.Linear(3, 2)]
    assert [kind for kind, _ in errors(lambda rank: modules[rank], None)] == [mpc.ProgramMismatch] * 2


@pytest.mark.parametrize("make,owner,kind,text", [
    (lambda rank: None, 0, mpc.ConfigError, "party 0 owns the model"),
    (lambda rank: None, None, mpc.ConfigError, "owner=None"),
    (lambda rank: "model.pt", 0, mpc.ConfigError, "got str"),
    (lambda rank: nn.Linear(2, 2), 7, mpc.ConfigError, "owner 7"),
    (lambda rank: nn.LazyLinear(2), 0, mpc.ConfigError, "lazy"),
    (lambda rank: nn.BatchNorm1d(2), 0, mpc.NotSupported, "wrap it: torch.nn.Sequential(BatchNorm1d(...))"),
    (lambda rank: large() if rank == 0 else None, 0, mpc.FixedPointRangeError, "bias: value np.float64(40000.0) at index (1,)"),
    (lambda rank: large(), None, mpc.FixedPointRangeError, "bias: value np.float64(40000.0)"),
], ids=["none", "nobody", "a path", "rank", "lazy", "one layer", "range", "public range"])  # fmt: skip
def test_mistakes(make: Any, owner: int | None, kind: type, text: str) -> None:
    got = errors(make, owner)
    assert [k for k, _ in got] == [kind] * 2 and text in got[0][1]


def large() -> Any:
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.bias[1] = 40000.0
    return module


# --- the way back
@pytest.mark.parametrize("into,text", [
    (lambda: nn.Linear(6, 8), "lacks"),
    (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)), "shape (4, 8)"),
    (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.Linear(1, 1)), "the model lacks ['3.bias'"),
    (lambda: "model.pt", "got into=str"),
])  # fmt: skip
def test_a_module_that_does_not_fit_is_refused_before_anything_opens(into: Any, text: str) -> None:
    module, target = CASES[0].module(torch), into()

    def program() -> None:
        with mpc.session() as s:
            model = mpc.nn.from_torch(module if s.rank == 0 else None)
            try:
                model.reveal(to=0, into=target if s.rank == 0 else None)
            finally:
                assert s.rank or not s.report().ledger

    with pytest.raises((mpc.ConfigError, mpc.ShapeError)) as caught:
        run(program)
    assert text in str(caught.value)
