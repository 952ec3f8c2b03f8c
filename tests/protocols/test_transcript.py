"""A fixed-seed transcript: with the entropy replaced by a counter, every byte between the processes is known.

A refactoring must not change it; a change of protocol does, and then the new digest goes here with the reason.
"""
from __future__ import annotations

import hashlib
from collections import defaultdict

import numpy as np
import pytest

import mpc
from mpc import prg
from mpc.functions.fits import RECIPROCAL, SIGMOID
from mpc.protocols.series import QUARTER
from mpc.session import LAUNCH
from mpc.sharing import add
from mpc.transport.frames import KIND_AT, Kind
from mpc.transport.memory import MemoryTransport

DIGESTS = {2: "c4903fcf97c8931aff66dc0a73f1689a", 3: "0591b9f06ba09f47c30a150d026dcb75"}


def program(s):
    k = s.protocol
    z = s.share(np.linspace(1, 2, 70) if s.rank == 1 else None, owner=1)
    x = add(s.share(np.linspace(-3, 3, 70) if s.rank == 0 else None, owner=0), z)  # held by both
    y = s.share(np.linspace(5, -5, 70) if s.rank == 1 else None, owner=1)
    z = k.truncate(k.mul(x, y), 16)
    cut, again = k.mul_truncated(k.mul(z, y), 16, x)
    w = k.matmul(z.reshape((7, 10)), x.reshape((10, 7)))
    r, bit = k.relu(w, 16)
    k.mul(bit, r)
    k.saturated(x, SIGMOID, 16)
    k.truncate(again, 16, exact=True)
    k.truncate(k.series(x, RECIPROCAL), 31)
    k.exp(x, QUARTER, 22)
    k.largest(z.reshape((7, 10)))
    k.at_least(x, [0, 1 << 16])
    k.is_zero(z)
    s.reveal(r, to=0, check_range=False)
    s.reveal(cut, check_range=False)


@pytest.mark.parametrize("parties", [2, 3])
def test_every_byte_of_a_fixed_seed_run_is_known(parties: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[int, int] = defaultdict(int)
    frames: dict[tuple[int, int], list[bytes]] = defaultdict(list)

    def secret() -> bytes:
        found = LAUNCH.get()
        rank = found[0].rank if found is not None else parties  # the dealer's thread has no launch of its own
        calls[rank] += 1
        return hashlib.blake2b(f"{rank}/{calls[rank]}".encode(), digest_size=32).digest()

    send = MemoryTransport.send

    def recorded(self, peer, frame):
        data = frame if isinstance(frame, bytes) else frame.tobytes()
        # A HELLO names the release. After the end the dealer greets the next session, and stopped there it says ABORT;
        # one in this session fails the run itself.
        again = data[KIND_AT] == Kind.READY and data in frames[self.rank, peer]  # said until all are there
        if data[KIND_AT] not in (Kind.HELLO, Kind.ABORT) and not again:
            frames[self.rank, peer].append(data)
        send(self, peer, frame)

    monkeypatch.setattr(prg, "fresh_secret", secret)
    monkeypatch.setattr(MemoryTransport, "send", recorded)

    def main():
        with mpc.session() as s:
            program(s)

    mpc.local(main, parties=parties, threads=True, deadline=20)
    digest = hashlib.blake2b(digest_size=16)
    for link in sorted(frames):
        digest.update(repr((link, [len(f) for f in frames[link]])).encode())
        for frame in frames[link]:
            digest.update(frame)
    assert (parties, digest.hexdigest()) == (parties, DIGESTS[parties])
