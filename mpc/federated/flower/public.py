"""The public part of an aggregator as Flower's ConfigRecord, and the client's aggregator made from it.

What travels: the aggregator's kind, the training's name, round, length, limits, and public keys. Whoever can put other
keys there reads the updates: see `SecureAggregationMod` for what a client compares them with. Nothing is executed.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Union

from flwr.app import ConfigRecord

from mpc.errors import ConfigError, IntegrityError
from mpc.federated.aggregators.base import Aggregator
from mpc.federated.aggregators.paillier import PaillierAggregator
from mpc.federated.aggregators.plain import PlainAggregator
from mpc.federated.aggregators.shares import SharesAggregator
from mpc.federated.flower.records import number_in
from mpc.paillier.serial import public_key_from_bytes, public_key_to_bytes

VERSION: Final = 1
KINDS: Final = ("plain", "paillier", "shares")
Fields = dict[str, Union[int, float, str, bytes, list[str]]]


def instruction(aggregator: Aggregator, *, round: int, length: int) -> ConfigRecord:
    """What clients need for a message of ``round``. Raises ConfigError for an aggregator that has no description here."""
    if aggregator.kind not in _DESCRIBE:
        raise ConfigError(f"got aggregator {aggregator.kind!r}; want one of {', '.join(KINDS)}")
    head: Fields = {
        "version": VERSION, "kind": aggregator.kind, "task": aggregator.task, "round": round, "length": length,
        "settings": fingerprint(aggregator), "min-clients": aggregator.min_clients,
    }  # fmt: skip
    return ConfigRecord({**head, **_DESCRIBE[aggregator.kind](aggregator)})


def fingerprint(aggregator: Aggregator) -> str:
    """32 hexadecimal digits that differ where limits or keys do: what a data owner may ask for by name."""
    return aggregator.digest().hex()


def client_aggregator(record: ConfigRecord) -> Aggregator:
    """The aggregator that the record describes, without any secret. Raises IntegrityError and ConfigError for what is none."""
    if (version := record.get("version")) != VERSION:
        raise IntegrityError(f"got an instruction of version {version!r}; want {VERSION}: the same release everywhere")
    kind, task = record.get("kind"), record.get("task")
    if not isinstance(kind, str) or kind not in _MAKE or not isinstance(task, str):
        raise IntegrityError(f"got an instruction for aggregator {kind!r}, task {task!r}; want one of {', '.join(KINDS)}")
    try:
        made = _MAKE[kind](record, task, whole(record, "min-clients"))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise IntegrityError(f"got an instruction that describes no {kind!r} aggregator: {error}") from None
    if fingerprint(made) != record.get("settings"):
        raise IntegrityError(f"the instruction's settings are called {record.get('settings')!r}, and what it describes is "
                             f"{fingerprint(made)!r}; want the same release of mpc at client and server")  # fmt: skip
    return made


def whole(record: ConfigRecord, name: str) -> int:
    """A whole number of an instruction. Raises IntegrityError."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise IntegrityError(f"the instruction's {name!r} is {value!r}; want a whole number")
    return value


# --- one pair of functions for each kind
def _plain(aggregator: PlainAggregator) -> Fields:
    return {"bound": aggregator.bound, "max-norm": aggregator.max_norm, "max-weight": aggregator.max_weight}


def _make_plain(record: ConfigRecord, task: str, min_clients: int) -> Aggregator:
    bound, max_norm, max_weight = (number_in(record, name) for name in ("bound", "max-norm", "max-weight"))
    return PlainAggregator(bound=bound, max_norm=max_norm, max_weight=max_weight, task=task, min_clients=min_clients)


def _paillier(aggregator: PaillierAggregator) -> Fields:
    return {
        "key": public_key_to_bytes(aggregator.public_key), "bound": aggregator.bound, "max-clients": aggregator.max_clients,
        "max-weight": aggregator.max_weight, "frac-bits": aggregator.frac_bits,
    }  # fmt: skip


def _make_paillier(record: ConfigRecord, task: str, min_clients: int) -> Aggregator:
    key = record["key"]
    if not isinstance(key, bytes):
        raise IntegrityError("the instruction has no public key")
    return PaillierAggregator(
        public_key_from_bytes(key), bound=number_in(record, "bound"), max_clients=whole(record, "max-clients"),
        max_weight=whole(record, "max-weight"), frac_bits=whole(record, "frac-bits"), task=task, min_clients=min_clients,
    )  # fmt: skip


def _shares(aggregator: SharesAggregator) -> Fields:
    limits = aggregator.limits
    named = {"max-norm": limits.max_norm, "bound": limits.bound}
    out: Fields = {"keys": list(aggregator.public_keys), "frac-bits": limits.frac_bits, "max-weight": int(limits.max_weight)}
    return out | {name: value for name, value in named.items() if value is not None}  # an int stays one: the digest differs


def _make_shares(record: ConfigRecord, task: str, min_clients: int) -> Aggregator:
    keys = record["keys"]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise IntegrityError("the instruction has no public keys of the parties")
    norm, bound = (number_in(record, name) if name in record else None for name in ("max-norm", "bound"))
    return SharesAggregator(
        public_keys=[str(key) for key in keys], max_norm=norm, bound=bound, max_weight=whole(record, "max-weight"),
        frac_bits=whole(record, "frac-bits"), task=task, min_clients=min_clients,
    )  # fmt: skip


_DESCRIBE: Final[dict[str, Callable[[Any], Fields]]] = {"plain": _plain, "paillier": _paillier, "shares": _shares}
_MAKE: Final[dict[str, Callable[[ConfigRecord, str, int], Aggregator]]] = {
    "plain": _make_plain, "paillier": _make_paillier, "shares": _make_shares,
}  # fmt: skip
