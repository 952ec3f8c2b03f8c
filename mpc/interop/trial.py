"""Runs of an imported model in this process: the real protocol and the plaintext twin, on threads."""
from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from functools import partial
from typing import Any

import numpy as np

from mpc.autograd import no_grad
from mpc.errors import ConfigError, FixedPointRangeError
from mpc.fixed_point import as_array
from mpc.interop.architecture import Architecture
from mpc.interop.imported import Imported
from mpc.interop.torch_fx import imported
from mpc.launch import local
from mpc.nn import functional
from mpc.optim.sgd import SGD
from mpc.party import Party
from mpc.report import Report
from mpc.session import session
from mpc.tensor import SecretTensor, share


def first(result: Any) -> Any:
    """The first tensor of a result."""
    while isinstance(result, (tuple, list)):
        result = result[0]
    return result


class Trial:
    """Runs of one model in this process."""

    def __init__(
        self, architecture: Architecture, values: Any, inputs: Sequence[Any], parties: int, frac_bits: int
    ) -> None:
        self.architecture, self.values, self.inputs = architecture, values, inputs
        self.parties, self.frac_bits = parties, frac_bits

    def _run(self, program: Any, protocol: str = "additive") -> Any:
        """Results by rank, with weights of party 0 and inputs of party 1, 2, ...; a session around here is not seen by it."""

        def started() -> Any:
            with session() as here:
                owns = here.rank == 0
                model = imported(here, self.architecture if owns else None, self.values if owns else None, 0)
                inputs = [share(x, (1 + k) % self.parties) for k, x in enumerate(self.inputs)]
                return program(here, model, inputs)

        run = partial(local, started, self.parties, protocol=protocol, threads=True, frac_bits=self.frac_bits)
        return Context().run(run)

    def headroom(self) -> list[str]:
        """What the plaintext twin says of the range on this example."""

        def program(here: Party, model: Imported, inputs: Sequence[SecretTensor]) -> Report:
            with no_grad():
                result = first(model.eval()(*inputs))
                if isinstance(result, SecretTensor):
                    result.reveal()
            return here.report()

        try:
            report = self._run(program, "clear")[0]
        except FixedPointRangeError as error:
            return [f"on this example {error}"]
        rows = [row for row in report.headroom if row.warning]
        return [f"{row.layer or row.label} ({row.what}): {row.largest:.3g} of {row.limit:.3g}, {row.warning}" for row in rows]

    def forward(self) -> tuple[Report, Any]:
        """Costs, and the first result."""

        def program(here: Party, model: Imported, inputs: Sequence[SecretTensor]) -> tuple[Report, Any]:
            before = here.report()
            with no_grad():
                result = first(model.eval()(*inputs))
            report = here.report().since(before)
            return report, result.reveal(check_range=False) if isinstance(result, SecretTensor) else as_array(result)

        results = self._run(program)
        return busiest([report for report, _ in results]), results[0][1]

    def training_step(self) -> Report:
        """Costs of forward, backward and an update."""

        def program(here: Party, model: Imported, inputs: Sequence[SecretTensor]) -> Report:
            parameters = [p for p in model.train().parameters() if p.requires_grad]
            if not parameters:
                raise ConfigError(f"{self.architecture.name} has no parameter that requires a gradient")
            optimizer = SGD(parameters, lr=2.0**-7)
            before = here.report()
            result = first(model(*inputs))
            functional.mse_loss(result, np.zeros(result.shape)).backward()
            optimizer.step()
            return here.report().since(before)

        return busiest(self._run(program))


def busiest(reports: Sequence[Report]) -> Report:
    """The report of the party that sends most."""
    return max(reports, key=lambda report: report.bytes_sent)
