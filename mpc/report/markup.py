"""Pieces of the page: sections, tables, labels. Everything is escaped here."""
from __future__ import annotations

from collections.abc import Iterable
from html import escape

from mpc.report.views import Table

WORDS = ("note", "reason")  # columns whose text may wrap


def section(title: str, text: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p>{body}</section>"


def path(label: str) -> str:
    """A label whose last component stands out."""
    outer, _, last = label.rpartition("/")
    return f"<i>{escape(outer)}/</i>{escape(last)}" if outer else escape(last)


def grid(table: Table, label: str) -> str:
    kinds = ["words" if name in WORDS else "name" if k < table.left else "" for k, name in enumerate(table.head)]

    def cells(line: Iterable[str], tag: str) -> str:
        return "".join(
            f"<{tag}{f' class={kind}' if kind else ''}>{_cell(text, name, tag)}</{tag}>"
            for text, kind, name in zip(line, kinds, table.head, strict=True)
        )

    rows = "".join(f"<tr>{cells(line, 'td')}</tr>" for line in table.lines)
    foot = f"<tfoot><tr>{cells(table.total, 'td')}</tr></tfoot>" if table.total else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label, quote=True)}"><table>'
        f"<thead><tr>{cells(table.head, 'th')}</tr></thead><tbody>{rows}</tbody>{foot}</table></div>"
    )


def _cell(text: str, name: str, tag: str) -> str:
    if tag == "th":
        return escape(text[:1].upper() + text[1:] if text.islower() else text)
    if name in ("layer", "in", "scope"):
        return f'<span class="path">{path(text)}</span>'
    if name == "where":
        return f"<code>{escape(text)}</code>"
    if name == "note" and text:
        return f'<span class="flag">{escape(text)}</span>'
    return escape(text)
