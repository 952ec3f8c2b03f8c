"""The handshake: who takes part, whether all agree, and what is refused; over queues, CURVE, and against processes that lie."""
from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Container, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import zmq
from msgspec.structs import replace

from mpc import config as release
from mpc import greeting, identity
from mpc.config import Launch, SessionConfig
from mpc.errors import AuthenticationError, ConfigError, CorruptFrame, MPCError, PartyLost, ProgramMismatch, ShapeError
from mpc.exchange import abort_frame
from mpc.fixed_point import Words
from mpc.greeting import CHECK, RUN, hello_frame
from mpc.handshake import Agreement, agree
from mpc.meeting import Meeting
from mpc.transport import frames
from mpc.transport.around import Around
from mpc.transport.base import Frame, Transport
from mpc.transport.frames import Kind
from mpc.transport.memory import Hub
from mpc.transport.zmq import ZmqTransport
from tests.transport.test_transports import secured

NAMES = ("a", "b", "c", "d")  # of three parties and the dealer
KINDS = ("memory", "curve")


class Group:
    """Three parties and a dealer that meet in threads; each may have settings of its own."""

    def __init__(self, kind: str, timeout: float = 30.0) -> None:
        self.timeout = timeout
        self.launches = [replace(at, config=replace(at.config, names=NAMES, deadline=timeout)) for at in secured(3, timeout)]
        self.hub = Hub(3) if kind == "memory" else None
        self.links: list[Transport] = []
        self.pool = ThreadPoolExecutor(8)

    def start(self, rank: int, launch: Launch | None = None, **settings: object) -> Future[Agreement]:
        """One process's handshake, in a thread."""
        launch = self.launches[rank] if launch is None else launch
        link = ZmqTransport.of(launch) if self.hub is None else self.hub.join(rank)
        self.links.append(link)
        return self.pool.submit(agree, link, replace(launch.config, **settings), self.timeout)

    def end(self) -> None:
        for link in self.links:
            link.close(0.2)
        self.pool.shutdown()


@pytest.fixture
def group() -> Iterator[Callable[..., Group]]:
    made: list[Group] = []

    def make(kind: str, timeout: float = 30.0) -> Group:
        made.append(Group(kind, timeout))
        return made[-1]

    yield make
    for one in made:
        one.end()


def errors_of(jobs: list[Future[Agreement]]) -> list[BaseException | None]:
    return [job.exception(60) for job in jobs]


@pytest.mark.parametrize("kind", KINDS)
def test_all_agree_on_a_session_and_each_pair_on_a_secret_of_its_own(group: Callable[..., Group], kind: str) -> None:
    meeting = group(kind)
    got = [job.result(60) for job in [meeting.start(rank) for rank in range(4)]]
    assert len({g.session for g in got}) == 1
    pairs = {(i, j): got[i].secrets[j] for i in range(4) for j in range(4) if i != j}
    assert all(pairs[i, j] == pairs[j, i] for i, j in pairs)
    assert len(set(pairs.values())) == 6 and all(len(s) == 32 for s in pairs.values())


def other_release(monkeypatch: pytest.MonkeyPatch, version: str, wire: int) -> None:
    """Rank 2's greetings come from another release, this process's judgement from this one."""
    true_frame = greeting.hello_frame

    def frame(rank: int, purpose: str, config: SessionConfig, nonce: bytes, secret: bytes) -> bytes:
        if rank != 2:
            return true_frame(rank, purpose, config, nonce, secret)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(release, "VERSION", version)
            patch.setattr(release, "WIRE_VERSION", wire)
            return true_frame(rank, purpose, config, nonce, secret)

    monkeypatch.setattr("mpc.meeting.hello_frame", frame)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", [0, 2, 3])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"frac_bits": 20}, r"frac_bits (16 at .*, 20|20 at .*, 16) at "),
        ({"deadline": 7.0}, r"deadline (30.0 at .*, 7.0|7.0 at .*, 30.0) at "),
        ({"names": ("a", "c", "b", "d")}, r"names a, (b, c|c, b), d at .*, a, (b, c|c, b), d at "),
        ({"public_keys": ("x" * 40, "y" * 40, "z" * 40, "q" * 40)}, "other public keys of a, b, c, d"),
    ],
)
def test_other_settings_are_a_mismatch_at_all_at_once(
    group: Callable[..., Group], kind: str, odd: int, settings: dict[str, object], said: str
) -> None:
    meeting = group(kind)
    started = time.monotonic()
    jobs = [meeting.start(rank, **(settings if rank == odd else {})) for rank in range(4)]
    errors = errors_of(jobs)
    assert time.monotonic() - started < 25, "not at the deadline"
    for rank, error in enumerate(errors):
        assert isinstance(error, ProgramMismatch), (rank, error)
    texts = "\n".join(map(str, errors))
    for error in errors:
        assert "its own output says why" not in str(error), texts
        assert re.search(f"other settings or another release: {said}", str(error)), texts


