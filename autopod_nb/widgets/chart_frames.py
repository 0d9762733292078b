"""Seconds a frame by GPU and template, as a figure: a point a job over a box. Loads plotly."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from statistics import median

import plotly.graph_objects as go

from autopod_nb.models.money import MoneyKind
from autopod_nb.session.timeline_frames import FrameGroup, FrameTime, FrameTimes
from autopod_nb.widgets import chart_style as style
from autopod_nb.widgets.charts import Chart
from autopod_nb.widgets.table import Cell, Table

MAX_POINTS = 2000
_MAX_GROUPS = 16
_GPU_NAMES = {MoneyKind.REAL: "", MoneyKind.SIMULATED: " (simulated)"}


def frames_chart(times: FrameTimes, *, when: str) -> Chart | None:
    """Seconds a frame; None where it cannot be told of any job."""
    if not times.groups:
        return None
    name = f"Seconds per frame by GPU and template, {when}"
    shown = times.groups[:_MAX_GROUPS]
    figure = style.new_figure(style.chart_text(name), height_px=150 + 58 * len(shown))
    for group in shown:
        points = _thinned(group.times, MAX_POINTS // len(shown))
        figure.add_trace(
            go.Box(
                x=[float(each.seconds_per_frame) for each in points],
                y=[_label(group)] * len(points),
                orientation="h",
                name=_label(group),
                boxpoints="all",
                jitter=0.4,
                pointpos=0,
                width=0.5,
                fillcolor="rgba(0,0,0,0)",
                line={"color": style.QUIET_INK, "width": 1},
                marker={
                    "color": style.KIND_COLOURS[group.kind],
                    "size": 6,
                    "symbol": "circle" if group.kind is MoneyKind.REAL else "diamond",
                },
                hovertext=[_hover(group, each) for each in points],
                hoverinfo="text",
                hoveron="points",
            )
        )
    style.axes(figure, x="seconds per frame, a point a job", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_layout(showlegend=False)
    return Chart(figure=figure, name=name, alt=_alt(times), table=_table(times, name))


def _label(group: FrameGroup) -> str:
    return f"{style.chart_label(group.template)}<br>{style.chart_label(group.gpu + _GPU_NAMES[group.kind])}"


def _thinned(times: Sequence[FrameTime], most: int) -> Sequence[FrameTime]:
    """Evenly fewer, from the quickest to the slowest, so that the box stays about the same."""
    if len(times) <= most:
        return times
    ordered = sorted(times, key=lambda each: each.seconds_per_frame)
    return [ordered[round(place * (len(ordered) - 1) / (most - 1))] for place in range(most)]


def _hover(group: FrameGroup, time: FrameTime) -> str:
    frames = f"{time.frames} frame{'s' if time.frames > 1 else ''}"
    lines = (
        time.job,
        f"{time.seconds_per_frame:.3f} s a frame: {frames} in {time.seconds:.1f} s",
        f"{group.template} on {group.gpu}{_GPU_NAMES[group.kind]}",
    )
    return "<br>".join(map(style.chart_text, lines))


def _median(group: FrameGroup) -> Decimal:
    return median(each.seconds_per_frame for each in group.times)


def _alt(times: FrameTimes) -> str:
    said = [
        f"{group.template} on {group.gpu}{_GPU_NAMES[group.kind]} {_median(group):.3f} s"
        f" ({len(group.times)} job{'s' if len(group.times) > 1 else ''})"
        for group in times.groups[:4]
    ]
    more = len(times.groups) - 4
    rest = f"; {more} more row{'s' if more > 1 else ''} in the table" if more > 0 else ""
    return f"The median of the seconds for a frame: {'; '.join(said)}{rest}."


def frames_note(times: FrameTimes) -> str:
    """What of the jobs that are done is left out, and why; empty if nothing is."""
    if not times.left_out:
        return ""
    jobs = f"{times.left_out} job{'s' if times.left_out > 1 else ''} that {'are' if times.left_out > 1 else 'is'} done"
    return (
        f"Seconds per frame cannot be told of {jobs}: the workflow does not say how many frames it makes, its template"
        " is gone, or its rendering was not seen."
    )


def _table(times: FrameTimes, name: str) -> Table:
    rows = [
        (
            Cell(group.template),
            Cell(group.gpu + _GPU_NAMES[group.kind]),
            Cell(str(len(group.times))),
            Cell(f"{min(each.seconds_per_frame for each in group.times):.3f}"),
            Cell(f"{_median(group):.3f}"),
            Cell(f"{max(each.seconds_per_frame for each in group.times):.3f}"),
        )
        for group in times.groups
    ]
    counted = (
        "Rendering only, without upload and download. The ledger does not hold frames: they are counted as the workflow"
        " template, as it lies there now, counts them (its nodes titled “frame N”, else the length of its video)."
    )
    headings = ("Template", "GPU", "Jobs", "Quickest (s)", "Median (s)", "Slowest (s)")
    return Table(
        name=name, headings=headings, rows=rows, notes=[note for note in (counted, frames_note(times)) if note]
    )
