"""The plaintext twin's headroom, on cases made by hand."""
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mpc
from mpc import nn
from tests.report.test_counts import run


def headroom(program: Any) -> dict[tuple[str, str], Any]:
    """By (label, what)."""
    report = run(lambda s: (program(s), s.report())[1], protocol="clear")[0]
    assert report.headroom == sorted(report.headroom, key=lambda h: h.bits_left), "the worst first"
    return {(h.label, h.what): h for h in report.headroom}


def test_bits_left_are_the_limit_minus_the_largest() -> None:
    def program(s: Any) -> None:
        x = mpc.share(np.array([1.0, -8.0, 2.0]), 0)
        (x * mpc.share(np.array([1.0, -8.0, 2.0]), 1)).reveal()
        x.square()
        mpc.share(np.array([[1.0, 3.0]]), 0) @ mpc.share(np.array([[4.0], [4.0]]), 1)

    rows = headroom(program)
    product, cut = rows["mul", "product"], rows["truncate", "truncation"]
    assert product.bits_left == 63 - (6 + 32) and product.largest == 64.0 and product.limit == 2.0**31
    assert cut.bits_left == 62 - (6 + 32) and cut.limit == 2.0**30 and cut.calls == 1 and not cut.warning
    assert rows["square", "square"].bits_left == 63 - (6 + 32)
    assert rows["matmul", "matrix product"].largest == 16.0


def test_the_largest_of_all_calls_counts() -> None:
    def program(s: Any) -> None:
        for value in (1.0, 1000.0, 2.0):
            mpc.share(np.array([value]), 0).square().reveal(check_range=False)

    row = headroom(program)["square", "square"]
    assert row.calls == 3 and row.largest == 1e6


def test_what_is_close_to_the_limit_is_flagged() -> None:
    def program(s: Any) -> None:
        x = mpc.share(np.array([30000.0]), 0)
        (x * x).reveal(check_range=False)

    row = headroom(program)["truncate", "truncation"]
    assert row.bits_left == pytest.approx(62 - math.log2(9e8 * 2**32)) and 0 < row.bits_left < 1
    assert "close to the limit" in row.warning


def test_values_of_few_bits_are_flagged_and_zeros_are_not() -> None:
    def program(s: Any) -> None:
        for scope, value in (("tiny", 2.0**-7), ("zero", 0.0), ("fine", 0.5)):
            x = mpc.share(np.array([value, value / 2]), 0)
            with s.scope(scope):
                (x * x).reveal()

    rows = headroom(program)
    tiny, zero, fine = (rows[f"{scope}/truncate", "truncation"] for scope in ("tiny", "zero", "fine"))
    assert tiny.small == 1 and "4 significant bits" in tiny.warning  # 2^-14 is 4 units
    assert zero.small == 0 and zero.bits_left == math.inf and not zero.warning
    assert fine.small == 0 and not fine.warning


def test_layers_and_passes_have_their_own() -> None:
    def program(s: Any) -> Any:
        net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        net(mpc.share(np.ones((3, 2)), 0)).square().sum().backward()
        with mpc.profile() as p:
            (mpc.share(np.ones(2), 0) * 0.5).relu().reveal()
        return s.report(), p.report

    whole, part = run(program, protocol="clear")[0]
    layers = {(h.layer, h.backward) for h in whole.headroom_by_layer()}
    assert {("Sequential/0:Linear", False), ("Sequential/0:Linear", True), ("Sequential/1:ReLU", True)} <= layers
    assert "matmul" in {h.operation for h in whole.headroom_by_operation()}
    assert not [h for h in part.headroom if h.layer], "the block's alone"
    assert "Headroom by layer" in str(whole)
    assert "LAN" not in str(whole), "the twin sends other bytes than the shares would"


def test_leaving_the_range_names_the_layer_and_what_to_do() -> None:
    def program(s: Any) -> None:
        net = nn.Sequential(nn.Linear(4, 2, bias=False), nn.ReLU())
        net.load_state_dict({"0.weight": np.full((2, 4), 30000.0)})
        net(mpc.share(np.full((3, 4), 30000.0), 0))

    with pytest.raises(mpc.FixedPointRangeError) as caught:
        run(program, protocol="clear")
    message = str(caught.value)
    assert "a matrix product (layer Sequential/0:Linear, operation matmul) reaches 3.6e+09, beyond 2^31" in message
    assert "Scale what goes in" in message and "headroom" in message


def test_shares_have_no_headroom() -> None:
    report = run(lambda s: (mpc.share(np.ones(2), 0).relu(), s.report())[1])[0]
    assert report.headroom == [] and "Headroom" not in str(report)
