"""What leaves the engine: noise, masks, anonymised representations and synthetic data, and an audit that measures the leak."""
from mpc.privacy import audit, masking
from mpc.privacy.adversarial import AdversarialEncoder
from mpc.privacy.dp import (
    Binomial,
    Budget,
    BudgetExceeded,
    DiscreteGaussian,
    DiscreteLaplace,
    Exponential,
    Gaussian,
    Guarantee,
    Laplace,
    Mechanism,
    sensitivity,
)
from mpc.privacy.dp.sgd import DPSGD
from mpc.privacy.synthesis import GAN, MarginalSynthesizer, MomentSynthesizer, SecretGAN, quality, replace_columns

__all__ = [
    "DPSGD",
    "GAN",
    "AdversarialEncoder",
    "Binomial",
    "Budget",
    "BudgetExceeded",
    "DiscreteGaussian",
    "DiscreteLaplace",
    "Exponential",
    "Gaussian",
    "Guarantee",
    "Laplace",
    "MarginalSynthesizer",
    "Mechanism",
    "MomentSynthesizer",
    "SecretGAN",
    "audit",
    "masking",
    "quality",
    "replace_columns",
    "sensitivity",
]
