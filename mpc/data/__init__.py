"""Data: mini-batches of secret tensors."""
from mpc.data.batches import Batches, batches

__all__ = ["Batches", "batches"]
