"""Data: read from files, shared by rows or columns, split, scaled, in mini-batches."""
from mpc.data.arrays import mnist, read_idx, read_npy
from mpc.data.batches import Batches, batches
from mpc.data.readers import read
from mpc.data.tables import Table, read_csv

__all__ = ["Batches", "Table", "batches", "mnist", "read", "read_csv", "read_idx", "read_npy"]