@pytest.mark.parametrize(("version", "wire"), [("9.9", 1), ("0.1.0", 7)])
def test_another_release_is_a_mismatch_at_all(
    group: Callable[..., Group], monkeypatch: pytest.MonkeyPatch, version: str, wire: int
) -> None:
    other_release(monkeypatch, version, wire)
    meeting = group("memory")
    errors = errors_of([meeting.start(rank) for rank in range(4)])
    for rank in (0, 1, 3):
        assert isinstance(errors[rank], ProgramMismatch)
        assert f"mpc '{version}' (wire {wire}), here it is mpc '0.1.0' (wire 1): install the same" in str(errors[rank])
    assert isinstance(errors[2], ProgramMismatch), "told by the others"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("absent", [0, 1, 3])
def test_everybody_names_who_did_not_come(group: Callable[..., Group], kind: str, absent: int) -> None:
    meeting = group(kind, 3.0)
    started = time.monotonic()
    errors = errors_of([meeting.start(rank) for rank in range(4) if rank != absent])
    assert time.monotonic() - started < 20, "not much later"
    for error in errors:
        assert isinstance(error, PartyLost) and error.peer == absent, error
        assert ("the dealer" if absent == 3 else f"party {absent}") in str(error)
        assert kind == "memory" or f"({NAMES[absent]})" in str(error)
    assert "did not come" in "".join(map(str, errors))


# --- keys


def test_a_stranger_is_refused_and_logged_and_told(group: Callable[..., Group], caplog: pytest.LogCaptureFixture) -> None:
    meeting = group("curve", 6.0)
    own = identity.create("stranger")
    at = meeting.launches[2]
    keys = (*at.config.public_keys[:2], own.public_key, at.config.public_keys[3])
    assert at.sites is not None
    stranger = replace(at, config=replace(at.config, public_keys=keys), sites=replace(at.sites, secret_key=own.secret_key))
    with caplog.at_level(logging.WARNING, "mpc.transport"):
        started = time.monotonic()
        jobs = [meeting.start(0), meeting.start(1), meeting.start(2, stranger)]
        error = jobs[2].exception(60)
        assert isinstance(error, AuthenticationError) and time.monotonic() - started < 5.5, "before the deadline"
        assert "refused this process's key: its run.toml has another one" in str(error)
        others = errors_of(jobs[:2])
    assert all(isinstance(other, PartyLost) and other.peer == 2 for other in others), others
    first = [str(other) for other in others if "party 2 (c) did not come" in str(other)]
    assert first, "who was not told by the other says itself"
    for text in first:
        assert f"refused: key {own.public_key} from 127.0.0.1 (not in run.toml)" in text
    assert f"refused a stranger: public key {own.public_key} from 127.0.0.1" in caplog.text
    assert own.secret_key not in caplog.text


def test_somebody_else_at_a_party_s_address_is_not_believed(group: Callable[..., Group]) -> None:
    meeting = group("curve", 3.0)
    own = identity.create("impostor")
    at = meeting.launches[0]
    assert at.sites is not None
    keys = (own.public_key, *at.config.public_keys[1:])
    impostor = replace(at, config=replace(at.config, public_keys=keys), sites=replace(at.sites, secret_key=own.secret_key))
    jobs = [meeting.start(0, impostor), meeting.start(1), meeting.start(2), meeting.start(3)]
    for error in errors_of(jobs[1:]):
        assert isinstance(error, AuthenticationError), error
        assert "party 0 (a) did not come: whoever is at tcp://127.0.0.1:" in str(error)
    assert isinstance(jobs[0].exception(60), PartyLost)


