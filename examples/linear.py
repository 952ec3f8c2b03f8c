"""scikit-learn's names on columns of two hospitals; the coefficients are opened on purpose, each to its hospital.

    mpc run -n 2 examples/linear.py
"""
import numpy as np

import mpc

rng = np.random.default_rng(2)  # in earnest: each hospital's own records of the same patients
first, second = rng.normal(size=(200, 2)), rng.normal(size=(200, 3))
outcome = first @ [1.5, -2.0] + second @ [0.5, 0.0, 1.0] + 3.0 + 0.1 * rng.normal(size=200)

with mpc.session() as s:
    x = mpc.cat([mpc.share(first if s.rank == 0 else None, owner=0), mpc.share(second if s.rank == 1 else None, owner=1)], 1)
    y = mpc.share(outcome if s.rank == 1 else None, owner=1)

    model = mpc.linear_model.Ridge(alpha=0.1).fit(x[:150], y[:150])
    print(f"R^2 on the other patients: {model.score(x[150:], y[150:]):.3f}")
    mine = model.coef_[:2].reveal(to=0, reason="what hospital 0's columns contribute")
    model.coef_[2:].reveal(to=1, reason="what hospital 1's columns contribute")
    if s.rank == 0:
        print("hospital 0 learns", np.round(mine, 2))
