"""What budgets with a file must survive: links, forks, threads, files and names nobody expects, epochs done twice."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import mpc
from mpc import nn
from mpc.errors import ConfigError, IntegrityError
from mpc.parties.cli import app
from mpc.privacy import Budget, Laplace
from mpc.privacy.dp import budget_format
from mpc.privacy.dp.accounting import Guarantee, Pure
from mpc.privacy.dp.budget import Spent, is_open, spend
from mpc.privacy.dp.secret_sgd import SecretDPSGD
from mpc.privacy.dp.steps import Kind, Steps

LAPLACE = Laplace(epsilon=0.5, sensitivity=1.0, grid=1.0)


@pytest.mark.parametrize("guarantee", [
    Guarantee(LAPLACE.privacy().pld, total_variation=np.float64(1e-12), lost=np.float64(1e-12)),
    Guarantee(LAPLACE.privacy().pld, pure=Pure(float("inf"), 0.0)), Steps({Kind(np.float64(3.0), np.float64(0.1)): 3}),
])  # fmt: skip
def test_numbers_of_numpy_and_infinite_ones_can_be_read_again(tmp_path: Path, guarantee: Guarantee) -> None:
    with Budget(2, 1e-6, file=tmp_path / "b.json") as budget:
        budget.charge(guarantee, "one")
    found = Budget(2, 1e-6, file=tmp_path / "b.json").guarantee
    assert found is not None and found.delta(0.4) == pytest.approx(guarantee.delta(0.4), rel=1e-9)


@pytest.mark.parametrize("what", [None, 5, "\ud800", np.str_("sum"), "\x1b[2J [/red] [bold]x 💉 \u202e"])
def test_whatever_a_release_is_called_is_read_again_and_shown(tmp_path: Path, what: object) -> None:
    path = tmp_path / "b [red].json"
    with Budget(2, 1e-6, file=path) as budget:
        spend(None, [Spent(what, LAPLACE.privacy(), None, what)])  # type: ignore[arg-type]
        assert budget.releases == 1
    assert Budget(2, 1e-6, file=path).used == budget.used
    shown = CliRunner().invoke(app, ["budget", str(path)], env={"COLUMNS": "300"})
    assert shown.exit_code == 0 and "[red].json: epsilon 0.5" in shown.stdout and "\x1b" not in shown.stdout
    if what is not None and len(str(what)) > 5:
        assert shown.stdout.count("\\x1b[2J [/red] [bold]x 💉 \\u202e") == 2


def test_a_narrow_terminal_cuts_nothing_off(tmp_path: Path) -> None:
    with Budget(2, 1e-6, file=tmp_path / "b.json") as budget:
        budget.charge(LAPLACE.privacy(), "one")
    shown = CliRunner().invoke(app, ["budget", str(tmp_path / "b.json")], env={"COLUMNS": "20"})
    (line,) = budget_format.read((tmp_path / "b.json").read_bytes(), tmp_path / "b.json").releases
    assert shown.exit_code == 0 and "│ one  │" in shown.stdout and f"│ {line.when[:10]}" in shown.stdout
    assert abs(datetime.now(UTC) - datetime.fromisoformat(line.when)) < timedelta(hours=1)


def test_what_is_no_budget_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "deep").write_bytes(b'{"content":' + b"[" * 100_000)
    for name, said in (("none", "there is no budget"), ("pipe", "it is no file"), ("", "it is no file"), ("deep", "damaged")):
        shown = CliRunner().invoke(app, ["budget", str(tmp_path / name)])
        assert shown.exit_code not in (0, 1) and said in shown.stderr
    with pytest.raises(ConfigError, match="it is no file"):
        Budget(2, 1e-6, file=tmp_path / "pipe")


def test_a_part_of_a_distribution_is_no_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    total = budget_format.packed(LAPLACE.privacy())
    whole = total.losses[0].probabilities
    for part in (whole[:-3], b"", b"x" + whole):
        total.losses[0].probabilities = part
        with pytest.raises(IntegrityError, match="distribution"):
            budget_format.unpacked(total)
    total.losses[0].probabilities = whole
    monkeypatch.setattr(budget_format, "MOST_NUMBERS", 100)
    with pytest.raises(IntegrityError, match="more than 100"):
        budget_format.unpacked(total)


def test_a_file_never_becomes_too_large_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as small, Budget(2, 1e-6, file=tmp_path / "b.json") as budget:
        small.setattr(budget_format, "MOST_NUMBERS", 100)
        budget_format._losses.cache_clear()
        with pytest.raises(ConfigError, match=r"keeps at most 100.*nothing was released"):
            budget.charge(LAPLACE.privacy(), "none")
        assert budget.releases == 0 and not (tmp_path / "b.json").exists()
    with Budget(2, 1e-6, file=tmp_path / "b.json") as budget:
        budget.charge(LAPLACE.privacy(), "one")
        monkeypatch.setattr("mpc.privacy.dp.budget_file.MOST_BYTES", (tmp_path / "b.json").stat().st_size)
        with pytest.raises(ConfigError, match="nothing was released"):
            budget.charge(LAPLACE.privacy(), "two")
    assert Budget(2, 1e-6, file=tmp_path / "b.json").releases == 1


def test_a_link_and_its_file_are_one_budget_wherever_the_process_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("real", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "real" / "b.json")
    monkeypatch.chdir(tmp_path)
    with Budget(2, 1e-6, file="link.json") as budget:
        budget.charge(LAPLACE.privacy(), "one")
        monkeypatch.chdir(tmp_path / "elsewhere")
        budget.charge(LAPLACE.privacy(), "two")
        with pytest.raises(ConfigError, match="open elsewhere"), Budget(2, 1e-6, file=tmp_path / "real" / "b.json"):
            pass
    assert (tmp_path / "link.json").is_symlink() and Budget(2, 1e-6, file=tmp_path / "real" / "b.json").releases == 2


def test_a_child_that_was_forked_meanwhile_does_not_hold_the_file(tmp_path: Path) -> None:
    with Budget(2, 1e-6, file=tmp_path / "b.json") as budget:
        child = os.fork()
        if not child:
            signal.pause()
    try:
        with budget:
            budget.charge(LAPLACE.privacy(), "one")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_child_that_leaves_the_budget_does_not_free_the_file(tmp_path: Path) -> None:
    budget = Budget(2, 1e-6, file=tmp_path / "b.json")
    with budget:
        child = os.fork()
        if not child:
            budget.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(ConfigError, match="open elsewhere"), Budget(2, 1e-6, file=tmp_path / "b.json"):
            pass


def test_threads_leave_a_budget_in_any_order(tmp_path: Path) -> None:
    budget, other = Budget(5, 1e-6, file=tmp_path / "b.json"), Budget(5, 1e-6)
    first_left, both_in = threading.Event(), threading.Barrier(2)

    def inside(first: bool) -> bool:
        with other:
            with budget:
                both_in.wait(60)
                assert first or first_left.wait(60)
                spend(None, [Spent("one", LAPLACE.privacy())])
            first_left.set()
            spend(None, [Spent("one", LAPLACE.privacy())])
        return is_open()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(inside, (True, False))) == [False, False]
    assert (budget.releases, other.releases) == (2, 4)
    with Budget(5, 1e-6, file=tmp_path / "b.json") as again:  # free
        assert again.releases == 2


def test_a_budget_left_elsewhere_still_takes_in_what_others_charged(tmp_path: Path) -> None:
    with Budget(5, 1e-6, file=tmp_path / "b.json") as budget:
        copied = copy_context()  # as that of `asyncio.to_thread`
    with Budget(5, 1e-6, file=tmp_path / "b.json") as other:
        other.charge(LAPLACE.privacy(), "meanwhile")
        with pytest.raises(ConfigError, match="open elsewhere"):
            copied.run(spend, None, [Spent("one", LAPLACE.privacy())])
    copied.run(spend, None, [Spent("one", LAPLACE.privacy())])
    assert budget.releases == 2 and Budget(5, 1e-6, file=tmp_path / "b.json").used == budget.used > 0.9


def test_one_of_two_budgets_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Budget(2, 1e-6, file=tmp_path / "b.json") as outer, Budget(2, 1e-6) as inner:
        monkeypatch.setattr("mpc.privacy.dp.budget_file.MOST_BYTES", 1)
        with pytest.raises(ConfigError, match="nothing was released"):
            spend(None, [Spent("one", LAPLACE.privacy())])
        assert outer.releases == inner.releases == 0


def test_stories_of_other_prices_are_other_stories() -> None:
    def told(*lines: budget_format.Release) -> budget_format.Content:
        return budget_format.Content(2.0, 1e-6, releases=list(lines))

    def line(what: str, epsilon: float | None, times: int = 1, training: str | None = None) -> budget_format.Release:
        return budget_format.Release("", what, epsilon, times, "", training)

    a, b, none = line("", 0.5), line("", 0.1), line("", None)
    for one, two in ((told(a), told(b)), (told(a), told(b, b)), (told(none), told(a))):
        with pytest.raises(ConfigError, match="one story"):
            budget_format.furthest([one, two])
    with pytest.raises(ConfigError, match="one story"):  # as many releases, but others
        budget_format.furthest([told(line("t", 0.1, 3, "t"), a), told(line("t", 0.1, 4, "t"))])
    steps = [told(), told(line("t", 0.1, 3, "t")), told(line("t", 0.1 + 1e-9, 4, "t"), a)]
    assert budget_format.furthest(steps) is steps[2]
    with pytest.raises(ConfigError, match="one story"):
        budget_format.furthest([told(line("t", 0.1, 5, "t")), *steps, told(a)])


def test_files_are_compared_in_every_session(tmp_path: Path) -> None:
    """As if party 1 had stopped where party 0 has charged already, and both go on in another session, in the same ``with``."""
    def program() -> tuple[int, float]:
        with Budget(3, 1e-6, file=tmp_path / "b.json") as budget:
            for _ in range(2):
                with mpc.session() as s:
                    mpc.share(np.ones(3), owner=0).sum().reveal(dp=Laplace(0.5, 1.0, truncations=0))
                    rank = s.rank
                if not rank and budget.releases == 1:
                    budget.charge(LAPLACE.privacy(), "more")
            return budget.releases, round(budget.used, 2)

    assert mpc.local(program, 2, threads=True) == [(3, 1.5)] * 2


def test_the_first_step_after_a_loading_is_charged_wherever_in_its_epoch_it_is(tmp_path: Path) -> None:
    def program() -> list[int]:
        with mpc.session():
            return trained()

    def trained() -> list[int]:
        x, model = mpc.share(np.ones((4, 3)), owner=0), nn.Linear(3, 1)
        optimizer = SecretDPSGD(model, noise_multiplier=4.0, coins=256, disjoint_batches=4)

        def steps(number: int) -> int:
            for _ in range(number):
                optimizer.zero_grad()
                model(x).mean().backward()
                optimizer.step()
            return budget.releases

        with Budget(5, 1e-6, file=tmp_path / "b.json") as budget:
            counts, saved = [steps(2)], optimizer.state_dict()
            counts += [steps(2)]  # interrupted: steps 3 and 4 are made again, on the same records
            optimizer.load_state_dict(saved)
            return [*counts, steps(1), steps(1), steps(1), steps(3)]

    assert mpc.local(program, 2, threads=True) == [[1, 1, 2, 2, 3, 3]] * 2


def test_a_dry_run_spends_nothing_but_what_is_released_in_clear(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text("""
import mpc
import numpy as np
from mpc.privacy import Budget, Laplace

with mpc.session() as s, Budget(3, 1e-6, file="b.json") as budget:
    x = mpc.share(np.ones(3) if s.rank == 0 else None, owner=0)
    x.sum().reveal(dp=Laplace(0.5, 1.0, truncations=0), reason="on shares")
    budget.charge(Laplace(0.5, 1.0, grid=1.0).privacy(), "by hand")
    Laplace(0.5, 1.0, grid=1.0).noisy([1.0])
""")
    command = [sys.executable, "-P", "-m", "mpc.parties", "preprocess", "--program", "study.py", "-n", "2", "--out", "stores"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "b.rank0.json"
    assert [line.times for line in budget_format.read(path.read_bytes(), path).releases] == [1]  # real noise on real data
