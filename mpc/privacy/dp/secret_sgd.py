"""DP-SGD on secret-shared data: clipping, sum and noise happen on shares, so nobody sees a gradient, nor the noise.

What is protected is the model that is revealed in the end (and whatever is computed from it): the parties' shares tell nothing
anyway. Parties see which rows make up a batch, and subsampling amplifies only against those who do not, so none is accounted
for; but the batches of an epoch partition the rows and together cost what one costs.
"""
from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple
from weakref import ref

from mpc import data, nn
from mpc.autograd import Op
from mpc.errors import ConfigError, NotSupported
from mpc.ops.linalg import product
from mpc.ops.value import Operand, Value, add, from_public
from mpc.optim import SGD
from mpc.party import Party, current
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.clipping import Factors, checked, clipped
from mpc.privacy.dp.gaussian import COINS, REPORTED_DELTA, Gaussian
from mpc.privacy.dp.private_sgd import PrivateSGD, all_or_none
from mpc.sharing import Share, concatenate
from mpc.sharing import add as add_shares
from mpc.tensor import SecretTensor


class Record(NamedTuple):
    """What a backward pass left of one dense layer: its input, and the loss's gradient of its output."""

    layer: nn.Linear
    inputs: Value
    gradient: Operand


class SecretDPSGD(PrivateSGD):
    """See `PrivateSGD`. For models whose parameters are those of `mpc.nn.Linear`, on inputs of one row per example; what lies
    between must not mix rows (activations, flattening, dropout do not).

    Noise: `Gaussian` with ``coins`` coins on the grid 2^-2f of the exact sum of gradients, drawn on shares; what makes the norm
    hold exactly: `mpc.privacy.dp.clipping`. Reveals nothing. With 256 coins a step of 784-128-10 takes a third of the time, and
    for 20 steps or more no more epsilon up to noise multiplier 4, 1 % at 10. One truncation per parameter follows the noise, as
    in SGD.
    """

    def __init__(self, model: nn.Module, *args: Any, coins: int = COINS, **options: Any) -> None:
        self.coins = coins
        super().__init__(model, *args, **options)

    def _inner(self, lr: float, options: dict[str, Any]) -> Any:
        self._records: list[Record] = []
        self._layers: list[nn.Linear] = []
        self._looping = self._paid = False  # inside `batches`; epoch charged
        self._drawn: int | None = None  # rows of the batch that waits for its step
        known: set[int] = set()
        for name, module in self.model.named_modules():
            if module._buffers or isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                raise NotSupported(f"DPSGD: {name or type(module).__name__} uses statistics of batches, which mix examples")
            if type(module) is not nn.Linear:
                continue
            mine = [p for p in (module.weight, module.bias) if p is not None]
            if known.intersection(map(id, mine)):
                raise NotSupported(f"DPSGD: {name} shares parameters with another layer; want parameters of one layer each")
            known.update(map(id, mine))
            if all_or_none(name or "the layer", [p.requires_grad for p in mine]):
                self._layers.append(module)
        wanted = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        others = [name for name, p in wanted if id(p) not in known]
        if others:
            raise NotSupported(f"DPSGD: parameters {others} belong to no Linear; want dense layers, freeze the others")
        for layer in self._layers:
            object.__setattr__(layer, "forward", partial(_forward, layer, ref(self)))
        return SGD((p for _, p in wanted), lr=lr, **options)

    def _party(self) -> Party:
        return current()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, and what backward passes left."""
        self._records.clear()
        self.optimizer.zero_grad()

    def mechanism(self) -> Gaussian:
        """The noise of a step in real units; the sum's last operation before it is exact."""
        return Gaussian(
            noise_multiplier=self.noise_multiplier, sensitivity=self.max_grad_norm, coins=self.coins, truncations=0
        )

    def released(self, key: tuple[Any, ...]) -> Guarantee:
        multiplier, sensitivity, coins, size, scale = key
        mechanism = Gaussian(noise_multiplier=multiplier, sensitivity=sensitivity, coins=coins, truncations=0)
        return mechanism.on_grid(2.0**-scale, size)[1]

    def step(self) -> None:
        """Clip every example's gradient to max_grad_norm, add up, add noise, divide by the batch size, update.

        Raises BudgetExceeded, with nothing changed; ConfigError, NotSupported where gradients are not those of one batch."""
        records, rows = self._taken()
        party = records[0].inputs.party
        size = sum(p.numel() for layer in self._layers for p in (layer.weight, layer.bias) if p is not None)
        scale = 2 * party.frac_bits
        checked(self.max_grad_norm, party.frac_bits)
        party.note("dpsgd", self.max_grad_norm, self.noise_multiplier, self.coins, rows, size, self.steps)
        due = self._due(rows)
        self._charge(party, (self.noise_multiplier, self.max_grad_norm, self.coins, size, scale), due)
        self._drawn, self._paid = None, True
        with party.scope(type(self).__name__):
            total = summed(records, self.max_grad_norm, self.loss_reduction)
            noise, _ = self.mechanism().on_grid(2.0**-scale, size)
            noisy = add_shares(total, noise.sample_shares(party, (size,)).rescaled(scale))
            at = 0
            for layer in (r.layer for r in records):
                for p in (layer.weight, layer.bias):
                    if p is not None:
                        part = noisy[at : at + p.numel()].reshape(tuple(p.shape))
                        at += p.numel()
                        p.grad = SecretTensor(Value(party, part, 1.0 / rows))
        self.optimizer.step()
        self.zero_grad()
        for layer in self._layers:
            for p in (layer.weight, layer.bias):
                if p is not None:
                    p._value.remark = self._remark

    def _remark(self) -> str:
        """What the ledger says of a parameter that is revealed as the last step left it."""
        return f"DP-SGD, {self.steps} steps: epsilon={self.epsilon(REPORTED_DELTA):.4g}, delta={REPORTED_DELTA:g}"

    def batches(self, *tensors: SecretTensor, size: int, epochs: int = 1) -> Iterator[Any]:
        """`mpc.data.batches`: each epoch in a new public order, every row once; the steps of an epoch cost what one costs."""
        loop = data.batches(*tensors, size=size, epochs=epochs)
        self._looping = True
        try:
            for got in loop:
                self._drawn = (got[0] if isinstance(got, tuple) else got).shape[0]
                self._paid = self._paid and loop.batch > 0
                yield got
        finally:
            self._looping, self._drawn = False, None

    def _due(self, rows: int) -> bool:
        """Is this step a release of its own?"""
        if not self._looping:
            return self.steps % self.disjoint_batches == 0
        if self._drawn is None:
            raise ConfigError("DPSGD: a second step on one batch; want one step a batch, an epoch is charged for that")
        if rows != self._drawn:
            raise ConfigError(f"DPSGD: gradients of {rows} examples; the batch has {self._drawn}. Want its rows alone: an "
                              "epoch is charged once since every row is in one of its batches")
        return not self._paid

    def _taken(self) -> tuple[list[Record], int]:
        """The records of one backward pass in the order of the layers, and how many examples they are of."""
        by_layer = {id(record.layer): record for record in self._records}
        missing = sum(id(layer) not in by_layer for layer in self._layers)
        if missing or not by_layer:
            raise ConfigError(f"DPSGD: {missing or 'all'} of {len(self._layers)} layers got no gradient; want loss.backward()")
        if any(p.grad is not None for group in self.param_groups for p in group["params"]):
            raise NotSupported("DPSGD: a parameter has a gradient from outside its layer's forward(), which cannot be clipped "
                               "per example; want losses of the outputs alone (weight_decay is an option), or zero_grad()")
        rows = {r.inputs.shape[0] for r in by_layer.values()}
        if len(rows) != 1:
            raise NotSupported(f"DPSGD: layers saw {sorted(rows)} rows; want one row per example in each of them")
        return [by_layer[id(layer)] for layer in self._layers], rows.pop()


