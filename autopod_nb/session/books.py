"""What is written into the ledger when something changes: pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from autopod_nb.models.job import JobState
from autopod_nb.models.money import Charge
from autopod_nb.session.events import Moment
from autopod_nb.session.state import JobData, PodData, Rules
from autopod_nb.storage.leases import LeaseReleased, LeaseRenewed, LeaseTaken
from autopod_nb.storage.ledger import LedgerWrite
from autopod_nb.storage.writes import (
    ChargeRecorded,
    JobChanged,
    JobRecorded,
    PodChanged,
    PodDetached,
    PodIntent,
    ResultRecorded,
)


def pod_intent(pod: PodData, rules: Rules, limit_usd: Decimal | None) -> tuple[LedgerWrite, ...]:
    """The pod may exist from now on, and it is ours; *limit_usd* is that of the session."""
    intent = PodIntent(
        pod_id=pod.pod_id,
        name=pod.name,
        session_id=rules.session_id,
        provider=pod.offer.provider,
        gpu_type=pod.offer.gpu_type,
        gpu_count=pod.offer.gpu_count,
        price_per_hour_usd=pod.offer.price_per_hour_usd,
        stopped_price_per_hour_usd=pod.offer.stopped_price_per_hour_usd,
        kind=pod.offer.kind,
        at=pod.requested.at,
        session_limit_usd=limit_usd,
        idle_minutes=pod.idle_minutes,
        place=pod.offer.where,
    )
    return intent, LeaseTaken(pod_id=pod.pod_id, owner=rules.owner, at=pod.requested.at)


def pod_changed(pod: PodData, now: Moment) -> LedgerWrite:
    """It came into a state, or got its provider's id."""
    return PodChanged(pod_id=pod.pod_id, state=pod.state, at=now.at, provider_id=pod.provider_id, error=pod.error)


def pod_detached(pod: PodData) -> LedgerWrite:
    """It goes on without this session."""
    return PodDetached(pod_id=pod.pod_id)


def lease_renewed(pod: PodData, rules: Rules, now: Moment) -> LedgerWrite:
    """This session lives and owns the pod."""
    return LeaseRenewed(pod_id=pod.pod_id, owner_id=rules.owner.owner_id, at=now.at)


def lease_released(pod: PodData, rules: Rules) -> LedgerWrite:
    """The pod is gone and needs no owner."""
    return LeaseReleased(pod_id=pod.pod_id, owner_id=rules.owner.owner_id)


def job_recorded(job: JobData) -> LedgerWrite:
    """It was submitted."""
    path = str(job.template.path.absolute())
    return JobRecorded(session_id=job.session_id, spec=job.spec, at=job.submitted.at, template_path=path)


def job_changed(job: JobData, now: Moment) -> LedgerWrite:
    """It came into a state."""
    return JobChanged(
        session_id=job.session_id,
        job_id=job.job_id,
        attempt=job.attempt,
        state=job.state,
        at=now.at,
        pod_id=job.pod_id,
        prompt_id=job.prompt_id,
        error=job.error,
        made=job.made if job.state is JobState.COLLECTING else (),
    )


def results_recorded(job: JobData, now: Moment) -> tuple[LedgerWrite, ...]:
    """Its files are here."""
    return tuple(
        ResultRecorded(session_id=job.session_id, job_id=job.job_id, attempt=job.attempt, result=result, at=now.at)
        for result in job.results
    )


def charged(charge: Charge, session_id: str) -> LedgerWrite:
    """A stretch is paid for, in the session of its job, else of its pod."""
    return ChargeRecorded(session_id=session_id, charge=charge)


def lease_taken(pod_id: str, rules: Rules, now: Moment) -> LedgerWrite:
    """A pod that nobody owns is ours."""
    return LeaseTaken(pod_id=pod_id, owner=rules.owner, at=now.at)


def lease_taken_over(pod_id: str, rules: Rules, now: Moment, stale_before: datetime) -> LedgerWrite:
    """The pod of an owner that was last heard of before *stale_before* becomes ours."""
    return LeaseTaken(pod_id=pod_id, owner=rules.owner, at=now.at, stale_before=stale_before)
