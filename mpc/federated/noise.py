"""Differential privacy of federated sums: noise on shares, of a size that follows from the norm the parties enforce.

*Neighbours*: one client's update, of whatever valid content, or an update of zeros in its place. Who took part, and whose
update was valid, is public. Sensitivity: `Limits.norm`, the largest norm of a valid update in units, which the parties
enforce; the sum of units is exact, so nothing is added for truncations.
"""
from __future__ import annotations

import math
from typing import Any

from mpc import sharing
from mpc.errors import ConfigError, NotSupported
from mpc.federated.quantisation import SUM_BITS, Limits
from mpc.party import Party
from mpc.privacy.dp import Binomial, Gaussian, Guarantee, Mechanism, budget
from mpc.sharing import Share


def checked(dp: Any, limits: Limits) -> None:
    """Raise where a sum under these limits cannot be protected by ``dp``."""
    if not isinstance(dp, Gaussian):
        raise NotSupported(f"got dp={dp!r}; want privacy.Gaussian: updates are vectors of bounded L2 norm")
    if limits.max_norm is None:
        raise ConfigError("dp without max_norm: noise is measured by the norm that the parties enforce")
    if limits.max_weight != 1:
        raise ConfigError(f"dp with weights up to {limits.max_weight}: a client of many records would need as much more noise, "
                          "and the total weight is revealed; want weights='equal' (max_weight=1)")
    if dp.sensitivity is not None and not math.isclose(dp.sensitivity, limits.max_norm, rel_tol=1e-9):
        raise ConfigError(f"got dp of sensitivity {dp.sensitivity:g}; want max_norm, {limits.max_norm:g}: so much one client "
                          "moves the sum")


def of_sum(dp: Gaussian, limits: Limits, length: int) -> tuple[Mechanism, Guarantee]:
    """(integer noise in units, what it guarantees) for a sum of updates of ``length`` values."""
    unit = math.ldexp(1.0, -limits.frac_bits)
    exact = Gaussian(
        dp.epsilon, dp.delta, limits.norm(length) * unit, noise_multiplier=dp.noise_multiplier, coins=dp.coins, truncations=0
    )
    return exact.on_grid(unit, length)


def charge(party: Party | None, dp: Gaussian, limits: Limits, length: int, round: int) -> None:
    """Charge the open budgets for one sum. Raises BudgetExceeded: then nothing may be opened."""
    budget.charge(party, of_sum(dp, limits, length)[1], f"sum of round {round}")


def added(party: Party, dp: Gaussian, limits: Limits, total: Share, length: int, clients: int) -> tuple[Share, str]:
    """(the first ``length`` words of total with noise that nobody knows, the ledger's remark). Raises ConfigError where noise
    and sum together could wrap."""
    noise, guarantee = of_sum(dp, limits, length)
    assert isinstance(noise, Binomial)
    if noise.centre + clients * limits.largest(length) >= 1 << SUM_BITS:
        raise ConfigError(f"noise of {noise.std:.3g} units and {clients} updates could wrap; want fewer frac_bits")
    party.note("dp", dp.key, noise.key)
    drawn = noise.sample_shares(party, (length,))
    rest = total[length:]
    out = sharing.concatenate([sharing.add(total[:length], drawn), rest], 0)
    return out, f"epsilon={guarantee.epsilon(dp.delta):.4g}, delta={dp.delta:.3g}"
