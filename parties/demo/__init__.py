"""`mpc demo`: models trained on data that no party may see, beside the same training in plaintext.

`programs` are what a user writes; `command` chooses and runs them, `plaintext` and `show` compare and print.
"""
from mpc.parties.demo.command import DATASETS, Options, main

__all__ = ["DATASETS", "Options", "main"]
