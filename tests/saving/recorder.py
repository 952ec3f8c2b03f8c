"""Becomes ``sitecustomize`` in the processes of a run: every key and every use of a stream, one line each, into a file
per process; and the process's own SIGKILL at a given use. It changes nothing that is computed.

Lines: ``key PURPOSE KEY``, ``stream KEY OP TENSOR WORDS`` (every expansion, under each of its keys), ``opened WORDS`` (a
frame of masked words was sent to a party), ``dealt OP TENSOR`` (a correction was computed).
"""
from __future__ import annotations

import hashlib
import json
import os
import signal
from typing import Any, get_args

import msgspec

from mpc import party, prg, ring
from mpc.preprocessing import base, dealing
from mpc.protocols import additive
from mpc.transport.frames import HEADER_BYTES, Kind

FOLDER, KILL, BROKEN = "MPC_TEST_RECORD", "MPC_TEST_KILL", "MPC_TEST_BROKEN"
_file = -1
_lines = 0
_last = -1


def note(*what: object) -> None:
    global _file, _lines, _last
    if _file < 0:
        rank = json.loads(os.environ["MPC_LAUNCH"])["rank"]
        _file = os.open(f"{os.environ[FOLDER]}/{rank}", os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY)
        unlucky, _, count = os.environ.get(KILL, "-1:0").partition(":")
        _last = int(count) if int(unlucky) == rank else -1
    os.write(_file, (" ".join(map(str, what)) + "\n").encode())
    _lines += 1
    if _lines == _last:
        os.kill(os.getpid(), signal.SIGKILL)


def names(keys: bytes) -> list[str]:
    width = ring.KEY_BYTES
    return [hashlib.blake2b(keys[at : at + width], digest_size=8).hexdigest() for at in range(0, len(keys), width)]


def derive(secret: bytes, purpose: str, *context: bytes) -> bytes:
    key = plain_derive(secret, purpose, *context)
    note("key", purpose, names(key)[0])
    return key


def streams(keys: bytes, op: int, tensor: int, offset: int, out: Any, mode: int) -> None:
    for name in names(keys):
        note("stream", name, op, tensor, out.size)
    plain_streams(keys, op, tensor, offset, out, mode)


def masking(plain: Any) -> Any:
    """A kernel (data, key, op, tensor, out) that masks its data."""

    def mask(data: Any, key: bytes, op: int, tensor: int, out: Any) -> None:
        note("stream", names(key)[0], op, tensor, out.size)
        plain(data, key, op, tensor, out)

    return mask


def post(self: party.Party, kind: Kind, op: int, frame: Any, *rest: Any, **options: Any) -> Any:
    if kind in (Kind.OPEN, Kind.BITS):
        note("opened", (frame.nbytes - HEADER_BYTES) // 8)
    return plain_post(self, kind, op, frame, *rest, **options)


def post_owned(self: party.Party, owner: int, kind: Kind, op: int, frame: Any, *rest: Any, **options: Any) -> Any:
    if frame is not None and kind in (Kind.OPEN, Kind.BITS):
        note("opened", (frame.nbytes - HEADER_BYTES) // 8)
    return plain_post_owned(self, owner, kind, op, frame, *rest, **options)


def correcting(plain: Any) -> Any:
    def deal(self: Any, dealer: Any, k: int, out: Any) -> None:
        note("dealt", self.op, self.parts()[k].tensor)
        plain(self, dealer, k, out)

    return deal


plain_derive, plain_streams = prg.derive, ring.streams
plain_post, plain_post_owned = party.Party.post, party.Party.post_owned
prg.derive, ring.streams = derive, streams
party.Party.post, party.Party.post_owned = post, post_owned  # type: ignore[method-assign]
for _name in [name for name in vars(ring) if name.endswith("_mask")]:
    setattr(ring, _name, masking(getattr(ring, _name)))
for _kind in get_args(base.AnyCorrelation):
    _kind.deal = correcting(_kind.deal)

if os.environ.get(BROKEN) == "secrets":  # mutations, which the test must see
    prg.fresh_secret = lambda: b"\x01" * prg.SECRET_BYTES
elif os.environ.get(BROKEN) == "masks":  # every seventh opening takes the mask of the first: all results stay right
    _plain_name, _named = additive.Additive._name, []

    def _name_again(self: additive.Additive, x: Any, fresh: list[Any]) -> None:
        before = len(fresh)
        _plain_name(self, x, fresh)
        if len(fresh) > before and fresh[-1] is x and x.opened.name.owner < 0:
            _named.append(x.opened.name.op)
            if len(_named) % 7 == 0:
                x.opened.name = msgspec.structs.replace(x.opened.name, op=_named[0])

    additive.Additive._name = _name_again  # type: ignore[method-assign]
elif os.environ.get(BROKEN) == "corrections":  # the dealer answers what it has answered
    dealing.KeyedDealing._consume = lambda self, correlations: None  # type: ignore[method-assign]
    _plain_next = party.Party.next_op

    def _next(self: party.Party) -> int:
        self._op -= 5 if self._op == 200 else 0
        return _plain_next(self)

    party.Party.next_op = _next  # type: ignore[method-assign]
