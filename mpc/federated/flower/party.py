"""A ServerApp as one of the computing parties, with a key of its own, beside parties on other machines."""
from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpc import runfile
from mpc.config import announce
from mpc.errors import ConfigError, IntegrityError
from mpc.federated.aggregators.base import Aggregator, TooFewContributors
from mpc.federated.aggregators.relay import LEADER
from mpc.party import Party
from mpc.session import session

log = logging.getLogger("flwr")


@contextmanager
def as_party(config: str | Path, name: str, *, key: str | None = None) -> Iterator[Party]:
    """``with as_party("run.toml", "clinic"): strategy.start(...)`` in a ServerApp: it joins the session as ``name``.

    ``name``: the first party of run.toml, who relays the contributions; ``key``: its key file (NAME.key beside run.toml, or
    $MPC_KEY). The others run a script that calls `serve` (``mpc run --config run.toml --as NAME script.py``), and somebody
    without data the dealer. Raises ConfigError, and what `mpc.session` raises.
    """
    path = Path(config)
    file = runfile.read(path)
    if (rank := file.rank_of(name)) != LEADER:
        raise ConfigError(f"got {name} for the ServerApp, who has the messages; want {file.party[LEADER].name}, the first")
    announce(file.launch(rank, runfile.key_of(file, path, name, key)))
    with session() as party:
        yield party


def public_keys(config: str | Path) -> list[str]:
    """The parties' public keys in run.toml, by rank: what SharesAggregator wants, and what clients should get from a
    source they trust."""
    return [member.public_key for member in runfile.read(Path(config)).party]


def serve(aggregator: Aggregator, *, round: int, length: int) -> bool:
    """At a computing party other than the leader, inside its session: take part in a round whose ServerApp is the leader.

    ``aggregator``: as the ServerApp's, its ``task`` included. ``round`` counts from 1; ``length``: floating-point values in the
    model. False where the round gave no model; other errors are raised.
    """
    try:
        aggregator.combine(None, round=round, length=length)
    except (TooFewContributors, IntegrityError) as error:
        log.warning("round %d gives no new model: %s", round, error)
        return False
    return True
