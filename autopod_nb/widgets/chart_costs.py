"""Spending over time beside its limit, as a figure. Loads plotly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import plotly.graph_objects as go

from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.session.timeline_curve import CostCurve
from autopod_nb.widgets import chart_style as style
from autopod_nb.widgets.charts import Chart
from autopod_nb.widgets.table import Cell, Table

_WARN_AT = Decimal("0.9")
_FAR = 4  # a limit so many times above what was spent would press the line flat
_TABLE_POINTS = 12
_DASHES = {MoneyKind.REAL: "solid", MoneyKind.SIMULATED: "dash"}


def cost_chart(curve: CostCurve) -> Chart | None:
    """Spending over time, a line for each kind of money; None where nothing was spent."""
    if not curve.lines:
        return None
    name = f"Cost of {curve.name}"
    figure = style.new_figure(style.chart_text(name), height_px=370)
    for kind, line in curve.lines.items():
        figure.add_trace(
            go.Scatter(
                x=[style.chart_time(point.at) for point in line],
                y=[float(point.total_usd) for point in line],
                mode="lines+markers" if len(line) <= 60 else "lines",
                name=f"{style.KIND_NAMES[kind]}: {style.usd(curve.total_usd(kind))}",
                line={"color": style.KIND_COLOURS[kind], "dash": _DASHES[kind], "width": 2},
                marker={"symbol": "circle" if kind is MoneyKind.REAL else "diamond", "size": 5},
                hovertext=[
                    f"{point.at:%Y-%m-%d %H:%M:%S} UTC<br>{style.chart_text(show_usd(point.total_usd, kind))}"
                    for point in line
                ],
                hoverinfo="text",
            )
        )
    style.axes(figure, x="time (UTC)", y=f"USD, {_kinds_of(curve)}", type="date")
    figure.update_yaxes(rangemode="tozero", tickprefix="&#36;")
    figure.update_layout(showlegend=True)
    style.legend_below(figure)
    if curve.limit_usd is not None and _near(curve):
        _add_limit(figure, curve.limit_usd)
    return Chart(figure=figure, name=name, alt=_cost_alt(curve), table=_cost_table(curve, name))


def _kinds_of(curve: CostCurve) -> str:
    return " and ".join(kind.value for kind in curve.lines)


def _near(curve: CostCurve) -> bool:
    """Whether the limit is drawn; one that is far away is said only."""
    most = max(curve.total_usd(kind) for kind in curve.lines)
    return curve.limit_usd is not None and curve.limit_usd <= most * _FAR


def _add_limit(figure: Any, limit_usd: Decimal) -> None:
    lines = (
        (limit_usd, f"limit {style.usd(limit_usd)}", style.LIMIT_INK, "solid", "top"),
        (limit_usd * _WARN_AT, f"90 %: {style.usd(limit_usd * _WARN_AT)}", style.WARN_INK, "dot", "bottom"),
    )
    for amount, text, colour, dash, side in lines:
        figure.add_hline(
            y=float(amount),
            line={"color": colour, "dash": dash, "width": 1.5},
            annotation={"text": text, "font": {"color": colour, "size": 12}},
            annotation_position=f"{side} left",
        )
    figure.update_yaxes(range=[0, float(limit_usd) * 1.12] if not _over(figure, limit_usd) else None)


def _over(figure: Any, limit_usd: Decimal) -> bool:
    return any(max(trace.y) > float(limit_usd) for trace in figure.data)


def _cost_alt(curve: CostCurve) -> str:
    parts: list[str] = []
    for kind, line in curve.lines.items():
        total = curve.total_usd(kind)
        span = f"from {line[0].at:%Y-%m-%d %H:%M:%S} to {line[-1].at:%Y-%m-%d %H:%M:%S} UTC"
        share = f", {total / curve.limit_usd * 100:.0f} % of the limit" if curve.limit_usd else ""
        parts.append(f"{show_usd(total, kind)} {'was' if not parts else 'were'} spent {span}{share}")
    text = "; ".join(parts) + "."
    if curve.limit_usd is None:
        return text + " No limit is set for it."
    far = "" if _near(curve) else "; both lie far above what is drawn"
    limit, warning = (show_usd(part * curve.limit_usd, MoneyKind.REAL) for part in (Decimal(1), _WARN_AT))
    return f"{text} The limit is {limit} of each kind of money, with a warning at {warning}{far}."


def _cost_table(curve: CostCurve, name: str) -> Table:
    rows = []
    for kind, line in curve.lines.items():
        last = len(line) - 1
        places = sorted({round(place * last / (_TABLE_POINTS - 1)) for place in range(_TABLE_POINTS)})
        rows += [
            (Cell(f"{line[place].at:%Y-%m-%d %H:%M:%S}"), Cell(kind.value), Cell(show_usd(line[place].total_usd, kind)))
            for place in places
        ]
    notes = [f"At most {_TABLE_POINTS} moments of each line; the last stretch, of 10 s at most, is not booked yet."]
    notes += [style.NOT_ADDED] if len(curve.lines) > 1 else []
    return Table(name=name, headings=("Time (UTC)", "Money", "Spent so far"), rows=rows, notes=notes)
