"""Synthetic data: Gaussians from noisy class moments, trees from noisy counts, and generative adversarial networks.

| you have | take | guarantee |
|---|---|---|
| a table of numbers and categories, a privacy budget | `MarginalSynthesizer(epsilon=...)` | (epsilon, delta) |
| a table of numbers alone, small images, a privacy budget | `MomentSynthesizer(epsilon=...)` | (epsilon, delta) |
| the same, held by several owners who do not trust each other | the same, on `SecretTensor`s | (epsilon, delta) |
| images, or a table, that stay with people who may see the originals | `GAN()` | none |
| rows of several owners, for whom Gaussians are too simple | `SecretGAN()` | none for what is revealed |

`GAN(epsilon=...)` has a guarantee too; with few thousand records it ends below moments, and on mixed tables far below counts.

A GAN is no encryption. Without differential privacy neither it nor its samples guarantee anything: see `GAN`, and measure with
`quality` and `mpc.privacy.audit`. A synthetic table keeps what it was fitted to keep, averages and pairs of columns above
all; for one known question a noisy answer (`reveal(dp=...)`) is better and cheaper than any of these.
"""
from mpc.privacy.synthesis import quality
from mpc.privacy.synthesis.gan import GAN
from mpc.privacy.synthesis.marginals import MarginalSynthesizer
from mpc.privacy.synthesis.moments import MomentSynthesizer
from mpc.privacy.synthesis.replace import replace_columns
from mpc.privacy.synthesis.secret_gan import SecretGAN

__all__ = ["GAN", "MarginalSynthesizer", "MomentSynthesizer", "SecretGAN", "quality", "replace_columns"]
