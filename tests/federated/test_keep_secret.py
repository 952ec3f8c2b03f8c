"""keep_secret: the model that nobody saw equals the one that plain averaging gives, trains on, and its ledger is as stated."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.errors import ConfigError, NotSupported, ProgramMismatch, SessionError
from mpc.federated import Client, FedAvg, PaillierAggregator, PlainAggregator, Round, TooFewContributors, Training, weights
from tests.federated.models import clients, net, normed, records, state, torch
from tests.federated.paillier_keys import PUBLIC, SHARES

X, Y = records(60, seed=8)


def fed_for(kind: str, rank: int, model: Any = net, **settings: Any) -> FedAvg:
    """"shares" by name, or Paillier under the parties' shared key."""
    aggregator: Any = kind
    if kind == "paillier":
        aggregator = PaillierAggregator(PUBLIC, key_share=SHARES[rank], max_clients=5, max_weight=200, bound=8.0, task="t")
    return FedAvg(model, aggregator, seed=1, **settings)


def run(program: Any, *args: Any) -> list[Any]:
    return mpc.local(program, parties=3, args=args, threads=True)


def trained(kind: str, rounds: int, model: Any, settings: dict[str, Any]) -> Any:
    with mpc.session() as s:
        fed = fed_for(kind, s.rank, model, **settings)
        secret = fed.fit(clients() if s.rank == 0 else None, rounds=rounds, keep_secret=True, evaluate=(X, Y))
        ledger = [(line.shape, line.recipients, line.reason) for line in s.report().ledger]
        logits = secret.eval()(X).reveal(reason="for the test")
        opened = secret.reveal(reason="for the test")
        return ledger, logits, opened, fed


@pytest.mark.parametrize("kind", ["shares", "paillier"])
@pytest.mark.parametrize("rounds, model, settings", [(1, net, {}), (3, normed, {"server_optimizer": "fedavgm"})])
def test_the_secret_model_is_plain_averaging_s(kind: str, rounds: int, model: Any, settings: dict[str, Any]) -> None:
    plain = FedAvg(model, seed=1, **settings)
    plain.fit(clients(), rounds=rounds)
    want, size = state(plain.model), weights.flatten(plain.model).size
    got = run(trained, kind, rounds, model, settings)
    for rank, (ledger, logits, opened, fed) in enumerate(got):
        for name, value in opened.items():
            assert np.abs(value - want[name]).max() < 2.0**-12, name
        assert np.abs(logits - plain.model.eval()(torch.tensor(X)).detach().numpy()).max() < 0.01
        means = [(shape, to) for shape, to, reason in ledger if "mean update" in reason]
        assert means == [((size,), (0,))] * (rounds - 1)  # to party 0, which plays the clients; never the last one
        others = [shape for shape, to, reason in ledger if "mean update" not in reason]
        assert others and all(np.prod(shape) <= 5 for shape in others)  # weights and bits of validity
        assert [entry.secret for entry in fed.history] == [False] * (rounds - 1) + [True]
        if rank == 0:
            assert fed.history[-1].accepted == [f"client {k}" for k in range(5)]
            assert fed.history[-1].weight == sum(c.samples for c in clients()) and fed.history[-1].loss is None
        else:  # the others have no model but the public start
            assert np.array_equal(weights.flatten(fed.model), weights.flatten(FedAvg(model, seed=1).model))


def goes_on(kind: str) -> Any:
    with mpc.session() as s:
        fed = fed_for(kind, s.rank, lr=0.2)
        model = fed.fit(clients() if s.rank == 0 else None, rounds=1, keep_secret=True)
        x, y = (mpc.share(a if s.rank == 1 else None, owner=1) for a in (X, np.eye(3)[Y]))
        optimizer = mpc.optim.SGD(model.parameters(), lr=0.2)
        losses = []
        for _ in range(20):
            loss = mpc.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss)
        right = (model(x).argmax(1, one_hot=True) * y).sum().reveal(reason="right answers")
        ledger = [line.reason for line in s.report().ledger]
        return [float(losses[k].reveal(reason="loss")) for k in (0, -1)], float(right), ledger


@pytest.mark.parametrize("kind", ["shares", "paillier"])
def test_training_goes_on_in_the_engine_unseen(kind: str) -> None:
    for (first, last), right, ledger in run(goes_on, kind):
        assert last < 0.8 * first and right > 45
        assert not any("mean" in reason for reason in ledger)


class Broken(Client):
    def update(self, module: Any, training: Training, seed: int | None = None) -> Any:
        raise RuntimeError("gone")


