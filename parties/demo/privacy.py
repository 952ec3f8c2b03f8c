"""`mpc demo privacy`: what leaves the engine. Each tool, an attack without and with it, and what is lost."""
from __future__ import annotations

import sys
from time import perf_counter
from typing import Any, Final, NamedTuple

import numpy as np

import mpc
from mpc import privacy
from mpc.errors import ConfigError
from mpc.federated import Client, FedAvg, SharesAggregator, weights
from mpc.launch import checked_page
from mpc.parties.demo.comparison import Found, show
from mpc.parties.demo.data import bundled, split
from mpc.parties.demo.ending import ended
from mpc.privacy import audit, masking
from mpc.report import duration

EPSILON: Final = 0.5  # of each noisy count
TARGETS: Final = 40  # of the ill and of the healthy: whose diagnosis is asked for
DELTA: Final = 1e-5
RANGES: Final = np.array([[6, 25], [9, 40], [40, 170], [150, 1600], [0.05, 0.15], [0.02, 0.3], [0, 0.4], [0, 0.2], [0.1, 0.3],
                          [0.04, 0.1]]).T  # fmt: skip  # of measurements, rounded by hand; in earnest from elsewhere


class Settings(NamedTuple):
    """The command line. ``page``: where the audit's page goes."""

    parties: int = 3
    seed: int = 0
    page: str | None = None


Part = tuple[Found, list[audit.Exposure]]


def main(settings: Settings) -> int:
    """Run the demo; the exit code."""
    try:
        checked_page(settings.page)
    except ConfigError as error:
        print(f"mpc demo privacy: {error}", file=sys.stderr)
        return 2
    try:
        import dp_accounting  # noqa: F401  extras
        import opacus  # noqa: F401
        import sklearn  # noqa: F401
    except ModuleNotFoundError as missing:
        print(f'mpc demo privacy needs {missing.name}: pip install "mpc[demo,privacy]"', file=sys.stderr)
        return 6
    return ended(lambda: _run(settings))


def _run(settings: Settings) -> None:
    weights.torch().set_num_threads(1)  # small layers: more threads would wait for each other
    print("What leaves the engine, on scikit-learn's bundled records. Each tool is attacked without and with it.\n", flush=True)
    found, exposures = [], []
    for part in (noisy_counts, private_training, synthetic, masked, representation, updates):
        started = perf_counter()
        line, seen = part(settings)
        took = duration(perf_counter() - started)
        found.append(line)
        exposures += seen[:-1]
        exposures += [audit.Exposure(e.name, *e.found, quality=e.quality, cost=f"{took}, attacks included") for e in seen[-1:]]
        print(f"{line.tool}: {took}", flush=True)
    show(found)
    if settings.page is not None:
        try:
            audit.audit(*exposures, title="mpc demo privacy").to_html(settings.page)
        except OSError as error:
            raise ConfigError(f"the page {settings.page} cannot be written: {error.strerror}") from None
        print(f"\nthe audit's page: {settings.page}")


