"""What is measured: names, titles, the figures to reach (2 cores, N = 2) and two other systems' figures.

The others' figures come from peers.md: another machine of this kind, another day. Compare by ratio to the yardstick
(torch's int64 product of 1024^3 on one thread: 5.1 GMAC/s there).
"""
from __future__ import annotations

from typing import Final, NamedTuple

GROUPS: Final = ("kernels", "links", "protocols", "functions", "layers", "training", "noise", "stored", "paillier", "network",
                 "mnist", "federated")
ON_REQUEST: Final = ("network", "mnist", "federated")  # minutes each, and need root, data or torch: only where asked for
PEERS: Final = ("CrypTen TFP", "SPU semi2k")
PEERS_NOTE: Final = "peers.md, another day: torch int64 1024^3 at 5.1 GMAC/s there"


class Entry(NamedTuple):
    """One name of ``--only``. A kernel name may give several rows, told apart by their variant."""

    name: str
    group: str
    title: str
    goal: float | None = None  # seconds for workloads
    peers: tuple[float | None, float | None] = (None, None)  # seconds
    goal_mb: float | None = None  # online, sent per party
    goal_error: float | None = None
    relative: bool = False  # the error, to the value
    peer_errors: tuple[float | None, float | None] = (None, None)


ENTRIES: Final = (
    Entry("yardstick", "kernels", "int64 product 1024^3, one thread"),
    Entry("matmul", "kernels", "matrix product modulo 2^64, one thread"),
    Entry("aes", "kernels", "AES-128-CTR stream of 8 MB"),
    Entry("elementwise", "kernels", "elementwise kernels, 10^6 words"),
    Entry("comparison", "kernels", "comparison kernels, 2^17 comparisons"),
    Entry("call", "kernels", "one kernel call from Python on one word"),
    Entry("aes-gcm", "links", "AES-256-GCM of the `cryptography` package, one core"),
    Entry("link-plain", "links", "ZeroMQ between two processes, loopback TCP"),
    Entry("link-curve", "links", "the same with CURVE"),
    Entry("link-sealed", "links", "the sealed channel over the plain one"),
    Entry("round", "protocols", "100 exchanges of an empty frame"),
    Entry("matmul-256", "protocols", "matrix product 256^3, truncated", None, (0.029, 0.116)),
    Entry("matmul-1024", "protocols", "matrix product 1024^3, truncated", 0.45, (1.00, 2.35)),
    Entry("matmul-784", "protocols", "matrix product 128x784x128, truncated", None, (0.042, 0.173)),
    Entry("product", "protocols", "elementwise product 10^6, truncated", 0.08, (0.203, 0.355)),
    Entry("compare", "protocols", "x > 0, 10^5", None, (0.33, 0.217)),
    Entry("relu", "protocols", "ReLU, 10^6", 0.20, (3.01, 2.28), 14.0),
    Entry("sequence", "protocols", "100 multiplications in sequence", 0.03, (0.30, 0.117)),
    Entry("start", "protocols", "start of all processes to the first reveal", 1.5, (1.95, 2.4)),
    Entry("sigmoid", "functions", "sigmoid on [-32, 32], 10^5", 0.08, (0.61, 1.25), None, 3e-4, False, (2.8e-3, 9.9e-4)),
    Entry("tanh", "functions", "tanh on [-16, 16], 10^5", goal_error=6e-4),
    Entry("erf", "functions", "erf on [-16, 16], 10^5", goal_error=1e-3),
    Entry("gelu", "functions", "gelu on [-16, 16], 10^5", goal_error=1e-3),
    Entry("exp", "functions", "exp on [-16, 10], 10^5", goal_error=1e-3, relative=True),
    Entry("exp-negative", "functions", "exp on [-16, 0], 10^5", goal_error=1e-4),
    Entry("reciprocal", "functions", "1/x on +-[2^-6, 2^13], 10^5", 0.2, (0.65, 1.1), goal_error=2e-4, relative=True),
    Entry("sqrt", "functions", "sqrt on [2^-8, 2^13], 10^5", goal_error=1e-3, relative=True),
    Entry("rsqrt", "functions", "1/sqrt on [2^-8, 2^13], 10^5", goal_error=1e-3, relative=True),
    Entry("log", "functions", "log on [2^-8, 2^13], 10^5", goal_error=1e-3),
    Entry("softmax", "functions", "softmax 1000x10", 0.03, (0.41, 0.28), None, 5e-4, False, (3.7e-3, 3.5e-3)),
    Entry("softmax-wide", "functions", "softmax 100x1000", goal_error=5e-4),
    Entry("log-softmax", "functions", "log_softmax 1000x10", goal_error=5e-4),
    Entry("log-softmax-wide", "functions", "log_softmax 100x1000", goal_error=5e-4),
    Entry("max", "functions", "max of 1000x10 along rows"),
    Entry("max-wide", "functions", "max of 100x1000 along rows"),
    Entry("argmax", "functions", "argmax of 1000x10 along rows"),
    Entry("argmax-wide", "functions", "argmax of 100x1000 along rows"),
    Entry("sort", "functions", "sort of 1000 values"),
    Entry("median", "functions", "median of 1000 values"),
    Entry("conv2d", "layers", "Conv2d(16, 32, 3, padding=1) of 128x16x14x14, forward"),
    Entry("conv2d-backward", "layers", "the same, forward and backward"),
    Entry("maxpool2d", "layers", "MaxPool2d(2) of 128x6x28x28, forward"),
    Entry("maxpool2d-backward", "layers", "the same, forward and backward"),
    Entry("avgpool2d", "layers", "AvgPool2d(2) of 128x6x28x28, forward"),
    Entry("avgpool2d-backward", "layers", "the same, forward and backward"),
    Entry("batchnorm2d", "layers", "BatchNorm2d(16) of 128x16x14x14 in training, forward"),
    Entry("batchnorm2d-backward", "layers", "the same, forward and backward"),
    Entry("layernorm", "layers", "LayerNorm(128) of 128x128, forward"),
    Entry("layernorm-backward", "layers", "the same, forward and backward"),
    Entry("logistic", "training", "logistic regression 569x30, 50 epochs", 0.3, (5.3, 2.5)),
    Entry("mlp-1", "training", "MLP 784-128-10, batch 128, one step (BCE)", 0.05, (0.55, 0.57)),
    Entry("mlp-2", "training", "MLP 784-128-128-10, batch 128, one step (BCE)", None, (0.92, 0.86)),
    Entry("step-sgd", "training", "784-128-128-10, cross-entropy, SGD with momentum, one step", 0.08, (0.92, 0.86)),
    Entry("step-adam", "training", "the same with Adam, one step"),
    Entry("infer-128", "training", "784-128-128-10, inference of 128", 0.03, (0.30, 0.38)),
    Entry("infer-1", "training", "784-128-128-10, inference of 1", 0.01, (0.085, 0.034)),
    Entry("lenet-avg", "training", "LeNet-5, average pooling, batch 128, one step"),
    Entry("lenet-max", "training", "LeNet-5, max pooling, batch 128, one step"),
    Entry("noise-laplace", "noise", "101,770 discrete Laplace on shares, scale 10 steps", 0.5),
    Entry("noise-laplace-fine", "noise", "the same on fixed-point values, epsilon 0.5"),
    Entry("noise-binomial", "noise", "101,770 centred binomial on shares, 1,024 coins", 0.5),
    Entry("noise-gaussian", "noise", "the same with 12 fine digits: Gaussian, multiplier 1, clip 1"),
    Entry("dpsgd-step", "noise", "mlp-1's step with DP-SGD: clipping and noise on shares, 1,024 coins"),
    Entry("dpsgd-step-256", "noise", "the same with 256 coins"),
    Entry("noise-table", "noise", "101,770 discrete Gaussian on shares by a table, sigma 16"),
    Entry("stored-compare", "stored", "x > 0, 10^5, from stores on disk"),
    Entry("stored-step", "stored", "784-128-128-10, SGD with momentum, one step, likewise"),
    Entry("paillier-sum", "paillier", "10 clients x 10,000 float32 updates encrypted, summed, decrypted, 2048 bits"),
    Entry("paillier-rates", "paillier", "ciphertexts a second, 2048 bits"),
    Entry("wan-compare", "network", "x > 0, 10^5", None, (2.9, 0.78)),
    Entry("wan-logistic", "network", "logistic regression 569x30, 5 epochs", None, (10.9, 6.6)),
    Entry("wan-step-1", "network", "784-128-10, cross-entropy, SGD with momentum, batch 128, one step", None, (10.1, 3.3)),
    Entry("wan-step-2", "network", "784-128-128-10, likewise one step"),
    Entry("wan-sequence", "network", "100 multiplications in sequence", None, (4.4, 4.2)),
    Entry("lan-compare", "network", "x > 0, 10^5"),
    Entry("lan-logistic", "network", "logistic regression 569x30, 5 epochs"),
    Entry("lan-step-1", "network", "784-128-10, cross-entropy, SGD with momentum, batch 128, one step", None, (0.81, 0.65)),
    Entry("lan-step-2", "network", "784-128-128-10, likewise one step"),
    Entry("lan-sequence", "network", "100 multiplications in sequence", None, (0.43, 0.21)),
    Entry("mnist-sgd", "mnist", "784-128-128-10 by SGD with momentum, 5 epochs"),
    Entry("mnist-adam", "mnist", "784-128-128-10 by Adam, 5 epochs"),
    Entry("mnist-lenet-avg", "mnist", "LeNet-5 with average pooling, 3 epochs"),
    Entry("mnist-lenet-max", "mnist", "LeNet-5 with max pooling, 2 epochs"),
    Entry("federated-10-plain", "federated", "10 clients, in the clear"),
    Entry("federated-10-shares", "federated", "10 clients, shares to 3 parties"),
    Entry("federated-10-paillier", "federated", "10 clients, Paillier 2048"),
    Entry("federated-100-plain", "federated", "20 of 100 clients, in the clear"),
    Entry("federated-100-shares", "federated", "20 of 100 clients, shares to 3 parties"),
    Entry("federated-100-paillier", "federated", "20 of 100 clients, Paillier 2048"),
)
BY_NAME: Final = {entry.name: entry for entry in ENTRIES}
KERNEL_GOALS: Final = {("matmul", "1024^3 avx512"): 7.0, ("aes", "AES-NI"): 3.0}  # GMAC/s, GB/s on one core


def chosen(groups: list[str], only: list[str]) -> list[Entry]:
    """Entries of these groups (if empty: all but those on request) with these names (if empty: all), and the yardstick.

    Raises KeyError with the first unknown name.
    """
    for name in only:
        if name not in BY_NAME:
            raise KeyError(name)
    groups = groups or [g for g in GROUPS if only or g not in ON_REQUEST]
    wanted = [e for e in ENTRIES if e.group in groups and (not only or e.name in only)]
    yardstick = BY_NAME["yardstick"]
    return wanted if yardstick in wanted else [yardstick, *wanted]
