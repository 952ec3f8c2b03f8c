"""Exceptions of the engine.

::

    MPCError
     +-- ConfigError            a setting, address or version that cannot work
     +-- SessionError           the engine used outside a session, after its end, from another thread or after fork
     +-- FixedPointRangeError   a number that the ring cannot hold (also ValueError)
     +-- ShapeError             shapes that do not fit (also ValueError)
     +-- NotSupported           an operation the engine does not have (also TypeError)
     +-- PartyLost              a peer is gone, silent beyond the deadline, or stopped with an error of its own
     |    +-- DealerLost        the same of the dealer
     +-- ProgramMismatch        peers run different programs, versions or configurations
     +-- AuthenticationError    a peer is not who it should be
     +-- CorruptFrame           a message that is no frame of this session
     +-- PreprocessingExhausted correlated randomness is used up, or asked for twice
     +-- IntegrityError         a saved share, store or revealed value fails its check

Every message says what was got and what was wanted, at which party and operation, and what to do. When one party
fails, the others raise the same class where it is one of these (``echo`` is then the failing rank) and `PartyLost` otherwise.
"""
from __future__ import annotations


class MPCError(Exception):
    """Root of the engine's exceptions. ``echo``: rank of the party that failed first, when it was another one; ``op``:
    the operation at which it did; ``peer``: the rank that was missed, or found fault with."""

    echo: int | None = None
    op: int | None = None
    peer: int | None = None


class ConfigError(MPCError):
    """A setting, address or version that cannot work."""


class SessionError(MPCError, RuntimeError):
    """The engine was used outside a session, after its end, from another thread or after a fork."""


class FixedPointRangeError(MPCError, ValueError):
    """A value is NaN, infinite or beyond what fixed-point arithmetic modulo 2^64 can hold."""


class ShapeError(MPCError, ValueError):
    """Shapes that do not fit the operation."""


class NotSupported(MPCError, TypeError):
    """An operation, dtype or layer the engine does not have; the message names what to use instead."""


class PartyLost(MPCError):
    """A peer died, was silent beyond the deadline, or stopped with an error of its own."""


class DealerLost(PartyLost):
    """The dealer died, was silent beyond the deadline, or stopped."""


class ProgramMismatch(MPCError):
    """The parties do not run the same operations in the same order with the same public structure."""


class AuthenticationError(MPCError):
    """A peer could not prove its identity."""


class CorruptFrame(MPCError):
    """A message is not a frame of this session."""


class PreprocessingExhausted(MPCError):
    """Correlated randomness is used up, or was asked for twice."""


class IntegrityError(MPCError):
    """Saved or received material fails its check."""


def by_name(name: str) -> type[MPCError] | None:
    """The engine's exception class of that name, for echoing a peer's failure; None for any other name."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, MPCError) else None
