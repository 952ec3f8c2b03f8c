"""Audits: what can be told from what was handed out, measured."""
from mpc.privacy.audit.attribute import attribute_inference
from mpc.privacy.audit.intervals import Estimate
from mpc.privacy.audit.report import AttributeReport, combine, pool

__all__ = ["AttributeReport", "Estimate", "attribute_inference", "combine", "pool"]
