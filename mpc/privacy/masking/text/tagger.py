"""A light tagger of entities: one logistic regression over hashed features of a word and its neighbours, decoded by Viterbi."""
from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError
from mpc.privacy.extras import needed
from mpc.privacy.masking.text import gazetteers, patterns
from mpc.privacy.masking.text.spans import Span, words

FEATURES: Final = 1 << 16
COUNTERS: Final = 1 << 16
COMMON: Final = (1, 3, 10, 50)  # how often a word was met
OUTSIDE: Final = "O"
AROUND: Final = 2  # words on either side


class Tagger:
    """Begin / inside tags for every type, outside otherwise.

    ``strength``: the inverse of the L2 penalty. ``bias``: added to the log-odds of being an entity: above 0, more is found, and
    more wrongly. Both are chosen on validation data (`mpc bench privacy-masking` does). Features are hashed, so that the model
    lists no words; that is no protection of the texts it was trained on: what it knows of them can be asked. Needs
    scikit-learn.
    """

    def __init__(self, types: Sequence[str], strength: float = 3.0, bias: float = 0.0) -> None:
        if not types or strength <= 0:
            raise ConfigError(f"types {types}, strength {strength}; want at least one type and a positive strength")
        self.types, self.strength, self.bias = tuple(types), float(strength), float(bias)
        self.tags = [OUTSIDE, *(f"{part}-{name}" for name in self.types for part in "BI")]
        self.weights: npt.NDArray[np.float64] | None = None
        self.counts = np.zeros(COUNTERS, np.int64)

    def fit(self, texts: Sequence[str], marked: Sequence[Sequence[Span]], background: Iterable[str] = ()) -> Tagger:
        """From texts and their entities; entities of other types count as outside. ``background``: unmarked texts of the same
        kind, to know which words are common (a word never met is often a name). Deterministic."""
        needed("sklearn")
        from sklearn.linear_model import LogisticRegression

        self.counts = np.zeros(COUNTERS, np.int64)
        for text in (*texts, *background):
            np.add.at(self.counts, [_counter(text[a:b].lower()) for a, b in words(text)], 1)
        labels = [tag for text, spans in zip(texts, marked, strict=True) for tag in self._tags_of(text, spans)]
        features = self._features(texts, own=1)
        used = np.unique(features.indices)  # the others' weights stay 0
        model = LogisticRegression(C=self.strength, max_iter=200, tol=1e-3).fit(features[:, used], labels)
        if len(model.classes_) == 2:
            model.coef_ = np.vstack([-model.coef_, model.coef_]) / 2
            model.intercept_ = np.concatenate([-model.intercept_, model.intercept_]) / 2
        self.weights = np.zeros((FEATURES + 1, len(self.tags)))
        self.weights[FEATURES] = -50.0  # a tag that never occurred
        for tag, row, constant in zip(model.classes_, model.coef_, model.intercept_, strict=True):
            self.weights[used, self.tags.index(tag)] = row
            self.weights[FEATURES, self.tags.index(tag)] = constant
        return self

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """The entities of each text."""
        if self.weights is None:
            raise ConfigError("the tagger is not trained; call fit(texts, marked) first")
        texts = list(texts)
        if not any(words(text) for text in texts):
            return [[] for _ in texts]
        scores = self._features(texts) @ self.weights[:FEATURES] + self.weights[FEATURES]
        scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
        scores[:, 1:] += self.bias
        out, at = [], 0
        for text in texts:
            places = words(text)
            out.append(self._spans(places, self._decode(scores[at : at + len(places)])))
            at += len(places)
        return out

    def save(self, path: Path | str) -> None:
        """Weights and settings as .npz, without pickle."""
        if self.weights is None:
            raise ConfigError("the tagger is not trained; there is nothing to save")
        with open(path, "wb") as file:
            np.savez_compressed(file, weights=self.weights.astype(np.float32), counts=self.counts, types=np.array(self.types),
                                settings=np.array([self.strength, self.bias]))  # fmt: skip

    @classmethod
    def load(cls, path: Path | str) -> Tagger:
        """What `save` wrote. Raises ConfigError where it is none."""
        try:
            with np.load(path, allow_pickle=False) as file:
                tagger = cls([str(t) for t in file["types"]], *map(float, file["settings"]))
                tagger.weights, tagger.counts = file["weights"].astype(np.float64), file["counts"].astype(np.int64)
        except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise ConfigError(f"{path} is no file of Tagger.save: {error}") from None
        shapes = tagger.weights.shape, tagger.counts.shape
        if shapes != ((FEATURES + 1, len(tagger.tags)), (COUNTERS,)) or not np.isfinite(tagger.weights).all():
            raise ConfigError(f"{path}: shapes {shapes}; want {FEATURES + 1} x {len(tagger.tags)} weights, {COUNTERS} counts")
        return tagger

    def _tags_of(self, text: str, spans: Sequence[Span]) -> Iterator[str]:
        wanted = [span for span in spans if span.type in self.types]
        last: Span | None = None
        for start, end in words(text):
            inside = next((s for s in wanted if s.start < end and start < s.end), None)
            yield OUTSIDE if inside is None else f"{'I' if inside is last else 'B'}-{inside.type}"
            last = inside

    def _features(self, texts: Sequence[str], own: int = 0) -> Any:
        """A row per word. ``own``: how often each word of these texts is counted by being here itself."""
        needed("sklearn")
        from sklearn.feature_extraction import FeatureHasher

        rows = (row for text in texts for row in _features(text, self.counts - own))
        return FeatureHasher(FEATURES, input_type="string", alternate_sign=False).transform(rows)

    def _decode(self, scores: npt.NDArray[np.float64]) -> list[int]:
        """The likeliest sequence in which inside follows only begin or inside of its type."""
        count = len(self.tags)
        allowed = np.zeros((count, count))
        for i in range(2, count, 2):
            allowed[:, i] = -np.inf
            allowed[[i - 1, i], i] = 0.0
        best = np.where(np.arange(count) % 2 == 0, -np.inf, scores[0]) if len(scores) else np.zeros(count)
        if len(scores):
            best[0] = scores[0, 0]
        back = []
        for row in scores[1:]:
            through = best[:, None] + allowed
            back.append(through.argmax(0))
            best = through.max(0) + row
        path = [int(best.argmax())] if len(scores) else []
        for pointers in reversed(back):
            path.append(int(pointers[path[-1]]))
        return path[::-1]

    def _spans(self, places: Sequence[tuple[int, int]], path: Sequence[int]) -> list[Span]:
        out: list[Span] = []
        for (start, end), tag in zip(places, path, strict=True):
            if tag % 2 == 1:
                out.append(Span(start, end, self.types[tag // 2]))
            elif tag:
                out[-1] = out[-1]._replace(end=end)
        return out


def _counter(word: str) -> int:
    return zlib.crc32(word.encode()) % COUNTERS


def _features(text: str, counts: npt.NDArray[np.int64]) -> Iterator[list[str]]:
    """What is seen of each word."""
    places = words(text)
    surface = [text[a:b] for a, b in places]
    lower = [word.lower() for word in surface]
    listed = gazetteers.hits(lower)
    formed = [(span.start, span.end, span.type) for span in patterns.find(text)]
    padded = ["<<"] * AROUND + lower + [">>"] * AROUND
    verb = " ".join(lower[:2])
    common = [sum(int(counts[_counter(word)]) >= least for least in COMMON) for word in lower]
    for i, word in enumerate(lower):
        near = padded[i : i + 2 * AROUND + 1]
        out = ["1", f"w={word}", f"p3={word[:3]}", f"s3={word[-3:]}", f"s2={word[-2:]}", f"start={verb}", f"at={min(i, 4)}",
               f"shape={_shape(surface[i])}", f"length={min(len(word), 9)}"]  # fmt: skip
        out += [f"{j}={w}" for j, w in enumerate(near) if j != AROUND]
        out += [f"l={near[1]} {word}", f"r={word} {near[3]}", f"ll={near[0]} {near[1]}", f"rr={near[3]} {near[4]}",
                f"lr={near[1]} {near[3]}"]  # fmt: skip
        for offset in (-2, -1, 0, 1, 2):
            if 0 <= i + offset < len(lower):
                out += [f"list{offset}={name}" for name in sorted(listed[i + offset])]
                out.append(f"common{offset}={common[i + offset]}")
        out.append(f"common,l={common[i]} {near[1]}")
        out += [f"form={kind}" for a, b, kind in formed if a <= places[i][0] < b]
        yield out


def _shape(word: str) -> str:
    kinds = "".join("9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in word)
    return "".join(c for i, c in enumerate(kinds) if i == 0 or kinds[i - 1] != c)
