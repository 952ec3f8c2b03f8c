"""A plan: everything a program will ask of the dealer, as public structure. Made by a dry run, dealt ahead of time.

::

    8 bytes    magic
    plan       msgpack of `Plan`
    32 bytes   BLAKE2b of everything before
"""
from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from mpc.config import MAX_PARTIES, MIN_PARTIES, VERSION
from mpc.errors import ConfigError, CorruptFrame, IntegrityError
from mpc.network import Network
from mpc.preprocessing import requests

MAGIC: Final = b"MPCPLAN1"
DIGEST_BYTES: Final = 16
_CHECK: Final = 32


class Amount(NamedTuple):
    """How often a kind of correlation is needed, and the bytes of its corrections."""

    times: int
    bytes: int


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """``requests``: as a dealer would get them, in order. ``seed``: of the public generator, because shuffles that it
    makes are in the requests: runs of one plan shuffle alike unless the program seeds it. ``network``: what kernels chose by,
    in the dry run and in every run."""

    package: str
    world_size: int
    protocol: str
    frac_bits: int
    seed: int
    network: Network
    requests: tuple[bytes, ...]

    @cached_property
    def digest(self) -> bytes:
        """16 bytes that differ when anything in the plan does."""
        return hashlib.blake2b(msgspec.msgpack.encode(self), digest_size=DIGEST_BYTES, person=b"mpc-plan-v1").digest()

    @cached_property
    def correction_bytes(self) -> int:
        """What the receiver's store holds for one run."""
        return sum(amount.bytes for amount in self.by_kind.values())

    @cached_property
    def by_kind(self) -> dict[str, Amount]:
        """Amounts by kind of correlation. Raises CorruptFrame for requests that are none."""
        found: dict[str, Amount] = {}
        for body in self.requests:
            for item in requests.decode(body):
                count, size = found.get(type(item).__name__, Amount(0, 0))
                found[type(item).__name__] = Amount(count + 1, size + 8 * sum(part.words for part in item.parts()))
        return found

    def write(self, path: Path) -> None:
        """Replace the file in one step. Raises ConfigError."""
        body = MAGIC + msgspec.msgpack.encode(self)
        new = path.with_name(path.name + ".new")
        try:
            with open(new, "wb") as file:
                file.write(body + hashlib.blake2b(body, digest_size=_CHECK).digest())
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except OSError as error:
            raise ConfigError(f"the plan cannot be written to {path}: {error.strerror}") from None


def read(path: Path) -> Plan:
    """The plan in a file. Raises ConfigError where there is none, IntegrityError where it is damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the plan {path} cannot be read: {error.strerror}") from None
    if data[: len(MAGIC)] != MAGIC or hashlib.blake2b(data[:-_CHECK], digest_size=_CHECK).digest() != data[-_CHECK:]:
        raise IntegrityError(f"{path} is no plan, or is damaged: make it again with `mpc preprocess`")
    return decode(data[len(MAGIC) : -_CHECK], str(path))


_DECODER: Final = msgspec.msgpack.Decoder(Plan)  # made here: several threads at their first decoding of a type crash


def decode(data: bytes, where: str) -> Plan:
    """A plan's msgpack. Raises IntegrityError for what is none, ConfigError for one of another release."""
    try:
        plan = _DECODER.decode(data)
        fine = MIN_PARTIES <= plan.world_size <= MAX_PARTIES and bool(plan.by_kind) == bool(plan.requests)
    except (msgspec.MsgspecError, UnicodeDecodeError, CorruptFrame) as error:
        raise IntegrityError(f"{where} holds an unreadable plan: {error}") from None
    if not fine:
        raise IntegrityError(f"{where} holds a plan for {plan.world_size} parties")
    if plan.package != VERSION:
        raise ConfigError(f"{where} holds a plan of release {plan.package}; this is {VERSION}: make it again")
    return plan
