"""Sessions: one after the other in the same processes, refusals, what the parties agree on."""
from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import mpc


def many_sessions(count: int) -> list[float]:
    sums = []
    for k in range(count):
        with mpc.session() as s:
            for _ in range(k % 3):
                s.barrier()
        with mpc.session() as s:
            x, y = (mpc.share(np.full(10, k) if s.rank == owner else None, owner) for owner in (0, 1))
            sums.append(float((x * y).sum().reveal(reason="sum")))
    return sums


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_sessions_follow_each_other_in_the_same_processes(transport: str) -> None:
    results = mpc.local(many_sessions, parties=2, args=(12,), transport=transport)
    assert results == [[10.0 * k * k for k in range(12)]] * 2


def test_a_session_after_a_failed_one() -> None:
    def main():
        with pytest.raises(mpc.MPCError), mpc.session() as s:
            mpc.share([np.nan] if s.rank == 0 else None, owner=0)
        with mpc.session() as s:
            return float(mpc.share(2.0 if s.rank == 0 else None, owner=0).reveal())

    assert mpc.local(main, parties=3, threads=True) == [2.0] * 3


def pair(program, parties=2, **options):
    """Run program(s) on threads."""

    def main():
        with mpc.session() as s:
            return program(s)

    return mpc.local(main, parties=parties, threads=True, **options)


def test_no_session_no_tensor() -> None:
    with pytest.raises(mpc.SessionError, match="with mpc.session"):
        mpc.share(1.0, owner=0)
    with pytest.raises(mpc.ConfigError, match="mpc run"), mpc.session():
        pass


def test_a_session_belongs_to_its_thread_and_ends_with_its_block() -> None:
    def program(s):
        x = mpc.share(1.0 if s.rank == 0 else None, owner=0)
        caught = []

        def other():
            try:
                s.barrier()
            except mpc.SessionError as error:
                caught.append(error)

        worker = threading.Thread(target=other)
        worker.start()
        worker.join()
        assert len(caught) == 1
        with pytest.raises(mpc.SessionError, match="nest"), mpc.session():
            pass
        return x

    for x in pair(program):
        with pytest.raises(mpc.SessionError, match="ended"):
            x.reveal()


def forking() -> str:
    """What a forked child could do with the session."""
    with mpc.session() as s:
        x = mpc.share([1.5], 0) * mpc.share([2.0], 1)
        s.barrier()
        reading, writing = os.pipe()
        if os.fork() == 0:
            found = "nothing"
            try:
                sent = dict(s.transport.meter.frames_sent)
                for act in (lambda: x * x, s.barrier, s.close, lambda: x.reveal()):
                    try:
                        act()
                        found = "went on"
                    except mpc.SessionError:
                        continue
                s.abort(ValueError("in the child"))
                if s.transport.meter.frames_sent != sent:
                    found = "sent something"
            finally:
                os.write(writing, found.encode())
                os._exit(0)
        os.close(writing)
        with open(reading) as pipe:
            found = pipe.read()
        os.wait()
        assert x.reveal() == 3.0
        return found


def test_a_forked_child_sends_nothing() -> None:
    """It has its parent's keys and counters: whatever it sent would be a second use of nonces and masks."""
    assert mpc.local(forking, parties=2) == ["nothing"] * 2


def _leaf(x):
    return x.detach().requires_grad_()


def _gradient(s, x, seeds):
    """The gradient of a product under another seed at each party."""
    leaf = _leaf(x)
    (leaf * leaf).backward(seeds[s.rank])
    return leaf.grad


def _root(s, x):
    leaf, other = _leaf(x), x * 2
    roots = (leaf * x).sum(), (leaf * other).sum()
    roots[s.rank].backward()
    return leaf.grad


def _loaded(s, x):
    models = [mpc.nn.Linear(4, 2) for _ in range(2)]
    models[0].load_state_dict(models[s.rank].state_dict())
    return models[0](x.reshape(1, 4))


