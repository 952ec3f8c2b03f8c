"""Synthetic data: Gaussians from noisy class moments, and generative adversarial networks."""
from mpc.privacy.synthesis.gan import GAN
from mpc.privacy.synthesis.moments import MomentSynthesizer

__all__ = ["GAN", "MomentSynthesizer"]
