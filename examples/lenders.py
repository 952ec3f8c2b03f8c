"""Three lenders learn from all their customers who fails to pay. Nobody ever has the model, not even to score an applicant.

    mpc run -n 3 examples/lenders.py

The records are made up by scikit-learn. With the UCI repository's "Default of credit card clients" (30,000 rows):
`mpc run -n 3 examples/lenders.py --data UCI_Credit_Card.csv`.
"""
import argparse

import numpy as np
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier

import mpc
from mpc.report import ledger_text

parser = argparse.ArgumentParser()
parser.add_argument("--data", help="UCI_Credit_Card.csv")
path = parser.parse_args().data
LIKELY = 0.25  # of failure: an applicant above it is refused


def customers() -> tuple[np.ndarray, np.ndarray]:
    """Features, and 1 for those who failed to pay. In earnest each lender reads a file of its own."""
    if path is None:
        x, y = make_classification(5000, 12, n_informative=6, n_clusters_per_class=3, weights=[0.75], random_state=1)
        return x / 2, y
    table = mpc.data.read_csv(path)
    names = [name for name in table.names if name not in ("ID", "SEX", "default.payment.next.month")]
    x = table[names]
    for k, name in enumerate(names):  # to numbers of about 1, in units that all lenders agree on
        if "AMT" in name or name == "LIMIT_BAL":
            x[:, k] = np.sign(x[:, k]) * np.log1p(np.abs(x[:, k])) / 5 - 1
        elif name == "AGE":
            x[:, k] = x[:, k] / 10 - 3.5
    return x, table["default.payment.next.month"]


def found(refused: np.ndarray, failed: np.ndarray) -> float:
    """Balanced accuracy: the mean of how many are right among those who failed and among those who paid."""
    return float(np.mean([(refused == failed)[failed == kind].mean() for kind in (0, 1)]))


features, fails = customers()
test = np.arange(len(fails)) % 5 == 0
x, y, test_x, test_y = features[~test], fails[~test], features[test], fails[test]
ends = np.array([0, 0.05, 0.3, 1]) * len(y)  # the first lender is a small one

with mpc.session() as s:
    if s.world_size != 3:
        raise SystemExit(f"{s.world_size} parties; the lenders are three: mpc run -n 3 examples/lenders.py")
    mine = slice(int(ends[s.rank]), int(ends[s.rank + 1]))
    network = mpc.neural_network.MLPClassifier((16,), classes=2, batch_size=128, max_iter=4, random_state=0)
    network.fit(*mpc.data.by_rows(x[mine], y[mine]))

    old, outcome = (mpc.share(a if s.rank == 2 else None, owner=2) for a in (test_x, test_y))  # known to lender 2
    refused = network.predict_proba(old)[:, 1] > LIKELY
    right = refused == outcome
    hits = mpc.stack([(right * outcome).sum(), outcome.sum(), right.sum()]).reveal(reason="how many test records are right")

    applicants = mpc.share(test_x[:4] if s.rank == 0 else None, owner=0)
    scores = network.predict_proba(applicants)[:, 1].reveal(to=0, reason="scores of lender 0's applicants")
    if s.rank == 0:
        print("records:", "made up by scikit-learn (make_classification)" if path is None else path)
        together = (hits[0] / hits[1] + (hits[2] - hits[0]) / (len(test_y) - hits[1])) / 2
        alone = MLPClassifier((16,), random_state=0, tol=1e-3, max_iter=1000).fit(x[mine], y[mine])
        guesses = alone.predict_proba(test_x)[:, 1] > LIKELY
        print(f"balanced accuracy: {together:.3f} of the model of all {len(y)} customers, {found(guesses, test_y):.3f} of what "
              f"lender 0 makes of its own {len(y[mine])}")  # fmt: skip
        print("lender 0's applicants, likely to fail:", [f"{p:.2f}" for p in scores])
        print(ledger_text(s.report().ledger, s.world_size))
        print("The model was never revealed. Scores tell something about it, many of them much: limit them.")
