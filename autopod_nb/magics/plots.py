"""The option ``--plot`` of ``costs`` and ``jobs``: figures of what the ledger holds. Loads plotly when one is drawn."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.errors import UsageError
from autopod_nb.magics.text import Text
from autopod_nb.widgets.charts import Chart, Charts

if TYPE_CHECKING:
    from datetime import datetime

    from autopod_nb.config import Settings
    from autopod_nb.session.manager import Session
    from autopod_nb.session.timeline_curve import CostCurve

_NO_RESULT = "No result is here of what was booked, so a result has no cost yet."
_NO_FRAMES = "Seconds per frame cannot be told yet: no job is done whose workflow says how many frames it makes."


def plot_costs(args: Namespace, ledger: Path) -> Charts | Text:
    """Spending over time, the cost of a result, and waste.

    Args:
        args: of ``costs``.
        ledger: its path, with all in it that has happened so far.

    Raises:
        UsageError: another form was asked for as well, or that is no month.
        LedgerError: the ledger cannot be read.
    """
    from autopod_nb.clock import default_clock
    from autopod_nb.session.build import current_session
    from autopod_nb.session.costs import read_costs
    from autopod_nb.session.timeline import read_month, result_costs

    _only_plot(args, "by", "json")
    now = default_clock().now()
    costs = read_costs(ledger, now=now, month=args.month)
    found = read_month(ledger, now=now, month=args.month)
    when = f"month {costs.month:%Y-%m}"
    if not found.stretches:
        return Text(f"Nothing was booked in {costs.month:%Y-%m} (UTC), so there is nothing to draw.")

    from autopod_nb.widgets.chart_costs import cost_chart
    from autopod_nb.widgets.chart_results import result_chart
    from autopod_nb.widgets.chart_waste import waste_chart

    is_now = costs.today is not None
    curves = _curves(ledger, current_session() if is_now else None, now, month=args.month, is_now=is_now)
    results = result_chart(result_costs(found), when=when)
    charts = [*map(cost_chart, curves), results, waste_chart(costs.in_month, when=when)]
    return Charts(_there(charts), () if results is not None else (_NO_RESULT,))


def plot_jobs(args: Namespace, ledger: Path) -> Charts | Text:
    """Pods and jobs along time, and seconds a frame: of this session, or with ``--all`` of every one.

    Args:
        args: of ``jobs``.
        ledger: its path, with all in it that has happened so far.

    Raises:
        UsageError: another form was asked for as well.
        LedgerError: the ledger cannot be read.
    """
    from autopod_nb.session.build import current_session
    from autopod_nb.session.timeline import pod_lanes, read_timeline
    from autopod_nb.session.timeline_frames import frame_times

    _only_plot(args, "json")
    session = current_session()
    if session is None and not args.all:
        return Text("No session is open: `%autopod jobs --all --plot` draws those of earlier ones.")
    pods = None if session is None or args.all else set(session.snapshot.pods)
    found = read_timeline(ledger, pod_ids=pods)
    if not found.stretches:
        earlier = "" if args.all else " `%autopod jobs --all --plot` draws those of earlier sessions."
        return Text(f"No pod has been paid for yet, so there is nothing to draw.{earlier}")

    from autopod_nb.widgets.chart_frames import frames_chart, frames_note
    from autopod_nb.widgets.chart_gantt import gantt_chart

    when = "all sessions" if args.all else "this session"
    times = frame_times(found)
    charts = [gantt_chart(pod_lanes(found), when=when), frames_chart(times, when=when)]
    return Charts(_there(charts), () if times.groups else (frames_note(times) or _NO_FRAMES,))


def _only_plot(args: Namespace, *others: str) -> None:
    for other in others:
        if getattr(args, other):
            raise UsageError(f"--plot draws figures, and --{other} gives something else: leave one of them out.")


def _there(charts: list[Chart | None]) -> tuple[Chart, ...]:
    return tuple(chart for chart in charts if chart is not None)


def _curves(
    ledger: Path, session: Session | None, now: datetime, *, month: str | None, is_now: bool
) -> Iterator[CostCurve]:
    """Spending of the month; of this session and of today where a limit is set for it."""
    from autopod_nb.session.costs import month_begin
    from autopod_nb.session.timeline import read_month, read_timeline
    from autopod_nb.session.timeline_curve import cost_curve

    settings = _settings(session)
    limit: Decimal | None = None if session is None else session.snapshot.limit_usd
    if session is not None and limit is not None:
        ours = read_timeline(ledger, pod_ids=set(session.snapshot.pods))
        yield cost_curve(ours.stretches, name="the pods of this session", limit_usd=limit)
    if is_now and settings.day_limit_usd is not None:
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        today = read_timeline(ledger, since=day, until=day + timedelta(days=1))
        yield cost_curve(today.stretches, name=f"today, {day:%Y-%m-%d} (UTC)", limit_usd=settings.day_limit_usd)
    whole = read_month(ledger, now=now, month=month)
    name = f"month {month_begin(month, now):%Y-%m}"
    yield cost_curve(whole.stretches, name=name, limit_usd=settings.month_limit_usd)


def _settings(session: Session | None) -> Settings:
    from autopod_nb.config import read_settings

    return read_settings() if session is None else session.settings
