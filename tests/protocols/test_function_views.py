"""What function kernels put on the wire is uniform for every coalition, each by itself and any two together.

Every frame between parties is recorded. A mask, a dealt bit or a tree that served two values would leave each of the two
openings uniform, but not their difference: with fixed secrets that is constant (or, for chunks, biased).
"""
from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpc import prg
from mpc.functions.fits import RECIPROCAL, SIGMOID
from mpc.masks import Mask
from mpc.preprocessing.base import BIT, MASK
from mpc.protocols.comparison import Comparison
from mpc.protocols.series import NONPOSITIVE, QUARTER
from mpc.transport import frames
from mpc.transport.frames import HEADER_BYTES, Kind
from mpc.transport.memory import MemoryTransport
from tests.protocols.programs import run, shares_of, words
from tests.protocols.test_views import LANES, assert_fair, assert_uniform

ONE = 1 << 16
EXTREMES = [0, -1, -(1 << 61), (1 << 61) + 12_345]

PROGRAMS: dict[str, tuple[Callable[..., Any], list[int]]] = {
    "exp": (lambda k, x: k.exp(x, QUARTER, 22), [*EXTREMES, -4 * ONE, -4 * ONE - 1, 5 * ONE // 2, 5 * ONE // 2 - 1]),
    "exp, bounded": (lambda k, x: k.exp(x, NONPOSITIVE, 18, True), [0, -1, -16 * ONE, -(1 << 61)]),
    "largest of 8": (lambda k, x: k.largest(x.reshape((8, LANES // 8))), EXTREMES),
    "largest of 4": (lambda k, x: k.largest(x.reshape((4, LANES // 4))), EXTREMES),
    "at_least": (lambda k, x: k.at_least(x, [-ONE, 0, 1, ONE]), EXTREMES),
    "at_least, one twice": (lambda k, x: k.at_least(x, [5, 5]), [5, 4]),
    "series": (lambda k, x: k.series(x, RECIPROCAL), EXTREMES),
    "saturated": (lambda k, x: k.saturated(x, SIGMOID, 16), [*EXTREMES, 10 * ONE, 10 * ONE - 1]),
    "windows": (
        lambda k, x: k.relu(x.reshape((16, 32, 32)).move("pad", [1, 1, 1, 1]).move("unfold", [2, 2, 2, 2, 1, 1]), 16),
        EXTREMES,
    ),
    "one opening, all kernels": (
        lambda k, x: (k.exp(x, QUARTER, 22), k.saturated(x, SIGMOID, 16), k.at_least(x, [0]), k.relu(x), k.is_zero(x)),
        [0, -1],
    ),
}


class Wire:
    """What every party sent to the others, and which dealt bits hid its planes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.frames: dict[int, list[tuple[frames.Header, np.ndarray]]] = defaultdict(list)
        self.bits: dict[int, list[tuple[int, int, int]]] = defaultdict(list)  # (frame, plane in it, operation of s)
        send, masked = MemoryTransport.send, Comparison.masked_bits

        def recorded(transport: MemoryTransport, peer: int, frame: Any) -> None:
            data = frame if isinstance(frame, bytes) else frame.tobytes()
            header = frames.unpack(data)
            once = peer == (transport.rank + 1) % transport.world_size  # all peers get the same
            if once and transport.rank < transport.world_size and header.kind in (Kind.OPEN, Kind.BITS):
                self.frames[transport.rank].append((header, np.frombuffer(data, "<u8", offset=HEADER_BYTES).copy()))
            send(transport, peer, frame)

        def noted(kernels: Comparison, planes: Any, ops: Any) -> Any:
            self.bits[kernels.party.rank] += [(len(self.frames[kernels.party.rank]), k, op) for k, op in enumerate(ops)]
            return masked(kernels, planes, ops)

        monkeypatch.setattr(MemoryTransport, "send", recorded)
        monkeypatch.setattr(Comparison, "masked_bits", noted)


def planes_of(header: frames.Header, payload: np.ndarray) -> list[np.ndarray]:
    """The single planes of a frame of bits."""
    shape = header.shape
    width = shape[-1] if payload.size == int(np.prod(shape)) else -(-shape[-1] // 64)
    return list(payload.reshape(-1, width))


CASES = [(name, v, n, "uniform") for name, (_, values) in PROGRAMS.items() for v in values for n in (2, 3)]
CASES += [(name, values[-1], 3, "zeros") for name, (_, values) in PROGRAMS.items()]  # one party's words are the secret


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize(("name", "secret", "n", "sharing"), CASES)
def test_all_that_is_sent_is_uniform_and_no_two_openings_share_a_mask(
    name: str, secret: int, n: int, sharing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(monkeypatch)
    kernel, _ = PROGRAMS[name]

    def program(s, a):
        kernel(s.protocol, a.rescaled(16))
        mine = list(wire.frames[s.rank])
        masks = [s.expand(Mask(h.op, MASK, (w.size,))) for h, w in mine if h.kind == Kind.OPEN]
        bits = {
            (at, k): prg.words(s.dealt, op, BIT, len(planes_of(*mine[at])[k])) for at, k, op in wire.bits[s.rank]
        }
        return masks, bits

    views = run(program, n, shares_of(words(np.full(LANES, secret)), n, sharing))
    sent = [wire.frames[rank] for rank in range(n)]
    assert len({tuple((h.kind, h.op, h.shape) for h, _ in frames_) for frames_ in sent}) == 1
    opened, planes = [], []
    for at, parts in enumerate(zip(*sent, strict=True)):
        header = parts[0][0]
        payloads = [w for _, w in parts]
        what = f"{name}, {header.kind} {header.op}"
        for rank, payload in enumerate(payloads):
            (assert_uniform if header.kind == Kind.OPEN else assert_fair)(payload, f"{what} from {rank}")
        if header.kind == Kind.OPEN:
            e = np.sum(payloads, axis=0, dtype=np.uint64)
            assert_uniform(e, what)
            for coalition in itertools.combinations(range(n), n - 1):
                known = sum(views[i][0][len(opened)] for i in coalition)
                assert_uniform(e + known, f"{what} with the masks of {coalition}")
            opened.append(e)
        else:
            for k, plane in enumerate(planes_of(header, np.bitwise_xor.reduce(payloads))):
                assert_fair(plane, f"{what}, plane {k}")
                if (at, k) in views[0][1]:
                    for coalition in itertools.combinations(range(n), n - 1):
                        known = np.bitwise_xor.reduce([views[i][1][at, k] for i in coalition])
                        assert_fair(plane ^ known, f"{what}, plane {k} with the bits of {coalition}")
                planes.append((f"{header.op}.{at}.{k}", plane))
    for e, f in itertools.combinations(opened, 2):
        if e.size == f.size:
            assert_uniform(e - f, f"{name}: difference of two openings")
    for (a, p), (b, q) in itertools.combinations(planes, 2):
        if p.size == q.size:
            assert_fair(p ^ q, f"{name}: planes {a} and {b}")
    numbers = [op for _, _, op in wire.bits[0]]
    assert len(set(numbers)) == len(numbers), "a dealt bit hides two values"
