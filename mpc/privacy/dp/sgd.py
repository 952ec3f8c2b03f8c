"""DP-SGD (Abadi et al. 2016): every example's gradient is clipped and noise is added to their sum before anybody sees it.

::

    optimizer = privacy.DPSGD(model.parameters(), lr=0.1, max_grad_norm=1.0, noise_multiplier=1.1)
    with privacy.Budget(epsilon=3, delta=1e-6):
        for xb, yb in optimizer.batches(x, y, size=64, epochs=20):
            optimizer.zero_grad(); loss(model(xb), yb).backward(); optimizer.step()
    print(optimizer.epsilon(1e-6))
"""
from __future__ import annotations

import inspect
import sys
from typing import Any

from mpc import nn
from mpc.errors import ConfigError
from mpc.privacy.dp.private_sgd import PrivateSGD
from mpc.privacy.dp.secret_sgd import SecretDPSGD
from mpc.privacy.dp.torch_sgd import TorchDPSGD


def DPSGD(
    params: Any, lr: float = 0.1, max_grad_norm: float = 1.0, noise_multiplier: float = 1.1, **options: Any
) -> PrivateSGD:
    """DP-SGD for the model, or for the one whose ``parameters()`` this is: `TorchDPSGD` for a torch model, `SecretDPSGD` for
    one of `mpc.nn` in a session. ``options``: see `PrivateSGD`. Raises ConfigError, NotSupported for a model that mixes
    examples."""
    model = model_of(params)
    kind: type[PrivateSGD] = SecretDPSGD if isinstance(model, nn.Module) else TorchDPSGD
    return kind(model, lr, max_grad_norm, noise_multiplier, **options)


def model_of(params: Any) -> Any:
    """The module that parameters are of: itself, or the one whose ``parameters()`` this is, fresh. Raises ConfigError."""
    found = params
    if inspect.isgenerator(params):
        found = (inspect.getgeneratorlocals(params) or {}).get("self")
    torch = sys.modules.get("torch")
    if isinstance(found, nn.Module) or (torch is not None and isinstance(found, torch.nn.Module)):
        return found
    raise ConfigError(f"DPSGD: got {type(params).__name__}; want the model or model.parameters(): its layers take per-example "
                      "gradients")
