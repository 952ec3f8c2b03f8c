"""DP-SGD for torch models: clipping, noise, subsampling, price, and what it does to membership inference."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mpc.errors import ConfigError, NotSupported
from mpc.privacy import DPSGD, Budget, BudgetExceeded, Laplace, audit
from mpc.privacy.dp import normal
from mpc.privacy.dp.steps import Kind, Steps
from mpc.privacy.dp.torch_sgd import SLACK, clipped_sums, poisson
from tests.privacy.noise import SIGNIFICANCE

torch = pytest.importorskip("torch", reason="torch is not installed: want the extra `privacy`")
pytest.importorskip("opacus", reason="opacus is not installed: want the extra `privacy`")
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("error:Full backward hook is firing"),  # DPSGD filters it
]


def network(inputs: int = 5, classes: int = 3) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(inputs, 4), torch.nn.Tanh(), torch.nn.Linear(4, classes))


def batch(rows: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(1)
    return torch.tensor(rng.normal(size=(rows, 5)), dtype=torch.float32), torch.tensor(rng.integers(0, 3, rows))


def one_by_one(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Every example's gradient from a backward pass of its own."""
    rows = []
    for a, b in zip(x, y, strict=True):
        g = torch.autograd.grad(torch.nn.functional.cross_entropy(model(a[None]), b[None]), list(model.parameters()))
        rows.append(torch.cat([v.reshape(-1) for v in g]))
    return torch.stack(rows).double()


def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal, "sample", lambda count: np.zeros(count, np.int64))


@pytest.mark.parametrize("bound", [0.3, 100.0])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_step_without_noise_is_the_mean_of_clipped_gradients(bound, reduction, monkeypatch) -> None:
    """Against a backward pass for every example; a norm is over all parameters, and some of them are clipped."""
    no_noise(monkeypatch)
    model, (x, y) = network(), batch()
    single = one_by_one(model, x, y)
    before = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).double()
    optimizer = DPSGD(model.parameters(), lr=0.5, max_grad_norm=bound, noise_multiplier=1.0, loss_reduction=reduction)
    torch.nn.functional.cross_entropy(model(x), y, reduction=reduction).backward()
    optimizer.step()
    norms = single.norm(dim=1, keepdim=True)
    assert (norms > 0.3).any()
    want = before - 0.5 * (single * torch.clamp(bound / norms, max=1)).mean(0)
    got = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).double()
    assert (got - want).abs().max() < 3e-7


def test_no_example_exceeds_the_bound_and_one_that_is_not_finite_counts_as_nothing() -> None:
    rng = np.random.default_rng(2)
    scale = 10.0 ** rng.integers(-30, 30, (40, 1))
    first, second = (torch.tensor(rng.normal(size=(40, n)) * scale, dtype=torch.float32) for n in (7, 3))
    for i in range(40):
        sums = clipped_sums([first[i : i + 1], second[i : i + 1]], 0.7)
        assert torch.cat(sums).norm() <= 0.7 * (1 + 1e-12)
    first[3, 1], second[5, 0] = float("nan"), float("inf")
    keep = [i for i in range(40) if i not in (3, 5)]
    for got, want in zip(clipped_sums([first, second], 0.7), clipped_sums([first[keep], second[keep]], 0.7), strict=True):
        assert torch.equal(got, want)


def test_the_noise_of_a_step_has_the_promised_variance() -> None:
    """The gradient is 0, so the step is noise alone: lr * noise_multiplier * max_grad_norm / rows in every parameter."""
    model = torch.nn.Linear(50, 80)
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    optimizer = DPSGD(model, lr=4.0, max_grad_norm=0.5, noise_multiplier=1.5)
    torch.nn.functional.mse_loss(model(torch.zeros(4, 50)), torch.zeros(4, 80)).backward()
    optimizer.step()
    z = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).double().numpy() / (1.5 * 0.5)
    assert SIGNIFICANCE < stats.chi2.sf((z**2).sum(), z.size) < 1 - SIGNIFICANCE
    assert stats.kstest(z, "norm").pvalue > SIGNIFICANCE


