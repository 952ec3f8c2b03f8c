"""Redaction: patterns, gazetteers, the tagger on a small built-in set, scores against plain counting."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.masking import MaskingKey, Pseudonyms
from mpc.privacy.masking.text import Redactor, Span, Tagger, patterns, score
from mpc.privacy.masking.text.spans import plain, words

NAMES = ["jorvald", "quenby", "tamsin", "brisa", "oleander", "fenwick", "zorah", "maelis", "corvin", "ysolde"]
TOWNS = ["grelby", "stovemouth", "harrowick", "pellin", "dunmarrow", "ostry", "kelvast", "brimhold"]


def small_set(names: list[str], towns: list[str]) -> tuple[list[str], list[list[Span]]]:
    forms = ["send an email to {} now", "call {} please", "did {} reply to my email", "book a train to [] for tomorrow",
             "what is the weather in [] today", "is {} in [] this week", "play some music", "set an alarm for six"]  # fmt: skip
    texts, marked = [], []
    for i, name in enumerate(names):
        for form in forms:
            text, spans = "", []
            for word in form.split():
                kind = {"{}": "person", "[]": "place_name"}.get(word)
                filled = {"{}": name, "[]": towns[i % len(towns)]}.get(word, word)
                text += " " if text else ""
                if kind:
                    spans.append(Span(len(text), len(text) + len(filled), kind))
                text += filled
            texts.append(text)
            marked.append(spans)
    return texts, marked


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(("person", "place_name")).fit(*small_set(NAMES[:7], TOWNS[:6]))


def test_the_tagger_finds_names_that_it_never_saw(tagger: Tagger) -> None:
    texts, marked = small_set(NAMES[7:], TOWNS[6:])
    found = score(texts, marked, tagger.find(texts), tagger.types)
    assert found.exact["f1"].value > 0.9 and found.leaked.value < 0.1
    assert tagger.find([]) == [] and tagger.find(["", " "]) == [[], []]


def test_the_bias_trades_precision_for_recall(tagger: Tagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "tagger.npz")
    eager = Tagger.load(tmp_path / "tagger.npz")
    texts, _ = small_set(NAMES[7:], TOWNS[6:])
    assert eager.find(texts) == tagger.find(texts)
    counts = []
    for bias in (-20.0, 0.0, 20.0):
        eager.bias = bias
        counts.append(sum(map(len, eager.find(texts))))
    assert counts[0] == 0 < counts[1] < counts[2]


def test_tagger_files_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "tagger.npz"
    for content in (b"", b"PK\x03\x04nothing"):
        path.write_bytes(content)
        with pytest.raises(ConfigError):
            Tagger.load(path)
    np.savez(path, weights=np.zeros((3, 3)), counts=np.zeros(2), types=np.array(["person"]), settings=np.ones(2))
    with pytest.raises(ConfigError, match="want"):
        Tagger.load(path)
    for wrong in (lambda: Tagger(()), lambda: Tagger(("x",), strength=0), lambda: Tagger(("x",)).find(["a"])):
        with pytest.raises(ConfigError):
            wrong()


@pytest.mark.parametrize("text, surface, kind", [
    ("write to jack@gmail.com today", "jack@gmail.com", "email_address"),
    ("add erosser@hotmail dot com as new", "erosser@hotmail dot com", "email_address"),
    ("it is jane dot doe at example dot org", "jane dot doe at example dot org", "email_address"),
    ("see https://example.org/a?b=1 for more", "https://example.org/a?b=1", "url"),
    ("my card is 4111 1111 1111 1111 ok", "4111 1111 1111 1111", "card_number"),
    ("call +44 20 7946 0018 now", "+44 20 7946 0018", "phone_number"),
    ("dial five five five one two one two", "five five five one two one two", "phone_number"),
    ("it is 078-05-1120 he said", "078-05-1120", "social_security_number"),
    ("pay to DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00", "iban"),
    ("from 192.168.17.4 again", "192.168.17.4", "ip_address"),
    ("tell @somebody hello", "@somebody", "handle"),
])  # fmt: skip
def test_patterns(text: str, surface: str, kind: str) -> None:
    start = text.index(surface)
    assert Redactor().find([text])[0] == [Span(start, start + len(surface), kind)]


@pytest.mark.parametrize("text", [
    "set an alarm for 7:30 on may 12", "what is 24 times 365", "meet me at the bar", "it costs 1,250.00 dollars",
    "four five six", "my card is not 4111 1111 1111 1112", "version 1.2.300.4000",
])  # fmt: skip
def test_what_is_no_identifier_stays(text: str) -> None:
    assert list(patterns.find(text)) == []


def test_placeholders_are_numbered_and_pseudonyms_keyed() -> None:
    text = "call mary smith and mom, then mary smith again in paris"
    assert Redactor().redact([text]) == ["call [PERSON_1] and [RELATION_1], then [PERSON_1] again in [PLACE_NAME_1]"]
    key = MaskingKey(bytes(32))
    one, two = Redactor(pseudonyms=Pseudonyms(key, "t")).redact(["call Mary", "mary called paris"])
    token = one.removeprefix("call ")
    assert token.startswith("[PERSON:") and two.startswith(token + " called [PLACE_NAME:") and "ary" not in one
    assert Redactor(pseudonyms=Pseudonyms(MaskingKey.create(), "t")).redact(["call Mary"]) != [one]
    assert Redactor(types=("relation",)).redact(["call mary and mom"]) == ["call mary and [RELATION_1]"]


@pytest.mark.parametrize(("text", "wanted"), [
    ("remind \uff21lice of it", "remind [PERSON_1] of it"),  # a full-width letter
    ("remind Al\u00adice of it", "remind [PERSON_1] of it"),  # a soft hyphen
    ("remind A\u200bli\u2060ce of it", "remind [PERSON_1] of it"),
    ("remind alice\u200bbob of it", "remind [PERSON_1]\u200b[PERSON_2] of it"),
    ("ask Grif\ufb01n: \ufb01ona.x@exa\u00admple.com\u00ad, no?", "ask Grif\ufb01n: [EMAIL_ADDRESS_1]\u00ad, no?"),  # ligatures
    ("ask \uff41\uff4c\uff49\uff43\uff45, alice, ALI\u00adCE and bob", "ask [PERSON_1], [PERSON_1], [PERSON_1] and [PERSON_2]"),
    ("une fe\u0302te, c\u2019est \u2026 \u00bd", "une fe\u0302te, c\u2019est \u2026 \u00bd"),
    ("cafe\u0301 in \u2029 Paris\u0301 and Pari\u00ads", "cafe\u0301 in \u2029 [PLACE_NAME_1]\u0301 and [PLACE_NAME_1]"),
    ("\u00ad", "\u00ad"), ("", ""), ("\u0301 tell mary", "\u0301 tell [PERSON_1]"),
])  # fmt: skip
def test_what_is_not_seen_does_not_hide_a_name(text: str, wanted: str) -> None:
    assert Redactor().redact([text]) == [wanted]


def test_a_text_as_it_is_matched_knows_its_places() -> None:
    form = plain("a\u00adb\ufb01e\u0301 c")
    assert form.text == "abfi\u00e9 c"
    assert list(form.starts) == [0, 2, 3, 3, 4, 6, 7] and list(form.ends) == [1, 3, 4, 4, 6, 7, 8]
    assert form.original(Span(1, 3, "person")) == (2, 4, "person")


def test_a_tagger_for_other_types_is_refused(tagger: Tagger) -> None:
    with pytest.raises(ConfigError, match="place_name"):
        Redactor(tagger, types=("person",))
    assert Redactor(tagger, types=tagger.types).redact(["call fenwick please"]) == ["call [PERSON_1] please"]
    alone, thorough = (Redactor(tagger, types=tagger.types, thorough=t).find(["music of boston"])[0] for t in (False, True))
    assert set(alone) <= set(thorough) and any(s.end == 15 for s in thorough)


def test_words_have_their_places() -> None:
    text = "what's @Mary up to, eh?"
    assert [text[a:b] for a, b in words(text)] == ["what", "'s", "@Mary", "up", "to", ",", "eh", "?"]


def test_scores_are_counts() -> None:
    texts = ["aaaa bbbb", "cccc", "dddd eeee"]
    marked = [[Span(0, 4, "x")], [Span(0, 4, "y")], []]
    found = [[Span(0, 4, "x"), Span(5, 9, "x")], [Span(0, 2, "y")], []]
    out = score(texts, marked, found, ("x", "y"))
    assert [float(out.exact[n]) for n in ("precision", "recall", "f1")] == [1 / 3, 1 / 2, 2 / 5]
    assert out.by_type["x"][0]["precision"].value == 0.5 and out.by_type["y"][0]["recall"].value == 0.0
    assert out.leaked.value == 2 / 8 and out.touched.value == 4 / 14 and out.leaked.low <= 2 / 8 <= out.leaked.high
    assert out.exposed.value == 1 / 2  # "cccc": half of it is read
    assert "| x | 1 |" in str(out) and out.to_dict()["by_type"]["y"]["marked"] == 1
    with pytest.raises(ShapeError):
        score(texts, marked[:2], found, ("x",))
