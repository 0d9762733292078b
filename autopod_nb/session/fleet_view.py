"""The fleet as a person sees it: its wish, its forecast, and jobs that it has no pod for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from autopod_nb.models.fleet import FleetView
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.snapshot import Alert, AlertKind, Level
from autopod_nb.session.events import Moment
from autopod_nb.session.state import SessionState

_NAMED = 3  # of many jobs


def fleet_view(state: SessionState, costs: Mapping[MoneyKind, Decimal], now: Moment) -> FleetView | None:
    """The wish that is in force, None if there is none."""
    fleet = state.fleet
    if fleet is None:
        return None
    kind = fleet.plan.offers[0].kind
    return FleetView(
        aim=fleet.plan.aim.value,
        max_pods=fleet.plan.max_pods,
        kind=kind,
        budget_usd=fleet.plan.budget_usd,
        spent_usd=max(Decimal(0), costs.get(kind, Decimal(0)) - fleet.before_usd),
        ends_in_s=None if fleet.ends_by_s is None else fleet.ends_by_s - now.s,
        coming_usd=fleet.cost_usd,
        done_in_s=None if fleet.done_s is None else max(0.0, fleet.done_s - now.s),
        stranded=sum(len(each.job_ids) for each in fleet.stranded),
    )


def fleet_alerts(state: SessionState) -> Iterator[Alert]:
    """Jobs that no pod gets as things stand, with what would help."""
    for each in () if state.fleet is None else state.fleet.stranded:
        job_ids = [job_id for job_id in each.job_ids if job_id in state.queue]
        if job_ids:
            more = f" and {len(job_ids) - _NAMED} more" if len(job_ids) > _NAMED else ""
            text = f"{', '.join(job_ids[:_NAMED])}{more}: {each.why}"
            key = f"{AlertKind.NO_POD.value}:{job_ids[0]}"
            yield Alert(kind=AlertKind.NO_POD, level=Level.WARNING, text=text, key=key)
