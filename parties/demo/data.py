"""The demo's data: bundled with scikit-learn, or MNIST from a folder that the user names."""
from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

import mpc

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
TEST_SHARE: Final = 5  # every fifth record is a test record: the split is public, by index
CLASSES: Final = 10
WHERE_MNIST: Final = """\
MNIST is four files: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, \
packed (.gz) or not. They are at https://ossci-datasets.s3.amazonaws.com/mnist/, and where torchvision.datasets.MNIST(\
"here", download=True) was called, in here/MNIST/raw. Then: mpc demo --dataset mnist --data DIR"""


def bundled(dataset: str) -> tuple[Floats, Floats]:
    """Features and targets (a column of 0 and 1, or one-hot rows)."""
    from sklearn import datasets

    if dataset == "breast-cancer":
        features, labels = datasets.load_breast_cancer(return_X_y=True)
        return features, labels[:, None].astype(np.float64)
    features, labels = datasets.load_digits(return_X_y=True)
    return features, np.eye(CLASSES)[labels]


def split(records: int) -> tuple[Rows, Rows]:
    """Row numbers for training and for testing."""
    rows = np.arange(records)
    return rows[rows % TEST_SHARE != 0], rows[rows % TEST_SHARE == 0]


def standardised(columns: Floats, train: Rows) -> Floats:
    """Mean 0 and deviation 1 on the training rows: each owner does this to its own columns, alone."""
    deviation = columns[train].std(0)
    return (columns - columns[train].mean(0)) / np.where(deviation > 1e-6, deviation, 1.0)


def mnist(folder: str, rows: int | None) -> tuple[Floats, Floats, Floats, Floats]:
    """Images as rows of 784 from 0 to 1 and one-hot labels: for training, for testing. ``rows``: of the first images
    only, and a fifth as many for testing. Raises ConfigError when the folder does not have them."""
    x, labels, test_x, test_labels = mpc.data.mnist(folder)
    few = None if rows is None else max(1, rows // TEST_SHARE)
    one_hot = np.eye(CLASSES)
    train, test = (i.reshape(len(i), -1).astype(np.float64) for i in (x[:rows], test_x[:few]))
    return train, one_hot[labels[:rows]], test, one_hot[test_labels[:few]]


def in_the_clear(dataset: str, folder: str | None, rows: int | None) -> tuple[Floats, Floats, Floats, Floats]:
    """Features and targets for training, then for testing, as one who sees everything has them."""
    if dataset == "mnist":
        return mnist(str(folder), rows)
    x, y = bundled(dataset)
    train, test = split(len(x))
    x = standardised(x, train)
    return x[train], y[train], x[test], y[test]
