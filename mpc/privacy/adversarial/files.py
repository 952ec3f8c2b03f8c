"""A trained encoder in one .npz file: arrays and a line of JSON, nothing that is unpickled."""
from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np

from mpc.errors import ConfigError
from mpc.privacy.adversarial.training import Settings

FORMAT: Final = "mpc adversarial encoder 1"


def write(path: str | os.PathLike[str], settings: Settings, arrays: dict[str, Any], networks: dict[str, Any]) -> None:
    """Raises ConfigError for labels that are neither numbers nor text."""
    named = {f"{kind}/{name}": v.numpy() for kind, network in networks.items() for name, v in network.state_dict().items()}
    if odd := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise ConfigError(f"save: {odd[0]} are Python objects; train with labels that are numbers or text")
    head = np.array(json.dumps({"format": FORMAT, **asdict(settings)}))
    with open(path, "wb") as file:
        np.savez(file, head=head, **arrays, **named)


def read(path: str | os.PathLike[str]) -> tuple[Settings, dict[str, Any]]:
    """Settings and arrays by name. Raises ConfigError for a file that `write` did not make."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("head")))
        if about.pop("format") != FORMAT:
            raise ValueError("another format")
        return Settings(**about), arrays
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, BadZipFile) as error:
        raise ConfigError(f"{os.fspath(path)} is no saved encoder ({error}); want a file of AdversarialEncoder.save") from None
