"""Adam and AdamW in fixed point."""
from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from mpc.errors import ConfigError
from mpc.functions.roots import rsqrt_coarse
from mpc.masks import Shape
from mpc.ops.combination import Term, combine
from mpc.optim.optimizer import Optimizer, descend
from mpc.sharing import Share

SECOND_BITS = 12  # 1 - beta2 is a multiple of 2^-12
LOW, HIGH = -24, 20  # log2 of the smallest and largest mean square (of scaled gradients) that are told apart


class Adam(Optimizer):
    """torch's Adam: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr m' / (sqrt(v') + eps), ' without their bias.

    All hyper-parameters are public, m and v are shares. Steps do not change when gradients are multiplied by a number,
    so they are kept times ``gradient_scale``, m at frac_bits and v at twice that: gradients from 2^-18 to 8 in magnitude
    are told apart (times 64 / gradient_scale), larger ones leave the range (the plaintext twin tells). 1 / sqrt(v) has a
    relative error of 1.1 %, ``eps`` is a lower bound of sqrt(v) (2^-18 at least), and 1 - beta2 is rounded to a
    multiple of 2^-12; a step is otherwise torch's. About 12 rounds per step, for all parameters together; 11
    thresholds per parameter, about 0.5 kB from the dealer each.
    """

    decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        gradient_scale: float = 64.0,
    ) -> None:
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "gradient_scale": gradient_scale,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            name = type(self).__name__
            for option in ("lr", "eps", "weight_decay", "gradient_scale"):
                value = group[option]
                if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                    raise ConfigError(f"{name}: {option}={value!r}; want a number of at least 0")
            if len(group["betas"]) != 2 or not all(0 <= b < 1 for b in group["betas"]) or not group["gradient_scale"]:
                raise ConfigError(f"{name}: betas={group['betas']!r}; want two numbers from 0 to below 1")

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        plan = [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not plan:
            return
        party = plan[0][0].party
        party.note("step", [(p._value.number, p.grad._value.number) for p, _ in plan])
        with party.scope(type(self).__name__):
            sums = [terms for p, group in plan for terms in self._moments(p, group)]
            results = combine(party, sums)
            first, gradients = results[::2], results[1::2]
            second = self._second(plan, gradients)
            seconds = _parts(second, plan)
            speeds: list[Share] = [second] * len(plan)
            bounds = [_least(group, self.state[id(p)]["step"]) for p, group in plan]
            for bound in sorted(set(bounds)):  # one call for all groups of one eps
                chosen = [i for i, b in enumerate(bounds) if b == bound]
                part = rsqrt_coarse(party.protocol, _joined([seconds[i] for i in chosen]), bound, HIGH)
                for i, speed in zip(chosen, _parts(part, [plan[i] for i in chosen]), strict=True):
                    speeds[i] = speed
            steps = party.protocol.mul(_joined(first), _joined(speeds))
            updates = []
            for (p, group), m, v, u in zip(plan, first, seconds, _parts(steps, plan), strict=True):
                state = self.state[id(p)]
                state["m"], state["v"] = m, v
                updates.append(self._update(p, group, state["step"], u))
            for (p, _), update in zip(plan, combine(party, updates), strict=True):
                descend(p, update)

    def _moments(self, p: Any, group: dict[str, Any]) -> tuple[list[Term], list[Term]]:
        """The sums that give the new m, and the scaled gradient."""
        gradient, scale, beta = p.grad._value, group["gradient_scale"], group["betas"][0]
        terms: list[Term] = [(scale * gradient.gain, gradient.share)]
        if group["weight_decay"] and not self.decoupled:
            terms.append((scale * group["weight_decay"], p._value.settled()))
        state = self.state.setdefault(id(p), {"step": 0})
        state["step"] += 1
        fresh: list[Term] = [((1 - beta) * c, share) for c, share in terms]
        old = state.get("m")
        return ([(beta, old), *fresh] if old is not None else fresh), terms

    def _second(self, plan: list[tuple[Any, dict[str, Any]]], gradients: list[Share]) -> Share:
        """The new v of all parameters, flat, at twice frac_bits: one square and one truncation."""
        protocol, f = plan[0][0].party.protocol, plan[0][0].party.frac_bits
        squares = protocol.square(_joined(gradients))
        sums = []
        for (p, group), square in zip(plan, _parts(squares, plan), strict=True):
            weight = _second_weight(group)
            words = square.words * np.uint64(weight)
            old = self.state[id(p)].get("v")
            if old is not None:
                words = words + old.words * np.uint64((1 << SECOND_BITS) - weight)
            sums.append(Share(np.asarray(words), 2 * f + SECOND_BITS))
        return protocol.truncate(_joined(sums), SECOND_BITS)

    def _update(self, p: Any, group: dict[str, Any], step: int, u: Share) -> list[Term]:
        """lr m' / sqrt(v'), and the decay where it is not part of the gradient."""
        beta1, beta2 = group["betas"][0], 1 - _second_weight(group) / (1 << SECOND_BITS)
        rate = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        terms: list[Term] = [(rate, u)]
        if self.decoupled and group["weight_decay"]:
            terms.append((group["lr"] * group["weight_decay"], p._value.settled()))
        return terms


class AdamW(Adam):
    """Adam with decoupled weight decay: p -= lr weight_decay p beside the step; see `Adam`."""

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        gradient_scale: float = 64.0,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, gradient_scale)


def _second_weight(group: dict[str, Any]) -> int:
    return max(1, round((1 - group["betas"][1]) * (1 << SECOND_BITS)))


def _least(group: dict[str, Any], step: int) -> int:
    """log2 of the lower bound of v, before its bias is taken out, of scaled gradients: even, from `LOW` to below `HIGH`."""
    corrected = 1 - (1 - _second_weight(group) / (1 << SECOND_BITS)) ** step
    eps = float(group["eps"] * group["gradient_scale"]) * math.sqrt(corrected)
    return min(HIGH - 4, max(LOW, 2 * math.ceil(math.log2(eps)) if eps else LOW))


def _joined(shares: list[Share]) -> Share:
    """All elements of shares of one scale, flat."""
    return Share(np.concatenate([s.words.reshape(-1) for s in shares]), shares[0].scale)


def _parts(joined: Share, plan: list[tuple[Any, dict[str, Any]]]) -> list[Share]:
    """The inverse of `_joined` for the shapes of the parameters."""
    parts, at = [], 0
    for p, _ in plan:
        shape: Shape = p.shape
        size = math.prod(shape)
        parts.append(Share(joined.words[at : at + size].reshape(shape), joined.scale))
        at += size
    return parts
