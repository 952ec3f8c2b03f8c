"""What a privacy budget's file says: JSON, of which nothing is secret and nothing depends on data.

::

    epsilon, delta    the limit, which stays as it was made
    releases          when, what, and the epsilon that each costs by itself at that delta
    trainings         how many steps of which training were charged, by names that `PrivateSGD` gives
    total             the guarantee of all of them together, from which later charges go on
    digest            BLAKE2b of the rest: finds damage, not forgery
"""
from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec.structs import replace

from mpc.config import VERSION
from mpc.errors import ConfigError, IntegrityError
from mpc.privacy.dp.accounting import ORDERS, Curve, Guarantee, Pure
from mpc.privacy.dp.steps import Kind, Steps

FORMAT: Final = 1
MOST_NUMBERS: Final = 1 << 24  # of one distribution


class Release(msgspec.Struct, forbid_unknown_fields=True):
    """One line: what was released, how often in a row, and what one costs by itself."""

    when: str  # the first
    what: str
    epsilon: float | None  # at the budget's delta; None: infinite
    times: int = 1
    reason: str = ""  # not compared
    training: str | None = None  # of whose steps in a row there is one line


class Losses(msgspec.Struct, forbid_unknown_fields=True):
    """A privacy loss distribution on a grid."""

    interval: float
    lowest: int
    infinite: float
    probabilities: bytes


class Total(msgspec.Struct, forbid_unknown_fields=True):
    """A `Guarantee`: so many steps of each kind, and the rest."""

    losses: list[Losses] = []  # one where adding and removing are alike, else removing, adding
    orders: bytes = b""
    divergences: bytes = b""
    total_variation: float = 0.0
    lost: float = 0.0
    pure: tuple[float, float] | None = None
    steps: list[tuple[Kind, int]] = []


class Content(msgspec.Struct, forbid_unknown_fields=True):
    """All but the digest."""

    epsilon: float
    delta: float
    mpc: str = VERSION
    format: int = FORMAT
    releases: list[Release] = []
    trainings: dict[str, int] = {}
    total: Total | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    content: msgspec.Raw
    digest: str


_OUTER: Final = msgspec.json.Decoder(_File)  # made here: several threads at their first decoding of a type crash
_INNER: Final = msgspec.json.Decoder(Content)
_ENCODER: Final = msgspec.json.Encoder(enc_hook=lambda number: number.item())  # of numpy


def encode(content: Content) -> bytes:
    """The whole file."""
    data = _ENCODER.encode(content)
    return msgspec.json.format(msgspec.json.encode(_File(msgspec.Raw(data), _digest(data))), indent=1) + b"\n"


