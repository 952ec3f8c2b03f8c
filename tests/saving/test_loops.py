"""``mpc.data.batches(checkpoint=...)``: a program that ends anywhere goes on there when it is started again."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.saving import loops
from tests.saving.looping import Interrupted, X, interrupted, train
from tests.saving.programs import WORLDS, run


@pytest.mark.parametrize("protocol,parties", WORLDS)
def test_the_same_command_comes_to_the_same_end(
    protocol: str, parties: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped within an epoch, at its end, right after a save: the same rows, draws, rates and curves, the same model."""
    whole = run(lambda s: train(s), parties, protocol)
    folder = tmp_path / "made" / "here"
    for stop_at in (7, 6, 6):  # within batches 7, 12 and 15: saved are 6, 9 and 12
        interrupted(folder, stop_at, parties, protocol)
    assert (folder.stat().st_mode & 0o777) == 0o700
    resumed = run(lambda s: train(s), parties, protocol, checkpoint=folder)
    told = capsys.readouterr().err.splitlines()
    assert told == [f"mpc: checkpoint: loop 1: going on after batch {n} of 24 (epoch {n // 4 + 1} of 6)" for n in (6, 9, 12)]
    for (done, model, right, *rest), (again, same, reached, *others) in zip(whole, resumed, strict=True):
        assert again == done[12:] and len(done) == 24
        assert others[:2] == rest[:2] and len(rest[0]) == 6
        np.testing.assert_array_equal(others[2], rest[2])
        assert reached == pytest.approx(right, abs=0.02) and right > 0.9
        for name, value in model.items():
            np.testing.assert_allclose(same[name], value, atol=0 if protocol == "clear" else 0.02, err_msg=name)
    after = run(lambda s: train(s), parties, protocol, checkpoint=folder)
    assert "loop 1: finished already (24 batches)" in capsys.readouterr().err
    for (_, same, _, *others), (done, model, _, *rest) in zip(resumed, after, strict=True):
        assert done == [] and rest[:2] == others[:2]
        np.testing.assert_array_equal(rest[2], others[2])
        for name, value in model.items():
            np.testing.assert_array_equal(same[name], value, err_msg=name)


# --- several loops, several sessions
def two_sessions(stop_at: int | None = None, epochs: int = 2) -> Any:
    """Session 1: two loops on one model, with a rate lowered between them. Session 2: a loop on another model."""
    steps = 0

    def loop(x: Any, size: int, count: int, model: Any, optimizer: Any, every: int) -> int:
        nonlocal steps
        mine = 0
        state = {"model": model, "optimizer": optimizer}
        for xb in mpc.data.batches(x, size=size, epochs=count, checkpoint=state, checkpoint_every=every):
            optimizer.zero_grad()
            (model(xb) ** 2).mean().backward()
            optimizer.step()
            steps, mine = steps + 1, mine + 1
            if steps == stop_at:
                x.party.barrier()
                raise Interrupted
        return mine

    out = []
    with mpc.session() as s:
        s.manual_seed(3)
        x = mpc.share(X, 0)
        model = nn.Linear(6, 3)
        optimizer = mpc.optim.SGD(model.parameters(), lr=0.2, momentum=0.5)
        out.append(loop(x, 20, epochs, model, optimizer, 2))
        optimizer.param_groups[0]["lr"] *= 0.5
        out.append(loop(x, 15, 2, model, optimizer, 3))
        first = model.reveal()["weight"]
    with mpc.session() as s:
        s.manual_seed(4)
        model = nn.Linear(6, 2)
        out.append(loop(mpc.share(X, 1), 30, 2, model, mpc.optim.Adam(model.parameters(), lr=0.1), 1))
        return out, first, model.reveal()["weight"], s.public_rng.random()


def go(folder: Path | None, *args: Any, **options: Any) -> list[Any]:
    return mpc.local(two_sessions, parties=2, args=args, threads=True, checkpoint=folder, **options)


