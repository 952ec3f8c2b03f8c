"""Models from torch: results, training, names and the way back, against torch itself."""
from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import mpc
from mpc.interop import describe as describing
from tests.interop.models import CASES, Case
from tests.owners import mixed

torch = pytest.importorskip("torch", reason="models come from torch")

SETTINGS = [("clear", 2), ("additive", 2), ("additive", 3)]
ids = [case.name for case in CASES]


def run(program: Callable[[], Any], parties: int = 2, protocol: str = "additive") -> Any:
    return mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]


def plain(module: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.tensor(x)).numpy()


@pytest.mark.parametrize("case", CASES, ids=ids)
@pytest.mark.parametrize("protocol,parties", SETTINGS)
def test_same_result_as_torch(case: Case, protocol: str, parties: int) -> None:
    module, x = case.module(torch).eval(), case.input()

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(module if s.rank == 1 else None, owner=1)
            assert not model.training
            assert sorted(n for n, _ in model.named_parameters()) == sorted(n for n, _ in module.named_parameters())
            with mpc.no_grad():
                return model(mpc.share(x if s.rank == 0 else None, 0)).reveal()

    got, want = run(program, parties, protocol), plain(copy.deepcopy(module).double(), x)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=case.tolerance, rtol=0)


@pytest.mark.parametrize("case", CASES, ids=ids)
@pytest.mark.parametrize("protocol,parties", SETTINGS)
def test_trains_as_torch_and_returns(case: Case, protocol: str, parties: int) -> None:
    module, x = case.module(torch).train(), case.input()
    reference = copy.deepcopy(module).double()
    target = np.random.default_rng(3).integers(-4, 5, plain(copy.deepcopy(reference), x).shape) / 4
    optimizer = torch.optim.SGD(reference.parameters(), lr=case.lr)
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(reference(torch.tensor(x)), torch.tensor(target)).backward()
        optimizer.step()

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(module if s.rank == 0 else None)
            assert model.training
            xs, ys = mpc.share(x, 1), mpc.share(target, 1)
            optimizer = mpc.optim.SGD(model.parameters(), lr=case.lr)
            for _ in range(2):
                optimizer.zero_grad()
                mpc.nn.functional.mse_loss(model(xs), ys).backward()
                optimizer.step()
            arrays = model.reveal(to=0, into=module if s.rank == 0 else None, reason="trained")
            assert {line.site.partition(":")[0] for line in s.report().ledger} == {"test_from_torch.py"}
            return arrays, [(line.recipients, line.reason) for line in s.report().ledger]

    arrays, ledger = run(program, parties, protocol)
    want = {name: value.numpy() for name, value in reference.state_dict().items()}
    got = dict(module.state_dict())
    assert [line for line in ledger if line != ((0,), f"trained: {line[1].partition(': ')[2]}")] == []
    assert sorted(line[1].partition(": ")[2] for line in ledger) == sorted(n for n in arrays if not n.endswith("_tracked"))
    for name, value in want.items():
        assert got[name].dtype == (torch.int64 if name.endswith("_tracked") else torch.float32)
        np.testing.assert_allclose(got[name].numpy(), value, atol=case.trained, rtol=0, err_msg=name)
    assert any(np.abs(value - start.numpy()).max() > 0.01 for value, start in
               zip(want.values(), case.module(torch).state_dict().values(), strict=False))


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_round_trip_changes_no_weight(case: Case) -> None:
    module, copied = case.module(torch), case.module(torch)
    with torch.no_grad():
        for p in copied.parameters():
            p.zero_()

    def program() -> Any:
        with mpc.session() as s:
            arrays = mpc.nn.from_torch(module if s.rank == 1 else None, 1).reveal(to=0, into=copied if s.rank == 0 else None)
            secret = [a for n, a in arrays.items() if not n.endswith("_tracked")]
            assert s.rank == 0 or not any(a is not None for a in secret)

    run(program)
    for (name, p), q in zip(module.state_dict().items(), copied.state_dict().values(), strict=True):
        assert torch.equal(p, q), name


def test_public_weights_are_local() -> None:
    """Nothing is secret but the input: products cost nothing."""
    module, x = CASES[1].module(torch).eval(), CASES[1].input()

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(module, owner=None)
            xs, before = mixed(x), s.report()
            out = model(xs)
            costs = {row.layer: row.rounds for row in s.report().since(before).by_layer()}
            assert list(model.parameters()) == []
            return out.reveal(), costs

    got, costs = run(program)
    np.testing.assert_allclose(got, plain(copy.deepcopy(module).double(), x), atol=1e-4)
    free = ("features.0:Conv2d", "features.2:AvgPool2d", "classifier.0:Linear", "classifier.2:Linear")
    assert [costs[f"LeNet/{layer}"] for layer in free] == [0, 0, 0, 0]
    assert costs["LeNet/features.3:Conv2d"] == 1  # the truncation of the mean before it


@pytest.mark.parametrize("case", CASES, ids=ids)
@pytest.mark.parametrize("training", [True, False])
def test_public_weights_give_torchs_result(case: Case, training: bool) -> None:
    """In both modes; what cannot be trained has no gradient."""
    module, x = case.module(torch).train(training), case.input()

    def program() -> Any:
        with mpc.session():
            model = mpc.nn.from_torch(module, owner=None)
            out = model(mixed(x))
            assert model.training == training and not out.requires_grad
            return out.reveal()

    got = run(program, 3)
    np.testing.assert_allclose(got, plain(copy.deepcopy(module).double(), x), atol=case.tolerance, rtol=0)


