"""Gradient matching: records whose gradients are those a client sent, found by descent. For any torch model."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mpc.errors import ConfigError, ShapeError
from mpc.privacy.audit.intervals import Floats

_TINY: Final = 1e-12


class GradientMatching:
    """Inverts an update of ``model`` (a torch module in the state before the update) for batches of ``batch`` records.

    Looks for records x (from noise, ``shape`` each) and labels whose gradient of the mean cross-entropy points where the
    update does: 1 - cosine, summed over all entries, by L-BFGS from ``restarts`` starts of ``steps`` evaluations each; the best
    match is returned, (batch, values). Labels are free weights beside the records, started from the signs of the last bias.
    ``box``: limits of a value, kept by a sigmoid; None for none.

    The adversary knows the model and the batch size. One step of plain SGD is inverted; after several local steps, with
    momentum or a large batch the match is rough. A failed search shows little: more starts or a better prior may succeed.
    Source: Zhu et al., Deep leakage from gradients, 2019; Geiping et al., Inverting gradients, 2020.
    """

    def __init__(
        self, model: Any, batch: int, shape: Sequence[int], *, classes: int, steps: int = 300, restarts: int = 1,
        box: tuple[float, float] | None = (0.0, 1.0), seed: int = 0,
    ) -> None:  # fmt: skip
        if batch < 1 or steps < 1 or restarts < 1 or classes < 2:
            got = f"batch {batch}, steps {steps}, restarts {restarts}, classes {classes}"
            raise ConfigError(f"GradientMatching: got {got}; want whole numbers from 1, and 2 classes or more")
        self.model, self.batch, self.shape, self.classes = model, int(batch), tuple(shape), int(classes)
        self.steps, self.restarts, self.box, self.seed = int(steps), int(restarts), box, int(seed)

    def __call__(self, update: Sequence[Floats]) -> Floats:
        """Candidate records; the update's sign and length do not matter. Raises ShapeError if it is not the model's."""
        import torch

        parameters = [p for p in self.model.parameters() if p.requires_grad]
        shapes = [tuple(p.shape) for p in parameters]
        if [tuple(np.shape(part)) for part in update] != shapes:
            got = [tuple(np.shape(part)) for part in update]
            raise ShapeError(f"GradientMatching: got an update of shapes {got}; want the model's {shapes}")
        kind = parameters[0].dtype
        want = torch.cat([torch.as_tensor(np.asarray(part), dtype=kind).reshape(-1) for part in update])
        want = -want / (want.norm() + _TINY)  # an update goes against the gradient
        generator = torch.Generator().manual_seed(self.seed)  # of the search's starts: nothing secret
        tries = [self._search(want, parameters, generator) for _ in range(self.restarts)]
        return np.asarray(min(tries, key=lambda found: found[0])[1])

    def _search(self, want: Any, parameters: list[Any], generator: Any) -> tuple[float, Floats]:
        import torch

        free = torch.randn((self.batch, *self.shape), generator=generator, dtype=want.dtype).requires_grad_()
        weights = (torch.randn((self.batch, self.classes), generator=generator, dtype=want.dtype) / 10).requires_grad_()
        optimizer = torch.optim.LBFGS([free, weights], max_iter=self.steps, max_eval=self.steps, line_search_fn="strong_wolfe",
                                      tolerance_grad=1e-10, tolerance_change=1e-14, history_size=50)  # fmt: skip

        def distance() -> Any:
            loss = -(weights.softmax(1) * self.model(self._records(free)).log_softmax(1)).sum(1).mean()
            got = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, parameters, create_graph=True)])
            return 1 - got @ want / (got.norm() + _TINY)

        def closure() -> Any:
            optimizer.zero_grad()
            loss = distance()
            free.grad, weights.grad = torch.autograd.grad(loss, (free, weights))
            return loss

        optimizer.step(closure)
        with torch.enable_grad():
            left = float(distance().detach())
        found = self._records(free).detach().reshape(self.batch, -1).numpy()
        return (left if np.isfinite(left) else np.inf), np.asarray(found, np.float64)

    def _records(self, free: Any) -> Any:
        if self.box is None:
            return free
        low, high = self.box
        return low + (high - low) * free.sigmoid()
