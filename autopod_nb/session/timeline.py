"""What figures show, as plain values: spending over time, pods and jobs along time, and the cost of a result.

Functions that take a :class:`~autopod_nb.storage.timeline.LedgerTimeline` are pure; :func:`read_timeline` reads one.
Real and simulated money are never added: every value says its kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, Purpose
from autopod_nb.session.costs import month_begin
from autopod_nb.storage.columns import from_micro_usd, from_us, to_us
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import PodRow
from autopod_nb.storage.timeline import AttemptFacts, LedgerTimeline, PaidStretch, timeline


class Activity(str, Enum):
    """What a pod was paid for, and for a job how that ended; the order of a legend."""

    BOOT = "boot"
    DONE = "job done"
    OPEN = "job not over"
    FAILED = "job failed"
    CANCELLED = "job cancelled"
    IDLE = "idle"
    STORAGE = "stopped, storage"


_OF_PURPOSE = {Purpose.BOOT: Activity.BOOT, Purpose.IDLE: Activity.IDLE, Purpose.STORAGE: Activity.STORAGE}
_OF_STATE = {
    JobState.DONE: Activity.DONE,
    JobState.FAILED: Activity.FAILED,  # also an attempt that had to be repeated
    JobState.CANCELLED: Activity.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One thing that a pod was paid for, from when to when.

    Attributes:
        activity: what for.
        job: the job's name, with the attempt if it is not the first; empty if it was no job.
        error: why the job failed, in its own words; empty if it did not.
        start: UTC.
        end: UTC.
        seconds: that were paid.
        cost_usd: exact.
    """

    activity: Activity
    job: str
    error: str
    start: datetime
    end: datetime
    seconds: Decimal
    cost_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLane:
    """A pod along time.

    Attributes:
        pod_id: our id.
        gpu: ``A40 × 1``.
        provider: who rented it out.
        kind: real or simulated money.
        segments: in the order of time, at least one.
    """

    pod_id: str
    gpu: str
    provider: str
    kind: MoneyKind
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultCost:
    """What jobs of one template cost on one kind of GPU.

    Attributes:
        kind: real or simulated money.
        gpu: ``A40 × 1``.
        template: of the workflow.
        attempts: that cost something.
        results: files that are here.
        job_usd: of attempts that are done, or not over.
        lost_usd: of attempts that failed, were cancelled or had to be repeated.
    """

    kind: MoneyKind
    gpu: str
    template: str
    attempts: int
    results: int
    job_usd: Decimal
    lost_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        """All that the jobs cost; boot, idle and storage of their pods are not in it."""
        return self.job_usd + self.lost_usd


def read_timeline(
    ledger: Ledger | Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    session_id: str | None = None,
    pod_ids: Collection[str] | None = None,
) -> LedgerTimeline:
    """What was booked, along time.

    Args:
        ledger: the ledger or its path; need not be open, and where there is none nothing was booked.
        since: only charges that begin at this time or later, UTC.
        until: only charges that begin before it.
        session_id: only charges that this session booked.
        pod_ids: only charges of these pods.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    return timeline(
        ledger if isinstance(ledger, Ledger) else Ledger(ledger),
        since_us=None if since is None else to_us(since),
        until_us=None if until is None else to_us(until),
        session_id=session_id,
        pod_ids=pod_ids,
    )


def read_month(ledger: Ledger | Path, *, now: datetime, month: str | None = None) -> LedgerTimeline:
    """What was booked in a month of UTC: ``2026-05``, or None for the one that *now* lies in.

    Raises:
        UsageError: that is no month.
        LedgerError: the ledger cannot be read.
    """
    begin = month_begin(month, now)
    return read_timeline(ledger, since=begin, until=month_begin(None, begin + timedelta(days=32)))


def pod_lanes(found: LedgerTimeline) -> tuple[PodLane, ...]:
    """A lane for each pod, in the order of their first charges."""
    segments: defaultdict[str, list[Segment]] = defaultdict(list)
    for stretch in found.stretches:
        segments[stretch.pod_id].append(_segment(stretch, found.attempts))
    lanes = (_lane(found.pods[pod_id], tuple(of_pod)) for pod_id, of_pod in segments.items())
    return tuple(sorted(lanes, key=lambda lane: lane.segments[0].start))


def _lane(pod: PodRow, segments: tuple[Segment, ...]) -> PodLane:
    return PodLane(pod_id=pod.pod_id, gpu=gpu_name(pod), provider=pod.provider, kind=pod.kind, segments=segments)


def gpu_name(pod: PodRow) -> str:
    """``A40 × 1``."""
    return f"{pod.gpu_type} × {pod.gpu_count}"


def _segment(stretch: PaidStretch, attempts: Mapping[int, AttemptFacts]) -> Segment:
    attempt = None if stretch.attempt_key is None else attempts[stretch.attempt_key]
    return Segment(
        activity=_OF_PURPOSE[stretch.purpose] if attempt is None else _OF_STATE.get(attempt.state, Activity.OPEN),
        job="" if attempt is None else attempt_name(attempt),
        error="" if attempt is None else attempt.error,
        start=from_us(stretch.start_us),
        end=from_us(stretch.end_us),
        seconds=Decimal(stretch.paid_us).scaleb(-6),
        cost_usd=from_micro_usd(stretch.amount_micro_usd),
    )


def attempt_name(attempt: AttemptFacts) -> str:
    """The job's name, with the attempt if it is not the first."""
    return attempt.job_id if attempt.attempt == 1 else f"{attempt.job_id} (attempt {attempt.attempt})"


def result_costs(found: LedgerTimeline) -> tuple[ResultCost, ...]:
    """What the jobs cost by kind of money, GPU and template: the largest sums first, real money before simulated."""
    amounts: defaultdict[tuple[MoneyKind, str, str], dict[int, int]] = defaultdict(dict)
    for stretch in found.stretches:
        if stretch.attempt_key is None:
            continue
        key = stretch.attempt_key
        group = amounts[stretch.kind, gpu_name(found.pods[stretch.pod_id]), found.attempts[key].template]
        group[key] = group.get(key, 0) + stretch.amount_micro_usd
    kinds = list(MoneyKind)
    rows = [_result_cost(key, of_attempt, found.attempts) for key, of_attempt in amounts.items()]
    return tuple(sorted(rows, key=lambda row: (kinds.index(row.kind), -row.total_usd, row.gpu, row.template)))


def _result_cost(
    key: tuple[MoneyKind, str, str], of_attempt: Mapping[int, int], attempts: Mapping[int, AttemptFacts]
) -> ResultCost:
    kind, gpu, template = key
    lost = sum(amount for each, amount in of_attempt.items() if _is_lost(attempts[each]))
    return ResultCost(
        kind=kind,
        gpu=gpu,
        template=template,
        attempts=len(of_attempt),
        results=sum(attempts[each].results for each in of_attempt),
        job_usd=from_micro_usd(sum(of_attempt.values()) - lost),
        lost_usd=from_micro_usd(lost),
    )


def _is_lost(attempt: AttemptFacts) -> bool:
    return attempt.state in (JobState.FAILED, JobState.CANCELLED)
