"""What a result cost by GPU and template, as a figure. Loads plotly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go

from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.session.timeline import ResultCost
from autopod_nb.widgets import chart_style as style
from autopod_nb.widgets.charts import Chart
from autopod_nb.widgets.table import Cell, Table

_MAX_BARS = 12


def result_chart(costs: Sequence[ResultCost], *, when: str) -> Chart | None:
    """What a result cost, by GPU and template, a panel for each kind of money; None where no job cost anything."""
    shown = [each for each in costs if each.results]
    if not shown:
        return None
    name = f"Cost per result by GPU and template, {when}"
    kinds = [kind for kind in MoneyKind if any(each.kind is kind for each in shown)]
    bars = {kind: [each for each in shown if each.kind is kind][:_MAX_BARS] for kind in kinds}
    counts = [len(bars[kind]) + 1 for kind in kinds]
    panels = style.panels_of(kinds, "Cost per result")
    figure = style.new_figure(
        style.chart_text(name), height_px=120 + 46 * sum(counts) + 40 * len(kinds), panels=panels, shares=counts
    )
    for kind in kinds:
        row = style.row_of(kinds, kind)
        _add_result_bars(figure, bars[kind], row, first=kind is kinds[0])
        style.axes(figure, x=f"USD of {style.KIND_NAMES[kind]} for a result", row=row, tickprefix="&#36;")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(barmode="stack", showlegend=True, bargap=0.35)
    style.legend_below(figure)
    return Chart(figure=figure, name=name, alt=_result_alt(shown), table=_result_table(costs, name))


def _add_result_bars(figure: Any, bars: Sequence[ResultCost], row: int | None, *, first: bool) -> None:
    where = {} if row is None else {"row": row, "col": 1}
    labels = [f"{style.chart_label(each.template)}<br>{style.chart_label(each.gpu)}" for each in bars]
    totals = [style.usd(each.total_usd / each.results) for each in bars]
    parts: tuple[tuple[str, Callable[[ResultCost], Decimal], str, str, list[str]], ...] = (
        ("jobs that are done, or not over", lambda each: each.job_usd, "#4c8fd6", "", [""] * len(bars)),
        ("jobs that failed, were cancelled or repeated", lambda each: each.lost_usd, "#e0705f", "x", totals),
    )
    for text, amount, colour, shape, ends in parts:
        figure.add_trace(
            go.Bar(
                x=[float(amount(each) / each.results) for each in bars],
                y=labels,
                orientation="h",
                name=text,
                legendgroup=text,
                showlegend=first,
                marker={"color": colour, "pattern": style.pattern([shape] * len(bars), [colour] * len(bars))},
                text=ends,
                textposition="outside",
                cliponaxis=False,
                hovertext=[_result_hover(each) for each in bars],
                hoverinfo="text",
            ),
            **where,
        )
    most = max(each.total_usd / each.results for each in bars)
    figure.update_xaxes(range=[0, float(most) * 1.18 or 1.0], **where)


def _result_hover(each: ResultCost) -> str:
    lost = style.chart_text(show_usd(each.lost_usd, each.kind))
    return (
        f"{style.chart_text(each.template)} on {style.chart_text(each.gpu)}<br>"
        f"{_count(each.results, 'result')} of {_count(each.attempts, 'attempt')}, "
        f"{style.chart_text(show_usd(each.total_usd, each.kind))} in all, of which lost {lost}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _result_alt(shown: Sequence[ResultCost]) -> str:
    ends = [f"{each.template} on {each.gpu} {_per_result(each)}" for each in shown[:4]]
    rest = f"; {_count(len(shown) - 4, 'more row')} in the table" if len(shown) > 4 else ""
    return f"A result cost, with the jobs that failed on the way: {'; '.join(ends)}{rest}."


def _per_result(each: ResultCost) -> str:
    return show_usd(each.total_usd / each.results, each.kind) if each.results else "no result"


def _result_table(costs: Sequence[ResultCost], name: str) -> Table:
    rows = [
        (
            Cell(each.template),
            Cell(each.gpu),
            Cell(each.kind.value),
            Cell(str(each.attempts)),
            Cell(str(each.results)),
            Cell(_per_result(each)),
            Cell(show_usd(each.total_usd, each.kind)),
            Cell(show_usd(each.lost_usd, each.kind)),
        )
        for each in costs
    ]
    note = (
        "A result is a file that is here. Boot, idle and storage belong to a pod and not to a template: they are in the"
        " figure of waste."
    )
    headings = ("Template", "GPU", "Money", "Attempts", "Results", "Per result", "Jobs in all", "Of that lost")
    return Table(name=name, headings=headings, rows=rows, notes=[note])
