"""The encoder trained on shares, against the same encoder trained in clear: leak, task, seconds, rounds and bytes."""
from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np

import mpc
from mpc.benchmarks.privacy_data import digits
from mpc.privacy.adversarial import AdversarialEncoder
from mpc.privacy.audit import attribute_inference

# Smaller than in clear, for both: every step costs several hundred rounds.
SETTINGS: Final[dict[str, Any]] = {
    "dim": 16, "noise": 0.6, "hidden": 32, "critics": 2, "inner_steps": 2, "batch_size": 128, "lr": 0.01,
}  # fmt: skip
NOTE: Final = "digits, first fold; features and parity of party 0, the private attribute of party 1; 2 parties, dealer, here"


def measure(folder: Path, epochs: int = 15, protocol: str = "additive") -> dict[str, Any]:
    """Train on shares by `mpc.local`, reveal encoder and head to party 0, and attack it there; then the same in clear."""
    results = mpc.local(_party, parties=2, args=(str(folder), epochs), protocol=protocol)
    return {"note": NOTE, "settings": {**SETTINGS, "epochs": epochs}, "secret": results[0], "clear": _clear(folder, epochs)}


def _split(folder: Path) -> tuple[Any, ...]:
    case = digits(folder)
    train = case.splits[0][0] | case.splits[0][1]
    x = (case.x - case.x[train].mean(0)) / np.maximum(case.x[train].std(0), 0.5)  # corners are nearly always empty
    return x, case.task, case.private, train


def _party(folder: str, epochs: int) -> dict[str, Any] | None:
    x, task, private, train = _split(Path(folder))
    encoder = AdversarialEncoder(**SETTINGS, epochs=epochs)
    with mpc.session() as s:
        features = mpc.share(x[train] if s.rank == 0 else None, owner=0)
        kept = mpc.share(task[train] if s.rank == 0 else None, owner=0)
        hidden = mpc.share(private[train] if s.rank == 1 else None, owner=1)
        started = time.monotonic()
        with mpc.profile() as spent:
            encoder.fit_secret(features, task=kept, private=hidden, reveal_to=0)
        seconds, revealed = time.monotonic() - started, len(s.ledger)
    if s.rank:
        return None
    cost = spent.report
    return {**_attacked(encoder, x, task, private, train), "seconds": round(seconds, 1), "revealed": revealed,
            "rounds": cost.rounds, "megabytes_sent": round(cost.bytes_sent / 1e6, 1),
            "megabytes_from_dealer": round(cost.offline_bytes / 1e6, 1)}  # fmt: skip


def _clear(folder: Path, epochs: int) -> dict[str, Any]:
    x, task, private, train = _split(folder)
    encoder = AdversarialEncoder(**SETTINGS, epochs=epochs)
    started = time.monotonic()
    encoder.fit(x[train], task=task[train], private=private[train])
    return {**_attacked(encoder, x, task, private, train), "seconds": round(time.monotonic() - started, 1)}


def _attacked(encoder: AdversarialEncoder, x: Any, task: Any, private: Any, train: Any) -> dict[str, Any]:
    return attribute_inference(encoder, raw=x, private=private, task=task, attacker=train).to_dict()
