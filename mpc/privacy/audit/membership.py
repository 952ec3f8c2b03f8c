"""Membership inference: was this record among those the model was trained on?"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.audit.confidence import Output, confidences
from mpc.privacy.audit.intervals import Estimate, Floats, Labels
from mpc.privacy.audit.membership_report import MembershipReport
from mpc.privacy.audit.rates import share
from mpc.privacy.audit.roc import Scores, numbered
from mpc.privacy.audit.variances import moderated

Records = tuple[Any, Any]
Train = Callable[[Any, Any, int], Any]

LEAST_SHADOWS: Final = 4  # two with and two without each record
_SHADOW: Final = 0x5AD0  # keeps shadows' seeds apart from anybody's small numbers


def membership_inference(
    model: Any, members: Records, others: Records, *, output: Output = "probabilities", train: Train | None = None,
    shadows: int = 8, groups: tuple[Any, Any] | None = None, epsilon: float | None = None, delta: float = 0.0, seed: int = 0,
) -> MembershipReport:  # fmt: skip
    """How well ``members`` (features, labels) of the training set are told from ``others`` of the same population.

    Attacks:

    - "threshold": a record is called a member if the model is surer of its label than a threshold, chosen on one half of the
      records and tested on the other. Assumes that the adversary may ask the model for confidences and knows as many
      members as that takes. Source: Yeom et al., Privacy risk in machine learning, 2018.
    - "likelihood ratio", with ``train`` (a function of features, labels and a seed that makes a model like this one): each of
      ``shadows`` models is trained on a random part of all these records; log(p / (1 - p)) of a record under models with
      and without it makes two normal distributions, whose ratio is the score. A record's variances are drawn towards those of
      all records (`variances.moderated`). No shadow has the model's seed. Assumes also that the adversary can train
      such models on such records. Source: Carlini et al., Membership inference attacks from first principles, 2022.

    ``model``, ``output``: see `confidence.confidences`; a model on secret shares is a function that opens its session and
    reveals its answers. ``others`` must come from where the members come from, or the attack tells the two sources apart.
    ``groups``: whose record each is, of members and of others (the same name on both sides is one person): then halves and
    intervals draw people. They are about records such as these, for this one model: train several on other splits to see how
    much training itself varies. ``epsilon``, ``delta``: the guarantee the model was trained with, for adding or removing one
    *record*; its bound is reported beside the leak.

    A low number does not show that nothing leaks: stronger attacks exist (more shadows, records chosen by the adversary), an
    average hides the few records that leak most (see true positives at 1 % false ones), and only a guarantee covers them all.
    Raises ShapeError, ConfigError.
    """
    pairs = [_checked(members, "members"), _checked(others, "others")]
    if epsilon is not None and (not epsilon >= 0 or not 0 <= delta < 1):
        raise ConfigError(f"got epsilon {epsilon!r}, delta {delta!r}; want epsilon from 0 and delta from 0 to below 1")
    whose = numbered(*(groups or (None, None)), *(len(y) for _, y in pairs))
    sure = [confidences(model, x, y, output) for x, y in pairs]
    attacks = {"threshold": Scores.of(sure[0][0], sure[1][0], whose[0], whose[1], seed)}
    if train is not None:
        ratio = likelihood_ratios(np.concatenate([s for s, _ in sure]), pairs, train, shadows, output, seed)
        attacks["likelihood ratio"] = Scores.of(ratio[: len(whose[0])], ratio[len(whose[0]) :], whose[0], whose[1], seed)
    accuracy = None
    if sure[0][1] is not None and sure[1][1] is not None:
        accuracy = _accuracy(sure[0][1], whose[0]), _accuracy(sure[1][1], whose[1])
    return MembershipReport(attacks, epsilon, delta, accuracy, shadows if train is not None else 0)


def likelihood_ratios(
    sure: Floats, pairs: Sequence[Records], train: Train, shadows: int, output: Output = "probabilities", seed: int = 0
) -> Floats:
    """log N(s; in) - log N(s; out) of each record's confidence ``sure``, members first; see `membership_inference`."""
    x, y = (np.concatenate([np.asarray(p[k]) for p in pairs]) for k in (0, 1))
    used = _design(len(y), len(pairs[0][1]) / len(y), shadows, seed)
    seeds = np.random.SeedSequence([seed, _SHADOW]).generate_state(shadows)  # not the model's own, which nobody knows
    found = np.array([
        confidences(train(x[rows], y[rows], int(s)), x, y, output)[0] for s, rows in zip(seeds, used, strict=True)
    ])  # fmt: skip
    score = np.zeros(len(y))
    for sign, rows in ((1, used), (-1, ~used)):
        count = rows.sum(0)
        mean = (found * rows).sum(0) / count
        own = moderated((((found - mean) ** 2) * rows).sum(0), int(count[0]) - 1)  # the same count for every record
        wide = own * (1 + 1 / count)  # the mean itself is known from few models
        score += sign * (-((sure - mean) ** 2) / (2 * wide) - np.log(wide) / 2)
    return score


def _design(records: int, part: float, shadows: int, seed: int) -> npt.NDArray[np.bool_]:
    """shadows x records: which shadow is trained on which record; every record has at least two with and two without."""
    if shadows < LEAST_SHADOWS:
        raise ConfigError(f"got {shadows} shadows; want at least {LEAST_SHADOWS}: two with and two without each record")
    with_ = min(max(round(part * shadows), 2), shadows - 2)
    order = np.random.default_rng(seed).random((shadows, records)).argsort(0)
    return np.asarray(order < with_)


def _accuracy(right: npt.NDArray[np.bool_], groups: Labels) -> Estimate:
    of = np.unique(groups, return_inverse=True)[1]
    return share(np.bincount(of, right).astype(np.float64), np.bincount(of).astype(np.float64))


def _checked(records: Records, name: str) -> Records:
    if not isinstance(records, tuple) or len(records) != 2:
        raise ShapeError(f"membership_inference: got {name} of type {type(records).__name__}; want (features, labels)")
    x, y = records
    if np.ndim(y) != 1 or len(x) != len(y) or len(y) < 4:
        raise ShapeError(f"membership_inference: got {name} of {len(x)} rows and labels of shape {np.shape(y)}; "
                         "want one label a row and at least 4 rows")  # fmt: skip
    return x, y
