"""At each computing party but the first, which is the ServerApp: add up what the data owners' nodes sent, unseen.

    mpc run --config run.toml --as institute examples/flower_app/computing_party.py run.toml TASK ROUNDS

beside `mpc dealer --config run.toml`, and `flwr run` with `run-toml`, `party` and `task` in its --run-config.
"""
import sys

from flower_app import task

import mpc
from mpc import federated
from mpc.federated.flower import public_keys, serve

if __name__ == "__main__":
    run_toml, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    keys = public_keys(run_toml)
    aggregator = federated.SharesAggregator(public_keys=keys, task=name, max_norm=10.0 * (1 + 1e-6), min_clients=2)
    length = sum(value.numel() for value in task.make_model().state_dict().values())
    with mpc.session() as s:
        done = [serve(aggregator, round=turn, length=length) for turn in range(1, rounds + 1)]
        print(f"{s.rank}: {sum(done)} of {rounds} rounds gave a model")
