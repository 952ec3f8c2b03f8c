"""What leaves the engine: noise, masks, anonymised representations and synthetic data, and an audit that measures the leak."""
from mpc.privacy import audit
from mpc.privacy.adversarial import AdversarialEncoder

__all__ = ["AdversarialEncoder", "audit"]
