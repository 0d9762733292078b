"""Pods and their jobs along time, as a figure: a row a pod. Loads plotly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go

from autopod_nb.models.money import MoneyKind, show_usd, sum_usd
from autopod_nb.session.timeline import Activity, PodLane, Segment
from autopod_nb.widgets import chart_style as style
from autopod_nb.widgets import words
from autopod_nb.widgets.charts import Chart
from autopod_nb.widgets.table import Cell, Table

MAX_LANES = 40
MAX_SEGMENTS = 2000
_MAX_ROWS = 100
_MAX_ERROR = 160  # characters
_MIN_SHARE = 0.05  # of the whole time; with less, every bar would be a hair, so each row begins at zero
_LOOKS = {
    Activity.BOOT: ("#f0b45b", "/"),
    Activity.DONE: ("#8fc1f2", ""),
    Activity.OPEN: ("#8fc1f2", "+"),
    Activity.FAILED: ("#ef9a8d", "x"),
    Activity.CANCELLED: ("#f7d9a0", "\\"),
    Activity.IDLE: ("#d5dbe1", "."),
    Activity.STORAGE: ("#d9c9ae", "-"),
}
_IN_BAR = {Activity.FAILED: "failed: ", Activity.CANCELLED: "cancelled: "}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """How moments become places: clock time, or minutes since each pod began."""

    by_clock: bool

    def base(self, segment: Segment, lane: PodLane) -> str | float:
        if self.by_clock:
            return style.chart_time(segment.start)
        return (segment.start - lane.segments[0].start).total_seconds() / 60

    def length(self, segment: Segment) -> float:
        seconds = (segment.end - segment.start).total_seconds()
        return seconds * 1000 if self.by_clock else seconds / 60


def gantt_chart(lanes: Sequence[PodLane], *, when: str) -> Chart | None:
    """Pods and jobs along time; None where no pod was paid for.

    Args:
        lanes: in the order of time; the newest are drawn if there are more than a figure can hold.
        when: what of: ``this session``.
    """
    if not lanes:
        return None
    name = f"Pods and jobs, {when}"
    shown = _newest(lanes)
    kinds = [kind for kind in MoneyKind if any(lane.kind is kind for lane in shown)]
    counts = [sum(lane.kind is kind for lane in shown) for kind in kinds]
    figure = style.new_figure(
        style.chart_text(name),
        height_px=190 + 36 * len(shown) + 102 * len(kinds),
        panels=style.panels_of(kinds, "Pods"),
        shares=[count + 1 for count in counts],
        gap_px=130,
    )
    axis = _Axis(by_clock=_fits_clock(shown))
    for activity in Activity:
        first = True
        for kind in kinds:
            of_kind = [lane for lane in shown if lane.kind is kind]
            if _add_bars(figure, activity, of_kind, axis, row=style.row_of(kinds, kind), first=first):
                first = False
    for kind in kinds:
        _dress(figure, axis, kind, style.row_of(kinds, kind))
    _finish(figure)
    return Chart(figure=figure, name=name, alt=_alt(lanes, len(shown)), table=_table(lanes, name))


def _newest(lanes: Sequence[PodLane]) -> list[PodLane]:
    """As many of the newest as fit; of one with too many segments the newest of these."""
    shown: list[PodLane] = []
    room = MAX_SEGMENTS
    for lane in list(lanes)[::-1][:MAX_LANES]:
        if not room:
            break
        kept = lane.segments[-room:]
        shown.append(PodLane(pod_id=lane.pod_id, gpu=lane.gpu, provider=lane.provider, kind=lane.kind, segments=kept))
        room -= len(kept)
    return shown[::-1]


def _fits_clock(lanes: Sequence[PodLane]) -> bool:
    starts = [lane.segments[0].start for lane in lanes]
    ends = [max(segment.end for segment in lane.segments) for lane in lanes]
    longest = max((end - start for start, end in zip(starts, ends, strict=True)), default=None)
    whole = max(ends) - min(starts)
    return longest is None or longest >= whole * _MIN_SHARE


def _lane_label(lane: PodLane, axis: _Axis) -> str:
    begin = "" if axis.by_clock else f", {lane.segments[0].start:%Y-%m-%d %H:%M}"
    return f"{style.chart_label(lane.pod_id + begin)}<br>{style.chart_label(lane.gpu)}"


def _add_bars(
    figure: Any, activity: Activity, lanes: Sequence[PodLane], axis: _Axis, *, row: int | None, first: bool
) -> bool:
    """The segments of one activity in one panel. Returns whether there are any."""
    found = [(lane, each) for lane in lanes for each in lane.segments if each.activity is activity]
    if not found:
        return False
    colour, shape = _LOOKS[activity]
    pattern = style.pattern([shape] * len(found), [colour] * len(found))
    figure.add_trace(
        go.Bar(
            base=[axis.base(each, lane) for lane, each in found],
            x=[axis.length(each) for _, each in found],
            y=[_lane_label(lane, axis) for lane, _ in found],
            orientation="h",
            name=activity.value,
            legendgroup=activity.value,
            showlegend=first,
            marker={"color": colour, "pattern": pattern, "line": {"color": "#5b6570", "width": 1}},
            text=[_in_bar(each) for _, each in found],
            textposition="inside",
            insidetextanchor="start",
            textangle=0,
            textfont={"color": style.INK, "size": 11},
            hovertext=[_hover(lane, each) for lane, each in found],
            hoverinfo="text",
        ),
        **({} if row is None else {"row": row, "col": 1}),
    )
    return True


def _in_bar(segment: Segment) -> str:
    return style.chart_label(f"{_IN_BAR.get(segment.activity, '')}{segment.job}", 40) if segment.job else ""


def _hover(lane: PodLane, segment: Segment) -> str:
    error = words.clean(segment.error)
    lines = (
        f"{segment.activity.value}{f': {segment.job}' if segment.job else ''}",
        f"{error[: _MAX_ERROR - 1]}…" if len(error) > _MAX_ERROR else error,
        f"{segment.start:%Y-%m-%d %H:%M:%S} to {segment.end:%H:%M:%S} UTC, {words.duration(float(segment.seconds))}",
        f"{show_usd(segment.cost_usd, lane.kind)}, pod {lane.pod_id}, {lane.gpu} ({lane.provider})",
    )
    return "<br>".join(style.chart_text(line) for line in lines if line)


def _dress(figure: Any, axis: _Axis, kind: MoneyKind, row: int | None) -> None:
    what = "time (UTC)" if axis.by_clock else "minutes since the pod was first paid for"
    options = {"type": "date"} if axis.by_clock else {}
    style.axes(figure, x=f"{what}, pods of {style.KIND_NAMES[kind]}", row=row, **options)


def _finish(figure: Any) -> None:
    """In one place what concerns all rows: newest at the bottom, as they are read; texts that do not fit are hidden."""
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_layout(barmode="overlay", bargap=0.25, showlegend=True, uniformtext={"minsize": 10, "mode": "hide"})
    style.legend_below(figure)


# --- words and rows --------------------------------------------------------------------------------------------------


def _alt(lanes: Sequence[PodLane], shown: int) -> str:
    kinds = [kind for kind in MoneyKind if any(lane.kind is kind for lane in lanes)]
    said = " ".join(_sentence([lane for lane in lanes if lane.kind is kind], kind) for kind in kinds)
    return said if shown == len(lanes) else f"{said} Drawn are the newest {shown} pods."


def _sentence(lanes: Sequence[PodLane], kind: MoneyKind) -> str:
    seconds: defaultdict[Activity, Decimal] = defaultdict(Decimal)
    for lane in lanes:
        for segment in lane.segments:
            seconds[segment.activity] += segment.seconds
    whole = sum_usd(seconds.values())
    cost = sum_usd(segment.cost_usd for lane in lanes for segment in lane.segments)
    shares = [f"{each.value} {seconds[each] / whole * 100:.0f} %" for each in Activity if seconds[each] and whole]
    pods = f"{len(lanes)} pod{'s' if len(lanes) > 1 else ''}"
    return f"{pods} cost {show_usd(cost, kind)} for {words.duration(float(whole))}: {', '.join(shares)}."


def _table(lanes: Sequence[PodLane], name: str) -> Table:
    found = sorted(((each.start, lane, each) for lane in lanes for each in lane.segments), key=_begin)
    rows = [
        (
            Cell(lane.pod_id),
            Cell(lane.gpu),
            Cell(lane.kind.value),
            Cell(each.activity.value),
            Cell(each.job or "–"),
            Cell(f"{each.start:%Y-%m-%d %H:%M:%S}"),
            Cell(words.duration(float(each.seconds))),
            Cell(show_usd(each.cost_usd, lane.kind)),
        )
        for _, lane, each in found[-_MAX_ROWS:]
    ]
    notes = ["The last stretch, of 10 s at most, is not booked yet; a job that no pod has taken is not here."]
    notes += [f"The newest {_MAX_ROWS} of {len(found)} stretches."] if len(found) > _MAX_ROWS else []
    headings = ("Pod", "GPU", "Money", "What", "Job", "Begin (UTC)", "Time", "Cost")
    return Table(name=name, headings=headings, rows=rows, notes=notes)


def _begin(item: tuple[datetime, PodLane, Segment]) -> datetime:
    return item[0]
