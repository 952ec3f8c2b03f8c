"""The state of the session's public generator as text. Public: initial weights, shuffles, dropout masks."""
from __future__ import annotations

import numpy as np

from mpc.errors import ConfigError


def state_of(rng: np.random.Generator) -> str:
    """The generator's state in 75 characters."""
    whole = rng.bit_generator.state
    return f"{whole['state']['state']:032x}:{whole['state']['inc']:032x}:{whole['has_uint32']}:{whole['uinteger']:08x}"


def restored(text: str) -> np.random.Generator:
    """A generator in that state. Raises ConfigError for text that is none."""
    bits = np.random.PCG64()
    try:
        state, inc, half, spare = text.split(":")
        bits.state = {
            "bit_generator": "PCG64",
            "state": {"state": int(state, 16), "inc": int(inc, 16)},
            "has_uint32": int(half),
            "uinteger": int(spare, 16),
        }
    except (ValueError, AttributeError, OverflowError) as error:
        raise ConfigError(f"got {text!r} as the state of a generator: {error}") from None
    return np.random.Generator(bits)


def seeded(seed: int) -> np.random.Generator:
    """The generator that `mpc.manual_seed` would leave."""
    return np.random.Generator(np.random.PCG64(seed))
