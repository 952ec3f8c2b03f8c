"""A transport that notes what its rank sends: for tests that prove what leaves a process, and that nothing leaves twice."""
from __future__ import annotations

import hashlib
from typing import NamedTuple

from mpc.fixed_point import Words
from mpc.transport import frames
from mpc.transport.around import Around
from mpc.transport.base import Transport
from mpc.transport.frames import HEADER_BYTES, as_bytes

DIGEST_BYTES = 16


class Sent(NamedTuple):
    """One frame that left. ``digest``: of its payload."""

    peer: int
    kind: int
    op: int
    nbytes: int
    digest: bytes

    def __str__(self) -> str:
        return f"{frames.kind_name(self.kind)} number {self.op} to {self.peer}: {self.nbytes} bytes, {self.digest.hex()[:12]}"


class Tracing(Around):
    """Notes every frame that is sent in ``sent``, in order."""

    def __init__(self, inner: Transport, sent: list[Sent] | None = None) -> None:
        super().__init__(inner)
        self.sent: list[Sent] = [] if sent is None else sent

    def send(self, peer: int, frame: bytes | Words) -> None:
        data = as_bytes(frame)
        header = frames.unpack_header(data)
        digest = hashlib.blake2b(data[HEADER_BYTES:], digest_size=DIGEST_BYTES).digest()
        self.sent.append(Sent(peer, header.kind, header.op, header.nbytes, digest))
        self.inner.send(peer, frame)