def test_public_batch_norms_are_local_in_evaluation() -> None:
    module = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3)).eval()
    torch.nn.init.uniform_(module[0].running_var, 0.5, 2.0)
    torch.nn.init.uniform_(module[0].weight, -1.0, 2.0)
    x = np.random.default_rng(1).normal(size=(2, 2, 3, 3))

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(module, owner=None)
            xs, before = mixed(x), s.report()
            out = model(xs)
            return out.reveal(), {row.layer: row.rounds for row in s.report().since(before).by_layer()}

    got, costs = run(program)
    np.testing.assert_allclose(got, plain(copy.deepcopy(module).double(), x), atol=1e-4)
    layers = ("0:PublicBatchNorm", "1:Conv2d", "2:PublicBatchNorm")
    assert [costs[f"Sequential/{layer}"] for layer in layers] == [0, 1, 1]  # each truncates what the one before it left


def test_public_input_costs_no_opening_of_it() -> None:
    module, x = CASES[0].module(torch), CASES[0].input()

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(module if s.rank == 0 else None)
            before = s.report()
            out = model(torch.tensor(x))
            costs = {row.layer: row.rounds for row in s.report().since(before).by_layer()}
            return out.reveal(), costs["Sequential/0:Linear"]

    got, rounds = run(program)
    assert rounds == 0
    np.testing.assert_allclose(got, plain(copy.deepcopy(module).double(), x), atol=1e-4)


def test_modes_are_followed_as_in_torch() -> None:
    """What depends on ``self.training`` in forward is traced in both modes."""

    class Net(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2 if self.training else x + 1

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(Net() if s.rank == 0 else None)
            x = mpc.share(np.ones(2), 0)
            return model(x).reveal().tolist(), model.eval()(x).reveal().tolist(), model.train()(x).reveal().tolist()

    assert run(program) == ([2.0, 2.0], [2.0, 2.0], [2.0, 2.0])  # 1 * 2, 1 + 1


def test_inputs_and_results_of_several_kinds() -> None:
    class Net(torch.nn.Module):
        def forward(self, x: Any, y: Any, scale: float = 2.0) -> Any:
            return {"no": 1} if scale is None else (x + y, [x * scale, y.size(1)])

    def program() -> Any:
        with mpc.session() as s:
            model = mpc.nn.from_torch(Net() if s.rank == 0 else None)
            x = mpc.share(np.ones((1, 3)), 0)
            total, (double, width) = model(x, np.full((1, 3), 0.5))
            with pytest.raises(mpc.ConfigError, match="2: x, y"):
                model(x)
            return total.reveal().tolist(), double.reveal().tolist(), width

    assert run(program) == ([[1.5] * 3], [[2.0] * 3], 3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64", "int32", "bool"])
def test_torch_tensors_are_public_operands(dtype: str) -> None:
    def program() -> Any:
        with mpc.session():
            x = mpc.share(np.array([1.0, 2.0]), 0)
            public = torch.tensor([1.0, 0.0]).to(getattr(torch, dtype))
            if public.is_floating_point():
                public.requires_grad_()
            sums = [x + public, public + x, x * public, public * x, mpc.share(public, 1) + x, x - public, public - x]
            return [s.reveal().tolist() for s in sums] + [float((x @ public).reveal()), float((public @ x).reveal())]

    assert run(program) == [[2, 2], [2, 2], [1, 0], [1, 0], [2, 2], [0, 2], [0, -2], 1, 1]


def test_a_module_that_two_threads_describe_is_in_its_own_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace sets the mode of the module; who is done with it meanwhile in another thread must not see that."""
    traces: list[bool] = []
    modes: list[bool] = []
    began, ended = threading.Event(), threading.Event()

    class Slow(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            traces.append(self.training)
            if len(traces) == 3:  # the second description, until the first has ended
                began.set()
                assert ended.wait(60)
            return x * 2

    class Handing:
        """A lock; who releases it first goes on when the other traces."""

        def __init__(self) -> None:
            self._lock = threading.Lock()

        def __enter__(self) -> None:
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()
            began.wait(60)

    monkeypatch.setattr(describing, "TORCH", Handing())
    module = Slow().eval()

    def described() -> None:
        modes.append(describing.describe(module)[0].training)
        ended.set()

    threads = [threading.Thread(target=described, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert traces == [True, False, True, False]
    assert modes == [False, False] and not module.training


def test_what_other_threads_run_meanwhile_is_not_traced() -> None:
    """torch.fx replaces methods of all modules while one is traced."""
    outputs: list[Any] = []
    other, x = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()), torch.ones(1, 3)

    class Waiting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            with ThreadPoolExecutor() as pool:
                for module in (other, self.layer):
                    outputs.append(pool.submit(module, torch.ones(1, 3)).result())
            return self.layer(x)

    module = Waiting()
    architecture, _ = describing.describe(module)
    for mode in range(2):  # training and evaluation
        assert torch.equal(outputs[2 * mode], other(x)) and torch.equal(outputs[2 * mode + 1], module.layer(x))
    assert [s.op for s in architecture.steps] == ["input", "layer", "output"] and architecture.evaluation is None
    assert not [name for name in vars(module) if "tensor_constant" in name]
