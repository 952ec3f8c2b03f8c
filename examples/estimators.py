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

with mpc.session() as s:
    here = slice(0, 150) if s.rank == 0 else slice(150, 400)
    x, days, diagnosis = mpc.data.by_rows(markers[here], stay[here], kind[here])  # the rows of both, one below the other
    x, test, days, _, diagnosis, answers = mpc.data.train_test_split(x, days, diagnosis, random_state=0)

    lasso = Lasso(alpha=0.2).fit(x, days)
    matters = (lasso.coef_ != 0).reveal(reason="which markers the length of a stay depends on")
    linear = LogisticRegression(classes=3, max_iter=50).fit(x, diagnosis)
    network = MLPClassifier((16,), classes=3, batch_size=50, random_state=0).fit(x, diagnosis)
    scores = [model.score(test, answers) for model in (linear, network)]
    few = mpc.share(markers[:3] if s.rank == 0 else None, owner=0)
    mine = network.predict_proba(few).reveal(to=0, reason="three patients of hospital 0")
    if s.rank == 0:
        print("a stay depends on markers", np.flatnonzero(matters))
        print(f"diagnoses right: {scores[0]:.2f} by a linear model, {scores[1]:.2f} by a network")
        print("probabilities that only hospital 0 sees:", np.round(mine, 2).tolist(), sep="\n")
