"""The Fourier fits keep their stated errors on dense grids of their intervals."""
from __future__ import annotations

from math import erf, pi, sqrt

import numpy as np
import pytest

from mpc.benchmarks import fits as refit
from mpc.functions import fits

CDF = np.vectorize(lambda x: 0.5 * (1 + erf(x / sqrt(2))))
# fit, function, interval, largest error, whether it is relative
TABLE = {
    "sigmoid": (fits.SIGMOID, lambda x: 1 / (1 + np.exp(-x)), (-30, 30), 6e-5, False),
    "normal cdf": (fits.NORMAL_CDF, CDF, (-16, 16), 1.1e-5, False),
    "normal pdf": (fits.NORMAL_PDF, lambda x: np.exp(-x * x / 2) / sqrt(2 * pi), (-16, 16), 5e-5, False),
    "erf": (fits.ERF, np.vectorize(erf), (-16, 16), 2.3e-5, False),
    "erf slope": (fits.ERF_SLOPE, lambda x: 2 * np.exp(-x * x) / sqrt(pi), (-16, 16), 1.4e-4, False),
    "reciprocal": (fits.RECIPROCAL, lambda x: 1 / x, (0.25, 1), 6.1e-5, True),
    "root inverse": (fits.ROOT_INVERSE, lambda x: x**-0.5, (0.25, 1), 1.4e-5, True),
    "root inverse, coarse": (fits.ROOT_INVERSE_COARSE, lambda x: x**-0.5, (1 / 16, 1), 1.1e-2, True),
    "root": (fits.ROOT, np.sqrt, (0.25, 1), 2e-5, True),
    "log": (fits.LOG, np.log, (0.25, 1), 1.1e-5, False),
    "reciprocal to 16": (fits.RECIPROCAL_16, lambda x: 1 / x, (1, 16), 8.6e-5, False),
    "log to 16": (fits.LOG_16, np.log, (1, 16), 2.3e-5, False),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_largest_error_is_what_the_fit_says(name: str) -> None:
    fit, function, (low, high), bound, relative = TABLE[name]
    x = np.linspace(low, high, 200_001)
    want = function(x)
    error = np.abs(fit.at(x) - want) / (np.abs(want) if relative else 1.0)
    assert error.max() <= bound
    assert error.max() >= bound / 3  # the bound says what is there, not more
    assert np.abs(fit.at(np.linspace(0, 2.0**fit.period_log2, 10_001))).max() < 2**14  # fits the scale of a series


@pytest.mark.parametrize("name", ["RECIPROCAL", "ROOT", "LOG", "ROOT_INVERSE_COARSE"])
def test_the_coefficients_come_from_the_program_that_says_so(name: str) -> None:
    pytest.importorskip("scipy", reason="scipy (scikit-learn brings it) solves the linear programs")
    coefficients, error = refit.solve(refit.FITS[name])
    kept = getattr(fits, name)
    have = [kept.constant, *kept.cosines, *kept.sines]
    np.testing.assert_allclose(have, coefficients, atol=2e-3 * np.abs(coefficients).max())  # the optimum is flat
    assert error == pytest.approx(TABLE[name.lower().replace("_coarse", ", coarse").replace("_", " ")][3], rel=0.3)
