"""Pseudonyms: NIST's samples of FF1, formats, inversion, keys and their files."""
from __future__ import annotations

import copy
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.errors import ConfigError
from mpc.privacy.masking import MaskingKey, Pseudonyms, SmallDomain
from mpc.privacy.masking.ff1 import FF1

KEY = MaskingKey(bytes(range(32)))
AES = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94")
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def spelled(value: int, radix: int, length: int) -> str:
    out = ""
    for _ in range(length):
        value, rest = divmod(value, radix)
        out = DIGITS[rest] + out
    return out


@pytest.mark.parametrize("key_bytes, plain, tweaked, letters", [
    (16, "2433477484", "6124200773", "a9tv40mll9kdu509eum"),
    (24, "2830668132", "2496655549", "xbj3kv35jrawxv32ysr"),
    (32, "6657667009", "1001623463", "xs8a0azh2avyalyzuwd"),
])  # fmt: skip
def test_ff1_gives_nist_samples(key_bytes: int, plain: str, tweaked: str, letters: str) -> None:
    """The nine samples that go with SP 800-38G."""
    key = AES[:key_bytes]
    for radix, text, tweak, wanted in (
        (10, "0123456789", "", plain),
        (10, "0123456789", "39383736353433323130", tweaked),
        (36, "0123456789abcdefghi", "3737373770717273373737", letters),
    ):
        cipher = FF1(key, radix)
        out = cipher.encrypt([int(text, radix), 7], len(text), bytes.fromhex(tweak))
        assert spelled(out[0], radix, len(text)) == wanted
        assert cipher.decrypt(out, len(text), bytes.fromhex(tweak)) == [int(text, radix), 7]


@settings(max_examples=40)
@given(st.integers(2, 1000), st.integers(2, 60), st.binary(max_size=40), st.data())
def test_ff1_inverts(radix: int, length: int, tweak: bytes, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, radix**length - 1), min_size=1, max_size=4))
    cipher = FF1(AES[:16], radix, insecure_small_domain=True)
    assert cipher.decrypt(cipher.encrypt(values, length, tweak), length, tweak) == values


def test_ff1_permutes_a_whole_domain_and_refuses_small_ones() -> None:
    small = FF1(AES[:16], 3, insecure_small_domain=True)
    assert sorted(small.encrypt(range(3**5), 5)) == list(range(3**5))
    with pytest.raises(ConfigError, match="1000000"):
        FF1(AES[:16], 10).encrypt([1], 5)
    assert 0 <= FF1(AES[:16], 10).encrypt([1], 6)[0] < 10**6
    for make in (lambda: FF1(b"short", 10), lambda: FF1(AES, 1), lambda: FF1(AES, 10).encrypt([10**7], 7)):
        with pytest.raises(ConfigError):
            make()


formats = st.lists(st.sampled_from(["7", "q", "Q", " ", "-", "+", "(", ".", "_"]), min_size=8, max_size=24)


