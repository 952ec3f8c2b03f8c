"""The first exchange: who is there, do all agree, and the secrets of each pair.

Every process sends every other one a greeting with its configuration, fresh randomness for the session identifier and a
secret for their pair alone. A pair's secret combines both contributions, so it is uniform if either of the two is honest;
the dealer takes part with each party, and learns nothing of the secrets between parties. Once a process has heard
everybody it says the session's identifier to all (READY); the session begins when all have said the same one. Until then
a peer may go and come back: it greets anew, and what it said before is forgotten.

In a check nobody has to come: READY says there that the sender goes on with those it has heard.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mpc.config import SessionConfig
from mpc.errors import MPCError, PartyLost
from mpc.greeting import CHECK, RUN
from mpc.meeting import Meeting
from mpc.transport.base import Transport


@dataclass(frozen=True)
class Agreement:
    """What the handshake leaves: the session's identifier and one secret per peer. Never printed."""

    session: bytes
    secrets: dict[int, bytes]
    purpose: str = RUN
    failed: dict[int, PartyLost] = field(default_factory=dict)  # in a check: whose second port was not reached

    def __repr__(self) -> str:
        return f"Agreement(session={self.session.hex()[:8]}..., peers={sorted(self.secrets)})"


def agree(
    transport: Transport,
    config: SessionConfig,
    timeout: float,
    patient: Callable[[], bool] | None = None,
    purpose: str | None = RUN,
) -> Agreement:
    """Meet every rank and return the agreement; frames to come are protected where they leave the machine.

    ``patient``: asked again and again whether to go on waiting for the first greeting, however long it takes (the dealer
    waits for a session that the program may open late). ``purpose`` None: whatever the first peer comes for. A process
    that checks (`mpc check`) goes on without who does not come.

    Raises ProgramMismatch when versions, configurations or purposes differ, AuthenticationError when a key is refused,
    PartyLost when somebody does not come in time: at every process that could be told.
    """
    meeting = Meeting(transport, config, purpose)
    try:
        meeting.hold(timeout, patient)
        failed = transport.protect(meeting.secrets(), timeout)
        if meeting.purpose != CHECK:
            for peer, lost in failed.items():
                lost.peer = peer
                raise lost
    except MPCError as error:
        meeting.tell(error)
        raise
    return Agreement(meeting.session(), meeting.secrets(), meeting.purpose or RUN, failed)
