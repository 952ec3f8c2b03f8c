"""What a fitted `GAN` needs for `sample`, as arrays and plain data, and back."""
from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from typing import Any, Final, TypeVar

import numpy as np

from mpc.errors import ConfigError
from mpc.privacy import weights_file
from mpc.privacy.dp.accounting import Guarantee, pure
from mpc.privacy.extras import needed
from mpc.privacy.synthesis.basis import Basis
from mpc.privacy.synthesis.columns import Categorical, Column, Encoder, Numeric

Kind = TypeVar("Kind")
FORMAT: Final = "mpc GAN 1"
FRAMES: Final = ("pandas", "polars")  # whose DataFrame a file may ask for
SETTINGS: Final = ("epsilon", "delta", "max_grad_norm", "start", "width", "components")
BASIS: Final = ("mean", "vectors", "scale")


def save(gan: Any, path: str | os.PathLike[str]) -> None:
    """See `GAN.save`."""
    weights_file.write(path, FORMAT, *parts(gan), {"generator": gan._generator})


def load(kind: type[Kind], path: str | os.PathLike[str]) -> Kind:
    """See `GAN.load`."""
    needed("torch")
    about, arrays = weights_file.read(path, FORMAT, "GAN", "GAN.save")
    if about.get("guarantee") is not None:
        needed("dp_accounting")
    try:
        settings = about["settings"]
        out = kind(**{**settings, "hidden": tuple(settings["hidden"])})
        restored(out, about, arrays)
    except weights_file.WRONG as error:
        raise ConfigError(f"{os.fspath(path)} does not hold a whole GAN: {error}") from None
    return out


def parts(gan: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(plain data, arrays). Raises ConfigError for a table of a type, or with column names, that a file does not keep."""
    settings = {**asdict(gan.settings), "loss": gan.settings.loss or None, **{name: getattr(gan, name) for name in SETTINGS}}
    guarantee = None if gan.guarantee_ is None else gan.guarantee_.epsilon(gan.delta)
    about = {"settings": settings, "guarantee": guarantee, "label": _name(gan._label), "conditional": gan._conditional,
             "table": _table_type(gan._make)}  # fmt: skip
    arrays = {"classes": gan.classes_, "frequencies": gan.frequencies_}
    if gan._shape is not None:
        about["image"] = {"shape": list(gan._shape), "low": gan._low, "high": gan._high, "type": gan._dtype.str}
        return about, arrays if gan._convolves else {**arrays, **{name: getattr(gan._basis, name) for name in BASIS}}
    about["columns"] = [[_name(c.name), c.whole if isinstance(c, Numeric) else None] for c in gan._encoder.columns]
    for i, c in enumerate(gan._encoder.columns):
        own = {"knots": c.knots, "modes": c.modes} if isinstance(c, Numeric) else {"categories": c.categories}
        arrays |= {f"{name} {i}": array for name, array in own.items()}
    return about, arrays


def restored(gan: Any, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Fill a GAN of these settings. Raises one of `weights_file.WRONG` for what `parts` did not make."""
    gan.classes_, gan.frequencies_ = arrays["classes"], np.asarray(arrays["frequencies"], np.float64)
    shares = gan.frequencies_
    if gan.classes_.ndim != 1 or shares.shape != gan.classes_.shape or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"classes of shape {gan.classes_.shape} with frequencies {shares}")
    gan._label, gan._conditional, gan._make = about["label"], bool(about["conditional"]), _type_of_table(about["table"])
    if "image" in about:
        _image(gan, about["image"], arrays)
    elif not about["columns"]:
        raise ValueError("a table without columns")
    else:
        gan._encoder = Encoder.of([_column(arrays, i, *said) for i, said in enumerate(about["columns"])])
    values = weights_file.weights(arrays, "generator")
    if any((v < 0).any() for name, v in values.items() if name.endswith("running_var")):
        raise ValueError("a variance below 0")
    gan._generator = weights_file.filled(lambda: gan._pair()[0], values)
    gan.guarantee_ = _guarantee(about["guarantee"], gan.delta)


def _image(gan: Any, said: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    gan._shape, gan._low, gan._high = tuple(said["shape"]), float(said["low"]), float(said["high"])
    gan._dtype = np.dtype(str(said["type"]))
    whole = len(gan._shape) in (2, 3) and all(isinstance(n, int) and n > 0 for n in gan._shape)
    if not whole or gan._dtype.kind not in "iufb" or not -math.inf < gan._low < gan._high < math.inf:
        raise ValueError(f"images of {said}")
    if gan._convolves:
        return
    gan._basis = Basis(*(np.asarray(arrays[name], np.float32) for name in BASIS))
    pixels, count = gan._basis.vectors.shape
    shapes = gan._basis.mean.shape, gan._basis.scale.shape
    if pixels != math.prod(gan._shape) or shapes != ((pixels,), (count,)) or not _finite(*(arrays[name] for name in BASIS)):
        raise ValueError(f"a basis of {count} vectors of {pixels} pixels, with shapes {shapes}, or not finite")


def _column(arrays: Mapping[str, Any], i: int, name: Any, whole: bool | None) -> Column:
    if whole is None:
        categories = arrays[f"categories {i}"]
        if categories.ndim != 1 or not len(categories):
            raise ValueError(f"column {name!r} has categories of shape {categories.shape}")
        return Categorical(name, categories)
    knots, modes = (np.asarray(arrays[f"{kind} {i}"], np.float64) for kind in ("knots", "modes"))
    if knots.ndim != 1 or len(knots) < 2 or modes.ndim != 1 or not _finite(knots, modes):
        raise ValueError(f"column {name!r} has knots of shape {knots.shape}, modes of shape {modes.shape}, or not finite")
    return Numeric(name, knots, modes, bool(whole) and max(np.abs(v).max(initial=0.0) for v in (knots, modes)) < 2.0**62)


def _finite(*arrays: Any) -> bool:
    return all(bool(np.isfinite(a).all()) for a in arrays)


def _name(name: Any) -> Any:
    if name is not None and not isinstance(name, (str, int)):
        raise ConfigError(f"save: got the column {name!r}; want names that are text or whole numbers")
    return name


def _table_type(make: Any) -> str | None:
    """Of a table's type: a name that `_type_of_table` knows."""
    if make is None or make is dict:
        return None if make is None else "dict"
    package = make.__module__.partition(".")[0]
    if package not in FRAMES or make.__name__ != "DataFrame":
        raise ConfigError(f"save: got a GAN of a {make.__module__}.{make.__name__}; want one of a dict of columns, or of a "
                          f"DataFrame of {' or '.join(FRAMES)}")
    return str(package)


def _type_of_table(name: str | None) -> Any:
    if name is None or name == "dict":
        return None if name is None else dict
    if name not in FRAMES:
        raise ValueError(f"a table of {name!r}")
    return import_module(name).DataFrame


def _guarantee(epsilon: float | None, delta: float) -> Guarantee | None:
    """The worst that is (epsilon, delta) private: what it was composed of is not in the file."""
    if epsilon is None:
        return None
    if not 0 <= epsilon < math.inf:
        raise ValueError(f"a guarantee of epsilon {epsilon}")
    return Guarantee(pure(float(epsilon)).pld, lost=delta)
