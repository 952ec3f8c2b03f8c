"""Parties started from a script, a test or a notebook: a function instead of a file.

    python examples/notebook.py
"""
import numpy as np

import mpc


def similarity(vectors: list[np.ndarray]) -> float:
    """The cosine of two secret vectors. Runs at every party; each shares what it owns."""
    with mpc.session() as s:
        first, second = (vectors[k] / np.linalg.norm(vectors[k]) if s.rank == k else None for k in range(2))
        a, b = mpc.share(first, owner=0), mpc.share(second, owner=1)
        return float((a @ b).reveal(reason="the similarity"))


if __name__ == "__main__":
    vectors = [np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 5.0])]
    print("every party learns", mpc.local(similarity, parties=2, args=(vectors,)))
