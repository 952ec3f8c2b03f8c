"""Key pairs and their files."""
from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
import zmq
from rich.pretty import pretty_repr
from typer.testing import CliRunner

from mpc import identity
from mpc.config import Endpoint, Launch, SessionConfig, Sites, announce, announced
from mpc.errors import ConfigError
from mpc.greeting import Hello
from mpc.parties.cli import app
from mpc.transport.links import Curve


def keygen(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["keygen", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_keygen_writes_a_pair_for_its_owner_alone_and_prints_the_public_half(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        code, out, err = keygen("st-marys", "--out", str(tmp_path / "new"))
    finally:
        os.umask(before)
    path = tmp_path / "new" / "st-marys.key"
    own = identity.load(path)
    assert (code, err) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert own.public_key.encode() == zmq.curve_public(own.secret_key.encode())
    assert out.count(f'public_key = "{own.public_key}"') == 2 and 'name = "st-marys"' in out
    assert own.secret_key not in out


def test_keygen_never_replaces_a_key(tmp_path: Path) -> None:
    keygen("a", "--out", str(tmp_path))
    before = (tmp_path / "a.key").read_bytes()
    code, out, err = keygen("a", "--out", str(tmp_path))
    assert (code, out) == (6, "") and "keys are not replaced" in err
    assert (tmp_path / "a.key").read_bytes() == before
    (tmp_path / "b.key").symlink_to(tmp_path / "elsewhere")
    code, out, err = keygen("b", "--out", str(tmp_path))
    assert code == 6 and not (tmp_path / "elsewhere").exists(), "it is not written through a link either"


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "-x y", "a b", "ä", "a" * 64, "a\n", "[red]"])
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    code, out, err = keygen("--out", str(tmp_path / "new"), "--", name)
    assert (code, out) == (6, "") and "letters, digits, dots" in err
    assert not (tmp_path / "new").exists(), "nothing is made for a name that cannot be"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = keygen("a", "--out", str(tmp_path / "file"))
    assert code == 6 and err.startswith("mpc: ")


def test_a_full_disk_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = keygen("a", "--out", str(tmp_path))
    assert code == 6 and "No space left" in err and not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert keygen("a", "--out", str(tmp_path))[0] == 0


@pytest.fixture
def key(tmp_path: Path) -> Path:
    identity.create("a").write(tmp_path / "a.key")
    return tmp_path / "a.key"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777])
def test_a_key_that_others_may_read_or_write_is_refused(key: Path, mode: int) -> None:
    key.chmod(mode)
    with pytest.raises(ConfigError, match=f"has mode {mode:04o}: others may read it. `chmod 600"):
        identity.load(key)


def test_a_link_is_followed_and_its_target_counts(key: Path) -> None:
    link = key.with_name("link.key")
    link.symlink_to(key)
    assert identity.load(link) == identity.load(key)
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="mode 0644"):
        identity.load(link)


def test_public_and_secret_halves_belong_together(key: Path) -> None:
    other, own = identity.create("a"), identity.load(key)
    key.write_text(key.read_text().replace(own.public_key, other.public_key))
    with pytest.raises(ConfigError, match="do not belong together"):
        identity.load(key)


@pytest.mark.parametrize(
    "data",
    [b"", os.urandom(4000), b"\xff" * 500, b"name = 3", b"x" * (1 << 20), b'name = "a"\npublic_key = "b"\nsecret_key = "c"\n']
    + [b'name = "a"\npublic_key = "' + b"0" * 40 + b'"\nsecret_key = "' + s + b'"\n' for s in (b"\\u00e4" * 40, b'~' * 40, b"!" * 41)],  # noqa: E501
    ids=["empty", "random", "no text", "number", "huge", "short", "no ASCII", "no Z85", "long"],
)  # fmt: skip
def test_what_is_no_key_file(key: Path, data: bytes) -> None:
    key.write_bytes(data)
    with pytest.raises(ConfigError, match=r"a\.key is no key file of `mpc keygen`"):
        identity.load(key)


def test_a_damaged_key_is_not_quoted(key: Path) -> None:
    own = identity.load(key)
    for damaged in (key.read_text().replace('secret_key = "', "secret_key = "), key.read_text() + own.secret_key):
        key.write_text(damaged)
        with pytest.raises(ConfigError) as raised:
            identity.load(key)
        assert own.secret_key[:8] not in str(raised.value)


def test_what_is_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        identity.load(tmp_path / "absent.key")
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory|no regular file"):
        identity.load(tmp_path)
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    with pytest.raises(ConfigError, match="no regular file"):
        identity.load(tmp_path / "pipe.key")


def test_secrets_are_not_printed() -> None:
    own = identity.create("a")
    sites = Sites((Endpoint(("x", "y"), ("x", "y")),), own.secret_key)
    launch = Launch(0, SessionConfig(2, public_keys=(own.public_key, "b")), sites=sites)
    curve = Curve(own.public_key.encode(), own.secret_key.encode(), ())
    hello = Hello(1, "0", 0, "run", b"", b"", b"", own.secret_key.encode())
    for holder in (own, sites, launch, curve, hello, {"deep": [launch]}):
        for text in (repr(holder), str(holder), f"{holder}", pretty_repr(holder)):
            assert own.secret_key not in text


def test_the_environment_says_where_a_process_stands_but_not_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPC_LAUNCH", "")
    own = identity.create("a")
    sites = Sites((Endpoint(("x", "y"), ("x", "y")),), own.secret_key)
    launch = Launch(0, SessionConfig(2, public_keys=(own.public_key, identity.create("b").public_key)), sites=sites)
    announce(launch)
    assert own.secret_key not in os.environ["MPC_LAUNCH"]
    assert announced() == launch, "this process has it"
    monkeypatch.setattr("mpc.config._OWN_SECRET", {})
    without = announced()
    assert without is not None and without.sites is not None and without.sites.secret_key is None, "another one has not"
