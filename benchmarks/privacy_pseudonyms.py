"""The part "pseudonyms" of `mpc bench privacy-masking`: what they cost, and what three attackers without the key get.

*All guesses*: somebody who hashes every value of the format. *How often*: somebody who knows how frequent each value is (from
adult.test) and takes the most frequent pseudonym of a format for the most frequent value of that format, and so on. *Other
columns*: somebody who knows a person's other columns. The key stops the first alone.
"""
from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.privacy import masking

Texts = npt.NDArray[np.str_]
DIGITS: Final = 6  # the smallest domain that is not refused, so the easiest to try all of
COLUMNS: Final = ("native-country", "occupation")


def measure(train: dict[str, Any], test: dict[str, Any], quasi: Any) -> tuple[dict[str, Any], str]:
    """Rates, and attacks on the people of ``train``; ``test``: where an attacker knows frequencies from."""
    key = masking.MaskingKey.create()
    count = len(train["age"])
    out: dict[str, Any] = {"people": count, "a second": rates(key, count), "all guesses": all_guesses(key, count)}
    out["how often"] = {name: how_often(key, name, train[name], test[name]) for name in COLUMNS}
    raw = masking.as_released(train, quasi)
    out["other columns"] = masking.linkage(raw, train).singled_out
    rated = [f"| {name} | {rate:,.0f} |" for name, rate in out["a second"].items()]
    lines = ["| pseudonyms | a second |", "|---|---:|", *rated, "",
             f"{count} people. Share of rows whose value an attacker without the key finds:", "",
             "| attack | no mask | plain hash | pseudonym | token | most frequent |", "|---|" + "---:|" * 5]  # fmt: skip
    found = out["all guesses"]
    shares = " | ".join(f"{found[name]:.3g}" for name in ("hash", "pseudonym", "token"))
    lines.append(f"| all guesses, {DIGITS} digits ({found['seconds']:.1f} s) | 1 | {shares} | {10.0**-DIGITS:.1g} |")
    for name, f in out["how often"].items():
        lines.append(f"| how often, {name} | 1 | 1 | {f['pseudonym']:.3g} | {f['token']:.3g} | {f['most']:.3g} |")
    other = f"{out['other columns']:.3g}"
    lines.append(f"| other columns, {len(quasi)} of them | {other} | {other} | {other} | {other} | |")
    return out, "\n".join(lines)


def rates(key: masking.MaskingKey, count: int) -> dict[str, float]:
    """Values a second, each distinct: nine digits, e-mail addresses, HMAC tokens."""
    digits = np.array([f"{i:09d}" for i in range(count)])
    mails = np.array([f"person.{i}@example.org" for i in range(count)])
    phone, mail = masking.Pseudonyms(key, "phone"), masking.Pseudonyms(key, "mail", format="email")
    drawn = masking.Pseudonyms(key, "phone", reversible=False)
    runs: dict[str, Callable[[], Any]] = {
        "nine digits": lambda: phone.mask(digits), "e-mail": lambda: mail.mask(mails),
        "nine digits, HMAC": lambda: drawn.mask(digits), "tokens": lambda: [drawn.token(value) for value in digits],
    }  # fmt: skip
    out = {}
    for name, run in runs.items():
        started = perf_counter()
        run()
        out[name] = count / (perf_counter() - started)
    masked = phone.mask(digits)
    if len(np.unique(masked)) != count or (phone.unmask(masked) != digits).any():
        raise AssertionError("pseudonyms of nine digits do not turn back")
    return out


def all_guesses(key: masking.MaskingKey, count: int) -> dict[str, float]:
    """Everybody has a number of six digits. Its SHA-256 is undone by a table of all; one of pseudonyms needs the key, so the
    attacker makes it under a key of their own."""
    numbers = np.random.default_rng(0).choice(10**DIGITS, count, replace=False)
    texts = np.array([f"{n:0{DIGITS}d}" for n in numbers])
    hashed = [_hash(text) for text in texts]
    names, own = masking.Pseudonyms(key, "number"), masking.Pseudonyms(masking.MaskingKey.create(), "number")
    masked, tokens = names.mask(texts), [names.token(text) for text in texts]
    started = perf_counter()
    table = {_hash(text): text for text in (f"{n:0{DIGITS}d}" for n in range(10**DIGITS))}
    by_hash = np.array([table[h] for h in hashed])
    seconds = perf_counter() - started
    guesses = {own.token(text): text for text in texts}  # the true values alone: more could only miss more
    by_token = np.array([guesses.get(token, "") for token in tokens])
    return {"hash": float(np.mean(by_hash == texts)), "seconds": seconds,
            "pseudonym": float(np.mean(own.unmask(masked) == texts)), "token": float(np.mean(by_token == texts))}  # fmt: skip


def how_often(key: masking.MaskingKey, name: str, values: Any, known: Any) -> dict[str, float]:
    """Rows whose value is guessed from frequencies: of pseudonyms that keep the format, and of tokens, which keep nothing."""
    values, known = (np.asarray(v)[np.asarray(v) != "?"].astype(str) for v in (values, known))
    names = masking.Pseudonyms(key, name, insecure_small_domain=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", masking.SmallDomain)
        masked = names.mask(values)
    said = {value: names.token(value) for value in np.unique(values)}
    tokens = np.array([said[value] for value in values])
    usual = np.unique(known, return_counts=True)
    return {"pseudonym": float(np.mean(_ranked(masked, known, _format) == values)),
            "token": float(np.mean(_ranked(tokens, known, lambda _: "") == values)),
            "most": float(np.mean(values == usual[0][usual[1].argmax()]))}  # fmt: skip


def _ranked(pseudonyms: Texts, known: Texts, form: Callable[[str], str]) -> Texts:
    """The guess for each row: values by how often they are, within each format."""
    ranks: dict[str, list[str]] = defaultdict(list)
    for value in _by_frequency(known):
        ranks[form(value)].append(value)
    guess: dict[str, str] = {}
    for pseudonym in _by_frequency(pseudonyms):
        left = ranks[form(pseudonym)]
        guess[pseudonym] = left.pop(0) if left else ""
    return np.array([guess[p] for p in pseudonyms])


def _by_frequency(values: Texts) -> list[str]:
    found, counts = np.unique(values, return_counts=True)
    return [str(v) for v in found[np.argsort(-counts, kind="stable")]]


def _format(text: str) -> str:
    return "".join("0" if c.isdigit() else "A" if c.isupper() else "a" if c.islower() else c for c in text)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
