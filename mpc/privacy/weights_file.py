"""Trained models in one .npz file each: arrays and a line of JSON, nothing that is unpickled."""
from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np

from mpc.errors import ConfigError
from mpc.privacy.extras import needed

WRONG: Final = (ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
                ConfigError)  # fmt: skip
"""What a file with other contents than its writer's may lead to."""


def write(
    path: str | os.PathLike[str], form: str, about: Mapping[str, Any], arrays: Mapping[str, Any], networks: Mapping[str, Any]
) -> None:
    """Raises ConfigError for arrays of Python objects."""
    named = {f"{kind}/{name}": v.numpy() for kind, network in networks.items() for name, v in network.state_dict().items()}
    if odd := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise ConfigError(f"save: {odd[0]} are Python objects; train with labels that are numbers or text")
    head = np.array(json.dumps({"format": form, **about}))
    with open(path, "wb") as file:
        np.savez(file, head=head, **arrays, **named)


def read(path: str | os.PathLike[str], form: str, what: str, by: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what the JSON says, arrays by name). Raises ConfigError for a file that `write` did not make as this ``form``."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("head")))
        if about.pop("format") != form:
            raise ValueError("another format")
        return about, arrays
    except FileNotFoundError:
        raise
    except (*WRONG, OSError, EOFError, BadZipFile) as error:
        raise ConfigError(f"{os.fspath(path)} is no saved {what} ({error}); want a file of {by}") from None


def weights(arrays: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One network's. Raises ValueError, TypeError for values that are no finite numbers."""
    found = {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(f"{kind}/")}
    if not all(np.isfinite(v).all() for v in found.values()):
        raise ValueError("values that are not finite")
    return found


def filled(build: Callable[[], Any], values: Mapping[str, Any]) -> Any:
    """The torch network that ``build`` makes, for use, with these weights. Memory is that of the weights, whatever sizes
    ``build`` was told. Raises RuntimeError where they do not fit."""
    needed("torch")
    import torch

    with torch.device("meta"):
        network = build()
    kinds = {name: str(t.dtype).removeprefix("torch.") for name, t in network.state_dict().items()}
    tensors = {name: torch.from_numpy(np.array(v, kinds.get(name, "float32"))) for name, v in values.items()}
    network.load_state_dict(tensors, assign=True)
    return network.eval()
