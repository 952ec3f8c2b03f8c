"""A saved GAN draws what it drew before, tables with their columns and categories; a damaged file is refused as a whole."""
from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.errors import ConfigError
from mpc.privacy import GAN

pytest.importorskip("torch", reason="torch is not installed")
RNG = np.random.default_rng(0)
TINY: dict[str, Any] = {"epochs": 1, "hidden": (4,), "noise_dim": 2, "batch_size": 20}
TABLE = {
    "age": RNG.integers(18, 90, 60), "gain": np.where(RNG.random(60) < 0.5, 0.0, RNG.exponential(100.0, 60)),
    "town": RNG.choice(["Bonn", "Kiel", "Ulm"], 60), "sick": np.array(["no", "yes"])[np.arange(60) % 2],
}  # fmt: skip
IMAGES = RNG.integers(0, 256, (60, 8, 8), dtype=np.uint8)


def again(gan: GAN, path: Path) -> GAN:
    gan.save(path)
    return GAN.load(path)


def test_a_table_keeps_its_columns_and_categories(tmp_path: Path) -> None:
    gan = GAN(**TINY).fit(TABLE, label="sick")
    back = again(gan, tmp_path / "gan.npz")
    for asked in ({"n": 40}, {"n": 40, "seed": 3}, {"labels": ["yes", "no", "yes"]}):
        drawn, wanted = back.sample(**asked), gan.sample(**asked)
        assert list(drawn) == list(TABLE) == list(wanted) and type(drawn) is dict
        for name in TABLE:
            assert drawn[name].dtype == wanted[name].dtype and np.array_equal(drawn[name], wanted[name]), name
    assert back.settings == gan.settings and back.guarantee_ is None
    with pytest.raises(ConfigError, match="want one of"):
        back.sample(labels=["perhaps"])


def test_a_frame_comes_back_as_one_and_a_dict_with_numbered_columns_too(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: want the extra `test`")
    frame = pandas.DataFrame(TABLE).rename(columns={"age": 7})
    gan = GAN(**TINY).fit(frame, label="sick")
    made = again(gan, tmp_path / "gan.npz").sample(9)
    assert isinstance(made, pandas.DataFrame) and list(made) == list(gan.sample(9)) and 7 in list(made)
    assert made.equals(gan.sample(9))
    with pytest.raises(ConfigError, match="text or whole numbers"):
        GAN(**TINY).fit({("a", "b"): TABLE["gain"]}).save(tmp_path / "b.npz")
    assert not (tmp_path / "b.npz").exists()


@pytest.mark.parametrize("components", [0, 6])
@pytest.mark.parametrize("images", [IMAGES, np.stack([IMAGES / 255.0] * 3, 1).astype(np.float32)], ids=["bytes", "colours"])
def test_images_keep_shape_range_and_type(tmp_path: Path, images: Any, components: int) -> None:
    gan = GAN(**TINY, width=2, components=components).fit(images, np.arange(60) % 3)
    drawn, wanted = (g.sample(8) for g in (again(gan, tmp_path / "gan.npz"), gan))
    assert drawn[0].dtype == images.dtype and drawn[0].shape == (8, *images.shape[1:])
    assert all(np.array_equal(a, b) for a, b in zip(drawn, wanted, strict=True))


def test_arrays_without_labels(tmp_path: Path) -> None:
    gan = GAN(**TINY).fit(TABLE["gain"][:, None])
    assert np.array_equal(again(gan, tmp_path / "gan.npz").sample(8), gan.sample(8))
    with pytest.raises(ConfigError, match="call fit"):
        GAN().save(tmp_path / "none.npz")


def test_a_guarantee_is_kept(tmp_path: Path) -> None:
    for package in ("opacus", "dp_accounting"):
        pytest.importorskip(package, reason=f"{package} is not installed: want the extra `privacy`")
    gan = GAN(**{**TINY, "batch_size": 60}, epsilon=2.0, start=0).fit(TABLE["age"][:, None], low=0, high=100)
    back = again(gan, tmp_path / "gan.npz")
    assert gan.guarantee_ is not None and back.guarantee_ is not None
    before, after = (g.guarantee_.epsilon(g.delta) for g in (gan, back))  # type: ignore[union-attr]
    assert before <= after < before + 2e-3 and back.guarantee_.delta(0.5) > 0.01
    assert np.array_equal(back.sample(8), gan.sample(8))


@pytest.mark.parametrize(("name", "value"), [
    ("generator/body.0.weight", np.full((4, 4), np.nan)), ("generator/body.0.weight", np.zeros((4, 5))),
    ("generator/body.0.bias", np.array(["a"])), ("generator/body.1.running_var", -np.ones(4)), ("generator/more", np.ones(1)),
    ("frequencies", np.array([0.5, 0.6])), ("frequencies", np.array([1.0])), ("frequencies", np.array([np.nan, 1.0])),
    ("knots 0", np.array([1.0])), ("knots 1", np.full(129, np.inf)), ("modes 1", np.zeros(3)), ("categories 2", np.array("a")),
    ("categories 2", np.array(["Bonn"])), ("classes", None), ("modes 0", None), ("generator/body.0.bias", None),
    ("head", {"columns": []}), ("head", {"table": "os"}), ("head", {"settings": {}}), ("head", {"guarantee": -1.0}),
    ("head", {"guarantee": float("nan")}),
    ("head", {"columns": [["age", None]]}), ("head", {"image": {"shape": [8, 8], "low": 0, "high": 1, "type": "O"}}),
])  # fmt: skip
def test_a_damaged_file_is_refused_as_a_whole(tmp_path: Path, saved: dict[str, Any], name: str, value: Any) -> None:
    arrays = dict(saved)
    if value is None:
        del arrays[name]
    else:
        head = json.loads(str(arrays["head"]))
        arrays[name] = np.array(json.dumps({**head, **value})) if isinstance(value, dict) else value
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(ConfigError, match="whole GAN"):
        GAN.load(tmp_path / "b.npz")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("gan") / "a.npz"
    GAN(**TINY).fit(TABLE, label="sick").save(path)
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_other_files_and_claims_of_size(tmp_path: Path, saved: dict[str, Any]) -> None:
    path = tmp_path / "c.npz"
    for other in (b"", b"not a zip file", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(other)
        with pytest.raises(ConfigError, match="no saved GAN"):
            GAN.load(path)
    head = json.loads(str(saved["head"]))
    np.savez(path, **{**saved, "head": np.array(json.dumps({**head, "format": "mpc adversarial encoder 1"}))})
    with pytest.raises(ConfigError, match="no saved GAN"):
        GAN.load(path)
    with pytest.raises(FileNotFoundError):
        GAN.load(tmp_path / "none.npz")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for claim in ({"hidden": [10**7, 10**7]}, {"noise_dim": 10**9}, {"noise_dim": 2.5}, {"noise_dim": 10**40}):
        large = {**head, "settings": {**head["settings"], **claim}}
        np.savez(path, **{**saved, "head": np.array(json.dumps(large))})
        with pytest.raises(ConfigError, match="whole GAN"):
            GAN.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
