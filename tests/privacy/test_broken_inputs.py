"""What hostile or clumsy users hand in: a clear refusal, or the right number, never a wrong one."""
from __future__ import annotations

import copy
import gc
import json
import pickle
import resource
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.benchmarks import command
from mpc.errors import ConfigError, NotSupported, ShapeError
from mpc.party import Party
from mpc.privacy import (
    DPSGD,
    GAN,
    AdversarialEncoder,
    Budget,
    BudgetExceeded,
    Exponential,
    Gaussian,
    Laplace,
    MomentSynthesizer,
    audit,
    masking,
    quality,
    sensitivity,
)
from tests.privacy.noise import run, shared


# --- differential privacy
@pytest.mark.parametrize("factor", [0.3, 1 / 7, -0.3])
def test_noise_larger_than_the_encoding_does_not_wrap_behind_a_public_factor(factor: float) -> None:
    """The factor used to be applied, and the product truncated, after the noise: beyond 2^15 that wrapped."""
    opened = run(lambda s: (shared(s, np.ones(400)) * factor).reveal(dp=Laplace(1.0, sensitivity=1e6)))[0]
    assert 0.7e6 < np.abs(opened).mean() < 1.4e6


@pytest.mark.parametrize("dp", [0.5, False, "laplace", Laplace, Exponential(1.0, 1.0)])
def test_reveal_says_what_a_mechanism_is(dp: Any) -> None:
    with pytest.raises(TypeError, match="want a mechanism"):
        run(lambda s: shared(s, [1.0, 2.0]).reveal(dp=dp))


@pytest.mark.parametrize("truncations", [-1, 1.5, float("nan"), float("inf"), "1", True])
def test_truncations_are_counted_in_whole_numbers(truncations: Any) -> None:
    with pytest.raises(ValueError, match="want an integer of at least 0"):
        Gaussian(1.0, 1e-6, 1.0, truncations=truncations)


def test_noise_of_a_negative_length() -> None:
    with pytest.raises(ShapeError):
        Laplace(1.0, 1.0).sample((2, -3))


@pytest.mark.parametrize("threads", [True, False])
def test_a_budget_around_the_parties_refuses_their_releases(threads: bool) -> None:
    """As processes they have no part in it: releases went uncounted."""

    def main() -> Any:
        with mpc.session() as s:
            return mpc.share(np.ones(2) if s.rank == 0 else None, owner=0).reveal(dp=Laplace(1.0, sensitivity=1))

    with Budget(epsilon=0.5, delta=1e-6) as budget, pytest.raises(ConfigError, match="in each party's program"):
        mpc.local(main, parties=2, threads=threads)
    assert budget.used == 0 and len(mpc.local(main, parties=2, threads=True)) == 2


def test_scores_times_nothing_and_public_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="times 0"):
        run(lambda s: Exponential(1.0, 1.0).select(shared(s, [1.0, 2.0]) * 0))
    with pytest.raises(TypeError, match="want a secret tensor"):
        sensitivity.mean(np.ones(3), 0, 1)  # type: ignore[arg-type]


# --- DP-SGD in torch
def test_dpsgd_refuses_what_it_cannot_step_on() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: want the extra `torch`")
    pytest.importorskip("opacus", reason="opacus is not installed: want the extra `privacy`")
    model = torch.nn.Linear(3, 2)
    optimizer = DPSGD(model, noise_multiplier=1.0)
    with Budget(epsilon=50, delta=1e-6) as budget:
        model(torch.ones(0, 3)).sum().backward()
        with pytest.raises(ConfigError, match="no examples"):
            optimizer.step()
        optimizer.zero_grad()
        model(torch.ones(4, 3))  # a forward pass alone
        model(torch.ones(4, 3)).sum().backward()
        with pytest.raises(ConfigError, match="no_grad"):
            optimizer.step()
    assert not budget.spent and not optimizer.steps
    with pytest.raises(NotSupported, match="load_state_dict"):
        DPSGD(copy.deepcopy(model))
    for state in ({}, {"state": {}, "param_groups": []}, None, {**optimizer.state_dict(), "releases": [1]}):
        with pytest.raises(ConfigError, match=r"DPSGD.state_dict\(\)"):  # was a bare KeyError
            optimizer.load_state_dict(state)
    DPSGD(model).zero_grad()  # once more is fine
    gone = weakref.ref(model)
    del model, optimizer
    gc.collect()
    assert gone() is None  # every model that DP-SGD had seen was kept


# --- DP-SGD on shares
def test_dpsgd_on_shares_refuses_parameters_of_two_layers() -> None:
    """Each layer's noisy gradient is set by itself: one of the two was lost."""

    def program(s: Party) -> None:
        first, second = nn.Linear(3, 3), nn.Linear(3, 3)
        second.weight = first.weight
        DPSGD(nn.Sequential(first, nn.ReLU(), second))

    with pytest.raises(NotSupported, match="shares parameters"):
        run(program)


