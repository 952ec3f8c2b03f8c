"""Settings, as msgspec structs: what all parties must agree on, and where one process stands among them."""
from __future__ import annotations

import hashlib
import os
from typing import Any, Final

import msgspec

from mpc.errors import ConfigError

VERSION = "0.1.0"  # of the package: other releases may compute other public constants
WIRE_VERSION: Final = 1
MIN_PARTIES: Final = 2
MAX_PARTIES: Final = 8
MAX_DEADLINE: Final = 86400.0  # seconds: a day
PROTOCOLS: Final = ("additive", "clear")
PREPROCESSING: Final = ("dealer", "store", "plan")


class SessionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every party and the dealer must have alike; its hash is compared in the handshake.

    ``frac_bits``: fraction bits of fixed-point values. ``deadline``: seconds that any receive may take. ``names``,
    ``public_keys``: of the parties by rank and of the dealer, where they are on machines of their own; none on one
    machine. Addresses are not part of it: machines may see each other under different ones.
    ``preprocessing``: correlations from the dealer, from stores, or none in a dry run ("plan").
    """

    world_size: int
    protocol: str = "additive"
    frac_bits: int = 16
    deadline: float = 60.0
    names: tuple[str, ...] = ()
    public_keys: tuple[str, ...] = ()
    preprocessing: str = "dealer"

    def __post_init__(self) -> None:
        if not MIN_PARTIES <= self.world_size <= MAX_PARTIES:
            raise ConfigError(f"got {self.world_size} parties; want {MIN_PARTIES} to {MAX_PARTIES}")
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"got protocol {self.protocol!r}; want one of {', '.join(PROTOCOLS)}")
        if self.preprocessing not in PREPROCESSING:
            raise ConfigError(f"got preprocessing {self.preprocessing!r}; want one of {', '.join(PREPROCESSING)}")
        if self.preprocessing != "dealer" and self.protocol == "clear":
            raise ConfigError("got protocol 'clear' with stored preprocessing: it needs no correlations")
        if not 4 <= self.frac_bits <= 24:
            raise ConfigError(f"got frac_bits {self.frac_bits}; want 4 to 24")
        if not 0 < self.deadline <= MAX_DEADLINE:
            raise ConfigError(f"got deadline {self.deadline}; want seconds above 0 and at most {MAX_DEADLINE}")

    @property
    def needs_dealer(self) -> bool:
        return self.protocol != "clear" and self.preprocessing == "dealer"

    def digest(self) -> bytes:
        """16 bytes that differ when any setting or the wire version differs."""
        text = msgspec.json.encode((VERSION, WIRE_VERSION, self), order="sorted")
        return hashlib.blake2b(text, digest_size=16).digest()

    def name(self, rank: int) -> str:
        """How messages to people call that rank."""
        who = "the dealer" if rank == self.world_size else f"party {rank}"
        return f"{who} ({self.names[rank]})" if rank < len(self.names) else who

    def differences(self, other: SessionConfig, here: str = "here", there: str = "there") -> str:
        """The settings in which another process's configuration differs, for its error: "frac_bits 16 here, 20 there"."""
        found = []
        for field in self.__struct_fields__:
            mine, its = getattr(self, field), getattr(other, field)
            if mine == its:
                continue
            if field == "public_keys" and len(mine) == len(its) == len(self.names):
                whose = [name for name, a, b in zip(self.names, mine, its, strict=True) if a != b]
                found.append(f"other public keys of {', '.join(whose)}")
            elif field == "public_keys" and not (mine and its):
                how = ("keys" if mine else "insecure_plaintext", "keys" if its else "insecure_plaintext")
                found.append(f"{how[0]} {here}, {how[1]} {there}")
            elif isinstance(mine, tuple):
                found.append(f"{field} {', '.join(mine)} {here}, {', '.join(its)} {there}")
            else:
                found.append(f"{field} {mine!r} {here}, {its!r} {there}")
        return "; ".join(found)


class Endpoint(msgspec.Struct, frozen=True):
    """A party's two addresses, for the CURVE link and for bulk data: where others connect, and where it binds."""

    connect: tuple[str, str]
    bind: tuple[str, str]


class Sites(msgspec.Struct, frozen=True):
    """Of parties that speak TCP: everybody's endpoint by rank, and this process's secret key.

    Without keys (``insecure_plaintext``) links are plain TCP and anybody can be any rank.
    """

    endpoints: tuple[Endpoint, ...]
    secret_key: str | None

    def __repr__(self) -> str:
        return f"Sites(endpoints={self.endpoints})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("endpoints", self.endpoints)]


class Launch(msgspec.Struct, frozen=True):
    """Where this process stands: its rank (``world_size`` is the dealer) and everybody's address, by rank; ``sites``
    instead of addresses where links are TCP. ``checkpoint``: where checkpointed loops have their files, if anywhere.
    ``store``: file or directory of stored correlations. ``plan``: where a dry run writes its plan, if this process does."""

    rank: int
    config: SessionConfig
    addresses: tuple[str, ...] = ()
    sites: Sites | None = None
    checkpoint: str | None = None
    store: str | None = None
    plan: str | None = None

    @property
    def is_dealer(self) -> bool:
        return self.rank == self.config.world_size


LAUNCH_VARIABLE: Final = "MPC_LAUNCH"
_OWN_SECRET: Final[dict[str, str]] = {}  # public key -> secret key, of this process's place
THREADS_VARIABLE: Final = "MPC_THREADS"  # threads that a process may use for a large matrix product


def announce(launch: Launch) -> None:
    """Put this process's place where its sessions find it: into the environment, which the programs that it starts inherit
    and others may read; all but the secret key, which stays in this process's memory."""
    if launch.sites is not None and launch.sites.secret_key is not None:
        _OWN_SECRET[launch.config.public_keys[launch.rank]] = launch.sites.secret_key
        launch = msgspec.structs.replace(launch, sites=msgspec.structs.replace(launch.sites, secret_key=None))
    os.environ[LAUNCH_VARIABLE] = msgspec.json.encode(launch).decode()


def announced() -> Launch | None:
    """The place of this process, if it has one. Raises ConfigError."""
    text = os.environ.get(LAUNCH_VARIABLE)
    if text is None:
        return None
    try:
        launch = msgspec.json.decode(text, type=Launch)
    except (msgspec.MsgspecError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(f"{LAUNCH_VARIABLE} is not a launch description: {error}") from None
    if launch.sites is None or not launch.config.public_keys:
        return launch
    if not 0 <= launch.rank < len(launch.config.public_keys):
        raise ConfigError(f"{LAUNCH_VARIABLE}: got rank {launch.rank} and {len(launch.config.public_keys)} public keys")
    secret = _OWN_SECRET.get(launch.config.public_keys[launch.rank])
    return msgspec.structs.replace(launch, sites=msgspec.structs.replace(launch.sites, secret_key=secret))


def threads() -> int:
    """What `THREADS_VARIABLE` says, or 1. Raises ConfigError."""
    text = os.environ.get(THREADS_VARIABLE, "1")
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{THREADS_VARIABLE}: got {text!r}; want a number of at least 1")
    return int(text)
