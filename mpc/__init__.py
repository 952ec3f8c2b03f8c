"""Secure multi-party computation that reads like PyTorch: the public names, nothing else."""
from mpc.errors import MPCError
from mpc.launch import local
from mpc.session import session
from mpc.sharing import reconstruct, secret_share

__all__ = ["MPCError", "local", "reconstruct", "secret_share", "session"]