# --- masking
@pytest.mark.parametrize("texts", ["call john", b"call john", [b"call john"], [None], [float("nan")]])
def test_a_text_alone_is_not_taken_for_its_characters(texts: Any) -> None:
    """Nothing was found in them, so they came back as they were."""
    redactor = masking.text.Redactor()
    for use in (redactor.redact, redactor.find):
        with pytest.raises(TypeError, match="want a list of texts"):
            use(texts)
    with pytest.raises(ConfigError, match="want a list of types"):
        masking.text.Redactor(types="person")
    with pytest.raises(ConfigError, match="'persons' without a tagger"):
        masking.text.Redactor(types=["persons"])


def test_pseudonyms_do_not_hand_their_keys_to_a_pickle() -> None:
    pseudonyms = masking.Pseudonyms(masking.MaskingKey.create(), "card")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy, lambda p: pickle.dumps(masking.text.Redactor(pseudonyms=p))):
        with pytest.raises(TypeError, match="not pickled"):
            leak(pseudonyms)


@pytest.mark.parametrize("k", [0, True, 2.5, float("nan"), "2", None])
def test_k_is_a_whole_number(k: Any) -> None:
    with pytest.raises(ConfigError, match="want an integer"):
        masking.generalise({"age": [1, 2, 3]}, {"age": masking.Intervals(5)}, k)


@pytest.mark.parametrize("tree", [{}, [], {"a": []}, {"a": {}}])
def test_a_tree_has_leaves(tree: Any) -> None:
    with pytest.raises(ConfigError, match="no values"):
        masking.Tree(tree)


