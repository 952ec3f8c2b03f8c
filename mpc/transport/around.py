"""A transport around another one, for what looks at frames or spoils them: everything passes through."""
from __future__ import annotations

from collections.abc import Container, Mapping

from mpc.errors import MPCError, PartyLost
from mpc.fixed_point import Words
from mpc.transport.base import Frame, Transport


class Around(Transport):
    """Passes everything on to ``inner``, whose meter and peers it shares."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner.rank, inner.world_size)
        self.inner = inner
        self.meter = inner.meter
        self.greeted = inner.greeted

    def send(self, peer: int, frame: bytes | Words) -> None:
        self.inner.send(peer, frame)

    def recv(self, peer: int, timeout: float, size_hint: int = 0) -> Frame:
        return self.inner.recv(peer, timeout, size_hint)

    def recv_any(
        self, timeout: float, likely: int | None = None, among: Container[int] | None = None
    ) -> tuple[int, Frame] | None:
        return self.inner.recv_any(timeout, likely, among)

    def expect(self, secrets: Mapping[int, bytes]) -> None:
        self.inner.expect(secrets)

    def protect(self, secrets: Mapping[int, bytes], timeout: float) -> dict[int, PartyLost]:
        return self.inner.protect(secrets, timeout)

    def probe(self, peer: int) -> None:
        self.inner.probe(peer)

    def forget(self, peer: int) -> None:
        self.inner.forget(peer)

    def trouble(self, peer: int) -> MPCError | None:
        return self.inner.trouble(peer)

    def close(self, linger: float = 1.0) -> None:
        self.inner.close(linger)
