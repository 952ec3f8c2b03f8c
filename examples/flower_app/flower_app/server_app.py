"""At the server: an ordinary Flower ServerApp with another strategy.

Without run.toml this one process plays the computing parties, or the key's owner, too, so that one command shows everything.
With it, it is the first party, and computing_party.py runs at the others.
"""
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from flower_app import task
from mpc import federated, paillier
from mpc.federated.flower import SecureFedAvg, as_party, public_keys

app = ServerApp()


def make_aggregator(run):
    least, norm = int(run["min-clients"]), float(run["max-norm"]) * (1 + 1e-6)  # clients scale down to it, in float32
    if run["aggregator"] == "shares" and run["run-toml"]:
        keys = public_keys(run["run-toml"])
        return federated.SharesAggregator(public_keys=keys, task=run["task"], max_norm=norm, min_clients=least)
    if run["aggregator"] == "shares":
        return federated.SharesAggregator(parties=3, max_norm=norm, min_clients=least)
    if run["aggregator"] == "paillier":
        public, private = paillier.generate_keypair()
        return federated.PaillierAggregator(public, private, bound=norm, min_clients=least)
    return federated.PlainAggregator(max_norm=norm, min_clients=least)


@app.main()
def main(grid: Grid, context: Context) -> None:
    run = context.run_config
    strategy = SecureFedAvg(
        make_aggregator(run), server_optimizer=run["server-optimizer"], fraction_train=run["fraction-train"],
        fraction_evaluate=run["fraction-evaluate"], min_available_nodes=run["nodes"],
    )  # fmt: skip

    def save(number: int, arrays: ArrayRecord) -> None:
        if run["save-to"]:
            np.savez(Path(run["save-to"]) / f"round-{number}.npz", **{name: array.numpy() for name, array in arrays.items()})

    start = ArrayRecord(task.make_model().state_dict())
    with as_party(run["run-toml"], run["party"]) if run["run-toml"] else nullcontext():
        strategy.start(grid, start, num_rounds=run["num-server-rounds"], timeout=run["round-timeout"], evaluate_fn=save)
    for report in strategy.reports:
        print(f"round {report.round}: {len(report.accepted)} contributions, {len(report.refused)} refused", flush=True)
