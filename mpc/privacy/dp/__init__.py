"""Differential privacy: noise that nobody knows, added before a value opens, and an exact account of it.

::

    out = privacy.sensitivity.total(x, 0, 1).reveal(epsilon=0.5, reason="age sum")   # clips whatever x holds
    out = x.clip(0, 1).sum(0).reveal(dp=privacy.Laplace(epsilon=0.5, sensitivity=1), reason="the same for x in range")
"""
from mpc.privacy.dp import sensitivity
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.binomial import Binomial
from mpc.privacy.dp.budget import Budget, BudgetExceeded
from mpc.privacy.dp.discrete import DiscreteGaussian, DiscreteLaplace
from mpc.privacy.dp.exponential import Exponential
from mpc.privacy.dp.gaussian import Gaussian
from mpc.privacy.dp.laplace import Laplace
from mpc.privacy.dp.mechanisms import Mechanism

__all__ = [
    "Binomial", "Budget", "BudgetExceeded", "DiscreteGaussian", "DiscreteLaplace", "Exponential", "Gaussian", "Guarantee",
    "Laplace", "Mechanism", "sensitivity",
]
