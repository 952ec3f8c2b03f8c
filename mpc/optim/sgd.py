"""Stochastic gradient descent."""
from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mpc.errors import ConfigError
from mpc.ops.combination import Term, combine
from mpc.optim.optimizer import Optimizer, descend
from mpc.sharing import Share


class SGD(Optimizer):
    """torch's SGD: g += weight_decay * p; buf = momentum * buf + g; p -= lr * (g + momentum * buf if nesterov else buf).

    All hyper-parameters are public. The state is u = lr * buf at frac_bits; a changed lr rescales it, so the sequence
    is torch's. One truncation for all parameters together per step (Nesterov: of two values per parameter), in which
    lr, momentum and the gradient's own 1/n are applied; u and p are rounded to 2^-16 without bias. Range: a step of one
    parameter stays below 16 (see `mpc.ops.combination.combine`).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__(params, defaults)
        for group in self.param_groups:
            for name in ("lr", "momentum", "weight_decay"):
                value = group[name]
                if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                    raise ConfigError(f"SGD: {name}={value!r}; want a number of at least 0")
            if group["momentum"] >= 1 or (group["nesterov"] and not group["momentum"]):
                raise ConfigError(f"SGD: momentum={group['momentum']}; want below 1, and above 0 for nesterov")

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        sums: list[list[Term]] = []
        plan: list[tuple[Any, dict[str, Any], bool, bool, bool]] = []
        for group in self.param_groups:
            lr, mu, nesterov = group["lr"], group["momentum"], group["nesterov"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                gradient = p.grad._value
                state = self.state.setdefault(id(p), {})
                unit = lr or state.get("lr") or 1.0  # at a rate of 0 the momentum goes on in the unit it had
                terms: list[Term] = [(unit * gradient.gain, gradient.share)]
                if group["weight_decay"]:
                    terms.append((unit * group["weight_decay"], p._value.settled()))
                old: Share | None = state.get("u") if mu else None
                ratio = 0.0
                if old is not None:
                    ratio = mu * unit / state["lr"]
                    sums.append([*terms, (ratio, old)])
                else:
                    sums.append(terms)
                if nesterov:  # lr g + mu u_new, with u_new = ratio u + lr g
                    ahead = [((1 + mu) * c, share) for c, share in terms]
                    sums.append([*ahead, (mu * ratio, old)] if old is not None else ahead)
                state["lr"] = unit
                plan.append((p, state, bool(mu), nesterov, bool(lr)))
        if not plan:
            return
        party = plan[0][0].party
        party.note("step", [(p._value.number, p.grad._value.number) for p, *_ in plan])
        with party.scope(type(self).__name__):
            results = iter(combine(party, sums))
            for p, state, keeps, nesterov, moves in plan:
                update = next(results)
                if keeps:
                    state["u"] = update
                if nesterov:
                    update = next(results)
                if moves:
                    descend(p, update)