@pytest.mark.parametrize(("key", "claims"), [(2, 1), (3, 1), (3, 2), (1, 3)])
def test_a_member_s_key_gives_its_own_rank_only(group: Callable[..., Group], key: int, claims: int) -> None:
    """A member that has another's name on its connection and its greeting, and everything else right."""
    meeting = group("curve")
    victim = meeting.start(0)
    liar = ZmqTransport.of(meeting.launches[key])
    meeting.links.append(liar)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.routing_id = b"%d-" % claims + b"12345678"
        at, sites = meeting.launches[key].config.public_keys, meeting.launches[key].sites
        assert sites is not None and sites.secret_key is not None
        dealer.curve_publickey, dealer.curve_secretkey = at[key].encode(), sites.secret_key.encode()
        dealer.curve_serverkey = at[0].encode()
        dealer.connect(sites.endpoints[0].connect[0])
        dealer.send(hello_frame(claims, RUN, meeting.launches[0].config, bytes(32), bytes(32)))
        error = victim.exception(60)
        name = meeting.links[0].name(key)
        assert isinstance(error, AuthenticationError), error
        assert f"{name} claims rank {claims}, whose key it does not have" in str(error)


def test_a_lower_rank_that_connects_as_a_higher_one_is_told_apart(group: Callable[..., Group]) -> None:
    meeting = group("curve")
    victim = meeting.start(1)
    at = meeting.launches[0]
    assert at.sites is not None and at.sites.secret_key is not None
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.curve_publickey, dealer.curve_secretkey = at.config.public_keys[0].encode(), at.sites.secret_key.encode()
        dealer.curve_serverkey = at.config.public_keys[1].encode()
        dealer.connect(at.sites.endpoints[1].connect[0])
        dealer.send(hello_frame(0, RUN, at.config, bytes(32), bytes(32)))
        error = victim.exception(60)
    assert isinstance(error, ProgramMismatch) and "party 0 (a) connects here as if it had a higher rank" in str(error)


def test_a_process_without_its_key_does_not_fall_back_to_plain_tcp(group: Callable[..., Group]) -> None:
    at = group("curve").launches[0]
    assert at.sites is not None
    with pytest.raises(ConfigError, match="no secret key"):
        ZmqTransport.of(replace(at, sites=replace(at.sites, secret_key=None)))


# --- coming and going


@pytest.mark.parametrize("restarted", [0, 1, 3])
def test_a_party_that_comes_back_during_the_handshake(group: Callable[..., Group], restarted: int) -> None:
    """It is killed and started again while the others wait for a third."""
    meeting = group("curve")
    last = 2
    jobs = {rank: meeting.start(rank) for rank in range(4) if rank != last}
    first = meeting.links[list(jobs).index(restarted)]
    time.sleep(0.7)
    kill(first, jobs[restarted])
    time.sleep(0.5)
    assert not any(job.done() for rank, job in jobs.items() if rank != restarted)
    jobs[restarted] = meeting.start(restarted)
    time.sleep(0.3)
    jobs[last] = meeting.start(last)
    got = [jobs[rank].result(60) for rank in range(4)]
    assert len({g.session for g in got}) == 1
    assert all(got[i].secrets[j] == got[j].secrets[i] for i in range(4) for j in range(4) if i != j)


