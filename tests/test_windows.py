"""Windows: names of masks move as arrays do, `fold` is the transpose of `unfold`, nonsense is refused."""
from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from mpc import masks, windows
from mpc.errors import CorruptFrame
from mpc.masks import Mask, Moved
from mpc.sharing import Opened, Share
from mpc.windows import Window

rng = np.random.default_rng(0)
WINDOWS = [
    Window(3, 2),
    Window(2, 2, 2, 2),
    Window(1, 3, 3, 1),
    Window(2, 2, 1, 2, 2, 1),
    Window(6, 5),
    Window(2, 2, 4, 3),
]


def words(*shape: int) -> np.ndarray:
    return rng.integers(0, 1 << 63, shape, np.uint64)


@pytest.mark.parametrize("window", WINDOWS)
def test_every_window_is_what_indexing_gives(window: Window) -> None:
    x = words(2, 3, 6, 5)
    seen = windows.unfold(x, tuple(window))
    rows, columns = window.positions(6, 5)
    assert seen.shape == (2, 3, rows, columns, window.height, window.width)
    for i in range(rows):
        for j in range(columns):
            top, left = i * window.down, j * window.right
            down = slice(top, top + window.row_gap * (window.height - 1) + 1, window.row_gap)
            right = slice(left, left + window.column_gap * (window.width - 1) + 1, window.column_gap)
            np.testing.assert_array_equal(seen[:, :, i, j], x[:, :, down, right])
    np.testing.assert_array_equal(windows.sums(x, window), seen.sum((-2, -1)))
    with pytest.raises(ValueError, match="read-only"):
        seen[0] = 0


@pytest.mark.parametrize("window", WINDOWS)
def test_fold_is_the_transpose(window: Window) -> None:
    x, y = words(2, 6, 5), words(2, *window.positions(6, 5), window.height, window.width)
    with np.errstate(over="ignore"):
        there = (windows.unfold(x, tuple(window)) * y).sum()
        back = (x * windows.fold(y, window, 6, 5)).sum()
    assert there == back


@pytest.mark.parametrize("window", WINDOWS)
def test_the_opened_form_and_its_name_move_alike(window: Window) -> None:
    a, e = words(2, 3, 6, 5), words(2, 3, 6, 5)
    x = Share(words(2, 3, 6, 5), 16, Opened(e, Mask(1, 0, a.shape)))
    moved = x.move("pad", (1, 0, 2, 1)).move("unfold", tuple(window))
    assert moved.opened is not None
    wire = msgspec.msgpack.encode(moved.opened.name)
    assert len(wire) < 100
    name: Any = msgspec.msgpack.decode(wire, type=masks.Name)
    np.testing.assert_array_equal(
        masks.evaluate(name, lambda mask: a), windows.unfold(windows.pad(a, (1, 0, 2, 1)), tuple(window))
    )
    np.testing.assert_array_equal(
        moved.opened.public, windows.unfold(windows.pad(e, (1, 0, 2, 1)), tuple(window))
    )


@pytest.mark.parametrize(
    "kind,arg",
    [
        ("pad", [1, 1, 1]),
        ("pad", [1, 1, 1, -1]),
        ("pad", [1.0, 1, 1, 1]),
        ("pad", ["1", 1, 1, 1]),
        ("pad", [1 << 31, 0, 1 << 31, 0]),
        ("pad", None),
        ("unfold", [2, 2, 1, 1, 1]),
        ("unfold", [2, 2, 0, 1, 1, 1]),
        ("unfold", [7, 2, 1, 1, 1, 1]),
        ("unfold", [2, 2, 1, 1, 6, 1]),
        ("unfold", [1 << 40, 2, 1, 1, 1, 1]),
        ("unfold", {"height": 2}),
    ],
)
def test_the_dealer_refuses_nonsense(kind: str, arg: Any) -> None:
    name = Moved(Mask(1, 0, (2, 6, 5)), kind, arg)
    with pytest.raises(CorruptFrame):
        masks.evaluate(name, lambda mask: words(*mask.shape))


def test_the_dealer_refuses_windows_that_grow_beyond_memory() -> None:
    wide = np.broadcast_to(np.uint64(0), (1 << 20, 64, 64))
    with pytest.raises(CorruptFrame, match="words"):
        windows.unfold(wide, (32, 32, 1, 1, 1, 1))
    with pytest.raises(CorruptFrame, match="axes"):
        windows.unfold(np.zeros(5, np.uint64), (1, 1, 1, 1, 1, 1))
