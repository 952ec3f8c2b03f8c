"""The training workloads: models of `mpc.nn`, whole steps. Data of MNIST's shape is random: the time does not depend on it."""
from __future__ import annotations

from typing import Any, Final

import numpy as np

import mpc
from mpc.benchmarks.harness import Workload
from mpc.benchmarks.networks import lenet, perceptron
from mpc.benchmarks.plaintext import accuracy, breast_cancer, logistic_by_descent, sklearn_accuracy
from mpc.benchmarks.protocols import settle
from mpc.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from mpc.party import Party

RATE: Final = 1.0  # of the logistic regression, for columns of mean 0 and deviation 1


class Logistic:
    """Full-batch gradient descent on all rows. Its accuracy is of one more training on three quarters of the rows."""

    def __init__(self, party: Party, quick: bool) -> None:
        self.party = party
        self.epochs = 2 if quick else 50
        self.x, self.y, self.source = breast_cancer()
        self.size = f"{self.epochs} epochs"

    def prepare(self) -> Any:
        return self._shared(slice(None))

    def _shared(self, rows: Any) -> Any:
        x, y = self.x[rows], self.y[rows, None]
        mpc.manual_seed(0)
        model = mpc.nn.Linear(x.shape[1], 1)
        rank = self.party.rank
        return mpc.share(x if rank == 0 else None, 0), mpc.share(y if rank == 1 else None, 1), model

    def run(self, state: Any) -> Any:
        x, y, model = state
        optimizer = mpc.optim.SGD(model.parameters(), lr=RATE)
        for _ in range(self.epochs):
            loss = binary_cross_entropy_with_logits(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model

    def finish(self, state: Any, result: Any) -> tuple[str, dict[str, Any]]:
        order = np.random.Generator(np.random.PCG64(0)).permutation(len(self.x))
        test, train = order[: len(order) // 4], order[len(order) // 4 :]
        state = self._shared(train)
        first = state[2].reveal(reason="the same start in plaintext")
        model = self.run(state).reveal(reason="test accuracy")
        x, y = self.x, self.y
        plain = logistic_by_descent(x[train], y[train], first["weight"][0], first["bias"], self.epochs, RATE)
        right = accuracy(x[test], y[test], model["weight"][0], model["bias"])
        beside = accuracy(x[test], y[test], *plain)
        other = sklearn_accuracy(x[train], y[train], x[test], y[test]) if self.party.rank == 0 else None
        text = f"{self.source}: {right} of {len(test)} test records right, the same descent in plaintext {beside}"
        numbers = {"test_right": right, "plaintext_right": beside, "sklearn_right": other, "test": len(test)}
        return text + ("" if other is None else f", scikit-learn {other}"), {**numbers, "data": self.source}


class _Network:
    """784 inputs and 10 classes, random values."""

    widths: tuple[int, ...]
    batch = 128

    def __init__(self, party: Party, quick: bool) -> None:
        self.party = party
        sides = tuple(w // 8 for w in self.widths[:-1]) + self.widths[-1:] if quick else self.widths
        self.rows = max(1, self.batch // 8) if quick else self.batch
        self.inputs, self.classes = sides[0], sides[-1]
        self.size = f"{'-'.join(map(str, sides))}, batch {self.rows}"
        self.model = perceptron(mpc.nn, sides)

    def inputs_only(self) -> Any:
        x = self.party.public_rng.uniform(0, 1, (self.rows, self.inputs))
        return mpc.share(x if self.party.rank == 0 else None, 0)

    def finish(self, state: Any, result: Any) -> tuple[str, dict[str, Any]]:
        return "synthetic data", {}


class _Step(_Network):
    """One step on a new batch; what the step before has changed is opened anew."""

    def __init__(self, party: Party, quick: bool) -> None:
        super().__init__(party, quick)
        self.optimizer = self.chosen(self.model.parameters())

    def chosen(self, parameters: Any) -> Any:
        """The optimiser."""
        return mpc.optim.SGD(parameters, lr=0.125)

    def loss(self, logits: Any, labels: Any) -> Any:
        return binary_cross_entropy_with_logits(logits, labels)

    def prepare(self) -> Any:
        labels = self.party.public_rng.integers(0, self.classes, self.rows)
        y = np.eye(self.classes)[labels]
        return self.inputs_only(), mpc.share(y if self.party.rank == 1 else None, 1)

    def run(self, state: Any) -> Any:
        x, y = state
        loss = self.loss(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return None


class Step1(_Step):
    widths = (784, 128, 10)


class Step2(_Step):
    widths = (784, 128, 128, 10)


class StepSgd(_Step):
    widths: tuple[int, ...] = (784, 128, 128, 10)

    def chosen(self, parameters: Any) -> Any:
        return mpc.optim.SGD(parameters, lr=0.1, momentum=0.9)

    def loss(self, logits: Any, labels: Any) -> Any:
        return cross_entropy(logits, labels)


class StepAdam(StepSgd):
    def chosen(self, parameters: Any) -> Any:
        return mpc.optim.Adam(parameters, lr=1e-3)


class _LeNet(StepSgd):
    """Images of 1x28x28; when quick, fewer of them."""

    widths = (784, 10)
    pool: str

    def __init__(self, party: Party, quick: bool) -> None:
        super().__init__(party, False)
        self.rows = 4 if quick else self.batch
        self.size = f"batch {self.rows}"
        self.model = lenet(mpc.nn, self.pool)
        self.optimizer = self.chosen(self.model.parameters())

    def inputs_only(self) -> Any:
        return super().inputs_only().reshape(self.rows, 1, 28, 28)


class LeNetAvg(_LeNet):
    pool = "AvgPool2d"


class LeNetMax(_LeNet):
    pool = "MaxPool2d"


class _Inference(_Network):
    """A model that stays, a new batch each run: what the engine keeps open of the weights shows in the bytes sent."""

    widths = (784, 128, 128, 10)

    def prepare(self) -> Any:
        return self.inputs_only()

    def run(self, state: Any) -> Any:
        with mpc.no_grad():
            return settle(self.model(state))


class Infer128(_Inference):
    batch = 128


class Infer1(_Inference):
    batch = 1


WORKLOADS: Final[dict[str, type[Workload]]] = {
    "logistic": Logistic,
    "mlp-1": Step1,
    "mlp-2": Step2,
    "step-sgd": StepSgd,
    "step-adam": StepAdam,
    "lenet-avg": LeNetAvg,
    "lenet-max": LeNetMax,
    "infer-128": Infer128,
    "infer-1": Infer1,
}
