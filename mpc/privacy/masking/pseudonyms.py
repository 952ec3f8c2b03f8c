"""Keyed pseudonyms that keep a format: digits stay digits, letters stay letters of the same case, everything else stays."""
from __future__ import annotations

import hashlib
import hmac
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from mpc.errors import ConfigError
from mpc.privacy.masking.columns import Column
from mpc.privacy.masking.ff1 import FF1, LEAST_DOMAIN
from mpc.privacy.masking.keyfile import MaskingKey

ALPHABETS: Final = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ALPHABET: Final = {letter: alphabet for alphabet in ALPHABETS for letter in alphabet}
_PLACE: Final = {letter: i for alphabet in ALPHABETS for i, letter in enumerate(alphabet)}
FORMATS: Final = ("text", "email")
MISSING: Final = frozenset(("None", "nan", "NaT", "<NA>"))  # as pandas and Python write them


class SmallDomain(UserWarning):
    """A format with so few values that a pseudonym hides little: whoever sees many of them has seen them all."""


class Pseudonyms:
    """Deterministic under a key: equal values of a column get equal pseudonyms, so joins and counts still work.

    ``reversible``: a permutation of all values of the same format (FF1 on the value's rank in binary, with cycle walking),
    which `unmask` turns back with the key: no two values share a pseudonym. Otherwise letters and digits are drawn by
    HMAC-SHA-256 of the value: the key cannot turn them back but by trying values, and two values may meet (n values of a format
    with N: n^2 / 2N pairs). ``format``: "text", or "email": the top-level domain stays, and the whole domain with
    ``keep_domain``; what stays is part of the value, so one name at two domains gets two unrelated pseudonyms.

    Protects a value against whoever lacks the key. Does not hide: format, length, case, punctuation and letters outside a-z
    (refused, see below), which values are equal and how often each occurs (a frequent one may be guessed), or anything else in
    the row: pseudonymous data is personal data still. For numbers and addresses, not for words of few kinds: the format alone
    may tell which (of Adult's occupations every one: `mpc bench privacy-masking pseudonyms`); `token` keeps none. Formats with
    fewer than 1,000,000 values (FF1's minimum; six digits have just that many) are refused unless ``insecure_small_domain``,
    which warns. Columns of different names have unrelated pseudonyms.
    """

    def __init__(
        self, key: MaskingKey, column: str, *, format: str = "text", reversible: bool = True, keep_domain: bool = False,
        insecure_small_domain: bool = False,
    ) -> None:  # fmt: skip
        if format not in FORMATS:
            raise ConfigError(f"format {format!r}; want one of {', '.join(FORMATS)}")
        if keep_domain and format != "email":
            raise ConfigError("keep_domain is about e-mail addresses; want format='email' with it")
        self.column, self.format, self.reversible, self.keep_domain = column, format, reversible, keep_domain
        self.insecure = insecure_small_domain
        kind = (format, "whole" if not keep_domain else "local part")
        self._ff1 = FF1(key.derive("ff1", column, *kind), 2, insecure_small_domain=insecure_small_domain)
        self._hmac = key.derive("hmac", column, *kind)

    def __reduce__(self) -> str:
        raise TypeError("pseudonyms hold keys and are not pickled or copied; make them from the key and the column's name")

    def __repr__(self) -> str:
        return f"Pseudonyms(column={self.column!r}, format={self.format!r}, reversible={self.reversible})"

    def mask(self, values: Any) -> Column:
        """The pseudonyms of a column of text (numbers become their digits). Raises ConfigError, without quoting a value, where
        one cannot be masked: no digit or letter in it, a letter outside a-z, no e-mail address, a small domain."""
        return self._mapped(values, self._forth if self.reversible else self._drawn)

    def unmask(self, pseudonyms: Any) -> Column:
        """What they stand for. Under another key or column name: other values of the format, silently. Raises ConfigError."""
        if not self.reversible:
            raise ConfigError(f"the pseudonyms of {self.column!r} were made not to be turned back (reversible=False)")
        return self._mapped(pseudonyms, self._back)

    def token(self, value: str, letters: int = 16) -> str:
        """A pseudonym without the value's format: base32 of its HMAC, 5 bits a letter. Not reversible; any text."""
        if not 1 <= letters <= 48:
            raise ConfigError(f"a token of {letters} letters; want 1 to 48")
        digest = int.from_bytes(hmac.new(self._hmac, b"token" + value.encode(), hashlib.sha256).digest(), "big")
        return "".join("abcdefghijklmnopqrstuvwxyz234567"[digest >> 5 * i & 31] for i in range(letters))

    def _mapped(self, values: Any, of: Any) -> Column:
        column = np.asarray(values)
        if column.dtype.kind in "fO" and any(not isinstance(v, str) and str(v) in MISSING for v in column.flat):
            raise ConfigError(f"column {self.column!r} has missing values (None or NaN), which have no pseudonym: leave these "
                              "rows out, or write what stands for a missing value")
        found, index = np.unique(column.astype(str), return_inverse=True)
        alike: dict[tuple[str, str], list[int]] = defaultdict(list)
        parts = [self._split(str(text)) for text in found]
        for i, (inside, kept) in enumerate(parts):
            alike[_form(inside), kept].append(i)
        out = [""] * len(found)
        for form in dict.fromkeys(form for form, _ in alike):
            self._examine(form)
        for (form, kept), members in alike.items():
            masked = of([parts[i][0] for i in members], form, kept)
            for i, text in zip(members, masked, strict=True):
                out[i] = text + kept
        return np.array(out, dtype=str)[index.reshape(-1)].reshape(column.shape)

    def _split(self, text: str) -> tuple[str, str]:
        """(masked, kept)."""
        if any(c.isalnum() and c not in _ALPHABET for c in text):
            raise ConfigError(f"column {self.column!r} holds letters or digits outside a-z, A-Z, 0-9, which have no pseudonym "
                              "of their format: write them in ASCII first, or use token()")
        if self.format == "text":
            return text, ""
        local, _, domain = text.rpartition("@")
        if not local or "." not in domain or not all(domain.split(".")) or "@" in local:
            raise ConfigError(f"column {self.column!r} holds a value that is no e-mail address; want name@domain.top")
        cut = len(local) if self.keep_domain else text.rfind(".")
        return text[:cut], text[cut:]

    def _examine(self, form: str) -> None:
        size = prod(_radices(form))
        if size >= LEAST_DOMAIN:
            return
        shape = "".join({"0": "9", "a": "a", "A": "A"}.get(c, c) for c in form)
        said = (f"column {self.column!r}: a format like {shape!r} has {size} values; pseudonyms want at least {LEAST_DOMAIN} "
                "(six digits, five letters)")
        if not self.insecure:
            raise ConfigError(f"{said}: join it with another column, use token(), or say insecure_small_domain=True")
        warnings.warn(f"{said}: who sees many of them can tell them apart by frequency", SmallDomain, stacklevel=5)

    def _forth(self, texts: Sequence[str], form: str, kept: str) -> list[str]:
        return self._permuted(texts, form, kept, self._ff1.encrypt)

    def _back(self, texts: Sequence[str], form: str, kept: str) -> list[str]:
        return self._permuted(texts, form, kept, self._ff1.decrypt)

    def _permuted(self, texts: Sequence[str], form: str, kept: str, permute: Any) -> list[str]:
        """Rank, permute the smallest power of two that holds all ranks, and again while outside them (under 2 times on
        average). The tweak is the format with what stays: the same name at two domains has unrelated pseudonyms."""
        radices = _radices(form)
        size, tweak = prod(radices), f"{form} {kept}".encode()
        if size == 1:
            return list(texts)
        bits = max(2, (size - 1).bit_length())
        ranks = [_rank(text) for text in texts]
        open_ = list(range(len(ranks)))
        while open_:
            for i, rank in zip(open_, permute([ranks[i] for i in open_], bits, tweak), strict=True):
                ranks[i] = rank
            open_ = [i for i in open_ if ranks[i] >= size]
        return [_unrank(rank, form) for rank in ranks]

    def _drawn(self, texts: Sequence[str], form: str, kept: str) -> list[str]:
        size = prod(_radices(form))
        length = (size.bit_length() + 7 >> 3) + 16  # 128 bits more than needed: the remainder is uniform to 2^-128

        def draw(text: str) -> int:
            seed = hmac.new(self._hmac, f"drawn{text} {kept}".encode(), hashlib.sha256).digest()
            return int.from_bytes(hashlib.shake_256(seed).digest(length), "big") % size

        return [_unrank(draw(text), form) for text in texts]


def _form(text: str) -> str:
    """The format: 0 for a digit, a or A for a letter, anything else itself."""
    return "".join(_ALPHABET[c][0] if c in _ALPHABET else c for c in text)


def _radices(form: Iterable[str]) -> list[int]:
    return [len(_ALPHABET[c]) for c in form if c in _ALPHABET]


def _rank(text: str) -> int:
    rank = 0
    for c in text:
        if c in _ALPHABET:
            rank = rank * len(_ALPHABET[c]) + _PLACE[c]
    return rank


def _unrank(rank: int, form: str) -> str:
    out = list(form)
    for i in range(len(form) - 1, -1, -1):
        if (alphabet := _ALPHABET.get(form[i])) is not None:
            rank, place = divmod(rank, len(alphabet))
            out[i] = alphabet[place]
    return "".join(out)
