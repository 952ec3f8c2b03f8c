"""Texts without their personal entities."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mpc.errors import ConfigError
from mpc.privacy.masking.pseudonyms import Pseudonyms
from mpc.privacy.masking.text import gazetteers, patterns
from mpc.privacy.masking.text.spans import Span, first_wins, plain, words
from mpc.privacy.masking.text.tagger import Tagger

PERSONAL: Final = ("person", "relation", "place_name", "business_name", "email_address")
"""The entity types of SLURP that are taken for personal, a choice: who is spoken of (person, relation), how they are reached
(email_address), and where they are or what they buy (place_name, business_name), which singles people out together.
Left out: dates and times (quasi-identifiers as well, and removed by HIPAA's safe harbour; a calendar is no use without them:
name them in ``types`` where they must go); artists, songs, films, news topics (public; they tell tastes, though); event, list
and playlist names (mostly "meeting", "shopping"); personal_info (the words "phone number", never the number)."""
TOKEN_LETTERS: Final = 8


class Redactor:
    """Finds personal entities by patterns (always), a trained `Tagger`, or gazetteers where there is none, and replaces them.

    ``thorough``: gazetteers beside the tagger too: fewer are missed, more other words are lost. ``pseudonyms``: None for
    placeholders, "[PERSON_1]", numbered within a text so that equal ones stay equal; with keyed `Pseudonyms`,
    "[PERSON:k3xq7a2m]", equal across texts under one key: who said what can then be linked, which placeholders prevent.

    Full-width letters, ligatures, soft hyphens and zero-width characters do not hide a name; letters of another script that
    look alike (a Cyrillic "a") do.

    Protects against reading what was found. Not against what was missed (measure it: `score`), what the rest of the sentence
    tells (a rare event, an office held), or style; no differential privacy.
    """

    def __init__(
        self, tagger: Tagger | None = None, pseudonyms: Pseudonyms | None = None, types: Sequence[str] = PERSONAL, *,
        thorough: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(types, str):
            raise ConfigError(f"types {types!r}; want a list of types, as in [{types!r}]")
        if tagger is not None and (missing := sorted(set(tagger.types) ^ set(types))):
            raise ConfigError(f"the tagger knows {', '.join(tagger.types)}; the types wanted differ in {', '.join(missing)}")
        known = {*patterns.KINDS, *(gazetteers.TYPES.get(name, name) for name in gazetteers.LISTS)}
        if tagger is None and (strange := sorted(set(types) - known)):
            raise ConfigError(f"types {', '.join(map(repr, strange))} without a tagger; lists and patterns know "
                              f"{', '.join(sorted(known))}")
        self.tagger, self.pseudonyms, self.types = tagger, pseudonyms, tuple(types)
        self.thorough = thorough or tagger is None

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """The spans of each text that would be replaced: those of patterns first, which also cover types beyond ``types``."""
        texts = _checked(texts)
        forms = [plain(text) for text in texts]
        found = [[form.original(span) for span in spans]
                 for form, spans in zip(forms, self._found([form.text for form in forms]), strict=True)]  # fmt: skip
        differs = [i for i, form in enumerate(forms) if form.text != texts[i]]
        for i, spans in zip(differs, self._found([texts[i] for i in differs]), strict=True):
            found[i] += spans  # a zero-width space may also stand between two names
        return [first_wins(spans) for spans in found]

    def _found(self, texts: Sequence[str]) -> list[list[Span]]:
        """Of each text, the surer ones first; they may overlap."""
        tagged = [[] for _ in texts] if self.tagger is None else self.tagger.find(texts)
        return [[*patterns.find(text), *spans, *self._listed(text)] for text, spans in zip(texts, tagged, strict=True)]

    def _listed(self, text: str) -> list[Span]:
        return [s for s in gazetteers.find(words(text), text) if s.type in self.types] if self.thorough else []

    def redact(self, texts: Sequence[str]) -> list[str]:
        """The texts with every entity that is found replaced."""
        texts = _checked(texts)
        return [self._replaced(text, spans) for text, spans in zip(texts, self.find(texts), strict=True)]

    def _replaced(self, text: str, spans: Sequence[Span]) -> str:
        seen: dict[tuple[str, str], int] = {}
        out, at = [], 0
        for span in spans:
            surface, kind = plain(text[span.start : span.end]).text.casefold(), span.type.upper()
            if self.pseudonyms is None:
                same = seen.setdefault((kind, surface), 1 + sum(k == kind for k, _ in seen))
                name = f"[{kind}_{same}]"
            else:
                name = f"[{kind}:{self.pseudonyms.token(kind + ' ' + surface, TOKEN_LETTERS)}]"
            out += [text[at : span.start], name]
            at = span.end
        return "".join([*out, text[at:]])


def _checked(texts: Sequence[str]) -> list[str]:
    """A list of texts. A text alone would be taken for its characters, in which nothing is found."""
    listed = [] if isinstance(texts, (str, bytes)) else list(texts)
    if isinstance(texts, (str, bytes)) or not all(isinstance(text, str) for text in listed):
        kinds = sorted({type(text).__name__ for text in listed if not isinstance(text, str)})
        raise TypeError(f"got {'a list with ' + ', '.join(kinds) if kinds else type(texts).__name__}; want a list of texts")
    return listed
