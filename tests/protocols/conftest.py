"""Both forms of the comparison, by the network that the parties are told."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from mpc.protocols.choice import BYTES, NIBBLES, Variant
from tests.protocols import programs


@pytest.fixture(scope="module", params=programs.NETWORKS)
def form(request: pytest.FixtureRequest) -> Iterator[Variant]:
    """Run the programs of `tests.protocols.programs` with comparisons of three rounds (chunks of 4 bits) or two (of 8)."""
    programs.network = programs.NETWORKS[request.param]
    yield BYTES if programs.network is programs.FAR else NIBBLES
    programs.network = programs.LOOPBACK
