"""A Flower app on this machine: a SuperLink and three SuperNodes as processes of their own, updates as secret shares.

    python examples/flower_app/run_here.py

Elsewhere their owners start the same programs: `flower-superlink`, one `flower-supernode` at
each data owner, `flwr run examples/flower_app NAME --stream`.
"""
from pathlib import Path

from mpc.federated.flower import LocalDeployment

if __name__ == "__main__":
    with LocalDeployment(nodes=3) as here:
        print(here.run(Path(__file__).parent, {"num-server-rounds": 2, "aggregator": "shares"}))
