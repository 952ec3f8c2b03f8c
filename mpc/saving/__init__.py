"""Checkpoints: each party's shares in a file of its own."""
from mpc.saving.checkpoint import load, path_of, save

__all__ = ["load", "path_of", "save"]