# --- the sampler
def test_noise_is_gaussian_in_all_its_digits() -> None:
    n = normal.sample(60_000)
    z = n / 2.0**normal.SIGMA_BITS
    assert stats.kstest(z, "norm").pvalue > SIGNIFICANCE
    assert SIGNIFICANCE < stats.chi2.sf((z**2).sum(), z.size) < 1 - SIGNIFICANCE
    for digits in (1, 8, 20, 28):  # below the cells every digit is nearly fair
        counts = np.bincount(n >> (normal.WITHIN_BITS - digits) & 15, minlength=16)
        assert stats.chisquare(counts).pvalue > SIGNIFICANCE
    assert (normal.sample(100) != normal.sample(100)).any()


def test_what_64_bits_do_not_settle_128_do() -> None:
    import gmpy2

    high, low = normal.table()
    k = np.array([0, 5, 40])
    assert normal.cells(high[k], low[k]).tolist() == [1, 6, 41]
    assert normal.cells(high[k], low[k] - np.uint64(1)).tolist() == [0, 5, 40]
    assert normal.cells(high[k] - np.uint64(1), low[k]).tolist() == [0, 5, 40]
    r = np.array([1 << 29, 12345, (1 << 30) - 1])
    with gmpy2.context(precision=400):
        exact = [int(gmpy2.exp(-gmpy2.mpfr(int(b * ((a << 31) + b))) / (1 << 71)) * (1 << 128))
                 for a, b in zip(k.tolist(), r.tolist(), strict=True)]
    words = [np.array([e + step >> 64 for e in exact], np.uint64) for step in (0, 1)]
    rest = [np.array([(e + step) % 2**64 for e in exact], np.uint64) for step in (0, 1)]
    assert normal.kept(k, r, words[0], rest[0]).tolist() == [True] * 3
    assert normal.kept(k, r, words[1], rest[1]).tolist() == [False] * 3


def test_a_poisson_sample_takes_every_row_alike() -> None:
    taken = np.zeros(50)
    for _ in range(2000):
        taken[poisson(50, 2**62)] += 1
    assert SIGNIFICANCE < stats.chi2.sf(((taken - 500) ** 2 / 375).sum(), 50) < 1 - SIGNIFICANCE


# --- the price
@pytest.mark.parametrize(("multiplier", "rate", "steps"), [(1.1, 0.05, 120), (4.0, 1.0, 10)])
def test_epsilon_is_dp_accountings_own(multiplier: float, rate: float, steps: int) -> None:
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant()
    event = dp_accounting.GaussianDpEvent(multiplier)
    accountant.compose(dp_accounting.PoissonSampledDpEvent(rate, event) if rate < 1 else event, steps)
    want = accountant.get_epsilon(1e-6)
    one = Steps({Kind(multiplier, rate): 1})
    at_once, step_by_step = one.repeated(steps), one
    for _ in range(steps - 1):
        step_by_step = step_by_step + one
    assert at_once.epsilon(1e-6) == pytest.approx(want, rel=0.01)
    assert step_by_step.epsilon(1e-6) == pytest.approx(want, rel=0.01)


def test_other_releases_are_added_to_steps_in_either_order() -> None:
    one, other = Steps({Kind(1.1, 0.05): 3}), Laplace(0.5, 1.0).privacy()
    both = one + other
    assert (other + one).epsilon(1e-6) == both.epsilon(1e-6)
    assert both.epsilon(1e-6) > max(one.epsilon(1e-6), other.epsilon(1e-6))
    assert (both + one).epsilon(1e-6) > both.epsilon(1e-6)


def test_a_budget_stops_before_the_step_that_would_exceed_it() -> None:
    model, (x, y) = network(), batch(40)
    optimizer = DPSGD(model.parameters(), lr=0.1, noise_multiplier=4.0)
    seen = []

    def train() -> None:
        for xb, yb in optimizer.batches(x, y, size=20, epochs=100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(xb), yb).backward()
            seen.append((optimizer.steps, [p.detach().clone() for p in model.parameters()]))
            optimizer.step()

    with Budget(epsilon=3, delta=1e-6) as budget, pytest.raises(BudgetExceeded):
        train()
    steps, before = seen[-1]
    assert steps == optimizer.steps == len(budget.spent) > 3
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert optimizer.epsilon(1e-6) == pytest.approx(budget.used) and budget.used <= 3
    kind = Kind(4.0 / (1 + SLACK), 0.5, normal.TOTAL_VARIATION * 39)
    assert Steps({kind: steps}).epsilon(1e-6) <= 3 < Steps({kind: steps + 1}).epsilon(1e-6)


