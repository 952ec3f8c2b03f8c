"""Who may connect: the answers to ZAP, ZeroMQ's authentication protocol (rfc.zeromq.org/spec/27), in a thread of its own.

The port of the greetings asks for a CURVE key and lets in those of run.toml; the connection's rank is its key's, for
every message. The port for bulk data, whose records are sealed one by one, asks for a password that is derived from the
pair's secret of the session and good for one connection: nobody else's message is ever read, or takes memory.
"""
from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Final

import zmq
from zmq.utils import z85

LOG = logging.getLogger("mpc.transport")
REMEMBERED: Final = 32  # strangers; further ones are refused silently
_VERSION: Final = b"1.0"


class Admission:
    """The doorkeeper of one context: opens to ``keys`` (rank -> public key, Z85) and remembers whom it refused. Ends with
    the context."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: dict[int, bytes]) -> None:
        self._ranks = {key: rank for rank, key in keys.items()}
        self.refused: dict[str, str] = {}  # key -> address of who was refused
        self._passwords: set[bytes] = set()
        self._socket = context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind("inproc://zeromq.zap.01")
        threading.Thread(target=self._run, name="admission", daemon=True).start()

    def expect(self, passwords: Iterable[bytes]) -> None:
        """Open to these, once each, and to no earlier ones."""
        self._passwords = set(passwords)

    def _run(self) -> None:
        try:
            while True:
                request = self._socket.recv_multipart()
                user = self._user(request) if len(request) > 6 and request[0] == _VERSION else None
                status = [b"200", b"OK", user] if user is not None else [b"400", b"no access", b""]
                self._socket.send_multipart([_VERSION, request[1], *status, b""])
        except zmq.ContextTerminated:
            pass
        finally:
            self._socket.close(0)  # the context waits for it

    def _user(self, request: list[bytes]) -> bytes | None:
        """Who that is: a rank, or a bulk connection; None for whoever is to be refused."""
        address, mechanism, credentials = request[3].decode(errors="replace"), request[5], request[6:]
        if mechanism == b"PLAIN":
            password = credentials[-1]
            known = password in self._passwords
            self._passwords.discard(password)
            return b"bulk" if known else None
        if mechanism != b"CURVE":
            return None
        key = z85.encode(credentials[0])
        rank = self._ranks.get(key)
        if rank is None:
            self._stranger(key.decode(), address)
            return None
        return b"%d" % rank

    def _stranger(self, key: str, address: str) -> None:
        if key not in self.refused and len(self.refused) < REMEMBERED:
            self.refused[key] = address
            LOG.warning("refused a stranger: public key %s from %s is not in run.toml", key, address)

    def rank_of(self, message: bytes | zmq.Frame) -> int:
        """The rank whose key the message's connection has, or -1."""
        try:
            return int(message.get("User-Id"))  # type: ignore[union-attr]  # copies carry no metadata
        except (AttributeError, ValueError, zmq.ZMQError):
            return -1

    def strangers(self) -> str:
        """Who was refused so far, for an error; empty if nobody was."""
        return "; ".join(f"refused: key {key} from {address} (not in run.toml)" for key, address in list(self.refused.items()))
