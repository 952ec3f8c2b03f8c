"""Names of masks: evaluating a moved name equals moving the evaluated mask, for any chain of linear maps."""
from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc import masks
from mpc.errors import CorruptFrame
from mpc.masks import Joined, Mask, Moved
from mpc.sharing import Opened, Share, concatenate

rng = np.random.default_rng(0)
BASE = {(1, 0): rng.integers(0, 1 << 63, (4, 6), np.uint64), (2, 0): rng.integers(0, 1 << 63, (3, 6), np.uint64)}


def expand(mask: Mask) -> np.ndarray:
    return BASE[mask.op, mask.tensor].reshape(mask.shape)


def opened(op: int) -> Share:
    base = BASE[op, 0]
    return Share(base * np.uint64(3), 16, Opened(base + np.uint64(7), Mask(op, 0, base.shape)))


moves = st.lists(
    st.sampled_from(
        [
            lambda s: s.reshape((s.size,)),
            lambda s: s.transpose(tuple(reversed(range(len(s.shape))))),
            lambda s: -s,
            lambda s: s.times(12345),
            lambda s: s[..., ::-1],
            lambda s: s[np.array([0, 0, -1])],
            lambda s: s[None],
            lambda s: s.broadcast_to((2, *s.shape)),
            lambda s: s[np.arange(s.shape[0]) % 2 == 0],
        ]
    ),
    max_size=5,
)


@given(moves)
def test_opened_form_words_and_name_move_alike(chain: list) -> None:
    x = opened(1)
    assert x.opened is not None
    raw, public = x.words, x.opened.public
    for move in chain:
        x = move(x)
        raw, public = move(Share(raw, 16)).words, move(Share(public, 16)).words
    assert x.opened is not None
    np.testing.assert_array_equal(x.words, raw)
    np.testing.assert_array_equal(x.opened.public, public)
    wire = msgspec.msgpack.decode(msgspec.msgpack.encode(x.opened.name), type=masks.Name)
    mask = BASE[1, 0]
    for move in chain:
        mask = move(Share(mask, 16)).words
    np.testing.assert_array_equal(masks.evaluate(wire, expand), mask)


def test_concatenation_carries_the_opened_forms() -> None:
    joined = concatenate([opened(1), opened(2)], 0)
    assert joined.opened is not None and isinstance(joined.opened.name, Joined)
    np.testing.assert_array_equal(masks.evaluate(joined.opened.name, expand), np.concatenate([BASE[1, 0], BASE[2, 0]]))
    half = concatenate([opened(1), Share(BASE[2, 0], 16)], 0)
    assert half.opened is None


@pytest.mark.parametrize(
    "index", [3, slice(1, None, 2), (slice(None), 2), (None, Ellipsis), np.array([1, 0]), (np.array([0, 1]), 2)]
)
def test_index_expressions_survive_the_wire(index: object) -> None:
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(masks.pack_index(index)))
    np.testing.assert_array_equal(BASE[1, 0][masks.unpack_index(packed)], BASE[1, 0][index])


def test_bad_names_are_refused() -> None:
    deep = Mask(1, 0, (4, 6))
    for _ in range(masks.MAX_DEPTH + 2):
        deep = Moved(deep, "scale", 1)
    with pytest.raises(CorruptFrame, match="deeper"):
        masks.evaluate(deep, expand)
    with pytest.raises(CorruptFrame, match="moved by"):
        masks.evaluate(Moved(Mask(1, 0, (4, 6)), "execute", None), expand)
    with pytest.raises(CorruptFrame, match="index item"):
        masks.unpack_index([["object", 1]])
