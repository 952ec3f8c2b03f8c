"""What a process says of itself to each other one before a session: its release, settings and fresh randomness."""
from __future__ import annotations

from typing import Any, Final

import msgspec

from mpc import config as release
from mpc.config import SessionConfig
from mpc.errors import CorruptFrame, MPCError, ProgramMismatch
from mpc.transport import frames
from mpc.transport.base import Frame
from mpc.transport.frames import HEADER_BYTES, Kind

NONCE_BYTES: Final = 32
RUN, CHECK = "run", "check"  # what a process comes for


class Hello(msgspec.Struct, array_like=True):
    """One greeting; ``secret`` is for the receiver only. The first two fields stay what they are in every version."""

    wire_version: int
    release: str
    rank: int
    purpose: str
    digest: bytes
    settings: bytes  # JSON of the sender's SessionConfig, for messages
    nonce: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Hello(rank={self.rank})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("rank", self.rank)]


def hello_frame(rank: int, purpose: str, config: SessionConfig, nonce: bytes, secret: bytes) -> bytes:
    """This process's greeting to one peer."""
    hello = Hello(
        release.WIRE_VERSION, release.VERSION, rank, purpose, config.digest(), msgspec.json.encode(config), nonce, secret
    )
    body = msgspec.msgpack.encode(hello)
    return frames.pack(Kind.HELLO, 0, len(body), bytes(16)) + body


def read_hello(data: Frame, name: str) -> Hello:
    """The greeting in a frame of ``name``. Raises CorruptFrame; ProgramMismatch for one of another wire version."""
    body = data[HEADER_BYTES:]
    try:
        hello = msgspec.msgpack.decode(body, type=Hello)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _other_version(body) or CorruptFrame(f"{name} sent no greeting: {error}") from None
    if len(hello.nonce) != NONCE_BYTES or len(hello.secret) != NONCE_BYTES or hello.purpose not in (RUN, CHECK):
        raise CorruptFrame(
            f"{name} greeted with {len(hello.nonce)} and {len(hello.secret)} random bytes, want {NONCE_BYTES} each, "
            f"to {hello.purpose[:20]!r}"
        )
    return hello


def _other_version(body: Frame) -> ProgramMismatch | None:
    """The error for a greeting that has our first two fields and not the others."""
    try:
        version, name, *_ = msgspec.msgpack.decode(body, type=list[msgspec.Raw])
        wire, text = msgspec.msgpack.decode(version, type=int), msgspec.msgpack.decode(name, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    if (text, wire) == (release.VERSION, release.WIRE_VERSION):
        return None  # ours by name, and unreadable all the same
    return ProgramMismatch(f"a peer has {_releases(text, wire)}")


def _releases(there: str, wire_version: int) -> str:
    here = f"mpc {release.VERSION!r} (wire {release.WIRE_VERSION})"
    return f"mpc {there[:20]!r} (wire {wire_version}), here it is {here}: install the same"


def difference(config: SessionConfig, hello: Hello, here: str = "here", there: str = "there") -> str:
    """In what a peer's greeting differs from this process's settings; empty where it does not."""
    if hello.digest == config.digest():
        return ""
    if (hello.release, hello.wire_version) != (release.VERSION, release.WIRE_VERSION):
        return _releases(hello.release, hello.wire_version)
    try:
        its = msgspec.json.decode(hello.settings, type=SessionConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, MPCError):
        return "its settings cannot be read; start all with the same settings and release"
    found = config.differences(its, here, there)
    return f"{found}; start all with the same settings" if found else "its settings do not fit their own digest"
