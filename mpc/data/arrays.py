"""Files of arrays: idx (MNIST's format, gzip or not) and NumPy's npy and npz. Headers are checked against the file."""
from __future__ import annotations

import gzip
import math
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.errors import ConfigError, IntegrityError, NotSupported, ShapeError

Array = npt.NDArray[Any]
PathLike = str | os.PathLike[str]

_GZIP: Final = b"\x1f\x8b"
_IDX_TYPES: Final = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MNIST: Final = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def existing(path: PathLike) -> Path:
    """The path of a file that is there. Raises ConfigError that says what is there instead."""
    found = Path(path)
    if found.is_file():
        return found
    folder = found if found.is_dir() else found.parent
    names = sorted(p.name for p in folder.iterdir())[:12] if folder.is_dir() else []
    what = f"there is {', '.join(names)}" if names else "nothing is there"
    raise ConfigError(f"got {found}; want a file ({'a folder: ' if found.is_dir() else ''}in {folder} {what})")


def read_idx(path: PathLike) -> Array:
    """The array of an idx file, in its own type and shape; gzip is recognised by its first bytes.

    Raises ConfigError for a missing file, IntegrityError when it is no idx file or its length is not what its header
    announces, NotSupported for an unknown type of elements.
    """
    file = existing(path)
    with file.open("rb") as raw:
        packed = raw.read(2) == _GZIP
    try:
        with gzip.open(file, "rb") if packed else file.open("rb") as stream:
            start = stream.read(4)
            if len(start) < 4 or start[:2] != b"\0\0":
                raise IntegrityError(f"{file} starts with {start.hex()}; want an idx file: two zero bytes, type, dimensions")
            if start[2] not in _IDX_TYPES:
                raise NotSupported(f"{file} has elements of type 0x{start[2]:02x}; want one of {[hex(t) for t in _IDX_TYPES]}")
            sizes = stream.read(4 * start[3])
            if len(sizes) < 4 * start[3]:
                raise IntegrityError(f"{file} announces {start[3]} dimensions and ends before their sizes")
            shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
            dtype = np.dtype(_IDX_TYPES[start[2]])
            want = math.prod(shape) * dtype.itemsize
            if not packed and want != os.path.getsize(file) - 4 - len(sizes):
                raise IntegrityError(f"{file} announces shape {shape}, {want} bytes; it has "
                                     f"{os.path.getsize(file) - 4 - len(sizes)}")
            body = _bounded(stream, want)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise IntegrityError(f"{file} is a damaged gzip file: {error}") from None
    if len(body) != want:
        more = "more" if len(body) > want else f"only {len(body)}"
        raise IntegrityError(f"{file} announces shape {shape}, {want} bytes; it has {more}")
    return np.frombuffer(body, dtype).astype(dtype.newbyteorder("=")).reshape(shape)


def _bounded(stream: Any, want: int) -> bytes:
    """``want`` bytes, one more if there are more; in steps, so that a false header does not claim the memory at once."""
    parts: list[bytes] = []
    left = want + 1
    while left > 0:
        part = stream.read(min(left, 1 << 24))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def read_npy(path: PathLike) -> Array | dict[str, Array]:
    """The array of an npy file; of an npz file, a dict of its arrays by name. Nothing is unpickled.

    Raises ConfigError for a missing file, NotSupported for arrays of Python objects, IntegrityError for damaged files.
    """
    file = existing(path)
    packed = file.suffix == ".npz"
    with file.open("rb") as raw:
        start = raw.read(6)
    if start[:2] != b"PK" if packed else start != b"\x93NUMPY":
        raise IntegrityError(f"{file} starts with {start.hex()}; want a NumPy file")
    try:
        if packed:
            return _archive(file)
        return _numbers(file, np.load(file, mmap_mode="r", allow_pickle=False))  # mapped: no more than is there
    except _DAMAGES as error:
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise NotSupported(f"{file} holds Python objects, which only unpickling could read; want numbers") from None
        raise IntegrityError(f"{file} is no NumPy file, or is damaged: {error}") from None


# what NumPy, zipfile and zlib raise for headers and members that make no sense; all of it means a damaged file here
_DAMAGES: Final = (
    ValueError, EOFError, OSError, MemoryError, RuntimeError, NotImplementedError, KeyError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def _numbers(file: Path, array: Array) -> Array:
    if array.dtype.kind not in "biufUS":
        raise NotSupported(f"{file} holds an array of dtype {array.dtype}; want numbers (or texts)")
    return np.array(array)


def _archive(file: Path) -> dict[str, Array]:
    """The arrays of an npz file, none larger than its member says it is."""
    out: dict[str, Array] = {}
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                raise NotSupported(f"{file} has a member {info.filename!r}; want arrays (.npy)")
            with archive.open(info) as stream:
                version = np.lib.format.read_magic(stream)
                header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = header(stream)
            if math.prod(shape) * max(1, dtype.itemsize) > info.file_size:
                raise IntegrityError(f"{file}: {info.filename} announces {shape} of {dtype}; it has {info.file_size} bytes")
            with archive.open(info) as stream:
                out[info.filename.removesuffix(".npy")] = _numbers(file, np.lib.format.read_array(stream, allow_pickle=False))
    return out


def mnist(folder: PathLike) -> tuple[Array, Array, Array, Array]:
    """(train_images, train_labels, test_images, test_labels) of MNIST, or of what has its four files, from a folder.

    Images: float32 from 0 (background) to 1, shape (n, 28, 28); labels: int64, shape (n,). The files may be packed
    (.gz) or not. Raises ConfigError naming a missing file, IntegrityError, ShapeError when images and labels do not fit.
    """
    place = Path(folder)
    found: list[Array] = []
    for name in _MNIST:
        names = [name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz"]
        path = next((place / n for n in names if (place / n).is_file()), None)
        if path is None:
            there = sorted(p.name for p in place.iterdir())[:12] if place.is_dir() else "no such folder"
            raise ConfigError(f"mnist: got {place} without {name} or {name}.gz; there: {there}")
        found.append(read_idx(path))
    for images, labels, which in ((found[0], found[1], "train"), (found[2], found[3], "test")):
        if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise ShapeError(f"mnist: {which} images of {images.dtype} {images.shape} and labels of {labels.dtype} "
                             f"{labels.shape}; want bytes (n, rows, columns) and (n,)")
    images, labels, test_images, test_labels = found
    scale = np.float32(255)
    return images / scale, labels.astype(np.int64), test_images / scale, test_labels.astype(np.int64)
