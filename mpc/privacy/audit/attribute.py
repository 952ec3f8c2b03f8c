"""How well a private attribute can be told from what is handed out: measured with fresh attackers on untouched records."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.audit.attackers import ATTACKERS, scores
from mpc.privacy.audit.intervals import Counts, Floats, Labels
from mpc.privacy.audit.report import AttributeReport


def attribute_inference(
    encoder: Any, *, raw: Any, private: Any, groups: Any = None, task: Any = None, attacker: Any = None,
    queries: Sequence[int] = (10,), seed: int = 0, baseline: AttributeReport | None = None,
    attackers: Sequence[str] = ATTACKERS,
) -> AttributeReport:  # fmt: skip
    """The leak of ``private`` through ``encoder`` (a frozen object with ``transform``, or a function of features).

    The adversary knows the encoder, owns some records with their private labels and trains on what the encoder makes of
    them; it guesses for the others. Advantage A = max over logistic regression, k-nearest, gradient boosting and a small
    network of (balanced accuracy - 1/k) / (1 - 1/k): 0 is guessing, 1 is knowing.

    ``raw`` (rows x columns), ``private``: the records. ``groups``: whose record each is (a person); intervals draw groups.
    ``attacker``: which records (booleans) the adversary owns; without it half of the groups, so that it owns other people's.
    Give records that the encoder was not trained on as the others. ``task``: labels that shall stay; needed for the floor.
    ``queries``: further leaks when each record is asked for so many times and averaged. ``baseline``: a report on the same
    records and split, whose raw attackers are taken over. ``attackers``: fewer of them are faster and find less.

    Returns an `AttributeReport` with 95 % intervals (bootstrap over groups; the attackers are not trained again, so their
    own chance is not in it: average several seeds with `combine`, which draws seeds as well). The best attacker is picked on
    the records it is counted on: A and A0 lie a little too high, most where there is nothing to find; so does the null, from
    attackers trained on shuffled labels (people's, where the adversary owns other people than it attacks and each has one
    label; else records'). An attack that fails proves nothing about others.
    Source: the definition in Measuring a leak honestly, companions of the engine. Raises ShapeError, ConfigError.
    """
    x = np.asarray(raw, np.float64)
    if x.ndim != 2:
        raise ShapeError(f"attribute_inference: got raw of shape {x.shape}; want rows x columns")
    if not attackers:
        raise ConfigError(f"attribute_inference: got no attackers; want some of {', '.join(ATTACKERS)}")
    secret, person = _numbered(private, len(x), "private"), None
    if groups is not None:
        person = _numbered(groups, len(x), "groups")
    owned = _owned(attacker, person, secret, seed)
    attack = _Attack(owned, secret, person, tuple(attackers), seed)
    transform = getattr(encoder, "transform", encoder)
    counts = _before(attack, x, task, baseline)
    z = _answers(transform, raw, 1)
    found = attack.scores(z, secret)
    counts["leak"] = attack.counted(found, secret)
    counts["null"] = attack.counted(attack.scores(z, attack.shuffled()), secret)
    for n in queries:
        counts[f"queries-{n}"] = attack.counted(attack.scores(_answers(transform, raw, n), secret), secret)
    if person is not None and (together := attack.together(found)) is not None:
        counts["person"] = together
    if task is not None:
        kept = _numbered(task, len(x), "task")
        counts["task"] = attack.counted(attack.scores(z, kept, frequency=True), kept)
    return AttributeReport((counts,), tuple(attackers), int(owned.sum()), int((~owned).sum()))


def _before(attack: _Attack, x: Floats, task: Any, baseline: AttributeReport | None) -> dict[str, Counts]:
    """What does not depend on the encoder: the leak of the features and of the task's label, and the task on features."""
    kept = None if task is None else _numbered(task, len(x), "task")
    if baseline is not None:
        old = baseline.counts[0]
        same = attack.counted(np.zeros((1, int((~attack.owned).sum()), 1)), attack.secret).totals
        if old["raw"].totals.shape != same.shape or (old["raw"].totals != same).any() or (kept is not None) != ("floor" in old):
            raise ConfigError("attribute_inference: baseline is a report on other records or another split; leave it out")
        return {name: old[name] for name in ("raw", "floor", "task_raw") if name in old}
    out = {"raw": attack.counted(attack.scores(x, attack.secret), attack.secret)}
    if kept is not None:
        out["floor"] = attack.counted(attack.scores(np.eye(kept.max() + 1)[kept], attack.secret), attack.secret)
        out["task_raw"] = attack.counted(attack.scores(x, kept, frequency=True), kept)
    return out


class _Attack:
    """One split of the records into the adversary's and the others."""

    def __init__(self, owned: Any, secret: Labels, person: Labels | None, attackers: tuple[str, ...], seed: int) -> None:
        self.owned, self.secret, self.person, self.attackers, self.seed = owned, secret, person, attackers, seed
        rest = np.arange(int((~owned).sum())) if person is None else person[~owned]
        self.groups = np.unique(rest, return_inverse=True)[1]

    def scores(self, view: npt.NDArray[Any], labels: Labels, frequency: bool = False) -> Floats:
        """Attackers x other records x classes. ``frequency``: for plain accuracy, classes weigh as they occur."""
        seen, unseen, k = view[self.owned], view[~self.owned], int(labels.max()) + 1
        out = np.array([scores(name, seen, labels[self.owned], unseen, k, self.seed) for name in self.attackers])
        if not frequency:
            return out
        counts = np.bincount(labels[self.owned], minlength=k)
        return np.asarray(out + np.log(np.maximum(counts, 1) / counts.sum()))

    def counted(self, found: Floats, truth: Labels) -> Counts:
        return Counts.of(found.argmax(2), truth[~self.owned], self.groups, int(truth.max()) + 1)

    def shuffled(self) -> Labels:
        """The secrets, those of the adversary's records dealt anew: to whole people, whose records are alike, if that makes
        sense; an adversary that knows the very people it attacks would only learn who they are."""
        out, rng = self.secret.copy(), np.random.default_rng(self.seed)
        if self.person is not None and not np.isin(self.person[~self.owned], self.person[self.owned]).any():
            _, first, of = np.unique(self.person[self.owned], return_index=True, return_inverse=True)
            values = self.secret[self.owned]
            if (values[first][of] == values).all():
                out[self.owned] = rng.permutation(values[first])[of]
                return out
        out[self.owned] = rng.permutation(self.secret[self.owned])
        return out

    def together(self, found: Floats) -> Counts | None:
        """One guess per person, from the mean score of its records; None where people have several values."""
        truth, count = self.secret[~self.owned], int(self.groups.max()) + 1
        of = np.zeros(count, np.int64)
        of[self.groups] = truth
        if (of[self.groups] != truth).any():
            return None
        mean = np.zeros((len(found), count, found.shape[2]))
        for a, one in enumerate(found):
            np.add.at(mean[a], self.groups, one)
        return Counts.of(mean.argmax(2), of, np.arange(count), found.shape[2])


def _answers(transform: Any, raw: Any, queries: int) -> Floats:
    """What the encoder answers, averaged over so many queries of every record."""
    if queries < 1:
        raise ConfigError(f"attribute_inference: got {queries} queries; want at least 1")
    total = np.asarray(transform(raw), np.float64)
    if total.ndim != 2 or len(total) != len(raw) or not total.shape[1]:
        raise ShapeError(f"attribute_inference: got answers of shape {total.shape}, {len(raw)} records; want rows x columns")
    if not (np.abs(total) < 1e150).all():  # squares of larger ones are no numbers
        raise ConfigError("attribute_inference: got answers that are NaN, infinite or huge, which nobody can attack")
    for _ in range(queries - 1):
        total = total + np.asarray(transform(raw), np.float64)
    return np.asarray(total / queries)


def _numbered(labels: Any, rows: int, name: str) -> Labels:
    if np.shape(labels) != (rows,):
        raise ShapeError(f"attribute_inference: got {name} of shape {np.shape(labels)}; want ({rows},), one a record")
    found, numbers = np.unique(np.asarray(labels), return_inverse=True)
    if len(found) < 2:
        raise ConfigError(f"attribute_inference: got {name} with {len(found)} value; want at least 2")
    return numbers.astype(np.int64)


def _owned(attacker: Any, person: Labels | None, secret: Labels, seed: int) -> npt.NDArray[np.bool_]:
    """The adversary's records: those given, or half of the groups, within each value of the private attribute."""
    if attacker is not None:
        owned = np.asarray(attacker)
        if owned.shape != secret.shape or owned.dtype != np.bool_:
            raise ShapeError(f"attribute_inference: got attacker of {owned.shape} {owned.dtype}; want {secret.shape} booleans")
    else:
        of = np.arange(len(secret)) if person is None else person
        value = np.zeros(of.max() + 1, np.int64)
        value[of] = secret  # of one of its records; only to share the groups out evenly
        rng = np.random.default_rng(seed)
        chosen = np.zeros(len(value), np.bool_)
        for one in np.unique(value):
            members = rng.permutation(np.flatnonzero(value == one))
            chosen[members[: (len(members) + int(rng.integers(2))) // 2]] = True
        owned = chosen[of]
    if not 0 < owned.sum() < len(owned):
        raise ConfigError(f"attribute_inference: the attacker owns {owned.sum()} of {len(owned)} records; want some, not all")
    return owned
