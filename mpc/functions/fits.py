"""Fourier series of the functions of protocols.md, section 7, with their fits' largest errors.

Each is a minimax fit (a linear program; `mpc.benchmarks.fits` solves it) on the stated interval, so a function
need not be periodic: only the interval counts, the rest of the period is free. tests/functions/test_fits.py holds the errors.
"""
from __future__ import annotations

from typing import Final

from mpc.protocols.series import Saturated, Series

# 1 / (1 + exp(-x)) on [-10, 10]: largest error 5.9e-05
SIGMOID: Final = Saturated(
    period_log2=5,
    constant=0.5,
    cosines=(
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    ),
    sines=(
        0.157482194, 0.788571079, -0.854052234, 1.0, -0.841328598, 0.673126996, -0.442124347, 0.264614107,
        -0.129002909, 0.054308171, -0.016304726, 0.003574289,
    ),
    limit=10.0,
    low=0.0,
    high=1.0,
)

# Phi(x), the normal distribution function, on [-4.25, 4.25]: largest error 3e-06
NORMAL_CDF: Final = Saturated(
    period_log2=4,
    constant=0.5,
    cosines=(
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    ),
    sines=(
        0.565310965, 0.039556984, 0.063560825, 0.034823948, -0.004031288, 0.011426922, -0.002248797,
        0.001099506,
    ),
    limit=4.25,
    low=0.0,
    high=1.0,
)

# exp(-x^2/2) / sqrt(2 pi) on [-4.25, 4.25]: largest error 6.3e-06
NORMAL_PDF: Final = Saturated(
    period_log2=4,
    constant=0.750326501,
    cosines=(
        -1.167146303, 1.129946477, -0.661430573, 0.465672042, -0.1935265, 0.091361121, -0.021713297,
        0.005446558,
    ),
    sines=(
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    ),
    limit=4.25,
    low=0.0,
    high=0.0,
)

# erf(x) on [-3, 3]: largest error 2.2e-06
ERF: Final = Saturated(
    period_log2=4,
    constant=0.0,
    cosines=(
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    ),
    sines=(
        -1.218637845, 7.04745904, -12.421241356, 16.0, -14.662666502, 10.195529614, -5.22040075, 1.945693793,
        -0.471608575, 0.062268464,
    ),
    limit=3.0,
    low=-1.0,
    high=1.0,
)

# 2 exp(-x^2) / sqrt(pi) on [-3, 3]: largest error 6e-06
ERF_SLOPE: Final = Saturated(
    period_log2=4,
    constant=-6.293667391,
    cosines=(
        8.0, 2.655061865, -8.0, 5.338474961, 2.432703176, -7.606312912, 8.0, -5.098818856, 2.210943054,
        -0.597862905, 0.087852127,
    ),
    sines=(
        0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    ),
    limit=3.0,
    low=0.0,
    high=0.0,
)

# 1/v on [1/4, 1), error relative: largest error 6e-05
RECIPROCAL: Final = Series(
    period_log2=1,
    constant=10.440153631,
    cosines=(
        10.138173686, -1.620277223, -2.961049317, -0.628525331, 0.014166444,
    ),
    sines=(
        -10.657192612, -7.919341368, -1.1267363, 0.495244262, 0.098450229,
    ),
)

# v^(-1/2) on [1/4, 1), error relative: largest error 1.3e-05
ROOT_INVERSE: Final = Series(
    period_log2=1,
    constant=2.949224635,
    cosines=(
        2.160805536, -0.193609607, -0.519406892, -0.111482951, 0.002720162,
    ),
    sines=(
        -1.85747229, -1.470642068, -0.22326876, 0.085334313, 0.017053847,
    ),
)

# v^(-1/2) on [1/16, 1), error relative: largest error 0.01
ROOT_INVERSE_COARSE: Final = Series(
    period_log2=1,
    constant=7.936538857,
    cosines=(
        4.6674755, -4.504032306, -2.146184218, 0.07854184,
    ),
    sines=(
        -10.0, -4.386929783, 1.114397672, 0.488488422,
    ),
)

# v^(1/2) on [1/4, 1), error relative: largest error 1.9e-05
ROOT: Final = Series(
    period_log2=1,
    constant=0.65167385,
    cosines=(
        -0.424101459, -0.053968202, 0.026723774, 0.004897282,
    ),
    sines=(
        0.023915925, 0.135769851, 0.027342038, -0.001887607,
    ),
)

# log v on [1/4, 1): largest error 1.1e-05
LOG: Final = Series(
    period_log2=1,
    constant=-1.629225491,
    cosines=(
        -1.89818707, -0.020734614, 0.324588761, 0.074943644, -0.001407643,
    ),
    sines=(
        1.033392208, 1.021448157, 0.182186203, -0.049893502, -0.01080162,
    ),
)

# 1/s on [1, 16]: largest error 8.5e-05
RECIPROCAL_16: Final = Series(
    period_log2=5,
    constant=-10.35629679,
    cosines=(
        35.627600372, 40.0, -12.108389767, -8.086936024, -40.0, -40.0, 20.087957283, 24.296896479, -1.256351916,
        -3.705614909, -0.184452025, 0.080900582,
    ),
    sines=(
        28.691788097, -40.0, -34.504977217, -22.762187293, -23.082071384, 35.165339101, 37.534639405,
        -7.343764083, -11.315471814, -0.236480222, 0.779721861, 0.033885591,
    ),
)

# log s on [1, 16]: largest error 2.2e-05
LOG_16: Final = Series(
    period_log2=5,
    constant=-19.160639152,
    cosines=(
        -8.16853252, 2.54060598, -8.344149578, 30.0, 24.462876251, -14.843842227, -11.975413396, 1.881473459,
        1.686111179, -0.019845131, -0.035705353,
    ),
    sines=(
        30.0, 4.252901789, 21.173312918, 20.476249588, -25.111901543, -19.969641417, 6.345475509, 5.314440498,
        -0.336647022, -0.347773338, -0.002877146,
    ),
)
