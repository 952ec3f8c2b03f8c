"""Makes one process of a run misbehave at one moment, as MPC_TEST_FAULT says: ``rank fault moment``.

Imported by every interpreter that finds this folder on PYTHONPATH. The moment is the sending of a frame of some kind, so
that the dealer, which runs no program, can be the one too.
"""
from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

RANK, FAULT, MOMENT = os.environ.get("MPC_TEST_FAULT", "-1 - -").split()
NOTES = os.environ.get("MPC_TEST_NOTES", "")
MOMENTS = {
    "handshake": ("HELLO", 1),
    "training": ("OPEN", 3),
    "dealing": ("CORRECTION", 2),
    "reveal": ("REVEAL", 1),
    "close": ("CLOSE", 1),
}
SETTINGS = {"frac_bits": 20, "deadline": 2.5}


def everybody_listens(addresses: list[str]) -> None:
    """An abort before the session is not said again to who comes after it. (The dealer listens nowhere.)"""
    while not all(os.path.exists(f"{address.removeprefix('ipc://')}.0") for address in addresses[:-1]):
        time.sleep(0.002)


def note() -> None:
    with open(os.path.join(NOTES, "moment"), "w") as file:
        file.write(str(time.monotonic()))


def act() -> None:
    """Do it to this process."""
    note()
    if FAULT == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    elif FAULT == "SIGSTOP":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif FAULT == "exits":
        os._exit(9)
    elif FAULT == "raises":
        raise KeyError("a mistake at one rank")


def misbehave(addresses: list[str]) -> None:
    """Spoil the sending of this process."""
    from mpc.transport.zmq import ZmqTransport

    kind, count = MOMENTS[MOMENT]
    send, seen = ZmqTransport.send, []

    def spoiled(self: Any, peer: int, frame: Any) -> None:
        from mpc.transport.frames import HEADER_BYTES, kind_name, unpack_header

        header = unpack_header(memoryview(frame).cast("B")[:HEADER_BYTES])
        if kind_name(header.kind) == kind:
            seen.append(peer)
            if len(seen) >= count:
                if FAULT == "garbage":
                    if kind == "HELLO":
                        everybody_listens(addresses)
                    frame = b"\xaa" * 1000
                if len(seen) == count:
                    act()
        send(self, peer, frame)

    ZmqTransport.send = spoiled  # type: ignore[method-assign]


def spoil(control: int, results: int) -> None:
    """In place of a child's main: it is known now which rank this process is."""
    launch = json.loads(os.environ["MPC_LAUNCH"])
    if launch["rank"] == int(RANK):
        if FAULT in SETTINGS:
            launch["config"][FAULT] = SETTINGS[FAULT]
            os.environ["MPC_LAUNCH"] = json.dumps(launch)
            note()
        elif FAULT == "version":
            import mpc.config
            import mpc.handshake

            mpc.config.VERSION = "9.9"  # type: ignore[misc]
            note()
        elif MOMENT in MOMENTS:
            misbehave(launch["addresses"])
    main(control, results)


if "template" in sys.orig_argv:
    from mpc.parties import child

    main, child.main = child.main, spoil