# --- encoders
def test_a_file_with_large_settings_takes_no_memory(tmp_path: Path) -> None:
    """Networks of the sizes that the file claims were made before its weights were looked at: gigabytes for a line of JSON."""
    pytest.importorskip("torch", reason="torch is not installed: want the extra `torch`")
    x = np.random.default_rng(0).normal(size=(20, 3))
    encoder = AdversarialEncoder(2, hidden=8, epochs=1, critics=0)  # without critics: a plain encoder, once refused by torch
    encoder.fit(x, task=np.arange(20) % 2, private=np.arange(20) // 10).save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["head"] = np.array(json.dumps({**json.loads(str(arrays["head"])), "dim": 10**7}))
    np.savez(tmp_path / "b.npz", **arrays)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ConfigError, match="size mismatch"):
        AdversarialEncoder.load(tmp_path / "b.npz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


# --- audit
def test_an_update_that_says_nothing_and_missing_controls() -> None:
    x = np.random.default_rng(0).normal(size=(12, 4))
    silent = [np.zeros((2, 4)), np.zeros(2)]
    report = audit.update_inversion([silent, silent], [x[:1], x[1:2]], x[4:])
    assert report.leak.value == 0
    with pytest.raises(ConfigError, match="no controls"):
        audit.update_inversion([silent], [x[:1]], x[:0])


@pytest.mark.parametrize("answer", [np.nan, np.inf, 1e300])
def test_answers_that_are_no_numbers_are_no_anonymity(answer: float) -> None:
    x, private = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2

    def leak(encoder: Any, **options: Any) -> Any:
        return audit.attribute_inference(encoder, raw=x, private=private, attackers=("logistic",), **options)

    with pytest.raises(ConfigError, match="nobody can attack"):
        leak(lambda rows: np.full((len(rows), 2), answer))
    with pytest.raises(ShapeError, match="want rows x columns"):
        leak(lambda rows: np.asarray(rows)[:5])
    for queries in (0, -1):
        with pytest.raises(ConfigError, match="queries; want at least 1"):
            leak(lambda rows: rows, queries=(queries,))


def test_a_page_that_fails_does_not_empty_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    found = audit.attribute_inference(lambda rows: rows, raw=x, private=np.arange(40) % 2, attackers=("logistic",), queries=())
    path = tmp_path / "audit.html"
    audit.audit(audit.Exposure("<script>", found), title="half a character: \ud83d").to_html(path)
    written = path.read_text(encoding="utf-8")
    assert "half a character: ?" in written and "<script>" not in written
    monkeypatch.setattr("mpc.privacy.audit.page.page", lambda report: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        audit.audit(audit.Exposure("name", found)).to_html(path)
    assert path.read_text(encoding="utf-8") == written


def test_an_interrupted_attacker_is_no_weak_attacker(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn's network takes Ctrl-C for "enough": the audit went on and reported what an untrained network finds."""
    from sklearn.neural_network import MLPClassifier

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MLPClassifier, "_backprop", interrupted)
    x = np.random.default_rng(0).normal(size=(40, 3))
    with pytest.raises(KeyboardInterrupt):
        audit.attribute_inference(lambda rows: rows, raw=x, private=np.arange(40) % 2, attackers=("mlp",), queries=())


@pytest.mark.parametrize(("epsilon", "delta"), [(8, 1e-9), (10, 1e-8), (50, 1e-5)])
def test_a_large_budget_has_room_for_a_small_release(epsilon: float, delta: float) -> None:
    """Delta grows with epsilon where it comes of total variation: asked at the budget's epsilon alone, 0.5 was beyond 50."""
    for mechanism in (Laplace(0.5, 1.0), Laplace(0.5, 1.0, grid=2.0**-30), Gaussian(1.0, 1e-7, 1.0)):
        budget = Budget(epsilon, delta)
        for _ in range(3):
            budget.charge(mechanism.privacy())
        assert 0 < budget.used < epsilon
    with pytest.raises(BudgetExceeded):
        Budget(0.4, delta).charge(Laplace(0.5, 1.0).privacy())


# --- benches
@pytest.mark.parametrize(
    "arguments",
    [
        ["privacy-adversarial", "--data", "/no/such"],
        ["privacy-audit", "digits", "--data=/no/such"],
        ["privacy-sgd", "--json", "/no/such/result.json"],
        ["privacy-synthesis", "--data", "/", "--epochs", "0"],
        ["privacy-sgd", "--seeds", "0"],
    ],
)
def test_a_bench_of_hours_says_at_once_what_its_end_would_stumble_over(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == 2
    assert "; want" in capsys.readouterr().err


# --- synthesis
def test_moments_of_nothing_and_distances_of_no_numbers_are_refused() -> None:
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    with pytest.raises(ConfigError, match="nothing to release"):
        MomentSynthesizer(1.0, low=1, high=1).fit(x, y, classes=2)
    holed = np.where(x > 1, np.nan, x)
    for measure in (quality.marginals, quality.pairs):
        with pytest.raises(ValueError, match="not finite"):
            measure(holed, x)
        with pytest.raises(ShapeError):
            measure(x[:0], x)
    with pytest.raises(ValueError, match="not finite"):
        quality.nearness(x, x, holed)  # was no copies at all, and an attack worse than a guess
    with pytest.raises(ShapeError):
        quality.nearness(x, x, x[:0])


def test_a_gan_of_large_numbers_of_a_frame_and_of_no_samples() -> None:
    pytest.importorskip("torch", reason="torch is not installed: want the extra `torch`")
    rng = np.random.default_rng(0)

    large = GAN(epochs=1, hidden=(4,), noise_dim=2).fit({"a": rng.normal(size=40) * 1e30, "b": rng.integers(0, 9, 40)})
    made = large.sample(50)
    assert made["a"].dtype.kind == "f" and (made["a"] > 0).any() and made["b"].dtype.kind == "i"  # were -2^63 all
    for wrong in (0, -1, 2.5):
        with pytest.raises(ConfigError, match="whole number"):
            large.sample(wrong)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: want the extra `test`")
    frame = pandas.DataFrame({"a": rng.normal(size=40), "y": np.arange(40) % 2})
    made = GAN(epochs=1, hidden=(4,), noise_dim=2).fit(frame, label="y").sample(5)
    assert isinstance(made, pandas.DataFrame) and list(made) == ["a", "y"]  # was a dict


# --- packages that are not installed
X = np.random.default_rng(0).normal(size=(40, 3))
HALF = np.arange(40) % 2


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("dp_accounting", lambda: Laplace(0.777, 1.0).privacy()),
        ("torch", lambda: GAN(epochs=1).fit(X, HALF)),
        ("torch", lambda: AdversarialEncoder(2).fit(X, task=HALF, private=np.arange(40) // 20)),
        ("torch", lambda: run(lambda s: AdversarialEncoder(2).fit_secret(shared(s, X), task=HALF, private=HALF))),
        ("sklearn", lambda: audit.attribute_inference(lambda x: x, raw=X, private=HALF)),
        ("sklearn", lambda: quality.utility(None, (X, HALF), (X, HALF), (X, HALF))),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    package: str, use: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf'{package} is not installed.*pip install "mpc\['):
        use()


@pytest.mark.parametrize("dp", [Laplace(1e-3, 1e8), Gaussian(noise_multiplier=1e6, sensitivity=1e5)])
def test_more_noise_than_there_are_digits_for_says_what_to_do(dp: Any) -> None:
    with pytest.raises(ValueError, match="a larger epsilon, a smaller sensitivity"):
        run(lambda s: shared(s, [1.0, 2.0]).sum().reveal(dp=dp))
