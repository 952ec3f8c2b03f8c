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
from mpc.privacy.synthesis import GAN, MomentSynthesizer, basis, quality

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

    train, validation, test = _mnist(folder)
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


def mnist_private(folder: Path, epochs: int | None, found: dict[str, Any], write: Callable[[], None]) -> None:
    """Class moments of 64 low frequencies of the images, which are public, and a GAN that begins with such moments. 55,000
    images are released from; on 5,000 the clipping norm is chosen, which no epsilon covers; 10,000 test, with three draws of
    the noise each."""
    from sklearn.svm import SVC

    (x, y), validation, test = _mnist(folder)
    waves = basis.cosines(28, 28, 1, 64)
    bound = 28 / float(waves.scale.min())  # of the norm: a pixel is at most 1

    def encoded(images: Array) -> Array:
        return waves.encode(2 * _flat(images) - 1)

    def right(made: Split, real: Split) -> float:
        return float(SVC(C=5.0).fit(made[0][:10000], made[1][:10000]).score(encoded(real[0]), real[1]))

    def moments(epsilon: float | None, residual: float | None) -> Split:
        limits: dict[str, Any] = {"low": -bound, "high": bound, "max_norm": 1.0, "max_residual": residual} if epsilon else {}
        return MomentSynthesizer(epsilon, 1e-5, covariance="class", **limits).fit(rows, y, classes=10).sample(10000)

    rows = encoded(x)
    found["real"] = round(right((rows, y), test), 4)
    for epsilon in (None, 10.0, 3.0, 1.0):
        tried = {r: right(moments(epsilon, r), validation) for r in ((0.2, 0.3, 0.4, 0.5) if epsilon else (None,))}
        best = max(tried, key=lambda r: tried[r])
        scores = [round(right(moments(epsilon, best), test), 4) for _ in range(3 if epsilon else 1)]
        found[f"moments, epsilon {epsilon}"] = {"max_residual": best, "test": scores}
        write()
    gan = GAN(epochs=epochs or 5, batch_size=500, noise_dim=32, hidden=(256,), average=0.99, lr=1e-3, epsilon=3.0)
    images, labels = gan.fit(x, y, classes=10).sample(10000)
    found["GAN, epsilon 3"] = {"settings": privacy_adult.settings_of(gan), "test": right((encoded(images), labels), test)}


def _mnist(folder: Path) -> tuple[Split, Split, Split]:
    """Training, validation and test images."""
    x, y, *test = (_idx(folder / "mnist" / f"{part}-idx{axes}-ubyte.gz") for part, axes in (
        ("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1)))  # fmt: skip
    return (x[:55000], y[:55000]), (x[55000:], y[55000:]), (test[0], test[1])


def _flat(images: Array) -> Array:
    return images.reshape(len(images), -1) / np.float32(255)


def _idx(path: Path) -> Array:
    raw = gzip.decompress(path.read_bytes())
    images = raw[3] == 3
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28) if images else np.frombuffer(raw, np.uint8, offset=8)


CASES: Final[dict[str, Callable[[Path, int | None, dict[str, Any], Callable[[], None]], None]]] = {
    "mnist": mnist, "mnist-private": mnist_private,
    "adult": privacy_adult.plain, "adult-private": privacy_adult.private,
    "adult-marginals": privacy_adult.marginals, "adult-shares": privacy_adult.shares,
    "digits": privacy_digits.moments, "digits-shares": privacy_digits.shares, "digits-gan": privacy_digits.gan,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
