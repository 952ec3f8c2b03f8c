"""How sure a model is of a record's label, from whatever the model hands out."""
from __future__ import annotations

import sys
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, ShapeError
from mpc.fixed_point import as_array
from mpc.privacy.audit.intervals import Floats

Output = Literal["probabilities", "logits", "losses"]
OUTPUTS: Final = ("probabilities", "logits", "losses")
_LEAST: Final = 1e-12  # of a probability: keeps the logarithm finite; revealed fixed-point numbers may be below 0


def confidences(model: Any, x: Any, y: Any, output: Output = "probabilities") -> tuple[Floats, npt.NDArray[np.bool_] | None]:
    """log(p / (1 - p)) of every record's own label, and whether the label is the model's first choice (None for losses).

    ``model``: an object with ``predict_proba``, a torch module (its outputs; set to evaluation while it is asked) or a function
    of the features; of features and labels with ``output`` "losses" (one loss a record, at least 0, taken for -log p). Other
    outputs: (records, classes), or (records,) for the probability or logit of label 1. Labels are class numbers, or what
    ``classes_`` lists. Raises ShapeError for other shapes, ConfigError for an unknown output, labels or NaN.
    """
    if output not in OUTPUTS:
        raise ConfigError(f"got output {output!r}; want one of {', '.join(OUTPUTS)}")
    labels = np.asarray(as_array(y))
    got = np.asarray(as_array(_asked(model, x, labels, output)), np.float64)
    if len(got) != len(labels):
        raise ShapeError(f"the model answers with shape {got.shape} to {len(labels)} records; want one row a record")
    if np.isnan(got).any():
        raise ConfigError(f"the model answers record {int(np.argwhere(np.isnan(got))[0][0])} with NaN; want numbers")
    if output == "losses":
        loss = got.reshape(len(got), -1)
        if loss.shape[1] != 1 or (loss < -1e-6).any():
            raise ShapeError(f"the model gives losses of shape {got.shape}, the least {got.min():g}; want one a record, from 0")
        return -np.log(np.expm1(np.clip(loss[:, 0], _LEAST, 500.0))), None
    logs = _logs(got, output)
    place = _places(model, labels, logs.shape[1])
    own = logs[np.arange(len(logs)), place]
    others = logs.copy()
    others[np.arange(len(logs)), place] = -np.inf
    top = others.max(1)
    rest = top + np.log(np.exp(others - top[:, None]).sum(1))
    return own - rest, logs.argmax(1) == place


def _asked(model: Any, x: Any, y: Any, output: Output) -> Any:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module) and output != "losses":
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                kind = next((p.dtype for p in model.parameters()), torch.float32)
                return model(x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x), dtype=kind))
        finally:
            model.train(training)
    if output == "probabilities" and hasattr(model, "predict_proba"):
        return model.predict_proba(x)
    if not callable(model):
        raise ConfigError(f"got a model of type {type(model).__name__}; want a function, a torch module or predict_proba")
    return model(x, y) if output == "losses" else model(x)


def _logs(got: Floats, output: Output) -> Floats:
    """Logarithms of probabilities up to a constant per record, (records, classes)."""
    if got.ndim == 1 or (got.ndim == 2 and got.shape[1] == 1):
        one = got.reshape(-1)
        got = np.stack([np.zeros(len(one)), one], 1) if output == "logits" else np.stack([1 - one, one], 1)
    if got.ndim != 2:
        raise ShapeError(f"the model answers with shape {got.shape}; want (records, classes) or (records,)")
    return got if output == "logits" else np.log(np.clip(got, _LEAST, None))


def _places(model: Any, labels: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
    """The column of each label."""
    listed = getattr(model, "classes_", None)
    listed = np.arange(classes) if listed is None or len(listed) != classes else np.asarray(listed)
    order = np.argsort(listed)
    at = order[np.clip(np.searchsorted(listed[order], labels), 0, classes - 1)]
    if (listed[at] != labels).any():
        wrong = labels[listed[at] != labels][0]
        raise ConfigError(f"got label {wrong!r}; want one of {classes} classes: 0 to {classes - 1}, or classes_")
    return np.asarray(at, np.int64)
