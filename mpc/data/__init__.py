"""Data: read from files, shared by rows or columns, split, scaled, in mini-batches."""
from mpc.data.arrays import mnist, read_idx, read_npy
from mpc.data.batches import Batches, batches
from mpc.data.joining import by_columns, by_rows
from mpc.data.powers import scale_by_power_of_two
from mpc.data.readers import read
from mpc.data.scaling import StandardScaler
from mpc.data.splitting import train_test_split
from mpc.data.tables import Table, read_csv

__all__ = [
    "Batches", "StandardScaler", "Table", "batches", "by_columns", "by_rows", "mnist", "read", "read_csv", "read_idx",
    "read_npy", "scale_by_power_of_two", "train_test_split",
]  # fmt: skip
