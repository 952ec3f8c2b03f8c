"""Update inversion: records come back from plain updates, fewer from sums, none from shares and ciphertexts."""
from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from mpc.errors import ConfigError, ShapeError
from mpc.federated import PaillierAggregator, PlainAggregator, SharesAggregator
from mpc.federated import messages as wire
from mpc.privacy import audit
from mpc.privacy.audit.inversion import explained
from tests.federated.paillier_keys import PRIVATE, PUBLIC

X, Y = load_digits(return_X_y=True)
X = X[np.random.default_rng(0).permutation(len(X))] / 16
CONTROLS = X[1000:]
WIDTH = 64


pytestmark = pytest.mark.usefixtures("one_thread")


def gradient(model: Any, rows: Any, labels: Any) -> list[Any]:
    model.zero_grad()
    torch.nn.functional.cross_entropy(model(torch.as_tensor(rows).float()), torch.as_tensor(labels)).backward()
    return [p.grad.numpy().astype(np.float64) for p in model.parameters()]


def dense(hidden: int = 32) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(WIDTH, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10))


def batches(size: int, count: int) -> list[Any]:
    return [X[k * size : (k + 1) * size] for k in range(count)]


def updates(model: Any, sets: list[Any]) -> list[list[Any]]:
    """Minus the learning rate times the gradient, as a client sends it."""
    rng = np.random.default_rng(1)
    return [[-0.1 * g for g in gradient(model, rows, rng.integers(10, size=len(rows)))] for rows in sets]


def test_one_record_comes_back_exactly_from_a_dense_layer() -> None:
    sets = batches(1, 8)
    for update, rows in zip(updates(dense(), sets), sets, strict=True):
        candidates = audit.dense_inputs(update)
        assert len(candidates) > 1 and np.abs(candidates - rows).max() < 1e-4
    report = audit.update_inversion(updates(dense(), sets), sets, CONTROLS)
    assert report.recovered.value == 1 and report.control.value == 0 and report.leak.low > 0.2
    assert report.explained.value == pytest.approx(1, abs=1e-6)


def test_fewer_come_back_from_a_sum_of_more_clients() -> None:
    sets, clients = batches(1, 128), (1, 4, 16, 64)
    sent = updates(dense(128), sets)
    found = []
    for k in clients:
        groups = [range(i, i + k) for i in range(0, 128, k)]
        sums = [[sum(parts) for parts in zip(*(sent[i] for i in g), strict=True)] for g in groups]
        found.append(audit.update_inversion(sums, [np.concatenate([sets[i] for i in g]) for g in groups], CONTROLS))
    values = [report.recovered.value for report in found]
    assert values[0] == 1 and values[1] > 0.9 and values == sorted(values, reverse=True) and values[-1] < 0.3
    assert all(report.control.value == 0 for report in found)
    assert found[2].scores.auc.low > 0.6  # even a sum of 16 tells whose records were in it


@pytest.mark.parametrize("name", ["dense", "convolution"])
def test_gradient_matching_needs_no_dense_layer_first(name: str) -> None:
    torch.manual_seed(1)
    shape: tuple[int, ...] = (WIDTH,)
    model = torch.nn.Sequential(torch.nn.Linear(WIDTH, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))
    if name == "convolution":
        shape = (1, 8, 8)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 6, 3, padding=1), torch.nn.Sigmoid(), torch.nn.Flatten(), torch.nn.Linear(384, 10)
        )  # fmt: skip
    sets = [rows.reshape(-1, *shape) for rows in batches(2, 2)]
    sent = updates(model, sets)
    invert = audit.GradientMatching(model, 2, shape, classes=10, steps=80)
    report = audit.update_inversion(sent, sets, CONTROLS, invert=invert)
    assert report.recovered.value >= 0.5 and report.explained.low > 0.6 and report.control.value == 0
    scaled = audit.GradientMatching(model, 2, shape, classes=10, steps=2)
    assert np.array_equal(scaled(sent[0]), scaled(sent[0]))
    assert scaled([3 * g for g in sent[0]]) == pytest.approx(scaled(sent[0]), abs=1e-3)
    with pytest.raises(ShapeError, match="want the model's"):
        invert(sent[0][:1])
    if name == "convolution":
        with pytest.raises(ShapeError, match="starts with shapes"):
            audit.update_inversion(sent, sets, CONTROLS)


