"""Budgets with a file: spent before it opens, for ever, alike at all parties."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.errors import ConfigError, IntegrityError
from mpc.party import Party
from mpc.privacy import Budget, BudgetExceeded, Gaussian, Laplace
from mpc.privacy.dp import budget_format
from mpc.privacy.dp.accounting import ORDERS, Guarantee, Pure
from mpc.privacy.dp.secret_sgd import SecretDPSGD
from mpc.privacy.dp.steps import Kind, Steps

LAPLACE = Laplace(epsilon=0.5, sensitivity=1.0, grid=1.0)


def releases(path: Path) -> list[tuple[str, int]]:
    return [(line.what, line.times) for line in budget_format.read(path.read_bytes(), path).releases]


def local(program, parties: int = 2) -> list[object]:
    def inside() -> object:
        with mpc.session() as s:
            return program(s)

    return mpc.local(inside, parties, threads=True)


@pytest.mark.parametrize("guarantee", [
    LAPLACE.privacy(), Gaussian(0.5, 1e-6, sensitivity=1.0).privacy(), LAPLACE.privacy() + Guarantee(rdp=0.01 * ORDERS),
    Steps({Kind(1.5, 0.1, 1e-12): 30, Kind(2.0): 1}), Steps({Kind(1.5, 0.1): 3}, LAPLACE.privacy()),
    Guarantee(rdp=0.5 * ORDERS, total_variation=1e-12, lost=1e-9), Guarantee(pure=Pure(0.3, 1e-12), total_variation=0.1),
])  # fmt: skip
def test_what_is_read_guarantees_what_was_written(guarantee: Guarantee) -> None:
    back = budget_format.unpacked(budget_format.packed(guarantee))
    for epsilon in (0.0, 0.1, 0.3, 0.7, 2.0):
        assert back.delta(epsilon) == guarantee.delta(epsilon)
    more = (back + LAPLACE.privacy()).delta(0.9)
    assert more == pytest.approx((guarantee + LAPLACE.privacy()).delta(0.9), rel=1e-9, abs=1e-15)


def test_other_orders_give_an_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    total = budget_format.packed(Guarantee(rdp=0.01 * ORDERS))
    monkeypatch.setattr(budget_format, "ORDERS", ORDERS[:-3:2] * 1.01)
    found = budget_format.unpacked(total).rdp
    assert found is not None and np.all(found >= 0.01 * ORDERS[:-3:2] * 1.01) and np.isfinite(found).all()
    monkeypatch.setattr(budget_format, "ORDERS", np.array([2.0, 4096.0]))
    beyond = budget_format.unpacked(total).rdp
    assert beyond is not None and np.isinf(beyond[1]) and beyond[0] == 0.02


def test_the_next_process_goes_on_and_refuses(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    with Budget(1.2, 1e-6, file=path) as first:
        first.charge(LAPLACE.privacy(), "one")
        first.charge(LAPLACE.privacy(), "two")
    second = Budget(1.2, 1e-6, file=path)
    assert second.used == first.used and second.releases == 2 and not second.spent
    with second, pytest.raises(BudgetExceeded):
        second.charge(LAPLACE.privacy(), "three")
    assert releases(path) == [("one", 1), ("two", 1)]
    with pytest.raises(ConfigError, match="limit is not changed"):
        Budget(3.0, 1e-6, file=path)


def test_a_charge_is_on_disk_when_the_process_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, signal\nfrom mpc.privacy import Budget, Laplace\n"
        f"with Budget(2, 1e-6, file={str(tmp_path / 'b.json')!r}) as budget:\n"
        "    budget.charge(Laplace(epsilon=0.5, sensitivity=1.0, grid=1.0).privacy(), 'one')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-P", "-c", script], timeout=600).returncode == -signal.SIGKILL
    with Budget(2, 1e-6, file=tmp_path / "b.json") as budget:  # the lock went with the process
        assert budget.used == pytest.approx(0.5, abs=1e-3) and budget.releases == 1


def test_one_place_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    one, two = Budget(2, 1e-6, file=path), Budget(2, 1e-6, file=path)
    with one:
        with pytest.raises(ConfigError, match="open elsewhere"), two:
            pass
        with pytest.raises(ConfigError, match="open elsewhere"):
            two.charge(LAPLACE.privacy())
        with one:
            one.charge(LAPLACE.privacy(), "one")
    two.charge(LAPLACE.privacy(), "two")  # takes in what the other charged
    assert two.releases == 2 and two.used > 0.9
    with one:
        assert one.used == two.used


def test_damage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    with Budget(2, 1e-6, file=path) as budget:
        budget.charge(LAPLACE.privacy(), "one")
    said = json.loads(path.read_text())
    said["content"]["releases"] = []
    path.write_text(json.dumps(said))
    with pytest.raises(IntegrityError, match="changed by hand"):
        Budget(2, 1e-6, file=path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IntegrityError, match="damaged"):
        Budget(2, 1e-6, file=path)
    with pytest.raises(ConfigError, match="cannot be locked"), Budget(2, 1e-6, file=tmp_path / "no" / "b.json"):
        pass


def test_nothing_is_spent_where_the_file_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Budget(2, 1e-6, file=tmp_path / "b.json") as budget:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mpc.privacy.dp.budget_file.Writing", full)
        with pytest.raises(ConfigError, match="No space left.*nothing was released"):
            budget.charge(LAPLACE.privacy(), "one")
        assert budget.used == 0 and not budget.spent and budget.releases == 0


# --- parties
def test_each_party_has_its_file_and_all_go_on_from_the_one_that_knows_most(tmp_path: Path) -> None:
    def program(s: Party) -> float:
        x = mpc.share(np.ones(3), owner=0)
        with Budget(3, 1e-6, file=tmp_path / "study.json") as budget:
            x.sum().reveal(dp=Laplace(0.5, 1.0, truncations=0), reason="sum of ages")
            return budget.used

    assert local(program) == [pytest.approx(0.5, abs=1e-3)] * 2
    behind = (tmp_path / "study.rank1.json").read_bytes()
    local(program)
    (tmp_path / "study.rank1.json").write_bytes(behind)  # as if killed before it wrote
    assert local(program) == [pytest.approx(1.5, abs=1e-2)] * 2
    assert releases(tmp_path / "study.rank0.json") == releases(tmp_path / "study.rank1.json")
    assert len(releases(tmp_path / "study.rank0.json")) == 3 and b"sum of ages" in (tmp_path / "study.rank0.json").read_bytes()
    with Budget(3, 1e-6, file=tmp_path / "study.rank1.json") as other:
        other.charge(LAPLACE.privacy(), "another study")
    with Budget(3, 1e-6, file=tmp_path / "study.rank0.json") as other:
        other.charge(LAPLACE.privacy(), "a third")
    with pytest.raises(ConfigError, match="do not tell one story"):
        local(program)


def test_a_resumed_training_is_charged_for_what_it_released_once(tmp_path: Path) -> None:
    """Also for the steps between the save and the interruption, which no save knows of; and elsewhere for all of them."""
    def trained(s: Party, state: object, steps: int) -> tuple[dict[str, object], int]:
        x, model = mpc.share(np.ones((4, 3)), owner=0), nn.Linear(3, 1)
        optimizer = SecretDPSGD(model, noise_multiplier=4.0, coins=256)
        if state is not None:
            optimizer.load_state_dict(state)  # type: ignore[arg-type]
        saved = optimizer.state_dict()
        for k in range(steps):
            optimizer.zero_grad()
            model(x).mean().backward()
            optimizer.step()
            if k == 1:
                saved = optimizer.state_dict()
        return saved, optimizer.steps

    def program(s: Party) -> None:
        path = tmp_path / "study.json"
        with Budget(5, 1e-6, file=path) as one:
            state, _ = trained(s, None, 5)  # saved at 2
            assert one.releases == 5
        with Budget(5, 1e-6, file=path) as two:
            again, steps = trained(s, state, 2)
            assert (steps, two.releases) == (4, 7)
        with Budget(5, 1e-6, file=path) as three:
            trained(s, again, 0)
            assert three.releases == 7
        with Budget(5, 1e-6, file=tmp_path / "another.json") as elsewhere:
            trained(s, again, 1)
            assert elsewhere.releases == 3 and sum(elsewhere.heard.values()) == 5

    local(program)
    assert [times for _, times in releases(tmp_path / "study.rank0.json")] == [5, 2]
    shown = subprocess.run([sys.executable, "-P", "-m", "mpc.parties", "budget", str(tmp_path / "study.rank1.json")],
                           capture_output=True, text=True, timeout=600, env={**os.environ, "COLUMNS": "140"})  # fmt: skip
    assert shown.returncode == 0 and "SecretDPSGD steps from 1" in shown.stdout and "of 5 used at delta 1e-06" in shown.stdout


def test_a_forked_child_does_not_charge(tmp_path: Path) -> None:
    with Budget(2, 1e-6, file=tmp_path / "b.json") as budget:
        child = os.fork()
        if not child:
            try:
                budget.charge(LAPLACE.privacy())
            except ConfigError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        budget.charge(LAPLACE.privacy())


def test_who_receives_is_checked_before_it_is_paid_for() -> None:
    def program(s: Party) -> int:
        x = mpc.share(np.ones(3), owner=0)
        with Budget(3, 1e-6) as budget:
            with pytest.raises(ConfigError, match="receivers 9"):
                x.sum().reveal(to=9, dp=Laplace(0.5, 1.0, truncations=0))
            return budget.releases

    assert local(program) == [0, 0]
