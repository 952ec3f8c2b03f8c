"""What the demo prints at the end."""
from __future__ import annotations

import shutil
import textwrap
import time
from typing import NamedTuple

from mpc.parties.demo import plaintext
from mpc.parties.demo.data import in_the_clear
from mpc.parties.demo.programs import Model, Outcome
from mpc.report import Report, amount, joined, ledger_text


class Plain(NamedTuple):
    """The same training by somebody who sees everything."""

    correct: int
    records: int
    seconds: float


def in_plaintext(dataset: str, model: Model, seed: int) -> Plain:
    """Train on the same data with the same initial weights and batches, and count correct test predictions."""
    x, y, test_x, test_y = in_the_clear(dataset, model.folder, model.rows)
    started = time.perf_counter()
    layers = plaintext.train(x, y, model, seed)
    seconds = time.perf_counter() - started
    scores = plaintext.logits(layers, test_x)
    if y.shape[1] == 1:
        right = (scores[:, 0] > 0) == test_y[:, 0]
    else:
        right = (scores <= (scores * test_y).sum(1, keepdims=True)).all(1)
    return Plain(int(right.sum()), len(test_y), seconds)


def show(title: str, outcomes: list[Outcome], wall: float, plain: Plain) -> None:
    """What each phase and one step of training cost all parties together; accuracies; the ledger."""
    from rich.console import Console
    from rich.table import Table

    first = outcomes[0]
    table = Table(title=title, title_justify="left", title_style="bold")
    for k, head in enumerate(("", "seconds", "rounds", "party to party", "from the dealer")):
        table.add_column(head, justify="left" if k == 0 else "right")
    for name in first.costs:
        took, rounds, sent, dealt = _together(outcomes, name)
        table.add_row(name, f"{took:.2f}", f"{rounds}", amount(sent), amount(dealt))
    steps = max(1, first.steps)
    took, rounds, sent, dealt = _together(outcomes, "train")
    each = (f"{took / steps:.3f}", f"{rounds / steps:.0f}", amount(sent // steps), amount(dealt // steps))
    table.add_row(f"one of {first.steps} steps", *each)
    table.add_section()
    table.add_row("all, with starting up", f"{wall:.2f}", "", "", "")
    table.add_row("trained in plaintext", f"{plain.seconds:.2f}", "", "", "")
    Console().print(table)
    records, secret = plain.records, first.correct
    print(f"Test accuracy: {secret / records:.1%} on secret shares ({secret} of {records} records right),")
    print(f"               {plain.correct / records:.1%} in plaintext, trained alike ({plain.correct} of {records})")
    report = whole(outcomes)
    print(ledger_text(report.ledger, report.world_size), end="\n\n")


def _together(outcomes: list[Outcome], name: str) -> tuple[float, int, int, int]:
    took, rounds, sent, dealt = zip(*(o.costs[name] for o in outcomes), strict=True)
    return max(took), max(rounds), sum(sent), max(dealt)


def whole(outcomes: list[Outcome]) -> Report:
    """All parties' reports as one."""
    return joined([o.report for o in outcomes if o.report is not None])


def closing_words() -> str:
    """What the demo shows, and what it does not."""
    return textwrap.fill(NOBODY_SAW, min(100, shutil.get_terminal_size().columns))


NOBODY_SAW = """\
What nobody saw: another party's columns, images or labels, the trained weights, any single prediction. Every process held \
random-looking shares; the dealer held no data at all. What everybody knows: the program, the shapes, the split, the \
initial weights and shuffles, and the lines listed as revealed. Two limits of a demo: all processes ran on this machine \
under your account, and each loaded the public data set and used only its own part of it. The promise holds for parties \
that follow the program, and a dealer that works with none of them (SECURITY.md)."""
