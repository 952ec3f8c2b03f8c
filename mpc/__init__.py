"""Secure multi-party computation that reads like PyTorch: the public names, nothing else."""
from mpc import data, errors, linear_model, neural_network, nn, optim
from mpc.errors import (
    AuthenticationError,
    ConfigError,
    CorruptFrame,
    DealerLost,
    FixedPointRangeError,
    IntegrityError,
    MPCError,
    NotSupported,
    PartyLost,
    PreprocessingExhausted,
    ProgramMismatch,
    SessionError,
    ShapeError,
)
from mpc.launch import local
from mpc.profiling import profile
from mpc.report import Report
from mpc.saving import load, save
from mpc.session import manual_seed, session
from mpc.sharing import reconstruct, secret_share
from mpc.tensor import SecretTensor, cat, constant, no_grad, share, stack, where

__all__ = [
    "AuthenticationError",
    "ConfigError",
    "CorruptFrame",
    "DealerLost",
    "FixedPointRangeError",
    "IntegrityError",
    "MPCError",
    "NotSupported",
    "PartyLost",
    "PreprocessingExhausted",
    "ProgramMismatch",
    "Report",
    "SecretTensor",
    "SessionError",
    "ShapeError",
    "cat",
    "constant",
    "data",
    "errors",
    "linear_model",
    "load",
    "local",
    "manual_seed",
    "neural_network",
    "nn",
    "no_grad",
    "optim",
    "profile",
    "reconstruct",
    "save",
    "secret_share",
    "session",
    "share",
    "stack",
    "where",
]