def with_a_dropout(kind: str) -> Any:
    with mpc.session() as s:
        here = [*clients(), Broken(X, Y, "gone")] if s.rank == 0 else None
        fed = fed_for(kind, s.rank)
        model = fed.fit(here, rounds=1, keep_secret=True)
        return fed.history[0].refused, model.reveal(reason="for the test")


@pytest.mark.parametrize("kind", ["shares", "paillier"])
def test_a_client_that_fails_is_left_out(kind: str) -> None:
    plain = FedAvg(net, seed=1)
    plain.fit(clients(), rounds=1)
    got = run(with_a_dropout, kind)
    assert got[0][0] == {"gone": "RuntimeError: gone"}
    for name, value in state(plain.model).items():
        assert np.abs(got[1][1][name] - value).max() < 2.0**-12


def all_gone(kind: str) -> Any:
    with mpc.session() as s:
        fed = fed_for(kind, s.rank)
        with pytest.raises(TooFewContributors):
            fed.fit([Broken(X, Y, "a"), Client(X, Y, "b")] if s.rank == 0 else None, rounds=1, keep_secret=True)
        return [line.reason for line in s.report().ledger], bool(fed.history[0].void)


@pytest.mark.parametrize("kind", ["shares", "paillier"])
def test_below_the_minimum_every_party_is_told_and_no_sum_opens(kind: str) -> None:
    for ledger, void in run(all_gone, kind):
        assert void and not any("sum" in reason or "weight" in reason or "mean" in reason for reason in ledger)


class LateOnce(Client):
    calls = 0

    def update(self, module: Any, training: Training, seed: int | None = None) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise TimeoutError("no answer")
        return super().update(module, training, seed)


def first_round_void(kind: str) -> Any:
    with mpc.session() as s:
        fed = fed_for(kind, s.rank)
        model = fed.fit([LateOnce(X, Y, "a"), Client(X, Y, "b")] if s.rank == 0 else None, rounds=2, keep_secret=True)
        return [bool(entry.void) for entry in fed.history], model.reveal(reason="for the test")


@pytest.mark.parametrize("kind", ["shares", "paillier"])
def test_a_void_round_is_void_at_every_party_and_the_next_goes_on(kind: str) -> None:
    alone = FedAvg(net, seed=1)
    alone.history.append(Round(1))  # the seeds of round 2
    alone.fit([Client(X, Y, "a"), Client(X, Y, "b")], rounds=1)
    with pytest.warns(UserWarning, match="round 1 is void"):
        got = run(first_round_void, kind)
    for voids, opened in got:
        assert voids == [True, False]
        for name, value in state(alone.model).items():
            assert np.abs(opened[name] - value).max() < 2.0**-12


def test_outside_a_session_it_says_so() -> None:
    with pytest.raises(SessionError):
        FedAvg(net, "shares").fit(clients(), rounds=1, keep_secret=True)


def wrong(settings: dict[str, Any]) -> Any:
    with mpc.session() as s:
        try:
            FedAvg(net, **settings).fit(clients() if s.rank == 0 else None, rounds=1, keep_secret=True)
        except (ConfigError, NotSupported) as error:
            return str(error)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"aggregator": "plain"}, "every update"),
        ({"aggregator": "paillier"}, "mpc.paillier.deal"),
        ({"aggregator": PlainAggregator(task="t")}, "every update"),
        ({"aggregator": PaillierAggregator(PUBLIC, task="t")}, "share of the key"),
        ({"aggregator": "shares", "server_optimizer": "fedadam"}, "FedAvgM"),
    ],
)
def test_what_cannot_stay_secret_is_refused_at_every_party(settings: dict[str, Any], said: str) -> None:
    assert all(said in text for text in run(wrong, settings))


def another_s_mean(change: dict[str, Any]) -> str:
    with mpc.session() as s:
        settings: dict[str, Any] = {"task": "t", "max_clients": 5, "max_weight": 200, "bound": 8.0, "round": 1}
        settings |= change if s.rank == 1 else {}
        number = settings.pop("round")
        aggregator = PaillierAggregator(PUBLIC, key_share=SHARES[s.rank], **settings)
        sent = [aggregator.client_message([0.5], client=name, round=1) for name in "ab"] if s.rank == 0 else None
        with pytest.raises(ProgramMismatch, match="contributions|encrypted mean"):
            aggregator.combine(sent, round=number, length=1, keep_secret=True)
        raise ProgramMismatch("as it should be")


@pytest.mark.parametrize("change", [{"task": "another"}, {"round": 2}, {"bound": 4.0}])
def test_a_party_that_wants_another_mean_is_told(change: dict[str, Any]) -> None:
    with pytest.raises(ProgramMismatch, match="as it should be"):
        run(another_s_mean, change)