def test_steps_on_other_batches_cost_the_unamplified_price_and_an_epochs_disjoint_ones_that_of_one() -> None:
    model, (x, y) = network(), batch(12)
    optimizers = [DPSGD(model, noise_multiplier=3.0, disjoint_batches=n) for n in (1, 3)]
    for optimizer in optimizers:
        for _ in range(2):
            for k in range(3):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x[4 * k : 4 * k + 4]), y[4 * k : 4 * k + 4]).backward()
                optimizer.step()
    one = Steps({Kind(3.0 / (1 + SLACK), 1.0, normal.TOTAL_VARIATION * 39): 1})
    assert optimizers[0].epsilon(1e-5) == pytest.approx(one.repeated(6).epsilon(1e-5), rel=1e-6)
    assert optimizers[1].epsilon(1e-5) == pytest.approx(one.repeated(2).epsilon(1e-5), rel=1e-6)
    again = DPSGD(model, noise_multiplier=3.0)
    again.load_state_dict(optimizers[0].state_dict())
    assert again.epsilon(1e-5) == optimizers[0].epsilon(1e-5) and again.steps == 6


def test_what_cannot_be_accounted_for_is_refused() -> None:
    model, (x, y) = network(), batch()
    optimizer = DPSGD(model.parameters())
    with pytest.raises(ConfigError, match="without per-example gradients"):
        optimizer.step()
    loss = torch.nn.functional.cross_entropy
    loss(model(x), y).backward()
    loss(model(x), y).backward()
    with pytest.raises(ConfigError, match="two backward"):
        optimizer.step()
    optimizer.zero_grad()
    for xb, yb in optimizer.batches(x, y, size=12):
        loss(model(xb), yb).backward()
        optimizer.step()
        loss(model(xb), yb).backward()
        with pytest.raises(ConfigError, match="second step on one drawn batch"):
            optimizer.step()
    optimizer.zero_grad()
    for xb, yb in optimizer.batches(x, y, size=12):
        loss(model(xb[:5]), yb[:5]).backward()
        with pytest.raises(ConfigError, match="12 were drawn"):
            optimizer.step()
    assert optimizer.steps == 1
    with pytest.raises(NotSupported, match="BatchNorm"):
        DPSGD(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)))
    with pytest.raises(ConfigError, match="want the model"):
        DPSGD(list(model.parameters()))


def test_membership_inference_succeeds_less_with_privacy() -> None:
    """Digits of which a fifth have random labels, which only a model that learns by heart gets right."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(digits.data))[:800]
    x = torch.tensor(digits.data[order] / 16, dtype=torch.float32)
    labels = digits.target[order].copy()
    wrong = rng.random(800) < 0.2
    labels[wrong] = rng.integers(0, 10, wrong.sum())
    y = torch.tensor(labels)
    loss = torch.nn.functional.cross_entropy

    def made(private: bool) -> audit.MembershipReport:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
        if private:
            optimizer = DPSGD(model, lr=1.0, max_grad_norm=1.0, noise_multiplier=1.0)
            for xb, yb in optimizer.batches(x[:400], y[:400], size=100, epochs=15):
                optimizer.zero_grad()
                loss(model(xb), yb).backward()
                optimizer.step()
        else:
            plain = torch.optim.Adam(model.parameters(), 0.01)
            for _ in range(80):
                plain.zero_grad()
                loss(model(x[:400]), y[:400]).backward()
                plain.step()
        with torch.no_grad():
            answers = torch.softmax(model(x), 1).numpy()
        clean = (answers[400:].argmax(1) == digits.target[order][400:]).mean()
        assert clean > 0.6  # both have learned
        lookup = {row.tobytes(): a for row, a in zip(x.numpy(), answers, strict=True)}
        return audit.membership_inference(
            lambda rows: np.stack([lookup[np.float32(r).tobytes()] for r in rows]),
            (x[:400].numpy(), labels[:400]), (x[400:].numpy(), labels[400:]),
        )  # fmt: skip

    bare, private = made(False), made(True)
    assert bare.leak.value > 0.2
    assert private.leak.value < bare.leak.value / 2
    assert private.leak.low < 0.1
