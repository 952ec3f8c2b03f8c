"""Masks for data before it is handed out.

::

    out = masking.generalise(people, {"age": Intervals(5, 10, 20), "sex": Suppress()}, k)
    names = masking.Pseudonyms(key, "customer")              # keep a format, reversible with the key alone
    said = masking.text.Redactor().redact(["call mom"])      # "call [RELATION_1]"
"""
from mpc.privacy.masking import text
from mpc.privacy.masking.checks import Requirement
from mpc.privacy.masking.generalise import Generalised, as_released, generalise
from mpc.privacy.masking.hierarchies import Intervals, Suppress, Tree
from mpc.privacy.masking.keyfile import MaskingKey
from mpc.privacy.masking.noise import NoisyColumn, Statement, add_noise
from mpc.privacy.masking.pseudonyms import Pseudonyms, SmallDomain
from mpc.privacy.masking.report import MaskingReport, report
from mpc.privacy.masking.risk import Linkage, Risk, linkage, risk

__all__ = [
    "Generalised", "Intervals", "Linkage", "MaskingKey", "MaskingReport", "NoisyColumn", "Pseudonyms", "Requirement",
    "Risk", "SmallDomain", "Statement", "Suppress", "Tree", "add_noise", "as_released", "generalise", "linkage", "report",
    "risk", "text",
]
