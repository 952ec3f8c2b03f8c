"""Audits: what can be told from what was handed out, measured."""
from mpc.privacy.audit.attribute import attribute_inference
from mpc.privacy.audit.gradient_matching import GradientMatching
from mpc.privacy.audit.intervals import Estimate
from mpc.privacy.audit.inversion import dense_inputs, update_inversion
from mpc.privacy.audit.inversion_report import InversionReport
from mpc.privacy.audit.measured import Finding, Measured, Measuring, scored
from mpc.privacy.audit.membership import membership_inference
from mpc.privacy.audit.membership_report import MembershipReport, bound
from mpc.privacy.audit.overview import AuditReport, Exposure, audit
from mpc.privacy.audit.report import AttributeReport, combine, pool
from mpc.privacy.audit.wire import wire_inference
from mpc.privacy.audit.wire_report import WireReport

__all__ = [
    "AttributeReport",
    "AuditReport",
    "Estimate",
    "Exposure",
    "Finding",
    "GradientMatching",
    "InversionReport",
    "Measured",
    "Measuring",
    "MembershipReport",
    "WireReport",
    "attribute_inference",
    "audit",
    "bound",
    "combine",
    "dense_inputs",
    "membership_inference",
    "pool",
    "scored",
    "update_inversion",
    "wire_inference",
]
