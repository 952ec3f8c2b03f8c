"""`mpc bench privacy-synthesis`: what synthetic records are worth, on public data.

Train on synthetic, test on real; distances of distributions; nearness to training records. Settings (and, for images, the
epoch that is kept) are chosen on validation data; the test records are used once, for what is printed. The validation and
nearness figures look at real records and are not covered by any epsilon.
"""
from __future__ import annotations

import argparse
import copy
import gzip
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.benchmarks import machine, privacy_adult, privacy_digits
from mpc.privacy.synthesis import GAN, quality

Array = npt.NDArray[Any]
Split = tuple[Array, Array]


def main(argv: list[str] | None = None) -> int:
    """Run the cases; the exit code."""
    parser = argparse.ArgumentParser(prog="privacy_synthesis", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)} [all]")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of mnist/ and adult/ (MPC_TEST_DATA)")
    parser.add_argument("--epochs", type=int, metavar="N", help="of the GANs for mnist and adult")
    parser.add_argument("--json", metavar="FILE", help="write everything measured here, after every case and epoch")
    wanted = parser.parse_args(argv)
    if unknown := [name for name in wanted.cases if name not in CASES]:
        parser.error(f"got {unknown[0]}; want some of {', '.join(CASES)}")
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="sklearn")
    result: dict[str, Any] = {"machine": machine.describe(), "cases": {}}

    def write() -> None:
        if wanted.json:
            Path(wanted.json).write_text(json.dumps(result, indent=1) + "\n")

    for name in wanted.cases or CASES:
        started = time.monotonic()
        found: dict[str, Any] = {}
        result["cases"][name] = found
        CASES[name](Path(wanted.data), wanted.epochs, found, write)
        found["seconds"] = round(time.monotonic() - started, 1)
        write()
        print(name, json.dumps(found, indent=1), flush=True)
    return 0


# --- MNIST: a GAN of principal components
def mnist(folder: Path, epochs: int | None, found: dict[str, Any], write: Callable[[], None]) -> None:
    """55,000 images train the GAN, 5,000 choose the epoch, 10,000 test."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    x, y = _idx(folder / "mnist" / "train-images-idx3-ubyte.gz"), _idx(folder / "mnist" / "train-labels-idx1-ubyte.gz")
    test = _idx(folder / "mnist" / "t10k-images-idx3-ubyte.gz"), _idx(folder / "mnist" / "t10k-labels-idx1-ubyte.gz")
    train, validation = (x[:55000], y[:55000]), (x[55000:], y[55000:])
    gan = GAN(epochs=epochs or 20, batch_size=128, hidden=(256, 256), lr=1e-3)
    found.update(settings=privacy_adult.settings_of(gan), history=[])
    best: tuple[float, Any] = (0.0, None)
    small = SVC(C=5.0)
    started = time.process_time()

    def after(epoch: int, generator: Any) -> None:
        nonlocal best
        if epoch % 4 < 3:
            return
        made = gan.sample(labels=np.arange(4000) % 10, generator=generator)
        score = float(small.fit(_flat(made[0]), made[1]).score(_flat(validation[0]), validation[1]))
        found["history"].append([epoch + 1, round(score, 4), round(time.process_time() - started)])
        if score > best[0]:
            best = score, copy.deepcopy(generator)
        write()
        print(found["history"][-1], file=sys.stderr, flush=True)

    gan.fit(*train, log=after)
    made = gan.sample(labels=np.arange(50000) % 10, generator=best[1])
    full = MLPClassifier((128,), max_iter=10, batch_size=500, random_state=0)
    sets = [(_flat(a), b) for a, b in (train, made, test)]
    few = [(a[:10000], b[:10000]) for a, b in sets[:2]]
    found["accuracy, svc on 10,000"] = quality.utility(small, few[0], few[1], sets[2])._asdict()
    write()
    found["accuracy, mlp on all"] = quality.utility(full, sets[0], sets[1], sets[2])._asdict()
    near = quality.nearness(sets[0][0][:10000], sets[2][0][:5000], sets[1][0][:5000])
    found["nearness"] = {**near._asdict(), "note": "to 10,000 of the training images"}


def _flat(images: Array) -> Array:
    return images.reshape(len(images), -1) / np.float32(255)


def _idx(path: Path) -> Array:
    raw = gzip.decompress(path.read_bytes())
    images = raw[3] == 3
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28) if images else np.frombuffer(raw, np.uint8, offset=8)


CASES: Final[dict[str, Callable[[Path, int | None, dict[str, Any], Callable[[], None]], None]]] = {
    "mnist": mnist, "adult": privacy_adult.plain, "adult-private": privacy_adult.private, "adult-marginals":
    privacy_adult.marginals, "adult-shares": privacy_adult.shares, "digits": privacy_digits.moments, "digits-shares":
    privacy_digits.shares, "digits-gan": privacy_digits.gan,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
