"""The network of dense layers, its training and its weights."""
from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from mpc import nn, optim
from mpc.autograd import no_grad
from mpc.data import batches, generator
from mpc.estimator import Estimator, secret
from mpc.tensor import SecretTensor

if TYPE_CHECKING:
    from typing import Self

    from mpc.party import Party

ACTIVATIONS: Final = {"relu": nn.ReLU, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "identity": None}
RATES: Final = {"sgd": 0.1, "adam": 0.005}


class Network(Estimator, ABC):
    """What the classifier and the regressor share: the network, its training, its weights."""

    coefs_: list[SecretTensor]
    intercepts_: list[SecretTensor]
    loss_curve_: list[float]
    model_: nn.Sequential
    n_iter_: int
    n_layers_: int
    n_outputs_: int

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: str = "sgd",
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate_init: float | None = None,
        max_iter: int = 50,
        shuffle: bool = True,
        random_state: int | None = None,
        tol: float | None = None,
        n_iter_no_change: int = 10,
        verbose: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.verbose = verbose
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self._want("hidden_layer_sizes", all(n >= 1 for n in self._hidden()), "one or more sizes of at least 1")
        self._want("activation", activation in ACTIVATIONS, f"one of {list(ACTIVATIONS)}")
        self._want("solver", solver in RATES, f"one of {list(RATES)}")
        self._want("alpha", alpha >= 0, "a number of at least 0")
        given = batch_size if isinstance(batch_size, str) else "auto" if batch_size >= 1 else ""
        self._want("batch_size", given == "auto", "'auto' or at least one row")
        self._want("learning_rate_init", learning_rate_init is None or learning_rate_init > 0, "None or a number above 0")
        self._want("max_iter", max_iter >= 1, "at least 1 epoch")
        self._want("tol", tol is None or tol >= 0, "None or a number of at least 0")
        self._want("n_iter_no_change", n_iter_no_change >= 1, "at least 1")
        self._want("momentum", 0 <= momentum < 1, "a number from 0 to below 1")

    def _hidden(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        return (sizes,) if isinstance(sizes, int) else tuple(sizes)

    @abstractmethod
    def _loss(self, out: SecretTensor, target: SecretTensor) -> SecretTensor:
        """The lazy loss of the network's output."""

    def _fit(self, x: SecretTensor, target: SecretTensor) -> Self:
        """Train on x (rows, features), target (rows, outputs)."""
        party, rows = x.party, x.shape[0]
        size = min(rows, 200 if isinstance(self.batch_size, str) else self.batch_size)
        with party.scope(type(self).__name__), _seeded(party, self.random_state):
            self.model_ = self._network((x.shape[1], *self._hidden(), target.shape[1]))
            optimizer = self._optimizer()
            self.loss_curve_ = []
            steps = batches(x, target, size=size, epochs=self.max_iter, shuffle=self.shuffle)
            losses: list[SecretTensor] = []
            for xb, yb in steps:
                loss = self._loss(self.model_(xb), yb)
                optimizer.zero_grad()
                loss.backward()
                optimizer.param_groups[0]["weight_decay"] = self.alpha / xb.shape[0]
                optimizer.step()
                if self.tol is None and not self.verbose:
                    continue
                losses.append(loss.detach() * (xb.shape[0] / rows))
                if steps.batch == steps.per_epoch - 1:
                    self._look(losses)
                    losses = []
                    if self._stalled():
                        break
            self.n_iter_ = steps.epoch + 1
        dense = [layer for layer in self.model_ if isinstance(layer, nn.Linear)]
        self.coefs_ = [layer.weight.detach().T for layer in dense]
        self.intercepts_ = [layer.bias.detach() for layer in dense if layer.bias is not None]
        self.n_layers_, self.n_outputs_, self.n_features_in_ = len(dense) + 1, target.shape[1], x.shape[1]
        return self

    def _network(self, sizes: Sequence[int]) -> nn.Sequential:
        """Dense layers with initial values of Glorot and Bengio, public until the first step."""
        model = nn.Sequential()
        between = ACTIVATIONS[self.activation]
        for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            if i and between is not None:
                model.append(between())
            layer = nn.Linear(fan_in, fan_out)
            limit = math.sqrt((2.0 if self.activation == "logistic" else 6.0) / (fan_in + fan_out))
            rng = layer.weight.party.public_rng
            layer.weight = nn.Parameter(rng.uniform(-limit, limit, (fan_out, fan_in)))
            layer.bias = nn.Parameter(rng.uniform(-limit, limit, fan_out))
            model.append(layer)
        return model

    def _optimizer(self) -> optim.SGD | optim.Adam:
        """With weights, which are penalised, in its first group and biases in the second."""
        named = list(self.model_.named_parameters())
        groups = [
            {"params": [p for name, p in named if name.endswith("weight")]},
            {"params": [p for name, p in named if name.endswith("bias")]},
        ]
        rate = RATES[self.solver] if self.learning_rate_init is None else self.learning_rate_init
        if self.solver == "sgd":
            return optim.SGD(groups, rate, self.momentum, nesterov=self.nesterovs_momentum and self.momentum > 0)
        return optim.Adam(groups, lr=rate, betas=(self.beta_1, self.beta_2), eps=self.epsilon)

    def _look(self, losses: list[SecretTensor]) -> None:
        """Reveal the mean loss of an epoch."""
        epoch = len(self.loss_curve_) + 1
        with no_grad():
            total = sum(losses[1:], losses[0])
            asked = "verbose" if self.verbose else "tol"
            loss = self._reveal(total, f"fit: mean loss of epoch {epoch}, for {asked}", depth=5)
        self.loss_curve_.append(loss)
        if self.verbose and total.party.first:
            print(f"epoch {epoch} of {self.max_iter}: mean loss {loss:.4f}")

    def _stalled(self) -> bool:
        """No epoch of the last ``n_iter_no_change`` was better than the best before them by ``tol``."""
        seen, n = self.loss_curve_, self.n_iter_no_change
        return self.tol is not None and len(seen) > n and min(seen[-n:]) > min(seen[:-n]) - self.tol

    def _outputs(self, X: Any) -> SecretTensor:
        """(rows, outputs) of the last layer."""
        x = secret(self._rows(X))
        with no_grad(), x.party.scope(type(self).__name__):
            out: SecretTensor = self.model_(x)
            return out


@contextmanager
def _seeded(party: Party, seed: int | None) -> Iterator[None]:
    """Public choices from ``seed``, without touching the session's own sequence of them."""
    before = party.public_rng
    if seed is not None:
        party.public_rng = generator.seeded(seed)
    try:
        yield
    finally:
        party.public_rng = before
