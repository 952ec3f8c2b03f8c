"""Representations that keep a task and hide a private attribute."""
from mpc.privacy.adversarial.encoder import AdversarialEncoder

__all__ = ["AdversarialEncoder"]
