"""Reports as one page of HTML."""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpc.report.report import Report


def page(report: Report, title: str) -> str:
    return ""