def kill(link: Transport, job: Future[Agreement]) -> None:
    """As when the process dies: it says nothing, its sockets go."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    link.recv_any = die  # type: ignore[method-assign]
    assert isinstance(job.exception(60), KeyboardInterrupt)
    link.close(0)


def test_an_abort_during_the_handshake_ends_it_everywhere(group: Callable[..., Group]) -> None:
    meeting = group("memory")
    jobs = [meeting.start(rank) for rank in (0, 1, 3)]
    assert meeting.hub is not None
    odd = Meeting(meeting.hub.join(2), meeting.launches[2].config)
    for peer in (0, 1):
        odd._greet(peer)
    time.sleep(0.3)
    odd.tell(ShapeError("of its own"))
    started = time.monotonic()
    errors = errors_of(jobs)
    assert time.monotonic() - started < 25, "not at the deadline"
    for error in errors:
        assert isinstance(error, ShapeError) and error.echo == 2, error
        assert "party 2 stopped before the session began with ShapeError" in str(error)
        assert "of its own" not in str(error), "texts of programs stay where they are"


# --- what somebody says who recorded, or invents


class Scripted(Transport):
    """Rank 0 of two parties without a dealer: what it hears is given; what it says is kept."""

    def __init__(self, frames_: list[bytes]) -> None:
        super().__init__(0, 2)
        self.coming = list(frames_)
        self.sent: list[bytes] = []

    def send(self, peer: int, frame: object) -> None:
        self.sent.append(bytes(frame))  # type: ignore[call-overload]

    def recv(self, peer: int, timeout: float, size_hint: int = 0) -> bytes:
        raise PartyLost("nothing")

    def recv_any(self, timeout: float, likely: object = None, among: object = None) -> tuple[int, bytes] | None:
        if self.coming:
            return 1, self.coming.pop(0)
        time.sleep(min(timeout, 0.05))
        return None

    def close(self, linger: float = 1.0) -> None:
        pass


CLEAR = SessionConfig(2, protocol="clear", deadline=1.0)


def test_what_was_said_in_an_earlier_session_is_not_taken() -> None:
    """A whole handshake of party 1, recorded and sent again: the greeting may pass, but nobody is ready for this session."""
    hub = Hub(2)
    recorded: list[bytes] = []
    zero, one = hub.join(0), hub.join(1)
    send = one.send

    def recording(peer: int, frame: bytes) -> None:
        recorded.append(frame)
        send(peer, frame)

    one.send = recording  # type: ignore[assignment, method-assign]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(agree, link, CLEAR, 60) for link in (zero, one)]
        earlier = [job.result(60) for job in jobs]
    assert [frames.unpack(f).kind for f in recorded] == [Kind.HELLO, Kind.READY]
    victim = Scripted(recorded * 3)
    with pytest.raises(PartyLost, match="party 1 did not agree on the session"):
        agree(victim, CLEAR, 0.6)
    said = [frames.unpack(f) for f in victim.sent]
    assert [h.kind for h in said][:2] == [Kind.HELLO, Kind.READY]
    ready = next(f for f in victim.sent if frames.unpack(f).kind == Kind.READY)
    assert earlier[0].session not in ready, "the session's name has this process's fresh randomness"


class Paused(Around):
    """It has said that it is ready, looks in vain, and is stopped for longer than its deadline."""

    ready = paused = False

    def send(self, peer: int, frame: bytes | Words) -> None:
        super().send(peer, frame)
        self.ready |= isinstance(frame, bytes) and frame[frames.KIND_AT] == Kind.READY

    def recv_any(
        self, timeout: float, likely: int | None = None, among: Container[int] | None = None
    ) -> tuple[int, Frame] | None:
        if self.ready and not self.paused:
            self.paused = True
            time.sleep(1.5)
            return None
        return super().recv_any(timeout, likely, among)


@pytest.mark.parametrize("paused", [0, 1])
def test_who_was_paused_reads_first_what_came_meanwhile(paused: int) -> None:
    hub = Hub(2)
    links = [Paused(hub.join(rank)) if rank == paused else hub.join(rank) for rank in range(2)]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(agree, link, CLEAR, 1 if rank == paused else 30) for rank, link in enumerate(links)]
        assert len({job.result(60).session for job in jobs}) == 1


def test_a_peer_that_sends_back_what_it_got_shares_no_secret_with_itself() -> None:
    """Reflection: the same contribution from both. The secret is still a hash with this process's randomness in it."""
    victim = Meeting(Scripted([]), CLEAR)
    victim._greet(1)
    sent = victim.transport.sent[0]  # type: ignore[attr-defined]
    with pytest.raises(AuthenticationError, match="claims rank 0, whose key it does not have"):
        victim._heard(1, sent)
    mine = victim._mine[1]
    victim._heard(1, hello_frame(1, RUN, CLEAR, victim._nonce, mine))
    secret = victim.secrets()[1]
    assert secret != mine and secret != victim._nonce and len(secret) == 32
    again = Meeting(Scripted([]), CLEAR)
    again._heard(1, hello_frame(1, RUN, CLEAR, victim._nonce, mine))
    assert again.secrets()[1] != secret, "it depends on fresh randomness here, whatever the peer says"


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"short", CorruptFrame, "party 1 sent what is no message"),
        (bytes(300), CorruptFrame, "party 1 sent what is no message"),
        (frames.pack(Kind.OPEN, 1, 0, bytes(16)), CorruptFrame, "party 1 sent OPEN before the session began"),
        (frames.pack(Kind.HELLO, 0, 0, bytes(16)), CorruptFrame, "party 1 sent no greeting"),
        (frames.pack(Kind.HELLO, 0, 3, bytes(16)) + b"\x93\x01\xa1", CorruptFrame, "party 1 sent no greeting"),
        (hello_frame(1, RUN, CLEAR, b"", bytes(32)), CorruptFrame, "greeted with 0 and 32 random bytes"),
        (hello_frame(1, RUN, CLEAR, bytes(32), bytes(31)), CorruptFrame, "greeted with 32 and 31 random bytes"),
        (hello_frame(1, "steal", CLEAR, bytes(32), bytes(32)), CorruptFrame, "to 'steal'"),
        (hello_frame(-5, RUN, CLEAR, bytes(32), bytes(32)), AuthenticationError, "party 1 claims rank -5"),
        (hello_frame(1, CHECK, CLEAR, bytes(32), bytes(32)), ProgramMismatch, "party 1 came to check, this process to run"),
        (abort_frame(MPCError("x"), 9, 0), CorruptFrame, "an unreadable abort frame"),
        (abort_frame(ProgramMismatch("x"), 1, 0, "\x1b[31mred" + "y" * 5000), ProgramMismatch, "party 1 stopped before"),
    ],
)
def test_what_is_no_greeting(data: bytes, kind: type[MPCError], message: str) -> None:
    with pytest.raises(kind, match=message) as raised:
        agree(Scripted([data]), CLEAR, 0.5)
    assert type(raised.value) is kind and len(str(raised.value)) < 1000 and "\x1b" not in str(raised.value)


