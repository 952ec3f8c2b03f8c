"""Audits: what can be told from what was handed out, measured."""
from mpc.privacy.audit.attribute import attribute_inference
from mpc.privacy.audit.intervals import Estimate
from mpc.privacy.audit.membership import membership_inference
from mpc.privacy.audit.membership_report import MembershipReport, bound
from mpc.privacy.audit.report import AttributeReport, combine, pool

__all__ = [
    "AttributeReport",
    "Estimate",
    "MembershipReport",
    "attribute_inference",
    "bound",
    "combine",
    "membership_inference",
    "pool",
]
