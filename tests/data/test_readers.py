"""Files of arrays and tables: what is read, and that damaged or strange ones are refused by name and line."""
from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc import data
from mpc.errors import ConfigError, IntegrityError, NotSupported, ShapeError


def idx(array: np.ndarray, code: int) -> bytes:
    big = array.astype(array.dtype.newbyteorder(">"))
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + big.tobytes()


@pytest.mark.parametrize("dtype,code", [("u1", 8), ("i1", 9), ("i2", 11), ("i4", 12), ("f4", 13), ("f8", 14)])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (0, 5)])
def test_idx(dtype: str, code: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    for name, contents in (("a-ubyte", idx(array, code)), ("a.gz", gzip.compress(idx(array, code)))):
        (tmp_path / name).write_bytes(contents)
        got = data.read_idx(tmp_path / name)
        assert got.dtype == array.dtype and got.shape == shape
        np.testing.assert_array_equal(got, array)


GOOD = idx(np.arange(6, dtype="u1").reshape(2, 3), 8)


@pytest.mark.parametrize("contents,error,text", [
    (b"", IntegrityError, "two zero bytes"),
    (b"\0\0\x08", IntegrityError, "two zero bytes"),
    (b"PNG" + GOOD, IntegrityError, "504e4747"[:6]),
    (b"\0\0\x07\x01\0\0\0\0", NotSupported, "0x07"),
    (GOOD[:7], IntegrityError, "announces 2 dimensions"),
    (GOOD[:-1], IntegrityError, r"announces shape \(2, 3\), 6 bytes; it has"),
    (GOOD + b"x", IntegrityError, "6 bytes; it has"),
    (b"\0\0\x0e\x04" + b"\xff" * 16, IntegrityError, "announces shape"),
], ids=["empty", "short", "magic", "type", "sizes", "cut", "long", "huge"])  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_idx_that_is_damaged(contents: bytes, error: type[Exception], text: str, packed: bool, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(contents) if packed else contents)
    with pytest.raises(error, match=text):
        data.read_idx(tmp_path / "x")


def test_gzip_that_is_damaged(tmp_path: Path) -> None:
    whole = gzip.compress(GOOD * 50)
    for contents in (whole[:-12], whole[:30], whole[:12] + b"\0\0\0\0" + whole[16:]):
        (tmp_path / "x").write_bytes(contents)
        with pytest.raises(IntegrityError, match="x (is|announces)"):
            data.read_idx(tmp_path / "x")


def test_npy(tmp_path: Path) -> None:
    array = np.arange(12.0).reshape(3, 4)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "b.npz", a=array, text=np.array(["x", "y"]))
    np.testing.assert_array_equal(data.read_npy(tmp_path / "a.npy"), array)
    both = data.read_npy(tmp_path / "b.npz")
    np.testing.assert_array_equal(both["a"], array)
    assert both["text"].tolist() == ["x", "y"]
    np.save(tmp_path / "o.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "o.npz", o=np.array([{}, None], dtype=object))
    for name in ("o.npy", "o.npz"):
        with pytest.raises(NotSupported, match="Python objects"):
            data.read_npy(tmp_path / name)
    whole = (tmp_path / "a.npy").read_bytes()
    for contents in (b"", whole[:50], whole[:-1], b"x" * 100, whole.replace(b"(3, 4)", b"(9, 9)")):
        (tmp_path / "bad.npy").write_bytes(contents)
        (tmp_path / "bad.npz").write_bytes(contents)
        for name in ("bad.npy", "bad.npz")[: 1 if contents[:6] == whole[:6] else 2]:
            with pytest.raises(IntegrityError, match="bad"):
                data.read_npy(tmp_path / name)


def table(tmp_path: Path, text: str, **options: Any) -> data.Table:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8-sig")
    return data.read_csv(tmp_path / "t.csv", **options)


def test_csv(tmp_path: Path) -> None:
    got = table(tmp_path, 'age,"pay, net",x\n 30 ,1.5e3, -2\n\n.5,+7.,0\n')
    assert got.names == ["age", "pay, net", "x"] and len(got) == 2 and got.categories == {}
    np.testing.assert_array_equal(got.values, [[30, 1500, -2], [0.5, 7, 0]])
    np.testing.assert_array_equal(got["age"], [30, 0.5])
    np.testing.assert_array_equal(got[["x", "age"]], [[-2, 30], [0, 0.5]])
    assert "1500" not in repr(got)
    np.testing.assert_array_equal(table(tmp_path, "a,b\n1,2\n", columns=["b"]).values, [[2]])
    np.testing.assert_array_equal(table(tmp_path, "1;2\n3;4", delimiter=";", header=False).values, [[1, 2], [3, 4]])
    assert table(tmp_path, "1;2", delimiter=";", header=False).names == ["0", "1"]
    spaces = table(tmp_path, "note\n  1  2 \n 3\t4\n", delimiter=None, header=False, names=["a", "b"], skip_rows=1)
    np.testing.assert_array_equal(spaces[["a", "b"]], [[1, 2], [3, 4]])
    assert table(tmp_path, "a,b\n").values.shape == (0, 2)
    assert table(tmp_path, "old,b\n1,2", names=["new", "b"]).names == ["new", "b"]


def test_categories(tmp_path: Path) -> None:
    text = "sex,n\nf,1\nm,2\n?,3\nf,4\n"
    got = table(tmp_path, text, categories=["sex"])
    assert got.categories == {"sex": ["?", "f", "m"]} and got["sex"].tolist() == [1, 2, 0, 1]
    got = table(tmp_path, text, categories=["sex"], missing=-1)
    assert got.categories == {"sex": ["f", "m"]} and got["sex"].tolist() == [0, 1, -1, 0]
    got = table(tmp_path, text, categories={"sex": ["m", "f", "?"]}, columns=["n", "sex"])
    assert got["sex"].tolist() == [1, 0, 2, 1] and got.names == ["n", "sex"]
    np.testing.assert_array_equal(got.one_hot("sex"), [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    with pytest.raises(ConfigError, match="no categories"):
        got.one_hot("n")
    with pytest.raises(ConfigError, match="no column 'x'"):
        got["x"]


@pytest.mark.parametrize("text,options,error,match", [
    ("a,b\n1,2\n1,two\n", {}, NotSupported, "line 3, column 'b': got 'two'; want a number"),
    ("a,b\n1,2\n\n1\n", {}, ShapeError, "line 4: 1 cells; want 2"),
    ("a,b\n1,2,3\n", {}, ShapeError, "line 2: 3 cells"),
    ("a\n?\n", {}, NotSupported, "line 2, column 'a': got '\\?', a missing value"),
    ("a,b\n1,\n", {}, NotSupported, "line 2, column 'b': got '', a missing value"),
    ("a\nnan\n", {}, NotSupported, "missing value"),
    ("a\ninf\n", {"missing": 0}, NotSupported, "got 'inf'"),
    ("a\n1e999\n", {}, NotSupported, "got '1e999'"),
    ("a\n1_0\n", {}, NotSupported, "got '1_0'"),
    ("a\n0x1\n", {}, NotSupported, "got '0x1'"),
    ("a\n１\n", {}, NotSupported, "got '１'"),
    ("a,a\n1,2\n", {}, ShapeError, "different name"),
    ("a,b\n1,2\n", {"names": ["a"]}, ShapeError, "2 columns for the names"),
    ("a,b\n1,2\n", {"columns": ["c"]}, ConfigError, "no column 'c'"),
    ("a,b\n1,2\n", {"categories": ["c"]}, ConfigError, "no column 'c'"),
    ("a\nx\n", {"categories": {"a": ["y"]}}, NotSupported, r"line 2, column 'a': got 'x'; want one of \['y'\]"),
    ("", {}, ShapeError, "no lines"),
    ('a\n"1\n', {}, NotSupported, "cannot be read"),
    ("a\n1\n", {"delimiter": "::"}, NotSupported, "delimiter"),
])  # fmt: skip
def test_csv_that_is_refused(text: str, options: dict[str, Any], error: type[Exception], match: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=match):
        table(tmp_path, text, **options)


def test_missing_values_as_asked(tmp_path: Path) -> None:
    text = "a,b\n1,\nNA,2\n"
    np.testing.assert_array_equal(table(tmp_path, text, missing=-9).values, [[1, -9], [-9, 2]])
    np.testing.assert_array_equal(table(tmp_path, text, missing=math.nan).values, [[1, math.nan], [math.nan, 2]])


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(NotSupported, match=r"x\.csv cannot be read as text"):
        data.read(tmp_path / "x.csv")


def test_by_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;b\n1;2\n")
    (tmp_path / "u.tsv").write_text("a\tb\n1\t2\n")
    (tmp_path / "labels-idx1-ubyte.gz").write_bytes(gzip.compress(GOOD))
    np.save(tmp_path / "n.npy", np.arange(3))
    (tmp_path / "notes.txt").write_text("nothing")
    assert data.read(tmp_path / "t.csv", delimiter=";").names == data.read(tmp_path / "u.tsv").names == ["a", "b"]
    assert data.read(tmp_path / "labels-idx1-ubyte.gz").shape == (2, 3) and data.read(tmp_path / "n.npy").shape == (3,)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert sorted(data.read(tmp_path)) == ["labels-idx1-ubyte", "n", "t", "u"]
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: data.read(tmp_path / "notes.txt"), "does not say"),
        (lambda: data.read(tmp_path / "n.npy", header=False), "only csv"),
        (lambda: data.read(tmp_path / "absent.csv"), "there is .*notes.txt"),
        (lambda: data.read_csv(tmp_path), "a folder"),
        (lambda: data.read_idx("/no/such/place"), "nothing is there"),
    ]
    for call, text in calls:
        with pytest.raises(ConfigError, match=text):
            call()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="without a file"):
        data.read(tmp_path / "empty")


