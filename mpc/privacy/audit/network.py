"""The attacker that is a neural network: how long it is trained, and what decides that."""
from __future__ import annotations

from typing import Final

import numpy as np

from mpc.privacy.audit.intervals import Floats, Labels

HOLDS_OUT: Final = 2000  # rows from which a tenth of them says more than it costs
EPOCHS, LONGEST, PATIENCE, GAIN = 80, 200, 15, 1e-4


class Network:
    """One hidden layer of 64. With `HOLDS_OUT` rows or more it is trained until the logarithmic loss of a tenth of them,
    held out, has not fallen by `GAIN` for `PATIENCE` epochs, `LONGEST` at most, and stays as it was when that loss was
    least; with fewer for `EPOCHS`.

    The loss and not the accuracy: where one class is frequent, guessing it always is accurate, and a network judged by that
    can end before it has learned anything.
    """

    def __init__(self, rows: int, seed: int) -> None:
        from sklearn.neural_network import MLPClassifier
        from sklearn.preprocessing import StandardScaler

        self._scale = StandardScaler()
        self._order = np.random.default_rng(seed)
        self._net = MLPClassifier(
            (64,), batch_size=min(128, rows), learning_rate_init=2e-3, max_iter=EPOCHS, n_iter_no_change=PATIENCE,
            random_state=seed,
        )  # fmt: skip

    def fit(self, seen: Floats, labels: Labels) -> None:
        """Shapes (rows, features) and (rows,)."""
        scaled = self._scale.fit_transform(seen)
        if len(seen) < HOLDS_OUT:
            self._net.fit(scaled, labels)
            return
        order = self._order.permutation(len(seen))
        held, rest = np.split(order, [len(seen) // 10])
        classes = np.unique(labels)
        truth = (np.arange(len(held)), np.searchsorted(classes, labels[held]))
        least, stale = np.inf, 0
        for _ in range(LONGEST):
            self._net.partial_fit(scaled[rest], labels[rest], classes=classes)
            loss = -np.log(np.clip(self._net.predict_proba(scaled[held])[truth], 1e-15, None)).mean()
            if loss < least - GAIN:
                least, stale = loss, 0
                best = [[w.copy() for w in each] for each in (self._net.coefs_, self._net.intercepts_)]
            elif (stale := stale + 1) == PATIENCE:
                break
        self._net.coefs_, self._net.intercepts_ = best

    def predict_proba(self, unseen: Floats) -> Floats:
        """(rows of ``unseen``, classes in increasing order)"""
        return np.asarray(self._net.predict_proba(self._scale.transform(unseen)))