def test_messages_of_shares_and_ciphertexts_tell_nothing_and_plain_ones_all() -> None:
    model, sets = dense(16), batches(1, 12)
    sent = [np.concatenate([part.ravel() for part in update]) for update in updates(model, sets)]
    shapes = [tuple(p.shape) for p in model.parameters()]
    aggregators = {
        "plain": PlainAggregator(), "shares": SharesAggregator(3),
        "paillier": PaillierAggregator(PUBLIC, PRIVATE, bound=4.0, max_clients=16, max_weight=250),
    }  # fmt: skip
    found = {}
    for name, aggregator in aggregators.items():
        seen: list[Any] = [aggregator.client_message(u, 1, client=f"c{i}", round=0) for i, u in enumerate(sent)]
        found[name] = audit.update_inversion(seen, sets, CONTROLS, shapes=shapes)
        if name == "paillier":  # what stands between header and end, too
            seen = [b"".join(wire.unpack(m).parts) for m in seen]
            assert audit.update_inversion(seen, sets, CONTROLS, shapes=shapes).recovered.value == 0
    assert found["plain"].recovered.value == 1 and found["plain"].scores.auc.low > 0.73  # of 12
    for name in ("shares", "paillier"):
        assert found[name].recovered.value == found[name].control.value == 0
        assert found[name].leak.low < 0 < found[name].leak.high
        assert found[name].explained.value < 0.01


@pytest.mark.parametrize("shared", [False, True])
def test_ring_words_are_read_as_fixed_point_unless_they_are_shares(shared: bool) -> None:
    """The same words, once plain and once plus a uniform mask: what one of several parties holds."""
    import os

    model, sets = dense(16), batches(1, 12)
    words = []
    for update in updates(model, sets):
        flat = np.concatenate([part.ravel() for part in update])
        plain = np.rint(flat * 2.0**32).astype(np.int64).view(np.uint64)
        words.append(plain + np.frombuffer(os.urandom(plain.nbytes), np.uint64) if shared else plain)
    shapes = [tuple(p.shape) for p in model.parameters()]
    for messages in (words, [w.tobytes() for w in words]):
        report = audit.update_inversion(messages, sets, CONTROLS, shapes=shapes, frac_bits=32)
        assert report.recovered.value == (0 if shared else 1)


def test_what_is_explained_is_the_share_of_the_spread() -> None:
    mean, x = np.zeros(4), np.array([[2.0, 0, 0, 0]])
    assert explained(np.array([[1.0, 0, 0, 0], [9, 9, 9, 9]]), x, mean) == pytest.approx([0.75])
    assert explained(np.zeros((0, 4)), x, mean) == explained(np.full((1, 4), 1e300), x, mean) == [0]


def test_reports_are_numbers_and_words_and_nonsense_is_refused() -> None:
    sets = batches(2, 6)
    sent = updates(dense(), sets)
    report = audit.update_inversion(sent, sets, CONTROLS)
    assert json.loads(json.dumps(report.to_dict()))["records"] == 12 and "12 records behind 6 messages" in str(report)
    assert audit.update_inversion(sent, sets, CONTROLS).to_dict() == report.to_dict()
    with pytest.raises(ConfigError, match="6 messages and 5 sets"):
        audit.update_inversion(sent, sets[:5], CONTROLS)
    with pytest.raises(ConfigError, match="shapes="):
        audit.update_inversion([b"x"] * 6, sets, CONTROLS)
    with pytest.raises(ShapeError, match="3 values; shapes say 4"):
        audit.update_inversion([np.ones(3)] * 6, sets, CONTROLS, shapes=[(2, 2)])
    with pytest.raises(ShapeError, match="controls of 5"):
        audit.update_inversion(sent, sets, CONTROLS[:, :5])
    with pytest.raises(ConfigError, match="1 controls"):
        audit.update_inversion(sent, sets, CONTROLS[:1])
    few = audit.update_inversion(sent[:1], sets[:1], CONTROLS)  # two records of one message: a row, and no certainty
    line = audit.audit(audit.Exposure("one message", few)).lines[0]
    assert line.scores is None and (line.leak.low, line.leak.high) == (-1, 1)
    json.dumps(few.to_dict(), allow_nan=False)
    assert audit.update_inversion([b"short"] * 6, sets, CONTROLS, shapes=[(2, 2)]).recovered.value == 0
