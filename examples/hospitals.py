"""Two hospitals know measurements of the same patients, a registry their diagnoses: a model that may be published.

    mpc run -n 3 examples/hospitals.py

Everything is computed on secret shares. What leaves them carries noise, so that it hardly depends on any one patient, and a
budget counts it. The records are scikit-learn's breast cancer data.
"""
import numpy as np
from sklearn.datasets import load_breast_cancer

import mpc
from mpc import privacy
from mpc.privacy import sensitivity
from mpc.report import ledger_text

# Usual ranges of radius, texture, perimeter, area, smoothness, compactness, concavity, concave points, symmetry and fractal
# dimension, rounded by hand after a look at these data. In earnest they come from the literature: what is taken from the
# patients is one more release, which no epsilon below counts.
MEAN = np.array([[8, 20], [12, 28], [50, 140], [200, 1200], [0.07, 0.12], [0.03, 0.2], [0, 0.25], [0, 0.12], [0.13, 0.24],
                 [0.05, 0.08]]).T  # fmt: skip
WORST = np.array([[9, 26], [15, 38], [55, 180], [250, 1900], [0.09, 0.18], [0.05, 0.6], [0, 0.7], [0, 0.25], [0.18, 0.45],
                  [0.06, 0.12]]).T  # fmt: skip


def scaled(columns: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """-1 to 1 within the usual range, cut off at twice that."""
    return np.clip((2 * columns - usual.sum(0)) / (usual[1] - usual[0]), -2, 2)


patients, benign = load_breast_cancer(return_X_y=True)
test = np.arange(len(patients)) % 5 == 0

with mpc.session() as s:
    if s.world_size < 3:
        raise SystemExit("2 parties; two hospitals and a registry are three: mpc run -n 3 examples/hospitals.py")
    mine = {0: scaled(patients[:, :10], MEAN), 1: scaled(patients[:, 20:], WORST)}.get(s.rank)  # in earnest: own files
    malignant = (1.0 - benign)[:, None] if s.rank == 2 else None
    x, test_x = (mpc.data.by_columns(None if mine is None else mine[rows]) for rows in (~test, test))
    y, test_y = (mpc.share(None if malignant is None else malignant[rows], owner=2) for rows in (~test, test))

    exact = mpc.linear_model.LogisticRegression(classes=2, max_iter=30).fit(x, y)
    without = exact.score(test_x, test_y)  # for comparison; this model stays secret

    with privacy.Budget(epsilon=2, delta=1e-5) as budget:
        ill = sensitivity.count(y[:, 0]).reveal(epsilon=0.2, reason="how many are ill")
        radius = sensitivity.mean(x[:, 0], -2, 2).reveal(epsilon=0.2, reason="mean radius, scaled")

        model = mpc.nn.Linear(x.shape[1], 1)
        optimizer = privacy.DPSGD(model.parameters(), lr=2.0, max_grad_norm=1.0, noise_multiplier=14.0, momentum=0.8)
        for _ in range(10):  # all patients in each step; their gradients are clipped one by one, on shares
            optimizer.zero_grad()
            mpc.nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
            optimizer.step()
        model.reveal(reason="coefficients by DP-SGD, for publication")

        try:
            sensitivity.count(x[:, 0] > 0).reveal(epsilon=1.2, reason="one question more")
        except privacy.BudgetExceeded as error:
            refused = error

    with mpc.no_grad():
        right = ((model(test_x) > 0) == test_y).mean().reveal(reason="accuracy of the published model")
    if s.rank == 0:
        print(f"test accuracy: {without:.3f} without noise, {float(right):.3f} of the model that may be published")
        print(f"with noise: {ill:.0f} of {len(x)} patients are ill; the mean radius is {14 + 6 * radius:.1f}")
        print(f"{budget}\none question more was refused: {refused}\n")
        print(ledger_text(s.report().ledger, s.world_size))
        print("\nThe two accuracies are exact and say something about the test patients: no budget covers them.")
