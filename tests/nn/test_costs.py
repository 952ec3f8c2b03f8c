"""What layers open: every secret once, however often forward and backward pass use it."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from mpc.nn import functional as F
from tests.owners import mixed
from tests.tensor.recorder import Recorder


def run(program: Callable[[], Any], parties: int = 2) -> Any:
    return mpc.local(program, parties=parties, threads=True)[0]


class Counter:
    """Rounds and words sent to each other party since the last question."""

    def __init__(self, s: Any) -> None:
        self.s = s
        self()

    def __call__(self) -> tuple[int, float]:
        now = self.s.total.rounds, self.s.transport.meter.payload_sent(self.s.peers[0]) / 8
        before, self.last = getattr(self, "last", now), now
        return now[0] - before[0], now[1] - before[1]


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize(
    "shape,options",
    [
        ((4, 3, 8, 7), {"padding": 1}),
        ((4, 3, 8, 7), {"stride": 2, "padding": 1}),
        ((4, 3, 8, 7), {"dilation": 2}),
        ((4, 6, 8, 7), {"groups": 3, "padding": "same"}),
    ],
    ids=str,
)
def test_convolution_opens_image_kernel_and_gradient_once(
    parties: int, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    def program() -> Any:
        with mpc.session() as s:
            x = mixed(np.ones(shape), requires_grad=True)
            w = nn.Parameter(np.ones((6, shape[1] // options.get("groups", 1), 3, 3)))
            count = Counter(s)
            y = F.conv2d(x, w, **options)
            first = count()
            F.conv2d(x, w, **options)
            assert count() == (0, 0)
            g = mixed(np.ones(y.shape))
            count()
            y.backward(g)
            return first, count(), x.numel() + w.numel(), g.numel()

    first, backward, opened, of_gradient = run(program, parties)
    assert first == (1, opened)  # the image's own words, not those of its windows
    assert backward == (1, of_gradient)


def test_one_sided_public_convolutions_open_nothing() -> None:
    def program() -> Any:
        with mpc.session() as s:
            image, kernel = np.ones((2, 3, 5, 5)), np.full((4, 3, 3, 3), 0.5)
            x, w = mpc.share(image, 0), mpc.share(kernel, 1)
            count = Counter(s)
            public_kernel, public_image = F.conv2d(x, kernel), F.conv2d(image, w)
            assert count() == (0, 0)
            return public_kernel.reveal(), public_image.reveal()

    for out in run(program):
        np.testing.assert_allclose(out, np.full((2, 4, 3, 3), 13.5), atol=2**-16)


@pytest.mark.parametrize("pool", [lambda x: F.avg_pool2d(x.relu(), 2), lambda x: F.max_pool2d(x, 2)], ids=["avg", "max"])
def test_the_gradient_of_pooling_is_opened_before_it_is_repeated(pool: Callable[..., Any]) -> None:
    def program() -> Any:
        with mpc.session() as s:
            x = mixed(np.ones((2, 3, 8, 8)), requires_grad=True)
            y = pool(x)
            g = mixed(np.ones(y.shape))
            count = Counter(s)
            y.backward(g)
            return count(), g.numel()

    got, words = run(program)
    assert got == (1, words)


def test_overlapping_windows_are_not_opened_apart() -> None:
    """max_pool2d opens the image; then three rounds of comparisons, and one to arithmetic."""

    def program() -> Any:
        with mpc.session() as s:
            x = mixed(np.ones((2, 3, 8, 8)))
            count = Counter(s)
            F.max_pool2d(x, 2, stride=1)
            columns = 4 * 2 * 3 * 7 * 7
            rounds, words = count()
            return rounds, words, x.numel(), columns

    rounds, words, image, columns = run(program)
    pairs = columns // 4 * 6
    assert rounds == 5 and image <= words - (33 * pairs + 5 * columns) / 64 <= image + 33 + 5


def test_a_mean_over_windows_is_local() -> None:
    def program() -> Any:
        with mpc.session() as s:
            x = mpc.share(np.ones((2, 3, 6, 6)), 0)
            count = Counter(s)
            F.adaptive_avg_pool2d(F.avg_pool2d(x, 3, 1, 1), 2)
            return count()

    assert run(program) == (0, 0)


def test_an_index_is_opened_once_for_all_classes() -> None:
    """One opening, two rounds of the tree and one to arithmetic; then the product."""

    def program() -> Any:
        with mpc.session() as s:
            x, table = mixed(np.arange(5)), nn.Embedding(7, 3)
            count = Counter(s)
            F.one_hot(x, 7)
            rounds, words = count()
            bits = math.ceil(5 * 7 / 64) * 21
            table(x)
            return rounds, words - bits, count()[0]

    assert run(program) == (4, 5, 4)  # the index is open by then, rows and table are opened with the product


def test_statistics_in_evaluation_are_used_and_do_not_move() -> None:
    def program() -> Any:
        with mpc.session() as s:
            layer = nn.BatchNorm1d(3).eval()
            recorder = Recorder(s)
            out = layer(mpc.share(np.ones((4, 3)), 0))
            assert "matmul" not in recorder.counts()  # no statistics of the batch
            return out.reveal(), layer.state_dict()["num_batches_tracked"], layer.running_mean.reveal()

    out, count, mean = run(program)
    np.testing.assert_allclose(out, np.ones((4, 3)), atol=2**-14)
    assert count == 0 and not mean.any()
