"""What a session cost, by operation and by layer, and everything it revealed: the books, the report, its pages.

`rows`: plain data. `books`: what a running session writes to. `report`: the public `Report`. `views`, `network`: the same
rows by operation and layer, and on other networks. `text`, `html`: for people.
"""
from mpc.report.books import Account, Backward, Books, Observed, Scope
from mpc.report.network import LAN, NETWORKS, WAN, Network, Prediction, predict
from mpc.report.report import FINISHED, Report, joined
from mpc.report.rows import Headroom, LedgerLine, Point, Row, where
from mpc.report.text import ledger_text
from mpc.report.views import amount, duration

__all__ = [
    "FINISHED",
    "LAN",
    "NETWORKS",
    "WAN",
    "Account",
    "Backward",
    "Books",
    "Headroom",
    "LedgerLine",
    "Network",
    "Observed",
    "Point",
    "Prediction",
    "Report",
    "Row",
    "Scope",
    "amount",
    "duration",
    "joined",
    "ledger_text",
    "predict",
    "where",
]
