"""Who holds which records: public splits for experiments, seeded. Every record goes to exactly one client."""
from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError

Rows = npt.NDArray[np.int64]
TRIES: Final = 1000  # draws until every client has enough


def iid(records: int, clients: int, *, seed: int) -> list[Rows]:
    """Row numbers by client: shuffled and cut into equal parts (sizes differ by one at most).

    Raises ConfigError when there are fewer records than clients.
    """
    _check(records, clients)
    order = np.random.default_rng(seed).permutation(records)
    return [np.sort(part) for part in np.array_split(order, clients)]


def by_label(labels: Any, clients: int, *, shards: int = 2, seed: int) -> list[Rows]:
    """Non-IID by shards (McMahan et al. 2017): records sorted by label are cut into ``clients * shards`` equal shards, and
    every client gets ``shards`` of them at random. With 2 shards most clients see two or three labels only.

    Raises ConfigError when there are fewer records than shards.
    """
    y = _labels(labels)
    _check(len(y), clients * shards, "shards")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))  # equal labels in random order
    order = order[np.argsort(y[order], kind="stable")]
    pieces = np.array_split(order, clients * shards)
    drawn = rng.permutation(clients * shards).reshape(clients, shards)
    return [np.sort(np.concatenate([pieces[k] for k in mine])) for mine in drawn]


def dirichlet(labels: Any, clients: int, *, alpha: float = 0.5, at_least: int = 1, seed: int) -> list[Rows]:
    """Non-IID by Dirichlet(alpha) (Hsu et al. 2019): the records of each label are dealt out in proportions drawn from a
    symmetric Dirichlet distribution. Small alpha: a label is at few clients; large alpha: nearly IID. Sizes differ.

    Drawn again until every client has ``at_least`` records. Raises ConfigError when 1000 draws did not give that.
    """
    y = _labels(labels)
    if not alpha > 0 or not np.isfinite(alpha):
        raise ConfigError(f"got alpha={alpha!r}; want a number above 0")
    _check(len(y), clients * max(1, at_least))
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        parts: list[list[Rows]] = [[] for _ in range(clients)]
        for label in np.unique(y):
            rows = rng.permutation(np.flatnonzero(y == label))
            ends = np.round(np.cumsum(rng.dirichlet(np.full(clients, alpha)))[:-1] * len(rows)).astype(np.int64)
            for mine, piece in zip(parts, np.split(rows, ends), strict=True):
                mine.append(piece)
        out = [np.sort(np.concatenate(mine)) for mine in parts]
        if min(map(len, out)) >= at_least:
            return out
    raise ConfigError(f"{TRIES} draws of Dirichlet({alpha}) gave no split with {at_least} records for each of {clients} "
                      "clients; want a larger alpha, fewer clients or a smaller at_least")


def _labels(labels: Any) -> npt.NDArray[Any]:
    y = np.asarray(labels)
    if y.ndim != 1:
        raise ConfigError(f"got labels of shape {y.shape}; want one label a record")
    return y


def _check(records: int, wanted: int, what: str = "clients") -> None:
    if wanted < 1 or records < wanted:
        raise ConfigError(f"got {records} records for {wanted} {what}; want at least one each")