def test_mnist_refuses(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        data.mnist(tmp_path / "none")
    images, labels = np.zeros((4, 2, 2), "u1"), np.arange(4, dtype="u1")
    for name, array in (("train-images-idx3", images), ("train-labels-idx1", labels), ("t10k-images-idx3", images)):
        (tmp_path / f"{name}-ubyte").write_bytes(idx(array, 8))
    with pytest.raises(ConfigError, match="without t10k-labels-idx1-ubyte"):
        data.mnist(tmp_path)
    (tmp_path / "t10k-labels.idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels[:3], 8)))
    with pytest.raises(ShapeError, match=r"test images of uint8 \(4, 2, 2\) and labels of uint8 \(3,\)"):
        data.mnist(tmp_path)
    (tmp_path / "t10k-labels.idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels, 8)))
    assert [a.shape for a in data.mnist(tmp_path)] == [(4, 2, 2), (4,), (4, 2, 2), (4,)]


def test_real_mnist(data_folder: Path) -> None:
    images, labels, test_images, test_labels = data.mnist(data_folder / "mnist")
    assert images.shape == (60000, 28, 28) and test_images.shape == (10000, 28, 28) and images.dtype == np.float32
    assert images.min() == 0 and images.max() == 1 and images.mean() == pytest.approx(0.1307, abs=1e-4)
    assert images.std() == pytest.approx(0.3081, abs=1e-4)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9] and labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


ADULT = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain capital-loss "
    "hours-per-week native-country income"
).split()


def test_real_tables(data_folder: Path) -> None:
    credit = data.read_csv(data_folder / "credit" / "UCI_Credit_Card.csv")
    assert credit.values.shape == (30000, 25) and credit["default.payment.next.month"].sum() == 6636
    german = data.read_csv(data_folder / "credit" / "german.data-numeric", delimiter=None, header=False)
    assert german.values.shape == (1000, 25) and np.bincount(german["24"].astype(int)).tolist() == [0, 700, 300]
    coded = data.read_csv(data_folder / "credit" / "german.data", delimiter=" ", header=False, categories=["0", "8"],
                          columns=["0", "1", "8", "20"])  # fmt: skip
    assert coded.values.shape == (1000, 4) and coded.categories["0"] == ["A11", "A12", "A13", "A14"]
    texts = [n for n in ADULT if n not in ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")]
    train = data.read_csv(data_folder / "adult" / "adult.data", header=False, names=ADULT, categories=texts)
    assert train.values.shape == (32561, 15) and train["income"].sum() == 7841
    assert np.bincount(train["sex"].astype(int)).tolist() == [10771, 21790] and train.categories["sex"] == ["Female", "Male"]
    assert (train[["workclass", "occupation", "native-country"]] == 0).any(1).sum() == 2399, "'?' sorts first"
    test = data.read_csv(data_folder / "adult" / "adult.test", header=False, names=ADULT, skip_rows=1,
                         columns=["age", "income"], categories={"income": ["<=50K.", ">50K."]})  # fmt: skip
    assert len(test) == 16281 and test["income"].sum() == 3846
    with pytest.raises(NotSupported, match="line 1, column 'workclass': got 'State-gov'"):
        data.read_csv(data_folder / "adult" / "adult.data", header=False, names=ADULT)
    people = data.read(data_folder / "assistant" / "motionsense" / "data_subjects_info.csv")
    assert people.names == ["code", "weight", "height", "age", "gender"] and people["gender"].sum() == 14
    windows = data.read(data_folder / "assistant" / "motionsense" / "motionsense_windows128.npz")
    assert windows["X_feat"].shape == (10854, 98) and np.bincount(windows["activity"]).tolist() == [
        997, 1190, 2655, 1025, 2620, 2367
    ]  # fmt: skip
