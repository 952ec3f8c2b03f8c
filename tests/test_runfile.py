"""run.toml: what is taken, and what each mistake is called."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from mpc import identity, runfile
from mpc.errors import ConfigError
from mpc.runfile import RunFile

KEYS = {name: identity.create(name) for name in "abcdefghijz"}


def party(name: str, address: str | None = None, more: str = "", key: str | None = None) -> str:
    address = f"10.0.0.{ord(name[0]) - 96}:7700" if address is None else address
    key = KEYS[name].public_key if key is None else key
    return f'[[party]]\nname = "{name}"\naddress = "{address}"\npublic_key = "{key}"\n{more}\n'


def dealer(more: str = "") -> str:
    return f'[dealer]\nname = "z"\npublic_key = "{KEYS["z"].public_key}"\n{more}\n'


def read(tmp_path: Path, text: str) -> RunFile:
    (tmp_path / "run.toml").write_text(text)
    return runfile.read(tmp_path / "run.toml")


def test_ranks_are_the_order_of_the_parties_and_the_dealer_is_last(tmp_path: Path) -> None:
    file = read(tmp_path, "deadline = 8\n" + party("b") + party("a") + party("c") + dealer())
    assert [file.rank_of(n) for n in "bacz"] == [0, 1, 2, 3]
    assert (file.config.names, file.config.deadline, file.config.frac_bits) == (("b", "a", "c", "z"), 8.0, 16)
    assert file.config.public_keys == tuple(KEYS[n].public_key for n in "bacz")


def test_a_file_read_by_all_gives_all_the_same_configuration(tmp_path: Path) -> None:
    file = read(tmp_path, party("a") + party("b") + dealer())
    launches = [file.launch(rank, KEYS[name]) for rank, name in enumerate("abz")]
    assert len({launch.config.digest() for launch in launches}) == 1
    assert [launch.is_dealer for launch in launches] == [False, False, True]


@pytest.mark.parametrize(
    ("address", "more", "connect", "bind"),
    [
        ("10.1.1.1:7700", "", ("10.1.1.1:7700", "10.1.1.1:7701"), ("0.0.0.0:7700", "0.0.0.0:7701")),
        ("mpc.st-marys.example:1", "", ("mpc.st-marys.example:1", "mpc.st-marys.example:2"), ("0.0.0.0:1", "0.0.0.0:2")),
        ("[fd00::5]:7700", "", ("[fd00::5]:7700", "[fd00::5]:7701"), ("[::]:7700", "[::]:7701")),
        ("[fe80::1%eth0]:7700", 'bind = "[fd00::5]"', ("[fe80::1%eth0]:7700", "[fe80::1%eth0]:7701"), ("[fd00::5]:7700", "[fd00::5]:7701")),  # noqa: E501
        ("h:7700", 'bulk = "g:65535"\nbind = "10.0.0.9"', ("h:7700", "g:65535"), ("10.0.0.9:7700", "10.0.0.9:65535")),
        ("h:65535", 'bulk = "h:7"', ("h:65535", "h:7"), ("0.0.0.0:65535", "0.0.0.0:7")),
    ],
)  # fmt: skip
def test_addresses(tmp_path: Path, address: str, more: str, connect: tuple[str, str], bind: tuple[str, str]) -> None:
    file = read(tmp_path, party("a", address, more) + party("b") + dealer())
    sites = file.launch(1, KEYS["b"]).sites
    assert sites is not None
    assert sites.endpoints[0].connect == tuple(f"tcp://{a}" for a in connect)
    assert sites.endpoints[0].bind == tuple(f"tcp://{a}" for a in bind)


TWO = party("a") + party("b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing required field `party`"),
        ("party = 3", "Expected `array`"),
        ("[[party]]", "missing required field `name`"),
        ("x = [", "run.toml: "),
        ("surprise = 1\n" + TWO + dealer(), "unknown field `surprise`"),
        (party("a", more="secret_key = 'x'") + party("b") + dealer(), "unknown field `secret_key`"),
        (TWO + dealer("port = 3"), "unknown field `port`"),
        ("deadline = 'long'\n" + TWO + dealer(), "Expected `float`, got `str`"),
        ("deadline = nan\n" + TWO + dealer(), "got deadline nan"),
        ("deadline = 0\n" + TWO + dealer(), "got deadline 0"),
        ("frac_bits = 16.5\n" + TWO + dealer(), "Expected `int`"),
        ("frac_bits = 40\n" + TWO + dealer(), "got frac_bits 40; want 4 to 24"),
        ("insecure_plaintext = 1\n" + TWO + dealer(), "Expected `bool`"),
        ("protocol = 'magic'\n" + TWO + dealer(), "got protocol 'magic'; want one of additive"),
        (party("a") + dealer(), "got 1 parties; want 2 to 8"),
        ("".join(party(n) for n in "abcdefghi") + dealer(), "got 9 parties; want 2 to 8"),
        (TWO, r"needs a \[dealer\]"),
        (TWO + party("a", "h:1") + dealer(), "got the names a, b, a, z; want different ones"),
        (TWO + dealer().replace('"z"', '"a"'), "got the names a, b, a; want different ones"),
        (party("a") + party("b", key=KEYS["a"].public_key) + dealer(), "public keys are the same"),
        (party("a") + party("b", key=KEYS["z"].public_key) + dealer(), "public keys are the same"),
        (party("a", key="") + party("b") + dealer(), "a: got public_key ''; want the 40 characters"),
        (party("a", key="~" * 40) + party("b") + dealer(), "a: got public_key"),
        (party("a", key="#" * 40) + party("b") + dealer(), "a: got public_key"),  # five of them are more than 32 bits
        (party("a", key="ä" * 40) + party("b") + dealer(), "a: got public_key"),
        (party("a").replace('"a"', '"a b"') + party("b") + dealer(), "got name 'a b'"),
        *(
            (party("a", wrong) + party("b") + dealer(), "a: address: got .*; want host:port")
            for wrong in ("", "h", "h:", ":7700", "h:0", "h:65536", "h:99999999", "fd00::5:7700", "[fd00::5]", "tcp://h:7", "a b:7", "*:7")  # noqa: E501
        ),
        (party("a", "h:65535") + party("b") + dealer(), "the port after 65535 is for bulk data"),
        (party("a", more="bulk = 'h'") + party("b") + dealer(), "a: bulk: got 'h'; want host:port"),
        (party("a", more="bind = 'h:7'") + party("b") + dealer(), "a: got bind 'h:7'"),
        (party("a", more="bind = 'fd00::5'") + party("b") + dealer(), "a: got bind 'fd00::5'"),
        (party("a", "0.0.0.0:7700") + party("b") + dealer(), "others cannot connect to 0.0.0.0"),
        (party("a", "h:7700") + party("b", "h:7700") + dealer(), "a and b have tcp://h:7700 in common"),
        (party("a", "h:7700") + party("b", "h:7701") + dealer(), "a and b have tcp://h:7701 in common"),
        (party("a", "h:7700", "bulk = 'h:7700'") + party("b") + dealer(), "a and a have tcp://h:7700 in common"),
        (TWO + dealer("address = 'h:7'"), "the dealer listens nowhere"),
    ],
)  # fmt: skip
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read(tmp_path, text)
    assert "run.toml" in str(raised.value)


def test_a_name_that_is_not_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"got the name 'q'; run\.toml has a, b, z"):
        read(tmp_path, TWO + dealer()).rank_of("q")


def test_another_key_than_the_file_s_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    file = read(tmp_path, TWO + dealer())
    with pytest.raises(ConfigError, match="got the key .* for a, whose public key in run.toml is"):
        file.launch(0, KEYS["b"])
    with pytest.raises(ConfigError, match="got no key for a"):
        file.launch(0, None)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        runfile.read(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        runfile.read(tmp_path)
    (tmp_path / "junk.toml").write_bytes(b"\xff\xfe" * 50)
    with pytest.raises(ConfigError, match="cannot be read"):
        runfile.read(tmp_path / "junk.toml")
    (tmp_path / "huge.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match="more than 1048576 bytes"):
        runfile.read(tmp_path / "huge.toml")
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(ConfigError, match="pipe"):
        runfile.read(tmp_path / "pipe.toml")


def test_without_keys(tmp_path: Path) -> None:
    text = "insecure_plaintext = true\n" + "\n".join(line for line in (TWO + dealer()).splitlines() if "public_key" not in line)
    file = read(tmp_path, text)
    launch = file.launch(0, KEYS["a"])
    assert launch.config.public_keys == () and launch.sites is not None and launch.sites.secret_key is None
    assert runfile.key_of(file, tmp_path / "run.toml", "a", "/no/such/key") is None, "a key is not even looked for"
    with_keys = read(tmp_path, TWO + dealer())
    assert with_keys.config.digest() != file.config.digest(), "who runs without keys does not fit to who runs with them"


def test_where_the_secret_key_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = read(tmp_path, TWO + dealer())
    monkeypatch.delenv("MPC_KEY", raising=False)
    path = tmp_path / "run.toml"
    for name, where in (("a", "a.key"), ("b", "environment.key"), ("z", "given.key")):
        KEYS[name].write(tmp_path / where)
    assert runfile.key_of(file, path, "a", None) == KEYS["a"]
    monkeypatch.setenv("MPC_KEY", str(tmp_path / "environment.key"))
    assert runfile.key_of(file, path, "a", None) == KEYS["b"]
    assert runfile.key_of(file, path, "a", str(tmp_path / "given.key")) == KEYS["z"]


def test_the_clear_protocol_needs_no_dealer(tmp_path: Path) -> None:
    file = read(tmp_path, "protocol = 'clear'\n" + TWO)
    assert file.dealer is None and not file.config.needs_dealer
