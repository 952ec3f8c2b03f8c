"""Federated learning: clients train where their data are; updates are combined where nobody sees one alone.

::

    clients = [federated.Client(x, y, name) for name, x, y in ...]
    fed = federated.FedAvg(Net, aggregator="paillier", weights="samples", min_clients=5)
    model = fed.fit(clients, rounds=20, evaluate=(test_x, test_y))
    print(fed.history)
"""
from mpc.federated import splits
from mpc.federated.aggregators.base import Aggregator, Combined, TooFewContributors
from mpc.federated.aggregators.key_holders import KeyOwner, SharedKeyHolders
from mpc.federated.aggregators.paillier import PaillierAggregator
from mpc.federated.aggregators.plain import PlainAggregator
from mpc.federated.aggregators.shares import SharesAggregator
from mpc.federated.clients import Client, Training
from mpc.federated.fedavg import FedAvg
from mpc.federated.history import History, Round
from mpc.federated.server_optimizers import Averaging, FedAdam, FedAvgM, ServerOptimizer

__all__ = [
    "Aggregator",
    "Averaging",
    "Client",
    "Combined",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "History",
    "KeyOwner",
    "PaillierAggregator",
    "PlainAggregator",
    "Round",
    "ServerOptimizer",
    "SharedKeyHolders",
    "SharesAggregator",
    "TooFewContributors",
    "Training",
    "splits",
]
