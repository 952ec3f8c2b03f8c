"""What a session knows of its network: the parties agree on it when they meet, and choose between protocols by it."""
from __future__ import annotations

from typing import Final

import msgspec


class Network(msgspec.Struct, frozen=True):
    """The slowest link. Equal at all parties, which decide alike by it, each by itself.

    ``one_way``: seconds from sending a small frame to receiving it, the price of a round. ``bandwidth``: bytes per second
    into the party that receives corrections. ``stored``: corrections lie at the parties already, and none travel.
    """

    one_way: float
    bandwidth: float
    stored: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.one_way < float("inf") and 0 < self.bandwidth < float("inf")):
            raise ValueError(f"network: got one_way {self.one_way} s, bandwidth {self.bandwidth} bytes/s; want both above 0")


LOOPBACK: Final = Network(5e-5, 1e9)
