"""How long a dealer waits: for ever, but where it serves one session not for parties that came and gave up."""
from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from mpc.config import Launch
from mpc.errors import PartyLost
from mpc.handshake import agree
from mpc.meeting import Meeting
from mpc.preprocessing.dealer import serve
from mpc.transport import frames
from mpc.transport.frames import Kind
from mpc.transport.zmq import ZmqTransport
from tests.transport.test_transports import secured

SHORT, LONG = 1.0, 15.0  # deadlines: that is waited for, and that nobody should come near


@contextmanager
def dealing(once: bool, deadline: float):
    """(the parties' launches, the dealer's end)."""
    launches, stop = secured(2, deadline), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        try:
            yield launches, pool.submit(serve, launches[2], None, stop, once=once), pool
        finally:
            stop.set()


def come_and_go(launch: Launch) -> float:
    """A party that greets the dealer and is killed before the others come; when it went."""
    link = ZmqTransport.of(launch)
    meeting = Meeting(link, launch.config)
    until = time.monotonic() + 30
    while 2 not in meeting.hellos:
        assert time.monotonic() < until, "the dealer does not answer"
        with pytest.raises(PartyLost):
            meeting.hold(0.1)
    left = time.monotonic()
    link.close(0)
    return left


def attend(launch: Launch, seconds: float = 0.0) -> None:
    link = ZmqTransport.of(launch)
    try:
        agree(link, launch.config, 10)
        time.sleep(seconds)
        link.send(2, frames.pack(Kind.CLOSE, 0, 0, bytes(16)))
    finally:
        link.close(1)


@pytest.mark.parametrize("once", [True, False])
def test_parties_that_gave_up_are_waited_for_a_deadline_more(once: bool) -> None:
    deadline = 3 * SHORT if once else SHORT  # who stays so long before it goes was waited with for the others
    with dealing(once, deadline) as (launches, dealer, _):
        left = come_and_go(launches[0])
        if once:
            error = dealer.result(60)
            assert isinstance(error, PartyLost) and "all who came are gone" in str(error)
            assert time.monotonic() - left > deadline
        else:
            time.sleep(3 * deadline)
            assert not dealer.done()


def test_who_comes_again_in_time_is_served() -> None:
    with dealing(True, LONG) as (launches, dealer, pool):
        come_and_go(launches[0])
        time.sleep(0.5)
        assert list(pool.map(attend, launches[:2])) == [None, None]
        assert dealer.result(30) is None


def test_who_never_came_is_waited_for_as_long_as_it_takes() -> None:
    with dealing(True, SHORT) as (_, dealer, _):
        time.sleep(3 * SHORT)
        assert not dealer.done()


def test_who_has_said_so_may_go_before_the_others() -> None:
    """Its connection ends a second before the other party closes the session: nobody is lost."""
    with dealing(True, LONG) as (launches, dealer, pool):
        for attending in [pool.submit(attend, launches[rank], float(rank)) for rank in range(2)]:
            attending.result(30)
        assert dealer.result(30) is None
