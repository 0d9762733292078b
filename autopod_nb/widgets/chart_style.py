"""How every figure looks, and texts that are safe in one. Loads plotly, so only what draws imports it.

A figure has a light ground of its own in every theme: no grey reaches a contrast of 4.5 on both white and JupyterLab's
dark ground (4.35 is the most), and plotly knows nothing of CSS variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from autopod_nb.models.money import MoneyKind
from autopod_nb.widgets import words

GROUND = "#f8f9fb"
INK = "#24292f"
QUIET_INK = "#57606a"
GRID = "#d0d7de"
WARN_INK = "#8a5100"
LIMIT_INK = "#b42318"
KIND_NAMES = {MoneyKind.REAL: "real money", MoneyKind.SIMULATED: "simulated money"}
"""How a figure says which money it shows."""
NOT_ADDED = "Simulated money is nobody's, so the two kinds are never added."
KIND_COLOURS = {MoneyKind.REAL: "#1f5fa8", MoneyKind.SIMULATED: "#8a4fbf"}
_MARGINS_PX = 160  # above and below the panels, about
MAX_LABEL = 30  # characters beside an axis: more would leave no room for the figure in a narrow window
_MARKS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def chart_text(text: str) -> str:
    """*text* of anybody for a place in a figure: on one line, without secrets.

    Plotly takes ``<b>`` and ``<a>`` for markup, and a text between two dollar signs for a formula.
    """
    return "".join(_MARKS.get(letter, letter) for letter in words.clean(text))


def chart_label(text: str, most: int = MAX_LABEL) -> str:
    """The same, cut in the middle if it is long: names that begin alike differ at their ends."""
    line = words.clean(text)
    if len(line) > most:
        left = most // 2
        line = f"{line[:left]}…{line[len(line) - (most - left - 1) :]}"
    return chart_text(line)


def chart_time(at: datetime) -> str:
    """A time for plotly, which would show another zone's as it is written: UTC without saying so."""
    return at.replace(tzinfo=None).isoformat(sep=" ")


def pattern(shapes: Sequence[str], colours: Sequence[str]) -> dict[str, Any]:
    """Patterns over colours, since a colour alone is no sign: told apart, and weak enough to read on."""
    return {
        "shape": list(shapes),
        "bgcolor": list(colours),
        "fgcolor": "#303030",
        "fgopacity": 0.55,
        "size": 8,
        "solidity": 0.14,
    }


def usd(amount_usd: Decimal) -> str:
    """``$0.0123``, safe in a figure; which money it is stands beside it."""
    return chart_text(f"${amount_usd:.{2 if abs(amount_usd) >= 1 else 4}f}")


def new_figure(
    title: str, *, height_px: int, panels: Sequence[str] = (), shares: Sequence[float] = (), gap_px: int = 84
) -> go.Figure:
    """An empty figure.

    Args:
        title: above it; what stands behind its comma comes below, for a narrow page shows no long line.
        height_px: of all of it.
        panels: titles of what stands below each other; none for a figure of one.
        shares: how high each panel is beside the others.
        gap_px: between two panels, for the axis of the upper and the title of the lower one.
    """
    if len(panels) > 1:
        gap = min(0.5, gap_px / (height_px - _MARGINS_PX))
        heights = [share / sum(shares) for share in shares] if shares else None
        figure = make_subplots(
            rows=len(panels), cols=1, subplot_titles=list(panels), vertical_spacing=gap, row_heights=heights
        )
        figure.update_annotations(font={"size": 13, "color": INK}, x=0, xanchor="left")
    else:
        figure = go.Figure()
    head, _, when = title.partition(", ")
    figure.update_layout(
        template="none",
        title={
            "text": f"<b>{head}</b>",
            "subtitle": {"text": when, "font": {"size": 12, "color": QUIET_INK}},
            "x": 0.015,
            "xref": "container",
            "xanchor": "left",
            "yref": "container",
            "y": 1 - 22 / height_px,
            "yanchor": "middle",
            "font": {"size": 15, "color": INK},
        },
        height=height_px,
        paper_bgcolor=GROUND,
        plot_bgcolor=GROUND,
        font={"family": _FONT, "size": 12, "color": INK},
        margin={"l": 16, "r": 24, "t": 66, "b": 56},
        hoverlabel={"bgcolor": "#ffffff", "font": {"color": INK}, "align": "left", "namelength": -1},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "font": {"size": 12}},
    )
    return figure


def axes(figure: go.Figure, *, x: str, y: str = "", row: int | None = None, **options: Any) -> None:
    """Name and dress the axes of one panel, or of a figure of one.

    Args:
        figure: to change.
        x: title of the horizontal axis.
        y: of the vertical one.
        row: which panel, from 1; None for a figure of one.
        options: for the horizontal axis, in plotly's words.
    """
    where = {} if row is None else {"row": row, "col": 1}
    usual: dict[str, Any] = {
        "gridcolor": GRID,
        "linecolor": QUIET_INK,
        "zerolinecolor": QUIET_INK,
        "automargin": True,
        "exponentformat": "none",  # $0.0001, not $100µ
        "tickfont": {"color": INK},
    }
    figure.update_xaxes(title={"text": x, "font": {"size": 12}, "standoff": 8}, **{**usual, **options}, **where)
    figure.update_yaxes(title={"text": y, "font": {"size": 12}, "standoff": 8}, **usual, **where)


def panels_of(kinds: Sequence[MoneyKind], what: str) -> list[str]:
    """The title of the panel of each kind of money."""
    return [f"{what}, {KIND_NAMES[kind]}" for kind in kinds]


def row_of(kinds: Sequence[MoneyKind], kind: MoneyKind) -> int | None:
    """Which panel is that of *kind*; None in a figure of one."""
    return kinds.index(kind) + 1 if len(kinds) > 1 else None


def legend_below(figure: go.Figure) -> None:
    """Below the axis: beside the panels' titles there is no room."""
    height = float(figure.layout.height)
    figure.update_layout(legend={"yref": "container", "y": 8 / height, "yanchor": "bottom"}, margin={"b": 96})
