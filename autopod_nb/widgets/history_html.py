"""One page of the history as HTML: pure, escaped, two lines a cell so that it fits a narrow page.

Imported only beside a history that is there already, and so is pandas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.session.frame import dollars_exactly, short_path, show_seconds
from autopod_nb.widgets import card, words
from autopod_nb.widgets.safe import label, safe

_HEADINGS = ("Job, template", "State, submitted (UTC)", "GPU, time", "Cost", "Result")
_WIDTHS = ((20, 72), (17, 80), (13, 44), (13, 66), (37, 52))  # % and at least px: all of it fits a page of 480 px
_CELL = "text-align:left;vertical-align:top;padding:2px 4px 2px 0;box-sizing:content-box;overflow-wrap:anywhere"
_SHOWN_FILES = 3
_SHOWN_ERROR = 120  # characters beside which the rest is folded
_MOST_ERROR = 2_000  # characters in all
_NONE = "–"


def page_html(rows: pd.DataFrame) -> str:
    """A table of these rows, all of them; a line if there are none.

    Args:
        rows: with the columns of a history.
    """
    body = "".join(map(_row, rows.to_dict("records")))
    if not body:
        return card.text_line("No attempt fits these filters.", card.QUIET)
    head = "".join(
        f'<th scope="col" style="{_CELL};font-weight:600;width:{share}%">{escape(each)}</th>'
        for each, (share, _) in zip(_HEADINGS, _WIDTHS, strict=True)
    )
    return (
        '<div style="overflow-x:auto" tabindex="0" role="region" aria-label="Attempts">'
        '<table aria-label="Attempts" style="border-collapse:collapse;margin:0;width:100%;font-size:13px;'
        'line-height:1.4">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: Mapping[Any, Any]) -> str:
    attempt = "" if row["attempt"] == 1 else f" (attempt {row['attempt']})"
    gpu = _NONE if pd.isna(row["gpu"]) else f"{row['gpu']} × {row['gpu_count']}"
    cells = (
        _two(f"<b>{safe(row['job_id'])}</b>{safe(attempt)}", short_path(row["template"])),
        _two(_state(row["state"]), f"{row['submitted']:%Y-%m-%d %H:%M}"),
        _two(safe(gpu), show_seconds(row["seconds"])),
        safe(_cost(row)),
        _files(row["outputs"]) + _error(words.clean(row["error"])) or _NONE,
    )
    tds = (f'<td style="{_CELL};min-width:{px}px">{cell}</td>' for cell, (_, px) in zip(cells, _WIDTHS, strict=True))
    return f'<tr style="border-top:1px solid var(--jp-border-color2,#bdbdbd)">{"".join(tds)}</tr>'


def _two(first: str, second: str) -> str:
    """HTML, and text in a quiet colour below it."""
    return f'<div>{first}</div><div style="color:{card.QUIET}">{safe(second)}</div>'


def _state(state: str) -> str:
    return card.badge(state, card.JOB_COLOURS.get(JobState(state), card.ACTIVE))


def _cost(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["kind"]):
        return _NONE
    return show_usd(dollars_exactly(row["cost_usd"]), MoneyKind(row["kind"]))


def _files(paths: Sequence[str]) -> str:
    """The first files; the whole paths in the tooltip."""
    shown = [f'<div><code title="{label(path)}">{safe(short_path(path))}</code></div>' for path in paths[:_SHOWN_FILES]]
    left = len(paths) - _SHOWN_FILES
    return "".join(shown) + (f"<div>and {left} more</div>" if left > 0 else "")


def _error(error: str) -> str:
    """An error in a colour; a long one folded, and one that never ends cut."""
    if not error:
        return ""
    style = f"color:{card.BAD}"
    if len(error) <= _SHOWN_ERROR:
        return f'<div style="{style}">{safe(error)}</div>'
    whole = error if len(error) <= _MOST_ERROR else error[:_MOST_ERROR] + " … (the rest is in the frame)"
    head = f"{error[:_SHOWN_ERROR]}…"
    return f'<details style="{style}"><summary>{safe(head)}</summary>{safe(whole)}</details>'
