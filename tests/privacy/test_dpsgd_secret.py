"""DP-SGD on shares: clipping against torch example by example, the exact bound whatever the data, noise, price, refusals."""
from __future__ import annotations

import gc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats

import mpc
from mpc import nn
from mpc.errors import ConfigError, NotSupported
from mpc.party import Party
from mpc.privacy import DPSGD, Budget, BudgetExceeded, Gaussian
from mpc.privacy.dp import clipping, secret_sgd
from mpc.privacy.dp.binomial import Binomial
from mpc.privacy.dp.clipping import MARGIN, Factors
from mpc.sharing import Share
from tests.privacy.noise import SIGNIFICANCE

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(14, 6)), RNG.integers(0, 3, 14)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def by_torch(weights: dict[str, Any], bound: float) -> tuple[np.ndarray, np.ndarray]:
    """(sum of gradients clipped to MARGIN * bound, norms), from a backward pass for every example."""
    torch = pytest.importorskip("torch", reason="torch is not installed: want the extra `torch`")
    w = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in weights.values()]
    rows = []
    for x, y in zip(X, Y, strict=True):
        z = torch.relu(torch.tensor(x) @ w[0].T + w[1]) @ w[2].T + w[3]
        g = torch.autograd.grad(torch.nn.functional.cross_entropy(z[None], torch.tensor([int(y)])), w)
        rows.append(torch.cat([v.reshape(-1) for v in g]))
    single = torch.stack(rows)
    norms = single.norm(dim=1, keepdim=True)
    factors = torch.where(norms < MARGIN * bound, torch.ones_like(norms), MARGIN * bound / norms)
    return (single * factors).sum(0).numpy(), norms.numpy()


def flat(state: dict[str, Any]) -> np.ndarray:
    return np.concatenate([v.reshape(-1) for v in state.values()])


@pytest.mark.parametrize(("parties", "protocol"), [(2, "additive"), (3, "additive"), (2, "clear")])
def test_sums_of_clipped_gradients_are_torchs_example_by_example(parties: int, protocol: str) -> None:
    bounds = (0.1, 1.0, 1.3, 50.0)

    def program() -> Any:
        with mpc.session() as s:
            mpc.manual_seed(3)
            x = mpc.share(X if s.rank == 1 else None, owner=1)
            model = network()
            optimizer = DPSGD(model)
            nn.functional.cross_entropy(model(x), Y).backward()
            records, rows = optimizer._taken()
            assert rows == 14
            return model.reveal(), [s.reveal(secret_sgd.summed(records, b), check_range=False) for b in bounds]

    weights, sums = mpc.local(program, parties=parties, protocol=protocol, threads=True)[0]
    for bound, got in zip(bounds, sums, strict=True):
        want, norms = by_torch(weights, bound)
        assert (norms > 0.1).any() and (norms < 50).all()
        assert np.abs(got - want).max() < 1.5e-3  # 14 gradients, each of several rounded values, times inputs


