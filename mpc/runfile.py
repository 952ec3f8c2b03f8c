"""run.toml: one file for everybody that says who takes part, where, and how.

::

    protocol = "additive"        # optional, like frac_bits = 16 and deadline = 60.0 (seconds)

    [[party]]                    # rank 0; the order is the order of ranks
    name = "st-marys"
    address = "mpc.st-marys.example:7700"     # handshakes here, bulk data on the next port
    public_key = "..."                        # as `mpc keygen` printed it
    # bulk = "host:port"                      # bulk data elsewhere
    # bind = "10.0.0.5"                       # listen on this interface only

    [[party]]
    ...

    [dealer]                     # connects to everybody; needs no address
    name = "broker"
    public_key = "..."

``insecure_plaintext = true`` makes do without keys: everybody on the network can read and forge everything.
"""
from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import msgspec

from mpc import identity
from mpc.config import PROTOCOLS, Endpoint, Launch, SessionConfig, Sites
from mpc.errors import ConfigError
from mpc.identity import KEY_VARIABLE, Identity

_INTERFACE: Final = re.compile(r"\[[0-9a-fA-F:.%\w]+\]|[A-Za-z0-9_.-]+")
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:.%\w]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
MAX_PORT: Final = 65535
MAX_BYTES: Final = 1 << 20  # of run.toml


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One party, or the dealer."""

    name: str
    public_key: str = ""
    address: str = ""
    bulk: str = ""
    bind: str = ""


class RunFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What run.toml says, checked."""

    party: tuple[Member, ...]
    dealer: Member | None = None
    protocol: str = PROTOCOLS[0]
    frac_bits: int = 16
    deadline: float = 60.0
    insecure_plaintext: bool = False

    def __post_init__(self) -> None:
        names = [m.name for m in self.members]
        for member in self.members:
            identity.checked_name(member.name)
            if not self.insecure_plaintext:
                identity.checked_public_key(member.public_key, member.name)
        if len(set(names)) != len(names):
            raise ConfigError(f"got the names {', '.join(names)}; want different ones")
        if self.dealer is not None and (self.dealer.address or self.dealer.bulk or self.dealer.bind):
            raise ConfigError(f"{self.dealer.name}: the dealer listens nowhere; take out its address, bulk and bind")
        taken: dict[str, str] = {}
        for member in self.party:
            for address in _endpoint(member).connect:
                if address in taken:
                    raise ConfigError(
                        f"{taken[address]} and {member.name} have {address} in common; every party has two ports of its own "
                        "(bulk data goes to the port after the address's, unless bulk says where)"
                    )
                taken[address] = member.name
        keys = [m.public_key for m in self.members if m.public_key]
        if len(set(keys)) != len(keys):
            raise ConfigError("two of the public keys are the same; everybody makes a key of their own with `mpc keygen`")
        if self.config.needs_dealer and self.dealer is None:
            raise ConfigError(f"protocol {self.protocol} needs a [dealer] with name and public_key")

    @property
    def members(self) -> tuple[Member, ...]:
        """All of them by rank, the dealer last."""
        return self.party + (() if self.dealer is None else (self.dealer,))

    @property
    def config(self) -> SessionConfig:
        """What all compare."""
        keys = () if self.insecure_plaintext else tuple(m.public_key for m in self.members)
        names = tuple(m.name for m in self.members)
        return SessionConfig(len(self.party), self.protocol, self.frac_bits, self.deadline, names, keys)

    def rank_of(self, name: str) -> int:
        """The rank of that name (the dealer's is the number of parties). Raises ConfigError."""
        for rank, member in enumerate(self.members):
            if member.name == name:
                return rank
        raise ConfigError(f"got the name {name!r}; run.toml has {', '.join(m.name for m in self.members)}")

    def launch(self, rank: int, own: Identity | None) -> Launch:
        """Where the process of that rank stands. Raises ConfigError when its key is not the one in the file."""
        if self.insecure_plaintext:
            own = None
        elif own is None or own.public_key != self.members[rank].public_key:
            got = "no key" if own is None else f"the key {own.public_key}"
            raise ConfigError(
                f"got {got} for {self.members[rank].name}, whose public key in run.toml is {self.members[rank].public_key}"
            )
        endpoints = tuple(_endpoint(member) for member in self.party)
        return Launch(rank, self.config, sites=Sites(endpoints, None if own is None else own.secret_key))


def read(path: Path) -> RunFile:
    """The file, checked. Raises ConfigError."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            data = file.read(MAX_BYTES + 1) or b""
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path} has more than {MAX_BYTES} bytes; want a run.toml")
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return msgspec.toml.decode(text, type=RunFile)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: {error}; `mpc keygen --help` shows an example") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def key_of(file: RunFile, path: Path, name: str, given: str | None) -> Identity | None:
    """The identity of ``name``: from the file ``given``, else from $MPC_KEY, else from NAME.key beside ``path``.

    None where the run does without keys. Raises ConfigError.
    """
    if file.insecure_plaintext:
        return None
    chosen = given or os.environ.get(KEY_VARIABLE) or path.parent / f"{name}.key"
    return identity.load(Path(chosen))


def _endpoint(member: Member) -> Endpoint:
    host, port = _split(member.address, f"{member.name}: address")
    if member.bulk:
        bulk_host, bulk_port = _split(member.bulk, f"{member.name}: bulk")
    else:
        bulk_host, bulk_port = host, port + 1
        if bulk_port > MAX_PORT:
            raise ConfigError(f"{member.name}: the port after {port} is for bulk data; take a lower one, or say bulk = ...")
    if member.bind and not _INTERFACE.fullmatch(member.bind):
        raise ConfigError(f"{member.name}: got bind {member.bind!r}; want an own address, as '10.0.0.5' or '[fd00::5]'")
    if host in ("0.0.0.0", "[::]"):
        raise ConfigError(f"{member.name}: others cannot connect to {host}; address says where they do, bind where to listen")
    everywhere = "[::]" if host.startswith("[") else "0.0.0.0"
    interface = member.bind or everywhere
    return Endpoint(
        (f"tcp://{host}:{port}", f"tcp://{bulk_host}:{bulk_port}"),
        (f"tcp://{interface}:{port}", f"tcp://{interface}:{bulk_port}"),
    )


def _split(address: str, what: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(address)
    if not found or not 1 <= int(found[2]) <= MAX_PORT:
        raise ConfigError(f"{what}: got {address!r}; want host:port, as in '10.0.0.5:7700' or '[fd00::5]:7700'")
    return found[1], int(found[2])