@pytest.mark.parametrize("stop_at,left", [(4, [4, 8, 4]), (10, [0, 5, 4]), (15, [0, 0, 4]), (17, [0, 0, 2])])
def test_loops_are_told_apart_and_finished_ones_skipped(
    stop_at: int, left: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = go(None)
    with pytest.raises(Interrupted):
        go(tmp_path, stop_at)
    capsys.readouterr()
    resumed = go(tmp_path)
    assert capsys.readouterr().err.count("finished already") == left.count(0)
    for (counts, *values, draw), (again, *same, drawn) in zip(whole, resumed, strict=True):
        assert (counts, again) == ([6, 8, 4], left) and draw == drawn
        for value, other in zip(values, same, strict=True):
            np.testing.assert_allclose(other, value, atol=0.005)
    assert {p.name.removesuffix(".previous") for p in tmp_path.iterdir()} == {
        f"loop{n}.rank{rank}.shares" for n in (1, 2, 3) for rank in (0, 1)
    }


def test_more_epochs_go_on_and_later_loops_notice(tmp_path: Path) -> None:
    go(tmp_path)
    with pytest.raises(mpc.ConfigError, match=r"loop2\.rank\d\.shares goes on from another run of the loops before it"):
        go(tmp_path, None, 3)
    for path in (*tmp_path.glob("loop2*"), *tmp_path.glob("loop3*")):
        path.unlink()
    assert [found[0] for found in go(tmp_path, None, 3)] == [[0, 8, 4]] * 2
    with pytest.raises(mpc.ConfigError, match="after batch 9 of a longer training; here it has 6"):
        go(tmp_path)


# --- what is saved, and what comes back
def small(s: Any, stop: int | None = None, size: int = 4, **options: Any) -> Any:
    """A loop whose body changes everything that a checkpoint can hold but models."""
    tensor, array, losses = mpc.share(np.zeros(2), 0), np.zeros(3), []
    counts: dict[str, Any] = {"seen": 0, "order": []}
    x = mpc.share(np.arange(24.0).reshape(12, 2), 0)
    everything = [tensor, (array,), {"losses": losses, "counts": counts}]
    batches = mpc.data.batches(x, size=size, epochs=2, **{"checkpoint": everything, "checkpoint_every": 1, **options})
    for number, batch in enumerate(batches, 1):
        tensor._value = (tensor + batch.sum(axis=0))._value
        array += [number, batches.epoch, batches.batch]
        losses.append(batch.sum())
        counts["seen"] += batch.shape[0]
        counts["order"].append(batch[:, 0].reveal().tolist())
        if number == stop:
            break
    return tensor.reveal().tolist(), array.tolist(), [float(v.reveal()) for v in losses], counts, s.total.rounds


def test_tensors_arrays_lists_and_dicts_come_back_in_place(tmp_path: Path) -> None:
    def seeded(s: Any, *args: Any) -> Any:
        s.manual_seed(6)
        return small(s, *args)

    whole = run(seeded)
    run(lambda s: seeded(s, 5), checkpoint=tmp_path)  # left by break within the fifth batch: four are saved
    for (sums, _, losses, counts, _), (again, array, same, tally, _) in zip(
        whole, run(seeded, checkpoint=tmp_path), strict=True
    ):
        assert again == sums == [264.0, 288.0] and same == losses and tally == counts
        assert counts["seen"] == 24 and len(losses) == 6
        assert array == [10 + 1 + 2, 3, 1 + 2 + 1 + 2 + 0]


def test_without_a_directory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = run(lambda s: small(s, checkpoint=None, checkpoint_every=None))
    named = run(lambda s: small(s))
    assert not list(tmp_path.iterdir())
    assert [n[-1] - p[-1] for n, p in zip(named, plain, strict=True)] == [1, 1], "one round to hear that nobody has one"


@pytest.mark.parametrize("what,text", [
    ({"array": np.zeros(2), "n": 3}, r"checkpoint\['n'\] is a int"),
    (([], (1.5,)), r"checkpoint\[1\]\[0\] is a float"),
    ({"x": object()}, "is a object"),
    ("model", "checkpoint is a str"),
])  # fmt: skip
def test_what_nothing_can_set_back_is_refused_at_once(what: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(mpc.NotSupported, match=text):
        run(lambda s: small(s, checkpoint=what), checkpoint=tmp_path)
    with pytest.raises(mpc.NotSupported, match="computed tensor"):
        run(lambda s: small(s, checkpoint=[mpc.share(1.0, 0).requires_grad_() * 2]), checkpoint=tmp_path)
    with pytest.raises(mpc.ConfigError, match="checkpoint_every=0"):
        run(lambda s: small(s, checkpoint_every=0))
    with pytest.raises(mpc.ConfigError, match="checkpoint=what to save"):
        run(lambda s: small(s, checkpoint=None))


def test_loops_of_other_programs_in_this_process_do_not_count() -> None:
    assert loops._PROGRAM.get() is None