def words_of_every_size(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Words whose magnitudes, row by row, go from one unit to the whole ring."""
    bits = rng.integers(0, 64, (shape[0], 1))
    words = rng.integers(0, 1 << 63, shape, dtype=np.uint64) >> (np.uint64(63) - bits.astype(np.uint64))
    return np.where(rng.random(shape) < 0.5, words, -words)


def signed(words: np.ndarray) -> list[list[int]]:
    return [[int(v) for v in row] for row in words.view(np.int64)]


@pytest.mark.parametrize(("bound", "f"), [(0.02, 16), (1.0, 16), (7.3, 16), (300.0, 16), (1.0, 12), (0.7, 20)])
def test_no_words_whatsoever_make_a_contribution_exceed_the_bound(bound: float, f: int) -> None:
    """Checked in Python's integers; nearly all rows are far out of range, and honest ones pass."""
    rng = np.random.default_rng(5)
    rows, widths = 300, [(4, 3), (3, 2)]
    inputs = [words_of_every_size(rng, (rows, n)) for n, _ in widths]
    outputs = [words_of_every_size(rng, (rows, n)) for _, n in widths]
    for a, d in zip(inputs, outputs, strict=True):  # honest ones: clipped and not
        a[:40] = np.round(rng.normal(size=a[:40].shape) * 2**f).astype(np.int64).view(np.uint64)
        size = bound * 10.0 ** rng.uniform(-2, 1, (40, 1))
        d[:40] = np.round(rng.normal(size=d[:40].shape) * size * 2**f).astype(np.int64).view(np.uint64)

    def program() -> Any:
        with mpc.session() as s:
            def shared(words: np.ndarray) -> Share:
                return Share(words.copy() - np.uint64(7) if s.first else np.full(words.shape, 7, np.uint64), f)

            layers = [Factors(shared(a), shared(d)) for a, d in zip(inputs, outputs, strict=True)]
            return [s.reveal(part.rescaled(0), check_range=False) for part in clipping.clipped(s, layers, bound)]

    kept = [np.round(v).astype(np.int64) for v in mpc.local(program, parties=2, threads=True, frac_bits=f)[0]]
    limit = Fraction(bound) ** 2 * 2 ** (4 * f)
    used = np.zeros(rows, bool)
    for i in range(rows):
        square = sum(
            sum(v * v for v in (int(v) for v in d[i])) * (sum(v * v for v in signed(a[i : i + 1])[0]) + (1 << 2 * f))
            for a, d in zip(inputs, kept, strict=True)
        )
        assert square <= limit, (i, float(square / limit))
        used[i] = any(d[i].any() for d in kept)
    assert used[:40].mean() > 0.9 and not used.all()


def test_the_last_check_is_what_holds_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other half of the test above: with a factor that is always 1, examples above the bound count as nothing."""
    def program() -> Any:
        with mpc.session() as s:
            a = mpc.share(np.ones((3, 1)) if s.first else None, owner=0)._value.share
            d = mpc.share(np.array([[0.5], [0.70], [0.71]]) if s.first else None, owner=0)._value.share
            (got,) = clipping.clipped(s, [Factors(a, d)], 1.0)  # norms sqrt(2) d: .71, .99, 1.004
            return s.reveal(got)

    one = np.uint64(1 << clipping.FACTOR_SCALE)
    monkeypatch.setattr(clipping, "_factor", lambda party, layers, *_: Share(
        np.full(layers[0].outputs.shape[0], one if party.first else 0, np.uint64), clipping.FACTOR_SCALE))
    got = mpc.local(program, parties=2, threads=True)[0]
    assert np.allclose(got, [[0.5], [0.70], [0.0]], atol=1e-4)


def no_noise(self: Any, party: Party, shape: Any = ()) -> Share:
    return Share(np.zeros(shape, np.uint64), 0)


def test_a_step_without_noise_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Binomial, "sample_shares", no_noise)

    def program() -> Any:
        with mpc.session() as s:
            mpc.manual_seed(4)
            x = mpc.share(X if s.rank == 0 else None, owner=0)
            model = network()
            before = model.reveal()
            optimizer = DPSGD(model.parameters(), lr=0.7, max_grad_norm=1.0)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), Y).backward()
            optimizer.step()
            return before, model.reveal()

    before, after = mpc.local(program, parties=2, threads=True)[0]
    want = flat(before) - 0.7 * by_torch(before, 1.0)[0] / 14
    assert np.abs(flat(after) - want).max() < 1.2e-4


def noisy_step(budget: Budget | None = None, coins: int = 1024) -> Any:
    """What a step of noise alone (all gradients are 0) does to 1,240 parameters, and the optimiser's epsilon."""
    with mpc.session() as s:
        model = nn.Linear(30, 40)
        model.load_state_dict({"weight": np.zeros((40, 30)), "bias": np.zeros(40)})
        optimizer = DPSGD(model, lr=4.0, max_grad_norm=0.5, noise_multiplier=1.5, coins=coins)
        x = mpc.share(np.zeros((4, 30)) if s.first else None, owner=0)
        nn.functional.mse_loss(model(x), np.zeros((4, 40))).backward()
        optimizer.step()
        return flat(model.reveal()), optimizer.epsilon(1e-6), s.ledger


def test_the_noise_of_a_step_has_the_promised_variance_and_price() -> None:
    (got, epsilon, _), (other, *_) = mpc.local(noisy_step, parties=2, threads=True)
    assert (got == other).all()
    z = got / (1.5 * 0.5)
    assert SIGNIFICANCE < stats.chi2.sf((z**2).sum(), z.size) < 1 - SIGNIFICANCE
    assert stats.kstest(z, "norm").pvalue > SIGNIFICANCE
    mechanism = Gaussian(noise_multiplier=1.5, sensitivity=0.5, truncations=0)
    assert epsilon == mechanism.on_grid(2.0**-32, 1240)[1].epsilon(1e-6)


def test_the_price_on_shares_is_near_the_gaussians_by_dp_accounting() -> None:
    """Renyi accounting of both, for 101,770 parameters; the binomial is accounted for as what it is."""
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    one = Gaussian(noise_multiplier=4.0, sensitivity=1.0, truncations=0).on_grid(2.0**-32, 101_770)[1]
    accountant = RdpAccountant()
    accountant.compose(dp_accounting.GaussianDpEvent(4.0), 20)
    assert 1 <= one.repeated(20).epsilon(1e-6) / accountant.get_epsilon(1e-6) < 1.008


def test_a_budget_refuses_before_anything_happens_and_batches_of_an_epoch_share_a_price() -> None:
    def program() -> Any:
        with mpc.session() as s:
            mpc.manual_seed(1)
            x, model = mpc.share(X if s.first else None, owner=0), nn.Linear(6, 1)
            optimizer = DPSGD(model.parameters(), max_grad_norm=1.0, noise_multiplier=3.0, disjoint_batches=2, coins=256)
            counts = []
            with Budget(epsilon=2.2, delta=1e-6) as budget:
                for k in range(9):
                    optimizer.zero_grad()
                    loss = nn.functional.binary_cross_entropy_with_logits(model(x[7 * (k % 2) :][:7]), np.ones((7, 1)))
                    loss.backward()
                    before = flat(model.reveal())
                    seen = s.total.rounds, len(s.ledger), len(budget.spent), optimizer.steps
                    try:
                        optimizer.step()
                    except BudgetExceeded:
                        assert seen == (s.total.rounds, len(s.ledger), len(budget.spent), optimizer.steps)
                        assert (flat(model.reveal()) == before).all()
                        break
                    counts.append(len(budget.spent))
            assert optimizer.epsilon(1e-6) == pytest.approx(budget.used)
            return counts, budget.used

    first, second = mpc.local(program, parties=2, threads=True)
    assert first == second
    counts, used = first
    assert counts == [1, 1, 2, 2][: len(counts)] and len(counts) in (2, 4) and used <= 2.2


def test_an_epoch_of_batches_costs_what_a_step_costs() -> None:
    def program() -> Any:
        with mpc.session() as s:
            x, model = mpc.share(X if s.first else None, owner=0), nn.Linear(6, 1)
            optimizer = DPSGD(model.parameters(), lr=0.01, noise_multiplier=3.0, coins=64)
            for xb in optimizer.batches(x, size=5, epochs=2):
                optimizer.zero_grad()
                nn.functional.mse_loss(model(xb), np.ones((xb.shape[0], 1))).backward()
                optimizer.step()
                model(xb).mean().backward()
                with pytest.raises(ConfigError, match="second step on one batch"):
                    optimizer.step()
            assert optimizer.steps == 6 and list(optimizer.releases.values()) == [2]
            again = DPSGD(model)
            again.load_state_dict(optimizer.state_dict())
            assert again.epsilon(1e-6) == optimizer.epsilon(1e-6)

    mpc.local(program, parties=2, threads=True)


def test_what_cannot_be_clipped_is_refused() -> None:
    def program() -> None:
        with mpc.session() as s:
            x, model = mpc.share(X if s.first else None, owner=0), network()
            optimizer = DPSGD(model)
            with pytest.raises(ConfigError, match="got no gradient"):
                optimizer.step()
            nn.functional.cross_entropy(model(x), Y).backward()
            with pytest.raises(NotSupported, match="second gradient"):
                nn.functional.cross_entropy(model(x), Y).backward()
            optimizer.zero_grad()
            (nn.functional.cross_entropy(model(x), Y) + model[0].weight.square().mean()).backward()
            with pytest.raises(NotSupported, match="outside its layer"):
                optimizer.step()
            with pytest.raises(ConfigError, match="want 2\\^-8 to 2\\^10"):
                clipping.checked(1e-3, 16)
            with pytest.raises(NotSupported, match="want \\(examples, features\\)"):
                model[0](x.reshape(2, 7, 6))
            with pytest.raises(NotSupported, match="belong to no Linear"):
                DPSGD(nn.Conv2d(1, 2, 3))
            with pytest.raises(NotSupported, match="mix examples"):
                DPSGD(nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)))
            model[0].bias.requires_grad = False
            with pytest.raises(NotSupported, match="all or none"):
                DPSGD(model)

    mpc.local(program, parties=2, threads=True)


def test_a_model_is_trained_by_one_optimiser_at_a_time() -> None:
    """Plain ones would find no gradients while DPSGD has the layers, and move nothing."""
    def program() -> tuple[float, ...]:
        with mpc.session() as s:
            x, model = mpc.share(X if s.first else None, owner=0), network()
            private, plain = DPSGD(model, coins=64), mpc.optim.SGD(model.parameters(), lr=0.5)
            before = model[0].weight.reveal()
            nn.functional.cross_entropy(model(x), Y).backward()
            plain.step()
            with pytest.raises(NotSupported, match="Another optimiser"):
                nn.functional.cross_entropy(model(x), Y).backward()
            assert np.array_equal(model[0].weight.reveal(), before)
            del private
            gc.collect()
            nn.functional.cross_entropy(model(x), Y).backward()
            plain.step()
            return float(np.abs(model[0].weight.reveal() - before).max())

    assert min(mpc.local(program, parties=2, threads=True)) > 1e-3