def read(data: bytes, path: Path) -> Content:
    """Of a whole file. Raises IntegrityError for a damaged one, ConfigError for another format."""
    try:
        file = _OUTER.decode(data)
        if _digest(msgspec.json.format(file.content, indent=-1)) != file.digest:
            raise IntegrityError(f"{path} is damaged, or was changed by hand; what was spent is unknown")
        content = _INNER.decode(file.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(f"{path} is no budget of this release, or damaged: {error}") from None
    if content.format != FORMAT:
        raise ConfigError(f"{path} has format {content.format}; this release reads {FORMAT}")
    return content


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def furthest(contents: Sequence[Content]) -> Content:
    """The one that tells of all releases that any of them tells of: a party may have been killed before it wrote the last ones.

    Raises ConfigError where they are not one story."""
    longest = max(contents, key=count)
    for content in contents:
        short, whole = content.releases, longest.releases[: len(content.releases)]
        alike = [_same(a, b) for a, b in zip(short, whole, strict=False)]
        times = [a.times <= b.times if k == len(short) - 1 else a.times == b.times
                 for k, (a, b) in enumerate(zip(short, whole, strict=False))]  # fmt: skip
        alike.append(len(short) == len(whole))
        if (content.epsilon, content.delta) != (longest.epsilon, longest.delta) or not all(alike) or not all(times):
            raise ConfigError("the parties' budget files do not tell one story; each party opens the file of the same study")
    return longest


def count(content: Content) -> int:
    """Releases."""
    return sum(line.times for line in content.releases)


def _same(a: Release, b: Release) -> bool:
    cost, other = (math.inf if line.epsilon is None else line.epsilon for line in (a, b))
    alike = math.isclose(cost, other, rel_tol=0.01, abs_tol=1e-6)  # machines round differently
    return alike and (a.what, a.training) == (b.what, b.training)


def release_now(what: str, reason: str, epsilon: float, training: str | None) -> Release:
    """A line of this moment."""
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Release(when, text(what), epsilon if math.isfinite(epsilon) else None, 1, text(reason), training)


def text(given: object) -> str:
    """What a file can hold and give back, also of what was no str, or no Unicode."""
    return "" if given is None else str(given).encode("utf-8", "backslashreplace").decode()


def packed(guarantee: Guarantee) -> Total:
    """For `Content.total`."""
    if isinstance(guarantee, Steps):  # not composed: that takes long
        rest = Total() if guarantee.rest is None else packed(guarantee.rest)
        return replace(rest, steps=list(guarantee.counts.items()))
    losses = [] if guarantee.pld is None else _losses(guarantee.pld)
    divergences = b"" if guarantee.rdp is None else _bytes(guarantee.rdp)
    orders = _bytes(ORDERS) if divergences else b""
    total = Total(losses, orders, divergences, guarantee.total_variation, guarantee.lost)
    if guarantee.pure is not None and math.isfinite(sum(guarantee.pure)):  # infinite says nothing, and JSON has no infinity
        total.pure = guarantee.pure.epsilon, guarantee.pure.total_variation
    return total


@lru_cache(maxsize=8)  # the steps of a training leave it as it is
def _losses(pld: Any) -> list[Losses]:
    """dp-accounting (pinned below 0.7) has no public way to the probabilities."""
    sides = [pld._pmf_remove] if pld._symmetric else [pld._pmf_remove, pld._pmf_add]
    return [
        Losses(side._discretization, int(side._lower_loss), float(side._infinity_mass), _bytes(side._probs))
        for side in (side.to_dense_pmf() for side in sides)
    ]


def unpacked(total: Total) -> Guarantee:
    """The guarantee that was packed; at other orders of divergence an upper bound of it."""
    rest = Guarantee(
        _distribution(total.losses) if total.losses else None,
        _at_orders(_floats(total.orders), _floats(total.divergences)) if total.divergences else None,
        total.total_variation, total.lost, None if total.pure is None else Pure(*total.pure),
    )  # fmt: skip
    return Steps(dict(total.steps), rest if replace(total, steps=[]) != Total() else None) if total.steps else rest


def _distribution(losses: list[Losses]) -> Any:
    from dp_accounting.pld import pld_pmf, privacy_loss_distribution

    sides = [pld_pmf.DensePLDPmf(p.interval, p.lowest, _floats(p.probabilities), p.infinite, True) for p in losses]
    return privacy_loss_distribution.PrivacyLossDistribution(*sides)


def _bytes(numbers: Any) -> bytes:
    if np.size(numbers) > MOST_NUMBERS:  # could not be read again
        raise ConfigError(f"a privacy loss of {np.size(numbers)} numbers; a budget's file keeps at most {MOST_NUMBERS}; "
                          "nothing was released. Release with more noise")
    return zlib.compress(np.asarray(numbers, "<f8").tobytes(), 1)


def _floats(data: bytes) -> Curve:
    reader = zlib.decompressobj()
    try:
        numbers = np.frombuffer(reader.decompress(data, 8 * MOST_NUMBERS), "<f8")
    except (zlib.error, ValueError) as error:
        raise IntegrityError(f"a budget's distribution is damaged: {error}") from None
    if not reader.eof or reader.unconsumed_tail:  # a part of a distribution would cost less than the whole
        raise IntegrityError(f"a budget's distribution is cut off, or has more than {MOST_NUMBERS} numbers")
    return numbers


def _at_orders(orders: Curve, divergences: Curve) -> Curve:
    """Divergence grows with the order, so that of the next higher one bounds it."""
    above = np.searchsorted(orders, ORDERS)
    return np.append(divergences, np.inf)[above]
