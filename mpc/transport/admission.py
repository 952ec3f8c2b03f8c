"""Who may connect: ZAP (ZeroMQ's authentication protocol) with the public keys of run.toml as the only ones let in.

pyzmq's authenticator answers in a thread of its own. A connection is one key's; `rank_of` says which rank that is, for
every message.
"""
from __future__ import annotations

import logging
from typing import Any, Final

import zmq

LOG = logging.getLogger("mpc.transport")
REMEMBERED: Final = 32  # strangers; further ones are refused silently


class Admission:
    """The doorkeeper of one context: opens to ``keys`` (rank -> public key, Z85) and remembers whom it refused."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: dict[int, bytes]) -> None:
        from zmq.auth.thread import ThreadAuthenticator  # brings asyncio, which sessions of one machine do without

        self._ranks = {key.decode(): rank for rank, key in keys.items()}
        self.refused: dict[str, str] = {}  # key -> address of who was refused
        outer = self

        class Door(ThreadAuthenticator):
            async def handle_zap_message(self, msg: list[bytes]) -> None:
                outer._address = msg[3].decode(errors="replace") if len(msg) > 3 else "?"
                await super().handle_zap_message(msg)

        self._address = "?"
        self._door: Any = Door(context)
        self._door.start()
        self._door.configure_curve_callback(domain="mpc", credentials_provider=self)

    def callback(self, domain: str, key: bytes) -> bool:
        """Called by pyzmq for every connection."""
        text = key.decode(errors="replace")
        if text in self._ranks:
            return True
        if text not in self.refused and len(self.refused) < REMEMBERED:
            self.refused[text] = self._address
            LOG.warning("refused a stranger: public key %s from %s is not in run.toml", text, self._address)
        return False

    def rank_of(self, message: bytes | zmq.Frame) -> int:
        """The rank whose key the message's connection has, or -1."""
        try:
            key = message.get("User-Id")  # type: ignore[union-attr]  # copies carry no metadata and are no messages here
        except (AttributeError, zmq.ZMQError):
            return -1
        return self._ranks.get(str(key), -1)

    def strangers(self) -> str:
        """Who was refused so far, for an error; empty if nobody was."""
        return "; ".join(f"refused: key {key} from {address}" for key, address in self.refused.items())

    def close(self) -> None:
        self._door.stop()