# --- differential privacy
def _counted(settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Every party runs this: how many patients are ill, and how many without each target: exact, then with noise."""
    with mpc.session() as s:
        _, benign = bundled("breast-cancer")
        ill = mpc.share(1 - benign[:, 0] if s.rank == 1 else None, owner=1)
        targets = [k for kind in (0, 1) for k in np.flatnonzero(benign[:, 0] == kind)[:TARGETS]]
        sums = [ill.sum()] + [ill.sum() - ill[int(k)] for k in targets]
        noise = privacy.Laplace(EPSILON, sensitivity=1)
        exact = [value.reveal(reason="exact count") for value in sums]
        noisy = [value.reveal(dp=noise, reason="noisy count") for value in sums]
        return np.array(exact, np.float64), np.array(noisy, np.float64)


def noisy_counts(settings: Settings) -> Part:
    """Two answers whose difference is one patient's diagnosis."""
    exact, noisy = mpc.local(_counted, parties=settings.parties, args=(settings,))[0]
    ill = np.arange(2 * TARGETS) < TARGETS

    def advantage(answers: np.ndarray) -> float:
        guess = answers[0] - answers[1:] > 0.5
        return float((guess[ill].mean() + (~guess[~ill]).mean()) - 1)

    off = float(np.abs(noisy - exact).mean())
    return Found("noise in the engine, reveal(dp=Laplace)", "difference of two counts", advantage(exact), advantage(noisy),
                 ("exact", f"off by {off:.1f} of {exact[0]:.0f}"), f"epsilon {EPSILON:g} an answer"), []  # fmt: skip


def private_training(settings: Settings) -> Part:
    """Membership in a training set, of an overfitted network and of one trained with DP-SGD."""
    torch = weights.torch()
    x, y = bundled("digits")
    rows = np.random.default_rng(settings.seed).permutation(len(x))
    images, labels = (x / 16).astype(np.float32)[rows], y.argmax(1)[rows]
    members, others = (images[:600], labels[:600]), (images[600:1200], labels[600:1200])
    tensors = [torch.from_numpy(a) for a in members]

    def trained(private: bool) -> tuple[Any, float | None]:
        torch.manual_seed(settings.seed)
        model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
        if private:
            optimizer: Any = privacy.DPSGD(model, lr=1.0, max_grad_norm=1.0, noise_multiplier=2.0)
            batches = optimizer.batches(*tensors, size=150, epochs=15)
        else:
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
            batches = (tensors for _ in range(200))
        for xb, yb in batches:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        return model, optimizer.epsilon(DELTA) if private else None

    reports = []
    for private in (False, True):
        model, epsilon = trained(private)
        reports.append(audit.membership_inference(model, members, others, output="logits", epsilon=epsilon, delta=DELTA))
    right = tuple(f"{r.accuracy[1].value:.0%} right" for r in reports if r.accuracy is not None)
    seen = [audit.Exposure(name, r) for name, r in zip(("network", "network by DP-SGD"), reports, strict=True)]
    return Found("training with DP-SGD", "membership in the training set", reports[0].leak.value, reports[1].leak.value,
                 right, f"epsilon {epsilon:.2g}, delta {DELTA:g}"), seen  # type: ignore[arg-type]  # fmt: skip


def synthetic(settings: Settings) -> Part:
    """Records drawn from noisy moments instead of the records: near to those that were used?"""
    from sklearn.linear_model import LogisticRegression

    x, y = bundled("breast-cancer")
    train, test = split(len(x))
    unit = RANGES[1] - RANGES[0]
    x, labels = np.clip((x[:, :10] - RANGES[0]) / unit, 0, 1), y[:, 0].astype(int)
    maker = privacy.MomentSynthesizer(epsilon=2, delta=DELTA, low=0, high=1, seed=settings.seed)
    made = maker.fit(x[train], labels[train], classes=2).sample(len(train))
    real, tested = (x[train], labels[train]), (x[test], labels[test])
    worth = privacy.quality.utility(LogisticRegression(C=100, max_iter=1000), real, made, tested)
    copied, drawn = (privacy.quality.nearness(x[train], x[test], some).auc for some in (x[train], made[0]))
    near = privacy.quality.nearest_record(x[train], x[test], made[0])
    seen = [audit.Exposure("synthetic records", near, worth)]
    return Found("synthetic records, MomentSynthesizer", "nearness to a released record", 2 * copied - 1, 2 * drawn - 1,
                 (f"{worth.real:.0%} right", f"{worth.synthetic:.0%} right"), f"epsilon 2, delta {DELTA:g}"), seen  # fmt: skip


# --- no guarantee, but a measurement
def masked(settings: Settings) -> Part:
    """Whose row is whose, for somebody who knows age, sex, body mass and blood pressure."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    table = {name: bunch.data[:, k] for k, name in enumerate(("age", "sex", "bmi", "pressure"))}
    table["sex"] = np.where(table["sex"] > 1, "b", "a")
    table["progression"] = np.where(bunch.target > np.median(bunch.target), "high", "low")
    axes = {"age": masking.Intervals(5, 10, 20), "sex": masking.Suppress(), "bmi": masking.Intervals(2, 4, 8),
            "pressure": masking.Intervals(5, 10, 20)}  # fmt: skip
    found = masking.report(masking.generalise(table, axes, 10, sensitive="progression"), table, sensitive="progression")
    before, after = (pair[1].reidentified for pair in (found.before, found.after))
    seen = [audit.Exposure("table", found.raw), audit.Exposure("table, 10-anonymous", found)]
    return Found("generalised table, 10-anonymity", "linkage of a person to a row", before, after,
                 ("exact", f"counts off by {found.queries.median:.0%}"), "one release, these columns"), seen  # fmt: skip


def representation(settings: Settings) -> Part:
    """Digits as eight numbers: parity stays, whether it is one of 0 1 4 5 8 9 hides."""
    x, y = bundled("digits")
    digit = y.argmax(1)
    parity, hidden = digit % 2, np.isin(digit, (0, 1, 4, 5, 8, 9)).astype(int)
    owned = np.random.default_rng(settings.seed).random(len(x)) < 0.6
    encoder = privacy.AdversarialEncoder(8, epochs=40, batch_size=128, seed=settings.seed)
    encoder.fit(x[owned], task=parity[owned], private=hidden[owned])
    report = audit.attribute_inference(encoder, raw=x, private=hidden, task=parity, attacker=owned, queries=(),
                                       attackers=("logistic", "mlp"))  # fmt: skip
    kept = report.task_accuracy
    assert kept is not None  # a task was given
    right = (f"{kept[0].value:.0%} right", f"{kept[1].value:.0%} right")
    return Found("representation, AdversarialEncoder", "private attribute", report.raw_leak.value, report.leak.value, right,
                 "none; this attack measured"), [audit.Exposure("representation of digits", report)]  # fmt: skip


def updates(settings: Settings) -> Part:
    """Images made again from what a client with one record sends."""
    torch = weights.torch()
    x, y = bundled("digits")
    x, labels = (x / 16).astype(np.float32), y.argmax(1)
    torch.manual_seed(settings.seed)
    network = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    training = FedAvg(network, one_step=True).training
    sent = [Client(x[k : k + 1], labels[k : k + 1]).update(network, training, k) for k in range(20)]
    shapes = [tuple(p.shape) for p in network.parameters()]
    keys = [mpc.identity.create(f"party-{k}").public_key for k in range(settings.parties)]
    aggregator = SharesAggregator(public_keys=keys, max_norm=32.0)
    sealed = [aggregator.client_message(update, 1, client=f"client {k}", round=1) for k, update in enumerate(sent)]
    records = [x[k : k + 1] for k in range(20)]
    reports = [audit.update_inversion(m, records, x[200:], shapes=shapes) for m in (sent, sealed)]
    seen = [audit.Exposure(n, r) for n, r in zip(("update, plain", "update, to parties"), reports, strict=True)]
    return Found("secure aggregation, mpc.federated", "record from one client's update", reports[0].leak.value,
                 reports[1].leak.value, ("the mean", "the same mean"), "nobody sees one update"), seen  # fmt: skip
