"""The four attackers every leak is measured with: fresh models, trained after what they attack is frozen."""
from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np

from mpc.privacy.audit.intervals import Floats, Labels
from mpc.privacy.audit.network import Network
from mpc.privacy.extras import needed

ATTACKERS: Final = ("logistic", "neighbours", "boosting", "mlp")
NEIGHBOURS: Final = 15
_ONE_CLASS: Final = "got one class only among the attacker's records; want at least two"


def _model(name: str, rows: int, seed: int) -> Any:
    """What has `fit` and `predict_proba`. Early stopping needs some rows to hold out."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if name == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    if name == "neighbours":
        return make_pipeline(StandardScaler(), KNeighborsClassifier(min(NEIGHBOURS, rows)))
    if name == "boosting":
        return HistGradientBoostingClassifier(max_iter=150, early_stopping=rows >= 300, n_iter_no_change=8, random_state=seed)
    if name == "mlp":
        return Network(rows, seed)
    raise ValueError(f"got attacker {name!r}; want one of {', '.join(ATTACKERS)}")


def scores(name: str, seen: Floats, labels: Labels, unseen: Floats, classes: int, seed: int = 0) -> Floats:
    """What attacker ``name``, trained on ``seen`` and ``labels``, thinks of ``unseen``: log probability minus log frequency.

    Rows sum to nothing in particular; the largest entry is the guess. Dividing by how often a class occurs among the
    attacker's records makes the guess the best one for balanced accuracy. Shape (rows of ``unseen``, ``classes``); a class
    that the attacker never saw is never guessed. Raises ValueError for an unknown name or a single class.
    """
    found, counts = np.unique(labels, return_counts=True)
    if len(found) < 2:
        raise ValueError(_ONE_CLASS)
    needed("sklearn")
    from sklearn.exceptions import ConvergenceWarning

    model = _model(name, len(labels), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an attacker stopped early is still an attacker
        warnings.filterwarnings("error", "Training interrupted by user")  # scikit-learn's networks swallow Ctrl-C and go on
        try:
            model.fit(seen, labels)
        except UserWarning:
            raise KeyboardInterrupt from None
    out = np.full((len(unseen), classes), -np.inf)
    out[:, found] = np.log(np.clip(model.predict_proba(unseen), 1e-6, None)) - np.log(counts / len(labels))
    return out
