"""Federated averaging against its definition: what a round computes, who takes part, who is refused."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.errors import ConfigError, FixedPointRangeError, ShapeError
from mpc.federated import Client, FedAvg, PlainAggregator, TooFewContributors, Training, weights
from tests.federated.models import clients, net, normed, records, state, torch


def test_a_round_is_the_weighted_mean_of_the_clients_models() -> None:
    """sum(n_i / n * w_i) of models that torch trains alone from the same start."""
    here = clients(3)
    fed = FedAvg(net, lr=0.2, epochs=2, batch_size=16, seed=1)
    start = weights.made(fed.model, None)
    fed.fit(here, rounds=1)
    total = sum(client.samples for client in here)
    assert len({client.samples for client in here}) > 1  # the weights matter
    want = {name: np.zeros(value.shape) for name, value in state(start).items()}
    for k, client in enumerate(here):
        local = weights.made(start, None)
        client.update(local, Training(epochs=2, batch_size=16, lr=0.2), fed._client_seed(1, k))
        for name, value in state(local).items():
            want[name] += client.samples / total * value.astype(np.float64)
    for name, value in state(fed.model).items():
        assert np.abs(value - want[name]).max() < 1e-6, name
    assert fed.history[0].weight == total


def test_equal_weights_count_every_client_once() -> None:
    here = clients(3)
    fed = FedAvg(net, weights="equal", seed=1)
    before = weights.flatten(fed.model)
    updates = [c.update(weights.made(fed.model, None), Training(), fed._client_seed(1, k)) for k, c in enumerate(here)]
    fed.fit(here, rounds=1)
    assert np.abs(weights.flatten(fed.model) - before - np.mean(updates, axis=0)).max() < 1e-6
    assert fed.history[0].weight == 3


def test_fedsgd_is_gradient_descent_on_everybody_s_records() -> None:
    """One step per client over all of its records, weighted by n_i: the step of one who has them all."""
    here = clients(4)
    fed = FedAvg(net, one_step=True, lr=0.3, seed=2)
    alone = weights.made(fed.model, None)
    fed.fit(here, rounds=5)
    x, y = torch.cat([c.x for c in here]), torch.cat([c.y for c in here])
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.3)
    for _ in range(5):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(alone(x), y).backward()
        optimizer.step()
    assert np.abs(weights.flatten(fed.model) - weights.flatten(alone)).max() < 1e-5


def test_training_learns_and_repeats_with_its_seed() -> None:
    x, y = records(300, seed=9)
    runs = [FedAvg(net, lr=0.2, seed=5) for _ in range(2)]
    for fed in runs:
        fed.fit(clients(), rounds=12, evaluate=(x, y))
    assert runs[0].history[-1].accuracy is not None and runs[0].history[-1].accuracy > 0.9
    assert runs[0].history[0].loss > runs[0].history[-1].loss  # type: ignore[operator]
    assert np.array_equal(weights.flatten(runs[0].model), weights.flatten(runs[1].model))
    other = FedAvg(net, lr=0.2, seed=6)
    other.fit(clients(), rounds=1)
    assert not np.array_equal(weights.flatten(other.model), weights.flatten(runs[0].model))


def test_training_leaves_the_caller_s_generator_and_module_alone() -> None:
    given = net()
    before = state(given)
    torch.manual_seed(11)
    want = torch.rand(3)
    torch.manual_seed(11)
    FedAvg(given, seed=1).fit(clients(3), rounds=1)
    FedAvg(net, seed=1)
    assert torch.equal(torch.rand(3), want)
    assert all(np.array_equal(value, before[name]) for name, value in state(given).items())


def test_floating_buffers_are_averaged_and_counts_stay() -> None:
    here = clients(3)
    fed = FedAvg(normed, server_optimizer="fedavgm", seed=1)
    updates = [c.update(weights.made(fed.model, None), Training(), fed._client_seed(1, k)) for k, c in enumerate(here)]
    fed.fit(here, rounds=1)
    after, names = state(fed.model), weights.shapes(fed.model)
    mean = weights.split(sum(c.samples * u for c, u in zip(here, updates, strict=True)) / sum(c.samples for c in here), names)
    assert np.abs(after["1.running_mean"] - mean["1.running_mean"]).max() < 1e-6
    assert np.abs(after["1.running_var"] - 1 - mean["1.running_var"]).max() < 1e-6
    assert after["1.num_batches_tracked"] == 0 and "1.num_batches_tracked" not in names
    assert np.abs(mean["1.running_mean"]).max() > 0.01


def test_a_fraction_of_the_clients_takes_part_in_each_round() -> None:
    fed = FedAvg(net, fraction=0.3, seed=4)
    fed.fit(clients(10, records_each=20), rounds=6)
    asked = [tuple(entry.accepted) for entry in fed.history]
    assert all(len(names) == 3 for names in asked) and len(set(asked)) > 1
    assert fed.history[0].bytes_down == 3 * 4 * weights.flatten(fed.model).size


# --- who is refused
class Broken(Client):
    def update(self, module: Any, training: Training, seed: int | None = None) -> Any:
        raise RuntimeError("the disk is full")


class Wild(Client):
    factor = 1e6

    def update(self, module: Any, training: Training, seed: int | None = None) -> Any:
        return super().update(module, training, seed) * self.factor


def test_clients_that_fail_or_send_nonsense_are_left_out_with_the_reason() -> None:
    x, y = records(40, seed=5)
    poisoned = x.copy()
    poisoned[3] = np.nan
    honest = clients(3)
    bad = [Broken(x, y, "broken"), Client(poisoned, y, "poisoned"), Wild(x, y, "wild")]
    fed, alone = (FedAvg(net, seed=1) for _ in range(2))
    fed.fit([*honest, *bad], rounds=2)
    alone.fit(honest, rounds=2)
    for entry in fed.history:
        assert entry.accepted == [client.name for client in honest]
        assert entry.refused["broken"] == "RuntimeError: the disk is full"
        assert "NaN" in entry.refused["poisoned"] and "0.weight" in entry.refused["poisoned"]
        assert "16" in entry.refused["wild"]
    assert np.array_equal(weights.flatten(fed.model), weights.flatten(alone.model))  # as if they had not been there


def test_max_norm_scales_honest_updates_and_the_server_refuses_longer_ones() -> None:
    x, y = records(40, seed=5)

    class Liar(Wild):
        factor = 3.0

    fed = FedAvg(net, max_norm=0.05, lr=0.5, seed=1)
    before = weights.flatten(fed.model)
    fed.fit([*clients(3), Liar(x, y, "liar")], rounds=1)
    assert fed.history[0].accepted == ["client 0", "client 1", "client 2"]
    assert "0.15" in fed.history[0].refused["liar"] or "0.05" in fed.history[0].refused["liar"]
    assert np.linalg.norm(weights.flatten(fed.model) - before) <= 0.05 + 1e-6


def test_a_round_with_too_few_is_void_and_training_goes_on() -> None:
    x, y = records(40, seed=5)

    class Late(Client):
        calls = 0

        def update(self, module: Any, training: Training, seed: int | None = None) -> Any:
            self.calls += 1
            if self.calls == 2:
                raise TimeoutError("no answer")
            return super().update(module, training, seed)

    fed = FedAvg(net, min_clients=3, seed=1)
    models = []
    with pytest.warns(UserWarning, match="round 2 is void"):
        fed.fit([*clients(2), Late(x, y, "late")], rounds=3, evaluate=lambda m: models.append(weights.flatten(m)) or {})
    assert [bool(entry.void) for entry in fed.history] == [False, True, False]
    assert "want at least 3" in fed.history[1].void and fed.history[1].refused == {"late": "TimeoutError: no answer"}
    assert np.array_equal(models[0], models[1]) and not np.array_equal(models[1], models[2])


def test_it_gives_up_when_nobody_can_contribute_or_after_three_void_rounds() -> None:
    x, y = records(40)
    fed = FedAvg(net, seed=1)
    with pytest.raises(TooFewContributors) as caught:
        fed.fit([Broken(x, y, "a"), Broken(x, y, "b")], rounds=5)
    assert len(fed.history) == 1 and "the disk is full" in caught.value.__notes__[0]
    fed = FedAvg(net, seed=1)
    with pytest.warns(UserWarning, match="void"), pytest.raises(TooFewContributors):
        fed.fit([Broken(x, y, "a"), Client(x, y, "b")], rounds=9)
    assert len(fed.history) == 3


def test_fit_goes_on_where_it_stopped() -> None:
    once, twice = FedAvg(net, server_optimizer="fedavgm", seed=1), FedAvg(net, server_optimizer="fedavgm", seed=1)
    once.fit(clients(), rounds=4)
    twice.fit(clients(), rounds=1)
    twice.fit(clients(), rounds=3)
    assert [entry.number for entry in twice.history] == [1, 2, 3, 4]
    assert np.array_equal(weights.flatten(once.model), weights.flatten(twice.model))


# --- what is said
def test_progress_and_history_say_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    fed = FedAvg(net, seed=1)
    fed.fit(clients(3), rounds=2, evaluate=records(50), progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("round 1/2: loss ") and "accuracy" in lines[1] and "3 clients" in lines[1]
    assert str(fed.history).count("\n") == 2
    kept = fed.history.to_dict()["rounds"]
    assert kept[1]["number"] == 2 and set(kept[1]["seconds"]) == {"train", "protect", "combine", "evaluate"}
    assert kept[0]["bytes_up"] > 3 * 8 * weights.flatten(fed.model).size


def test_evaluation_may_be_any_function_of_the_model() -> None:
    fed = FedAvg(net, seed=1)
    fed.fit(clients(3), rounds=1, evaluate=lambda model: {"loss": 0.5, "f1": 0.25})
    assert (fed.history[0].loss, fed.history[0].accuracy, fed.history[0].metrics) == (0.5, None, {"f1": 0.25})


def test_binary_and_real_targets() -> None:
    x, y = records(120)
    columns = (y == 1).astype(np.float32)[:, None]
    for loss, counted in (("binary_cross_entropy_with_logits", True), ("mse_loss", False)):
        targets = columns if counted else columns * 2.5
        model = torch.nn.Linear(4, 1)
        for parameter in model.parameters():
            torch.nn.init.zeros_(parameter)  # a start by chance may be so good that little is left to learn
        fed = FedAvg(model, loss=loss, lr=0.1, seed=1)
        fed.fit([(x[:60], targets[:60]), (x[60:], targets[60:])], rounds=5, evaluate=(x, targets))
        assert (fed.history[-1].accuracy is not None) is counted
        assert fed.history[-1].loss < 0.7 * fed.history[0].loss  # type: ignore[operator]


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"weights": "size"}, "'samples' or 'equal'"),
        ({"fraction": 0}, "fraction=0"),
        ({"aggregator": "rsa"}, "'paillier'"),
        ({"server_optimizer": "sgd"}, "fedavgm"),
        ({"epochs": 0}, "epochs=0"),
        ({"loss": "hinge"}, "cross_entropy"),
        ({"max_norm": -1}, "max_norm=-1"),
        ({"aggregator": PlainAggregator(), "min_clients": 3}, "its own"),
        ({"model": 3}, "torch.nn.Module"),
        ({"model": torch.nn.ReLU()}, "nothing to average"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        FedAvg(**{"model": net, **settings})


def test_clients_that_cannot_work() -> None:
    x, y = records(20)
    fed = FedAvg(net)
    for wrong, said in (([], "no clients"), ([3], "client 0"), ([Client(x, y, "a"), Client(x, y, "a")], "one name")):
        with pytest.raises(ConfigError, match=said):
            fed.fit(wrong)
    with pytest.raises(ConfigError, match="min_clients=2"):
        fed.fit([(x, y)])
    with pytest.raises(ConfigError, match="19 targets"):
        Client(x, y[:19])


def test_weights_travel_both_ways() -> None:
    module = normed().double()
    vector = weights.flatten(module)
    assert vector.dtype == np.float64 and vector.size == sum(np.prod(s) for s in weights.shapes(module).values())
    weights.load(module, vector + 1)
    assert np.array_equal(weights.flatten(module), vector + 1)
    with pytest.raises(ShapeError):
        weights.load(module, vector[:-1])
    assert weights.name_at(module, 0) == "0.weight" and weights.name_at(module, vector.size - 1) == "1.running_var"


def test_tied_weights_are_one_tensor() -> None:
    class Tied(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
            self.b.weight = self.a.weight

    assert weights.flatten(Tied()).size == 16 + 4 + 4


def test_a_large_value_is_refused_naming_it() -> None:
    with pytest.raises(FixedPointRangeError, match="want finite numbers"):
        PlainAggregator(bound=1.0).client_message(np.array([0.0, 2.0]), 1, client="c", round=0)
