"""Each example runs as its first lines say."""
from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SAYS = {
    "assistant.py": r"of 960 utterances were redacted(.*\n)*4 +12 +0 .*(9\d\.\d+|100\.00)%(.*\n)*"
    r"representation +private .* +-?0\.[0-2].*raw features (1\.0|0\.9).*\n.*person .*\n"
    r"update of one record.* 1\.000 .*\n.*secure agg.* 0\.000 .*(.*\n)*the page has \d\d kB",
    "average.py": r"average 3300\.00, 2 of 5 above it",
    "estimators.py": r"markers \[1 4\]\n.*0\.\d\d by a linear model, 0\.[89]\d by a network\n(.*\n)+",
    "federated.py": r"3 +5 +0 +6\.\d kB .*\nthe model that nobody has seen: 0\.9\d+",
    "federated_shares.py": r"2 was refused: its sealed part does not open.*\nmean over 3 hospitals and 2300 patients: 0\.098",
    "from_torch.py": r"total +11 (.*\n)*on its own: 0\.[78]\d+\nwith hospital 1's patients: 0\.9\d+",
    "hospitals.py": r"test accuracy: 0\.9\d+ without noise, 0\.(8[5-9]|9)\d* of the model that may be published\n(.*\n)*"
    r"Budget\(epsilon=2, .*, used=1\.3\d*, releases=12\)\n.*Nothing was opened(.*\n)*"
    r".*how many are ill \[epsilon=0\.2, .*budget 0\.2 of 2(.*\n)*.*no budget covers them",
    "lenders.py": r"made up by scikit-learn.*\nbalanced accuracy: 0\.(8[5-9]|9)\d* of the model of all.*, 0\.[5-8]\d+ of what"
    r"(.*\n)*.*4 +party 0 +scores of lender 0's applicants\nThe model was never revealed",
    "linear.py": r"R\^2 on the other patients: 0\.99",
    "notebook.py": r"every party learns \[0\.99\d*, 0\.99\d*\]",
    "resume.py": r"in batch 13 of 24: party 1 was killed by SIGKILL.*\n14 more batches: accuracy (0\.9\d|1\.00)",
    "train.py": r"test accuracy 0\.[89]\d\n(.*\n)*.*predictions for party 1's customers",
}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_example(path: Path) -> None:
    command = next(line.strip() for line in path.read_text().splitlines() if line.startswith("    "))
    first, *rest = shlex.split(command)
    start = [sys.executable] if first == "python" else [sys.executable, "-P", "-m", "mpc.parties"]
    done = subprocess.run([*start, *rest], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(SAYS[path.name], done.stdout), done.stdout


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("mpc run -n 5 examples/lenders.py", "mpc run -n 3"),
        ("mpc run -n 2 examples/hospitals.py", "mpc run -n 3"),
        ("python examples/assistant.py --page /no/such/page.html", "a directory that exists"),
        ("python examples/assistant.py --data /no/such", "want a directory with"),
    ],
)
def test_an_example_says_what_it_wants_before_it_works(command: str, says: str) -> None:
    first, *rest = shlex.split(command)
    start = [sys.executable] if first == "python" else [sys.executable, "-P", "-m", "mpc.parties"]
    done = subprocess.run([*start, *rest], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (1, 2) and says in done.stderr and "Traceback" not in done.stderr, done.stderr
