"""What the wire shows: can a party, all but the owner together, or the dealer tell a private value from what reaches them?"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.audit.attackers import ATTACKERS, scores
from mpc.privacy.audit.frame_features import Coalition, features
from mpc.privacy.audit.intervals import Counts, Labels, estimate, resamples
from mpc.privacy.audit.recording import Program, Recording, record
from mpc.privacy.audit.wire_report import WireReport, WireView


def wire_inference(
    program: Program, samples: Sequence[Any], private: Any, *, owner: int = 0, parties: int = 3,
    coalitions: Mapping[str, Coalition] | None = None, twin: bool = True, attackers: Sequence[str] = ATTACKERS, seed: int = 0,
) -> WireReport:  # fmt: skip
    """How well ``private`` (one label a sample) is told from frames while ``program(party, sample)`` runs on secret shares.

    The adversary has run the program on half of the samples, whose labels it knows, and sees for the others every frame that
    a coalition receives and sends: each party but ``owner``, all of them together, and the dealer (rank ``parties``), unless
    ``coalitions`` (name -> ranks) says otherwise. The attackers get each word as a signed number, its low 16 bits, sums and
    XORs of what several ranks sent in one operation, and sizes: of these the best one alone, and the 32 that tell its own
    samples apart best.
    The best attacker is picked on one half of the other samples and counted on the second, both ways, so that 0 is chance.
    ``twin``: the same with protocol "clear", where plaintext travels, so that the audit can fail.

    A result that the program reveals is on the wire too: if it tells the label, so does the view. Masks come from the
    operating system, so figures differ from run to run; ``seed`` is for the attackers. A view at chance is no proof: the proof
    is that shares are uniform; this finds mistakes such as a frame too many. Raises ShapeError, ConfigError.
    """
    if np.shape(private) != (len(samples),):
        raise ShapeError(f"wire_inference: got private of shape {np.shape(private)}; want ({len(samples)},), one a sample")
    labels = np.unique(np.asarray(private), return_inverse=True)[1].astype(np.int64)
    if len(labels) < 20 or np.bincount(labels).min() < 4 or labels.max() < 1:
        counts = np.bincount(labels).tolist()
        raise ConfigError(f"wire_inference: got {counts} samples by private value; want 20 or more, of 2 values 4 or more each")
    seen = record(program, samples, owner, parties)
    named = _coalitions(parties, owner) if coalitions is None else dict(coalitions)
    views = {name: view(seen, ranks, labels, attackers, seed) for name, ranks in named.items()}
    plainly: dict[str, WireView] = {}
    if twin:
        clear = record(program, samples, owner, parties, "clear")
        plainly = {n: view(clear, ranks, labels, attackers, seed) for n, ranks in named.items() if parties not in ranks}
    return WireReport(views, plainly, len(samples))


def view(seen: Recording, ranks: Coalition, labels: Labels, attackers: Sequence[str] = ATTACKERS, seed: int = 0) -> WireView:
    """The advantage of fresh attackers with the frames of ``ranks``."""
    rng = np.random.default_rng(seed)
    owned = np.zeros(len(labels), np.bool_)
    for value in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == value))
        owned[members[: len(members) // 2]] = True
    x, words = features(seen, ranks, labels, owned)
    classes, truth = int(labels.max()) + 1, labels[~owned]
    single = x[:, :1]  # alone, so that it does not drown among the others
    views = [(single, "logistic"), *((x, name) for name in attackers)]
    guesses = np.array([scores(a, v[owned], labels[owned], v[~owned], classes, seed).argmax(1) for v, a in views])
    guess = _picked(guesses, truth, classes, rng)
    counts = Counts.of(guess[None], truth, np.arange(len(truth)), classes)
    return WireView(estimate(counts.advantages(resamples(len(truth))), len(truth)), chance(guess, truth, classes), words)


def _picked(guesses: Labels, truth: Labels, classes: int, rng: np.random.Generator) -> Labels:
    """On each half the guesses of the attacker that was best on the other half."""
    half = np.zeros(len(truth), np.bool_)
    for value in np.unique(truth):
        members = rng.permutation(np.flatnonzero(truth == value))
        half[members[: len(members) // 2]] = True
    out = np.empty_like(truth)
    for side in (half, ~half):
        worth = 1 / np.maximum(np.bincount(truth[side], minlength=classes), 1)[truth[side]]
        out[~side] = guesses[int(((guesses[:, side] == truth[side]) * worth).sum(1).argmax())][~side]
    return out


def chance(guesses: Labels, truth: Labels, classes: int) -> float:
    """Probability of at least this balanced accuracy if the labels were dealt to the records anew: normal tail with the
    exact mean and variance of that permutation (Hoeffding's combinatorial central limit theorem)."""
    n = len(truth)
    of = np.bincount(truth, minlength=classes)
    worth = np.eye(classes) / np.maximum(of, 1)  # of a guess (row) for a label (column)
    a = worth[guesses][:, truth]
    centred = a - a.mean(0) - a.mean(1, keepdims=True) + a.mean()
    spread = math.sqrt(float((centred**2).sum()) / (n - 1))
    if spread < 1e-12:
        return 1.0
    z = (float(np.trace(a)) - float(a.mean()) * n) / spread
    return math.erfc(z / math.sqrt(2)) / 2


def _coalitions(parties: int, owner: int) -> dict[str, Coalition]:
    others = tuple(rank for rank in range(parties) if rank != owner)
    out: dict[str, Coalition] = {f"party {rank}": (rank,) for rank in others}
    if len(others) > 1:
        out[f"parties {', '.join(map(str, others))}"] = others
    return {**out, "the dealer": (parties,)}