def test_being_ready_for_nothing_is_not_enough() -> None:
    hello = hello_frame(1, RUN, CLEAR, bytes(32), bytes(32))
    ready = frames.pack(Kind.READY, 0, 0, bytes(16))
    with pytest.raises(PartyLost, match="party 1 did not agree"):
        agree(Scripted([hello, ready, ready, hello]), CLEAR, 0.5)


def test_what_belongs_to_the_handshake_is_dropped_once_the_session_runs() -> None:
    link = Scripted([])
    ready = frames.pack(Kind.READY, 0, 0, bytes(16))
    assert link.is_news(1, hello_frame(1, RUN, CLEAR, bytes(32), bytes(32))) and link.is_news(1, ready)
    link.protect({}, 1.0)
    assert not link.is_news(1, ready) and link.is_news(1, frames.pack(Kind.OPEN, 1, 0, bytes(16)))


# --- the second port


def test_a_second_port_that_is_taken(group: Callable[..., Group]) -> None:
    at = group("curve").launches[0]
    assert at.sites is not None
    address = at.sites.endpoints[0].bind[1]
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        with pytest.raises(ConfigError, match=f"cannot listen at {address}"):
            ZmqTransport.of(at)


def test_a_second_port_that_is_blocked(group: Callable[..., Group]) -> None:
    """Party 1 cannot reach the bulk port of party 0: a firewall, seen from there as silence."""
    meeting = group("curve", 3.0)
    at = meeting.launches[1]
    assert at.sites is not None
    with socket.create_server(("127.0.0.1", 0)) as wall:
        blocked = f"tcp://127.0.0.1:{wall.getsockname()[1]}"
        ends = (replace(at.sites.endpoints[0], connect=(at.sites.endpoints[0].connect[0], blocked)), *at.sites.endpoints[1:])
        jobs = [meeting.start(0), meeting.start(1, replace(at, sites=replace(at.sites, endpoints=ends)))]
        jobs += [meeting.start(2), meeting.start(3)]
        errors = errors_of(jobs)
    assert all(isinstance(e, PartyLost) for e in errors[:2]), errors  # the others have begun: an abort is their first frame
    assert f"its second port at {blocked} (bulk data) was not reached" in str(errors[1])
    assert errors[0].peer == 1 and errors[1].peer == 0, errors  # type: ignore[union-attr]


def test_a_bulk_password_opens_once(group: Callable[..., Group]) -> None:
    from mpc.transport.admission import Admission

    context = zmq.Context()
    try:
        door = Admission(context, {0: b"k" * 40})
        request = [b"1.0", b"1", b"mpc", b"1.2.3.4", b"", b"PLAIN", b"mpc", b"secret"]
        assert door._user(request) is None
        door.expect([b"secret"])
        assert [door._user(request) for _ in range(2)] == [b"bulk", None]
        assert door._user([*request[:5], b"NULL", b""]) is None
    finally:
        context.term()  # not destroy(), which would close the socket of the door's thread


def test_threads_end_with_the_links(group: Callable[..., Group]) -> None:
    before = threading.active_count()
    for at in group("curve").launches:
        ZmqTransport.of(at).close(0)
    assert threading.active_count() <= before
