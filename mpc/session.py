"""``with mpc.session() as s:``: connect, agree, compute, and end together."""
from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mpc import ring
from mpc.config import Launch, announced, threads
from mpc.errors import ConfigError, SessionError
from mpc.handshake import agree
from mpc.party import _CURRENT, LINGER, LOCAL_LINGER, Party
from mpc.preprocessing.sources import party_of, provided
from mpc.protocols.additive import Additive
from mpc.protocols.clear import Clear
from mpc.supervision.signals import check_terminated
from mpc.survey import agreed
from mpc.transport.base import Transport
from mpc.transport.memory import Hub
from mpc.transport.zmq import ZmqTransport

LAUNCH: ContextVar[tuple[Launch, Hub | None] | None] = ContextVar("mpc_launch", default=None)
_SESSIONS = itertools.count()  # of this process, as its peers count theirs
_SEED: ContextVar[int | None] = ContextVar("mpc_seed", default=None)
PROTOCOL_CLASSES = {"additive": Additive, "clear": Clear}


def manual_seed(seed: int) -> None:
    """Seed the public generator (initial weights, shuffles) of the open session, or of those opened from now on.

    Alike at all parties; never used for shares, masks, keys or noise.
    """
    party = _CURRENT.get()
    if party is None:
        _SEED.set(seed)
    else:
        party.manual_seed(seed)


def _where() -> tuple[Launch, Hub | None]:
    found = LAUNCH.get()
    if found is not None:
        return found
    launch = announced()
    if launch is None:
        raise ConfigError(
            "this process was not started as a party: run the script with `mpc run -n 3 script.py`, "
            "or call the function with `mpc.local(function, parties=3)`"
        )
    return launch, None


def own_rank() -> int | None:
    """Which party this process, or thread, is started as, whether or not a session is open; None for no party."""
    found = LAUNCH.get()
    launch = announced() if found is None else found[0]
    return None if launch is None else launch.rank


@contextmanager
def session() -> Iterator[Party]:
    """Join the other parties and the dealer; yields this process's `Party`.

    At the end of the block all parties agree that the program is over; an exception inside it stops every party, which
    learns its type, rank and operation number. Raises PartyLost when somebody does not come within the deadline,
    ProgramMismatch when versions or configurations differ, SessionError when a session is open already.
    """
    if _CURRENT.get() is not None:
        raise SessionError("a session is open already; sessions do not nest")
    check_terminated()
    launch, hub = _where()
    config = launch.config
    ring.tune_allocator()
    ring.set_threads(threads())
    transport: Transport = (
        hub.join(launch.rank)
        if hub is not None
        else ZmqTransport.of(launch, next(_SESSIONS))
    )
    try:
        party = party_of(transport, launch, agree(transport, config, config.deadline))
    except BaseException:
        transport.close(LINGER if config.names else LOCAL_LINGER)  # the others are being told
        raise
    party.protocol = PROTOCOL_CLASSES[config.protocol](party)
    party.checkpoint = launch.checkpoint
    token = _CURRENT.set(party)
    try:
        with provided(party, launch) as party.preprocessing:
            if config.names and config.preprocessing != "store":
                party.measured(agreed(party))
            seed = _SEED.get()
            if seed is not None:
                party.manual_seed(seed)
            yield party
            party.close()
    except BaseException as error:
        party.abort(error)
        raise
    finally:
        _CURRENT.reset(token)
