"""Schedules give torch's rates."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.optim import lr_scheduler

CASES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [7, 2], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {"start_factor": 0.2, "total_iters": 4}),
    ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.01}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 1 / (1 + epoch)}),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=[name for name, _ in CASES])
def test_rates_are_torchs(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="torch is the reference")

    def program() -> Any:
        with mpc.session():
            groups = [{"params": [mpc.constant(np.zeros(1), requires_grad=True)]} for _ in range(2)]
            optimizer = mpc.optim.SGD([groups[0], {**groups[1], "lr": 0.1}], lr=0.5)
            schedule = getattr(lr_scheduler, name)(optimizer, **options)
            rates = [schedule.get_last_lr()]
            for _ in range(5):
                schedule.step()
                rates.append(schedule.get_last_lr())
            again = getattr(lr_scheduler, name)(optimizer, **options)
            again.load_state_dict(schedule.state_dict())
            for _ in range(5):
                again.step()
                rates.append(again.get_last_lr())
            return rates

    got = mpc.local(program, parties=2, protocol="clear", threads=True)[0]
    groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(2)]
    optimizer = torch.optim.SGD([groups[0], {**groups[1], "lr": 0.1}], lr=0.5)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    want = [schedule.get_last_lr()]
    for _ in range(10):
        optimizer.step()
        schedule.step()
        want.append(schedule.get_last_lr())
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_bad_schedules_are_refused() -> None:
    def program() -> None:
        with mpc.session():
            optimizer = mpc.optim.SGD([mpc.constant(np.zeros(1), requires_grad=True)])
            for make in (
                lambda: lr_scheduler.StepLR(optimizer, 0),
                lambda: lr_scheduler.CosineAnnealingLR(optimizer, 0),
                lambda: lr_scheduler.LinearLR(optimizer, total_iters=0),
                lambda: lr_scheduler.ExponentialLR([0.1], 0.5),
            ):
                with pytest.raises(mpc.ConfigError):
                    make()

    mpc.local(program, parties=2, protocol="clear", threads=True)
