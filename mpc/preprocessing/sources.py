"""Where a session's correlations come from, by its configuration: a dealer, a store, or nowhere in a dry run."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpc.config import Launch
from mpc.errors import ConfigError
from mpc.handshake import Agreement
from mpc.party import Party
from mpc.preprocessing.base import Source
from mpc.preprocessing.client import DealerClient
from mpc.preprocessing.planning import PlanningParty
from mpc.preprocessing.stored import Stored, open_store
from mpc.transport.base import Transport


def party_of(transport: Transport, launch: Launch, agreement: Agreement) -> Party:
    """The party of a session, planning where the session is a dry run."""
    if launch.config.preprocessing != "plan":
        return Party(transport, launch.config, agreement)
    return PlanningParty(transport, launch.config, agreement, launch.plan)


@contextmanager
def provided(party: Party, launch: Launch) -> Iterator[Source]:
    """Context: the session's source. Raises what `Stored` raises; ConfigError where there is no store to take."""
    if isinstance(party, PlanningParty):
        yield party.preprocessing
        return
    if party.config.preprocessing == "dealer":
        yield DealerClient(party)
        return
    if launch.store is None:
        raise ConfigError("got a session with preprocessing 'store' and no store; say which with `mpc run --store`")
    secret = launch.sites.secret_key if launch.sites is not None and launch.config.names else None
    source = Stored(party, open_store(launch.store, party, secret))
    try:
        yield source
    finally:
        source.close()
