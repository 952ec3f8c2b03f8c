"""What counted rounds and bytes would take on another network."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mpc.report.rows import Row


@dataclass(frozen=True)
class Network:
    """``bandwidth`` in bits per second of each process's link, in each direction; ``round_trip`` in seconds."""

    name: str
    bandwidth: float
    round_trip: float


LAN: Final = Network("LAN", 1e9, 0.5e-3)
WAN: Final = Network("WAN", 100e6, 40e-3)
NETWORKS: Final = (LAN, WAN)


@dataclass(frozen=True)
class Prediction:
    """Seconds on a network: online, of which computing, latency and transfer; and what the dealer adds."""

    network: Network
    compute: float
    latency: float
    transfer: float
    offline: float

    @property
    def online(self) -> float:
        """With all correlated randomness at hand."""
        return self.compute + self.latency + self.transfer


def predict(row: Row, network: Network) -> Prediction:
    """Seconds that ``row`` would take on ``network``:

        online  = compute seconds + rounds * round_trip / 2 + bytes_sent * 8 / bandwidth
        offline = requests * round_trip / 2 + offline_bytes * 8 / bandwidth

    In a round every party sends to all others at once and waits for what they sent: one way, half a round trip. Rounds,
    transfer and computing are taken as serial (one waits for the other), the links of different parties as parallel; a
    party sends to its N - 1 peers over one link. Offline is what a dealer adds that answers while the program runs: an
    answer takes a whole round trip, half of which hides behind the opening it belongs to. Compute seconds are those
    measured here, where all parties may share one machine. Not modelled: TCP's slow start, losses, encryption.
    """
    return Prediction(
        network,
        row.compute,
        row.rounds * network.round_trip / 2,
        row.bytes_sent * 8 / network.bandwidth,
        row.requests * network.round_trip / 2 + row.offline_bytes * 8 / network.bandwidth,
    )