@pytest.mark.parametrize(
    "differ",
    [
        lambda s, x: _gradient(s, x, [np.ones(4), np.full(4, 2.0)]),
        lambda s, x: _gradient(s, x, [x, x * 2]),
        _root,
        _loaded,
        lambda s, x: mpc.nn.Parameter([x, x * 2][s.rank]),
        lambda s, x: copy.copy([x, x * 2][s.rank]),
        lambda s, x: x[0 if s.rank else 3],
        lambda s, x: x - 1 if s.rank else x + x,
        lambda s, x: x * (np.pi if s.rank else np.nextafter(np.pi, 4)),
        lambda s, x: x * np.array([1.0, 2.0, 3.0, 4.0 + s.rank]),
        lambda s, x: x > (2 + s.rank),
        lambda s, x: (x > 2) if s.rank else (x < 2),
        lambda s, x: x.reshape(2, 2).T if s.rank else x.reshape(2, 2),
        lambda s, x: (x * x)[np.array([0, 1 + s.rank])] * x[:2],
        lambda s, x: x + mpc.constant(np.full(4, float(s.rank))),
        lambda s, x: mpc.cat([x, x * 2]) if s.rank else mpc.cat([x * 2, x]),
    ],
    ids=[
        *("seed", "secret seed", "root", "state", "parameter", "copy"),
        *("index", "operation", "one ulp", "array", "threshold", "comparison", "transpose", "rows", "constant", "order"),
    ],
)
def test_programs_that_differ_in_public_structure_are_refused_before_anything_is_revealed(differ) -> None:
    def program(s):
        x = mpc.share(np.arange(4.0) if s.rank == 0 else None, owner=0)
        (x * x).reveal(reason="alike")
        return differ(s, x).reveal(reason="different", check_range=False)

    with pytest.raises(mpc.ProgramMismatch):
        pair(program)


@pytest.mark.filterwarnings("ignore:a revealed value has magnitude:RuntimeWarning")
def test_a_value_for_one_party_alone_stops_nobody() -> None:
    """Out of range: an exception there would tell the others something about a value that is not theirs."""

    def program(s):
        x = mpc.share(200.0 if s.rank == 0 else None, owner=0)
        big = x * x * 2  # 80,000: beyond 2^15
        mine = big.reveal(to=1, reason="for party 1")
        return None if mine is None else float(mine), float(x.reveal())

    results = pair(program, parties=3)
    assert [r[1] for r in results] == [200.0] * 3
    assert results[0][0] is None and results[2][0] is None and abs(results[1][0] - 80_000) < 0.1

    def everybody(s):
        x = mpc.share(200.0 if s.rank == 0 else None, owner=0)
        (x * x * 2).reveal()

    with pytest.raises(mpc.FixedPointRangeError):
        pair(everybody)


def test_what_is_revealed_is_truncated_exactly() -> None:
    """A fresh random rounding at each reveal of one product would tell its low bits."""

    def program(s):
        x = mpc.share(1.0001 if s.rank == 0 else None, owner=0)
        y = mpc.share(0.7003 if s.rank == 1 else None, owner=1)
        return {float((x * y).reveal()) for _ in range(12)}

    assert [len(values) for values in pair(program)] == [1, 1]


def test_the_ledger_has_every_reveal() -> None:
    def program(s):
        x = mpc.share(np.ones((2, 3)) if s.rank == 0 else None, owner=0)
        x.reveal(reason="first")
        x.sum().reveal(to=1, reason="second")
        return s.report().ledger

    for ledger in pair(program):
        assert [(line.shape, line.recipients, line.reason) for line in ledger] == [
            ((2, 3), (0, 1), "first"),
            ((), (1,), "second"),
        ]
        assert all(line.site.startswith(os.path.basename(__file__)) for line in ledger)


def test_long_chains_of_views_are_opened_afresh() -> None:
    def program(s):
        x = mpc.share(np.arange(100.0) / 100 if s.rank == 0 else None, owner=0)
        (x * x).sum()
        for _ in range(80):
            x = x[1:]
        y = mpc.stack([x] * 10)
        for _ in range(4):
            y = mpc.cat([y, y])
        for _ in range(30):  # not open yet: its origin is opened only as far as a name can reach
            y = y.T.reshape(*y.shape)
        return (y * y).sum().reveal()

    want = 160 * (np.arange(80, 100) ** 2 / 1e4).sum()
    for got in pair(program):
        assert abs(got - want) < 0.3


def test_sigterm_is_not_forgotten_where_its_exit_was_swallowed() -> None:
    """As an import with `except BaseException`, or a finaliser, swallows it."""
    script = """
import os, signal
import mpc
from mpc.supervision.signals import terminated

signal.signal(signal.SIGTERM, terminated)
try:
    os.kill(os.getpid(), signal.SIGTERM)
except SystemExit:
    print("swallowed", flush=True)
with mpc.session():
    pass
"""
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("swallowed\n", 143), done.stderr
