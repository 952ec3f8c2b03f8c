"""Packages that the core does not need: asked for where they are used, by an error that says what to install."""
from __future__ import annotations

from importlib import import_module
from typing import Final

from mpc.errors import ConfigError

EXTRAS: Final = {"dp_accounting": "privacy", "opacus": "privacy", "torch": "torch", "sklearn": "demo"}


def needed(*packages: str) -> None:
    """Import them. Raises ConfigError for one that is not installed; their own errors as they are."""
    for package in packages:
        try:
            import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise ConfigError(f'{package} is not installed; want it for this: pip install "mpc[{EXTRAS[package]}]"') from None