def _forward(layer: nn.Linear, optimizer: ref[SecretDPSGD], x: SecretTensor) -> SecretTensor:
    found = optimizer()
    if found is None:  # it went: the layer is a layer again
        return nn.Linear.forward(layer, x)
    if x.ndim != 2:
        raise NotSupported(f"DPSGD: a dense layer on shape {tuple(x.shape)}; want (examples, features)")
    op = _Dense(layer, found._records)
    return op(x, layer.weight, layer.bias) if layer.bias is not None else op(x, layer.weight)


class _Dense(Op):
    """x @ weight.T + bias, whose parameters' gradients are not computed: their factors are recorded."""

    __slots__ = ("layer", "records")

    def __init__(self, layer: nn.Linear, records: list[Record]) -> None:
        super().__init__("linear", _dense, ())
        self.layer, self.records = layer, records

    def gradient(self, i: int, g: Operand, saved: Any, values: Any) -> Operand | None:
        x, weight = values[0], values[1]
        if i == 0:
            return product(g, weight, False)
        if i == 1:
            if any(record.layer is self.layer for record in self.records):
                raise NotSupported("DPSGD: a second gradient of a layer that has one; want each used once, one backward() for "
                                   "each step(), zero_grad() before it. Another optimiser cannot train this model meanwhile")
            self.records.append(Record(self.layer, x, g))
        return None


def _dense(x: Value, weight: Value, bias: Value | None = None) -> Operand:
    out = product(x, weight.transpose((1, 0)))
    return out if bias is None else add(out, bias)


def summed(records: list[Record], bound: float, reduction: str = "mean") -> Share:
    """The sum over examples of their clipped gradients, exact, at twice frac_bits: flat, layer by layer, weight then bias."""
    party = records[0].inputs.party
    layers = [_factors(r, reduction) for r in records]
    parts = []
    for record, layer, kept in zip(records, layers, clipped(party, layers, bound), strict=True):
        weights = party.protocol.matmul(kept.transpose((1, 0)), layer.inputs)
        parts.append(weights.reshape((-1,)))
        if record.layer.bias is not None:
            parts.append(party.protocol.total(kept, (0,), False).lifted(weights.scale))
    return concatenate(parts, 0)


def _factors(record: Record, reduction: str) -> Factors:
    """Input and the examples' own gradients at frac_bits."""
    party, f = record.inputs.party, record.inputs.party.frac_bits
    g = record.gradient if isinstance(record.gradient, Value) else from_public(party, record.gradient)
    share = g.factor(False)  # rounded where the pass below rounds it
    gain = g.gain * (g.shape[0] if reduction == "mean" else 1)
    if not math.isclose(gain, 1.0, rel_tol=1e-12):
        share = Value(party, share, gain).settled()
    return Factors(_lifted(record.inputs.settled(), f), _lifted(share, f))


def _lifted(x: Share, scale: int) -> Share:
    return x.lifted(scale) if x.scale < scale else x
