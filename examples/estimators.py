"""Estimators with scikit-learn's names on patients of two hospitals: which markers matter, and which of three diagnoses.

    mpc run -n 2 examples/estimators.py
"""
import numpy as np

import mpc
from mpc.linear_model import Lasso, LogisticRegression
from mpc.neural_network import MLPClassifier

rng = np.random.default_rng(3)  # in earnest: each hospital's own patients, of whom both know the same ten markers
markers = rng.normal(size=(400, 10))
stay = 3 * markers[:, 1] - 2 * markers[:, 4] + 6 + 0.5 * rng.normal(size=400)
kind = np.digitize(markers[:, 0] ** 2 + markers[:, 2], [0.5, 1.5])
HERE = {0: slice(0, 150), 1: slice(150, 400)}

with mpc.session() as s:

    def of_both(values):  # rows of hospital 0, then rows of hospital 1
        return mpc.cat([mpc.share(values[HERE[owner]] if s.rank == owner else None, owner) for owner in HERE])

    x, days, diagnosis = of_both(markers), of_both(stay), of_both(kind)
    train, test = np.arange(400) % 4 != 0, np.arange(400) % 4 == 0

    lasso = Lasso(alpha=0.2).fit(x[train], days[train])
    matters = (lasso.coef_ != 0).reveal(reason="which markers the length of a stay depends on")
    linear = LogisticRegression(classes=3, max_iter=50).fit(x[train], diagnosis[train])
    network = MLPClassifier((16,), classes=3, batch_size=50, random_state=0).fit(x[train], diagnosis[train])
    scores = [model.score(x[test], diagnosis[test]) for model in (linear, network)]
    mine = network.predict_proba(x[:3]).reveal(to=0, reason="hospital 0's first patients")
    if s.rank == 0:
        print("a stay depends on markers", np.flatnonzero(matters))
        print(f"diagnoses right: {scores[0]:.2f} by a linear model, {scores[1]:.2f} by a network")
        print("probabilities that only hospital 0 sees:", np.round(mine, 2).tolist(), sep="\n")
