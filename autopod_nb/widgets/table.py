"""Tables as text and as HTML: pure, escaped, at any width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autopod_nb.widgets import card, words

_CELL = "text-align:left;vertical-align:top;padding:2px 16px 2px 0"
_SHORT = 26  # characters: a cell up to this stays on one line, a longer one wraps
_WIDTH_PX = 1100


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place, and its colour; empty for that of the text around it."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows below headings, and lines below them.

    Attributes:
        name: for a screen reader.
        headings: one a column.
        rows: as many cells a row.
        notes: lines, the first ones the most urgent.
    """

    name: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


def table_text(table: Table) -> str:
    """Columns side by side, two blanks between them."""
    lines = [[words.clean(cell.text) for cell in row] for row in table.rows]
    if lines:
        lines.insert(0, list(table.headings))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([*(text.rstrip() for text in texts), *map(words.clean, table.notes)])


def table_html(table: Table) -> str:
    """A table whose long cells wrap, and that scrolls sideways where it is too wide all the same."""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    style = f"{_CELL};font-weight:600;white-space:nowrap"
    head = "".join(f'<th scope="col" style="{style}">{card.safe(each)}</th>' for each in table.headings)
    grid = (
        f'<div style="overflow-x:auto" tabindex="0" role="region" aria-label="{card.label(table.name)}">'
        f'<table aria-label="{card.label(table.name)}" style="border-collapse:collapse;'
        f'margin:0;font-size:13px"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
    notes = (card.text_line(note) for note in table.notes)
    return card.section(table.name, [grid if body else "", *notes], width_px=_WIDTH_PX)


def _cell(cell: Cell) -> str:
    wraps = "min-width:180px;overflow-wrap:anywhere" if len(cell.text) > _SHORT else "white-space:nowrap"
    colour = f";color:{cell.colour};font-weight:600" if cell.colour else ""
    return f'<td style="{_CELL};{wraps}{colour}">{card.safe(cell.text)}</td>'
