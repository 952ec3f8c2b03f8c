"""Functions and tensor methods that an imported graph may call; importing the three tables fills `FUNCTIONS`."""
from mpc.interop.functions import arithmetic, networks, shapes
from mpc.interop.functions.table import FUNCTIONS, INSTEAD, Function, by_name, plain, secret

__all__ = ["FUNCTIONS", "INSTEAD", "Function", "arithmetic", "by_name", "networks", "plain", "secret", "shapes"]