@settings(max_examples=40)
@given(st.data(), formats.filter(lambda f: sum(c in "7qQ" for c in f) >= 6), st.booleans())
def test_pseudonyms_keep_the_format_and_invert(data: st.DataObject, form: list[str], reversible: bool) -> None:
    classes = {"7": "0123456789", "q": "abcdefghijklmnopqrstuvwxyz", "Q": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    texts = ["".join(data.draw(st.sampled_from(classes[c])) if c in classes else c for c in form) for _ in range(4)]
    names = Pseudonyms(KEY, "c", reversible=reversible)
    masked = names.mask(texts)
    for text, out in zip(texts, masked, strict=True):
        assert len(out) == len(text)
        for a, b in zip(text, out, strict=True):
            assert next((b in s for s in classes.values() if a in s), a == b)
    assert (names.mask(texts) == masked).all()
    if reversible:
        assert (names.unmask(masked) == texts).all()
        assert len(set(masked)) == len(set(texts))
    else:
        with pytest.raises(ConfigError):
            names.unmask(masked)


def test_pseudonyms_depend_on_key_and_column_and_look_uniform() -> None:
    values = np.array([f"{i:06d}" for i in range(3000)])
    masked = Pseudonyms(KEY, "phone").mask(values)
    for other in (Pseudonyms(KEY, "fax"), Pseudonyms(MaskingKey.create(), "phone")):
        assert np.mean(other.mask(values) == masked) < 0.01
    with np.errstate(all="raise"):
        digits = np.array([list(map(int, text)) for text in masked])
    counts = np.stack([np.bincount(column, minlength=10) for column in digits.T])
    assert ((counts - 300) ** 2 / 300).sum(1).max() < 40  # chi-squared of 9 degrees: 40 once in 130,000


def test_emails_keep_their_shape() -> None:
    mails = ["jack.o@gmail.com", "x+tag99@mail.uni.edu", "longname@b.org"]
    names = Pseudonyms(KEY, "mail", format="email")
    masked = names.mask(mails)
    for a, b in zip(mails, masked, strict=True):
        assert b.count("@") == 1 and a.rpartition(".")[2] == b.rpartition(".")[2] and a != b and len(a) == len(b)
        assert a.rpartition("@")[2] != b.rpartition("@")[2]
    assert (names.unmask(masked) == mails).all()
    kept = Pseudonyms(KEY, "mail", format="email", keep_domain=True)
    assert [m.rpartition("@")[2] for m in kept.mask(mails)] == [m.rpartition("@")[2] for m in mails]
    assert (kept.unmask(kept.mask(mails)) == mails).all()
    two = ["jack.smith@gmail.com", "jack.smith@work.org"]  # one name at two domains must not be seen to be one
    for again in (kept, names, Pseudonyms(KEY, "mail", format="email", keep_domain=True, reversible=False)):
        assert len({m.rpartition("@")[0] for m in again.mask(two)}) == 2
    assert (kept.unmask(kept.mask(two)) == two).all()
    for wrong in ("nobody", "@x.org", "a@b", "a@b@c.org", "a@.org"):
        with pytest.raises(ConfigError, match="e-mail") as error:
            names.mask([wrong])
        assert wrong not in str(error.value)


def test_small_domains_are_refused_or_warned_of() -> None:
    with pytest.raises(ConfigError, match="100000 values"):
        Pseudonyms(KEY, "zip").mask(["12345"])
    small = Pseudonyms(KEY, "zip", insecure_small_domain=True)
    with pytest.warns(SmallDomain, match="100 values"):
        masked = small.mask([f"{i:02d}" for i in range(100)])
    assert len(set(masked)) == 100
    with pytest.warns(SmallDomain):
        assert (small.unmask(masked) == [f"{i:02d}" for i in range(100)]).all()
    with pytest.raises(ConfigError, match="a-z"):
        Pseudonyms(KEY, "name").mask(["Zoë Müller-Lüdenscheid"])


@pytest.mark.parametrize("column", [np.array([1234567.0, np.nan]), np.array(["Jack Smith", None], object),
                                    np.array(["Jack Smith", float("nan")], object)])  # fmt: skip
def test_missing_values_are_no_values(column: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="missing values"):
        Pseudonyms(KEY, "name", insecure_small_domain=True).mask(column)


def test_tokens_are_keyed_and_one_way() -> None:
    names = Pseudonyms(KEY, "name")
    assert names.token("Zoë") == names.token("Zoë") != Pseudonyms(KEY, "other").token("Zoë")
    assert len({names.token(str(i)) for i in range(2000)}) == 2000
    assert len(names.token("x", 48)) == 48


def test_key_files(tmp_path: Path) -> None:
    path, key = tmp_path / "mask.key", MaskingKey.create()
    key.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and MaskingKey.load(path) == key != MaskingKey.create()
    with pytest.raises(ConfigError, match="not replaced"):
        key.write(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="0640"):
        MaskingKey.load(path)
    for text in ("", "masking_key = 7", 'masking_key = "00ff"', 'masking_key = "xyz"', "x" * 9999):
        bad = tmp_path / "bad.key"
        bad.write_text(text)
        bad.chmod(0o600)
        with pytest.raises(ConfigError, match="no file of a masking key") as error:
            MaskingKey.load(bad)
        assert "00ff" not in str(error.value)
    for missing in (tmp_path / "none.key", tmp_path):
        with pytest.raises(ConfigError):
            MaskingKey.load(missing)


def test_keys_do_not_leak() -> None:
    key = MaskingKey.create()
    assert repr(key) == str(key) == "MaskingKey(...)"
    for leak in (pickle.dumps, copy.copy, hash):
        with pytest.raises(TypeError):
            leak(key)
    with pytest.raises(ConfigError):
        MaskingKey(b"short")
