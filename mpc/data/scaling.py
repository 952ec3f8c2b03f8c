"""StandardScaler on tensors nobody can see."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mpc.autograd import no_grad
from mpc.errors import ConfigError
from mpc.estimator import Estimator, data, power_of_two
from mpc.fixed_point import Floats
from mpc.tensor import SecretTensor, stack, where

if TYPE_CHECKING:
    from typing import Self

LOWEST, HIGHEST = -9, 14  # standard deviations from 2^-10 to 2^14
_FOUND: Final = ("mean_", "scale_", "_power", "_root", "n_samples_seen_", "n_features_in_")
_FLAT: Final = 0.2  # of a variance that the power of two brings to at least 1/4


class StandardScaler(Estimator):
    """Columns with mean 0 and standard deviation 1, as scikit-learn's; mean and deviation stay secret.

    ``mean_``, ``scale_``: SecretTensors (features,), None where not wanted. Method: the column is multiplied by a secret
    power of two found by comparisons, which brings its variance to [1/4, 2), and then by a root of what is left, so small
    and large columns are as precise. Domain: deviations from 2^-10 (a column with less counts as constant and is left at
    its scale) to 2^14, rows * variance below 2^30; larger columns are divided by public powers of two at their owner
    (`scale_by_power_of_two`, or ``scale=True`` of `by_rows` and `by_columns`), whose ``exponents`` are given here and
    undone by `inverse_transform` and `reveal`. Error of `transform`: relative 2^-12, 2^-15, and 2^-15 over the deviation
    (inputs and means are multiples of 2^-16); of ``mean_`` 2^-15, of ``scale_`` that and relative 2^-12. Rounds: 27 of
    fit, 3 of transform. Reveals nothing.
    """

    mean_: SecretTensor | None
    scale_: SecretTensor | None
    n_samples_seen_: int

    def __init__(self, *, with_mean: bool = True, with_std: bool = True, exponents: Any = None) -> None:
        self.with_mean, self.with_std, self.exponents = with_mean, with_std, exponents

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find mean and deviation of X (rows, features), as shared. Raises ShapeError, ConfigError."""
        x = data(X)
        if self.exponents is not None:
            given = np.asarray(self.exponents)
            if given.dtype.kind not in "iu" or given.shape != (x.shape[1],):
                raise ConfigError(f"StandardScaler: exponents of {given.dtype} {given.shape}; want {x.shape[1]} integers")
        with no_grad(), x.party.scope("StandardScaler"):
            mean = x.mean(0)
            mean._value.settled()
            self.mean_ = mean if self.with_mean else None
            self.scale_ = None
            if self.with_std:
                self._fit_scale(x - mean)
        self.n_samples_seen_, self.n_features_in_ = x.shape
        return self

    def _fit_scale(self, centred: SecretTensor) -> None:
        rows = centred.shape[0]
        share = 2.0 ** -math.ceil(math.log2(rows))  # a public power of two: exact
        power, inverse = power_of_two(centred.square().sum(0) * share, 2, LOWEST, HIGHEST)
        variance = (centred * power).square().sum(0) * share
        variance._value.settled()
        variance = variance * (1 / (share * rows))  # in [1/4, 2), unless the column is constant
        root = variance.rsqrt()
        factors = stack([power, root, inverse * (variance * root)])
        factors = where(variance < _FLAT, 1.0, factors)
        factors._value.settled()
        self._power, self._root, self.scale_ = factors[0], factors[1], factors[2]

    def fit_transform(self, X: Any, y: Any = None) -> SecretTensor:
        """`fit` to X, then `transform` it."""
        x = data(X)
        return self.fit(x).transform(x)

    def transform(self, X: Any) -> SecretTensor:
        """(X - mean) / deviation for secret or public X (rows, features) in the units of `fit`. Raises ShapeError."""
        x = data(self._rows(X))
        with no_grad(), x.party.scope("StandardScaler"):
            out = x if self.mean_ is None else x - self.mean_
            return out if self.scale_ is None else out * self._power * self._root

    def inverse_transform(self, X: Any) -> SecretTensor:
        """X * deviation + mean, times 2^exponents where there are some: original units.

        Those may exceed 2^15: reveal such values with ``check_range=False``, and multiply no secret with them.
        """
        x = data(self._rows(X))
        with no_grad(), x.party.scope("StandardScaler"):
            out = x if self.scale_ is None else x * self.scale_
            out = out if self.mean_ is None else out + self.mean_
            if self.exponents is None:
                return out
            out._value.settled()
            return self._original(out)

    def _original(self, x: SecretTensor) -> SecretTensor:
        """x * 2^exponents. Large columns times integers: exact, and no truncation that larger values could leave."""
        exponents = np.asarray(self.exponents)
        x = x * (1 << np.maximum(exponents, 0))
        return x * np.ldexp(1.0, np.minimum(exponents, 0)) if (exponents < 0).any() else x

    def reveal(self, to: int | None = None, reason: str = "") -> dict[str, Floats | None]:
        """Open mean and deviation to the rank ``to`` (None: all), in original units; None at the others.

        Reveals: both, a line of the ledger each.
        """
        why = f"{reason}: " if reason else ""
        out: dict[str, Floats | None] = {}
        for name, secret in (("mean", self.mean_), ("scale", self.scale_)):
            if secret is not None:
                secret.party.note("scaler", secret._value.number)
                got = secret.party.reveal(secret._value.settled(), to, f"{why}StandardScaler.{name}_", depth=2)
                out[name] = got if got is None or self.exponents is None else np.ldexp(got, np.asarray(self.exponents))
        return out

    def state_dict(self) -> dict[str, Any]:
        """What `fit` found, for `mpc.save`."""
        exponents = None if self.exponents is None else np.asarray(self.exponents, np.int64)
        state = {"with_mean": self.with_mean, "with_std": self.with_std, "exponents": exponents}
        return state | {name: vars(self)[name] for name in _FOUND if name in vars(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what another StandardScaler found. Raises ConfigError."""
        if not {"with_mean", "with_std", "exponents"} <= state.keys() <= {"with_mean", "with_std", "exponents", *_FOUND}:
            raise ConfigError(f"StandardScaler: got a state with {sorted(state)}; want one of a StandardScaler")
        for name in _FOUND:
            vars(self).pop(name, None)
        vars(self).update(state)
