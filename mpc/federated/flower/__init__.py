"""Flower (flwr 1.41) with aggregation that nobody sees into: a mod for the ClientApp, a strategy for the ServerApp.

client_app.py, as ever but for the mod::

    app = ClientApp(mods=[SecureAggregationMod()])

    @app.train()
    def train(message, context): ...     # the reply: an ArrayRecord of new weights, a MetricRecord with num-examples

server_app.py, as ever but for the strategy::

    strategy = SecureFedAvg(SharesAggregator(parties=3, max_norm=10.0, min_clients=3), fraction_train=0.5)
    strategy.start(grid, ArrayRecord(model.state_dict()), num_rounds=20, timeout=600)

SuperLink, SuperNodes and ``flwr run`` are Flower's. `LocalDeployment` starts them on this machine; examples/flower_app is a
complete app. Who learns what is the aggregator's matter (see its module). Where the aggregator is made inside the ServerApp, as
above, that one process holds the keys of all computing parties: good for a trial. In earnest it holds one key at most:

- shares: the ServerApp is the first party of run.toml (``with as_party("run.toml", "clinic"): strategy.start(...)``) and makes
  SharesAggregator(public_keys=public_keys("run.toml"), task="..."); the other parties `serve` each round in their sessions;
- paillier: PaillierAggregator with a ``holder`` whose ``decrypt`` asks the key's holders elsewhere.

Clients compare the keys they are told with a fingerprint from somebody they trust (`SecureAggregationMod`). Data owners run
code that the app's author sent: they should read it, and pin who signs it (``flower-supernode --trusted-entities``).
"""
from __future__ import annotations

try:
    import flwr.app as _  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError('mpc.federated.flower works with Flower: pip install "mpc[federated]"') from error

from mpc.federated.flower.local import LocalDeployment
from mpc.federated.flower.mod import SecureAggregationMod
from mpc.federated.flower.party import as_party, public_keys, serve
from mpc.federated.flower.public import fingerprint
from mpc.federated.flower.strategy import RoundReport, SecureFedAvg

__all__ = [
    "LocalDeployment",
    "RoundReport",
    "SecureAggregationMod",
    "SecureFedAvg",
    "as_party",
    "fingerprint",
    "public_keys",
    "serve",
]
