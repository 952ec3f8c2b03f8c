"""What the sites of a deployment have: run.toml, program, keys made by `mpc keygen`, data."""
from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.deploy.containers import mpc, ports_of_parties
from tests.deploy.files import DEPLOY, NAMES, PARTIES


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """What all sites together have: run.toml, train.py, keys/NAME.key, data/NAME/patients.csv."""
    site = tmp_path / "site"
    site.mkdir()
    shutil.copy(DEPLOY / "train.py", site)
    text = (DEPLOY / "run.toml").read_text()
    for name in NAMES:
        said = mpc("keygen", name, "--out", "keys", cwd=site)
        (public,) = set(re.findall(r'public_key = "(.{40})"', said))
        text = text.replace('public_key = ""', f'public_key = "{public}"', 1)
    for name, port in zip(PARTIES, ports_of_parties(len(PARTIES)), strict=True):
        text = text.replace(f'"{name}:7700"', f'"127.0.0.1:{port}"')
    (site / "run.toml").write_text(text)
    rng = np.random.default_rng(5)
    for name in PARTIES:
        rows = rng.normal(size=(70, 5))
        rows[:, 4] = rows[:, 0] - rows[:, 2] > 0
        (site / "data" / name).mkdir(parents=True)
        header = "age,pressure,glucose,weight,ill"
        np.savetxt(site / "data" / name / "patients.csv", rows, "%.4f", ",", header=header, comments="")
    return site
