"""Waste beside what rendered, as a figure. Loads plotly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go

from autopod_nb.models.money import MoneyKind, show_usd, sum_usd
from autopod_nb.session.costs import Spent
from autopod_nb.widgets import chart_style as style
from autopod_nb.widgets.charts import Chart
from autopod_nb.widgets.table import Cell, Table

_WASTE: tuple[tuple[str, str, str, Callable[[Spent], Decimal]], ...] = (
    ("jobs: done, or not over", "#4c8fd6", "", lambda spent: spent.job_usd),
    ("waste: boot", "#f0b45b", "/", lambda spent: spent.boot_usd),
    ("waste: boot, never ready", "#e0705f", "x", lambda spent: spent.vain_boot_usd),
    ("waste: idle", "#b9c2cc", ".", lambda spent: spent.idle_usd),
    ("waste: storage", "#c9b79c", "-", lambda spent: spent.storage_usd),
    ("waste: lost jobs", "#e0705f", "\\", lambda spent: spent.lost_job_usd),
)

_LONG = Decimal("0.6")  # of the longest bar: beside one that is longer a narrow page has no room for its figure


def waste_chart(spent: Mapping[MoneyKind, Spent], *, when: str) -> Chart | None:
    """What of the money rendered, and what did not, a panel for each kind of money; None where nothing was spent."""
    kinds = [kind for kind in MoneyKind if kind in spent and spent[kind].total_usd]
    if not kinds:
        return None
    name = f"Waste beside paid render time, {when}"
    panels = style.panels_of(kinds, "Where it went")
    figure = style.new_figure(style.chart_text(name), height_px=110 + 260 * len(kinds), panels=panels)
    for kind in kinds:
        row = style.row_of(kinds, kind)
        _add_waste_bars(figure, spent[kind], row)
        style.axes(figure, x=f"USD of {style.KIND_NAMES[kind]}", row=row, tickprefix="&#36;")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(barmode="overlay", showlegend=False, bargap=0.3)
    return Chart(figure=figure, name=name, alt=_waste_alt(spent, kinds), table=_waste_table(spent, kinds, name))


def _add_waste_bars(figure: Any, spent: Spent, row: int | None) -> None:
    where = {} if row is None else {"row": row, "col": 1}
    amounts = [amount(spent) for _, _, _, amount in _WASTE]
    most = max(amounts)
    texts = [f"{style.usd(each)} ({_percent(each, spent.total_usd)})" for each in amounts]
    for (name, colour, shape, _), amount, text in zip(_WASTE, amounts, texts, strict=True):
        figure.add_trace(
            go.Bar(
                x=[float(amount)],
                y=[name.replace(", ", ",<br>")],
                orientation="h",
                name=name,
                marker={"color": colour, "pattern": style.pattern([shape], [colour])},
                text=[text],
                textposition="inside" if amount > most * _LONG else "outside",
                insidetextanchor="end",
                textangle=0,
                textfont={"color": style.INK},
                cliponaxis=False,
                hovertext=[f"{name}: {text}"],
                hoverinfo="text",
            ),
            **where,
        )
    figure.update_xaxes(range=[0, float(most) * 1.4], **where)


def _percent(part_usd: Decimal, total_usd: Decimal) -> str:
    return f"{part_usd / total_usd * 100:.0f} %"


def _waste_alt(spent: Mapping[MoneyKind, Spent], kinds: Sequence[MoneyKind]) -> str:
    return " ".join(_waste_sentence(spent[kind], kind) for kind in kinds)


def _waste_sentence(spent: Spent, kind: MoneyKind) -> str:
    total = spent.total_usd
    boot = sum_usd((spent.boot_usd, spent.vain_boot_usd))
    parts = (
        ("boot", boot),
        ("idle", spent.idle_usd),
        ("storage", spent.storage_usd),
        ("lost jobs", spent.lost_job_usd),
    )
    said = ", ".join(f"{name} {_percent(amount, total)}" for name, amount in parts)
    return (
        f"Of {show_usd(total, kind)} {_percent(spent.job_usd, total)} went to jobs that are done or not over and"
        f" {_percent(spent.waste_usd, total)} was waste: {said}."
    )


def _waste_table(spent: Mapping[MoneyKind, Spent], kinds: Sequence[MoneyKind], name: str) -> Table:
    rows = [
        (
            Cell(text),
            Cell(kind.value),
            Cell(show_usd(amount(spent[kind]), kind)),
            Cell(_percent(amount(spent[kind]), spent[kind].total_usd)),
        )
        for kind in kinds
        for text, _, _, amount in _WASTE
    ]
    notes = [style.NOT_ADDED] if len(kinds) > 1 else []
    return Table(name=name, headings=("What for", "Money", "Spent", "Share"), rows=rows, notes=notes)
