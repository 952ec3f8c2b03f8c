"""How good the global model is, on records that the evaluator holds."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Union

from mpc.errors import ConfigError
from mpc.federated.clients import Client, Loss
from mpc.federated.weights import Module, torch

AT_ONCE: Final = 4096
Evaluate = Union[Callable[[Module], dict[str, float]], tuple[Any, Any], None]


def evaluation(wanted: Evaluate, loss: Loss) -> Callable[[Module], dict[str, float]] | None:
    """``evaluate=`` of `FedAvg.fit` as a function of the model: a pair (x, y), a function that returns numbers by name, or
    None. Raises ConfigError for anything else."""
    if wanted is None or callable(wanted):
        return wanted
    if not isinstance(wanted, tuple) or len(wanted) != 2:
        raise ConfigError(f"got evaluate={type(wanted).__name__}; want a pair (x, y), a function of the model, or None")
    records = Client(*wanted, name="evaluate")
    return lambda module: measured(module, records, loss)


def measured(module: Module, records: Client, loss: Loss) -> dict[str, float]:
    """Mean loss; and the accuracy, where targets are classes (int64), or single 0/1 numbers that a logit predicts."""
    package = torch()
    module.eval()
    total, right, counted = 0.0, 0, False
    with package.no_grad():
        for rows in package.arange(records.samples).split(AT_ONCE):
            y, output = records.y[rows], module(records.x[rows])
            total += float(loss(output, y)) * len(rows)
            if y.dtype == package.int64 and y.ndim == 1 and output.ndim == 2:
                right, counted = right + int((output.argmax(1) == y).sum()), True
            elif output.shape == y.shape and y[0].numel() == 1 and bool(((y == 0) | (y == 1)).all()):
                right, counted = right + int(((output > 0) == (y > 0.5)).sum()), True
    found = {"loss": total / records.samples}
    return found | {"accuracy": right / records.samples} if counted else found
