"""Which pods of other processes can be taken over, as far as the ledger tells."""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from autopod_nb.comfyui.workflow import find_template, load_template
from autopod_nb.errors import TemplateError
from autopod_nb.models.offer import Offer
from autopod_nb.session.commands import Adopt, AdoptedJob, AdoptedPod
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import ChargeRow, JobRow, Lease, PodRow
from autopod_nb.storage.usual import usual_seconds

STALE_AFTER = timedelta(seconds=20)  # an owner renews its lease every five seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the ledger knows of pods that are not ours.

    Attributes:
        orphans: nobody owns them any more: they can be adopted.
        foreign: another process that lives owns them.
        notes: lines for the person, for example of a job whose template is not there any more.
    """

    orphans: tuple[Adopt, ...]
    foreign: tuple[PodRow, ...]
    notes: tuple[str, ...]


def look(
    ledger: Ledger,
    *,
    ours: Sequence[str],
    idle_minutes: Decimal,
    now: datetime,
    provider: str | None = None,
    ends_after_batch: bool = False,
) -> Found:
    """Read the ledger; changes nothing.

    Args:
        ledger: of this machine's ``AUTOPOD_HOME``.
        ours: ids of pods that this session has already.
        idle_minutes: an adopted pod ends after this long without work, unless its own session said otherwise.
        now: UTC.
        provider: only pods of this one; None for all.
        ends_after_batch: an adopted pod ends as soon as no job needs it.
    """
    rows = [row for row in ledger.pods_that_may_bill() if row.pod_id not in ours and provider in (None, row.provider)]
    orphans, foreign, notes = [], [], []
    jobs = list(ledger.read_jobs(open_only=True)) if rows else []
    for row in rows:
        if row.lease is not None and owner_lives(row.lease, now):
            foreign.append(row)
            continue
        charges = ledger.read_charges(pod_id=row.pod_id)
        adopted, missing = _jobs(_jobs_of(row, jobs, with_waiting=not ends_after_batch), charges, ledger)
        jobs = [job for job in jobs if all(job is not each.row for each in adopted)]
        notes += missing
        pod = replace(_pod(row, charges, idle_minutes, now), limit_usd=_limit(row, charges, ledger))
        ends = ends_after_batch and not row.detached
        orphans.append(Adopt(pod=replace(pod, ends_after_batch=ends), jobs=adopted))
    return Found(orphans=tuple(orphans), foreign=tuple(foreign), notes=tuple(notes))


def owner_lives(lease: Lease, now: datetime) -> bool:
    """Whether the owner was heard of lately; a process of this machine that is gone is gone at once."""
    owner = lease.owner
    if owner.host == platform.node() and owner.pid != os.getpid() and not _is_process(owner.pid):
        return False
    return now - lease.renewed < STALE_AFTER


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _pod(row: PodRow, charges: Sequence[ChargeRow], idle_minutes: Decimal, now: datetime) -> AdoptedPod:
    ends = [each.charge.start + timedelta(seconds=float(each.charge.seconds)) for each in charges]
    renewed = row.lease.renewed if row.lease is not None else now
    return AdoptedPod(
        row=row,
        offer=Offer(
            provider=row.provider,
            gpu_type=row.gpu_type,
            gpu_count=row.gpu_count,
            vram_gb=0,
            price_per_hour_usd=row.price_per_hour_usd,
            stopped_price_per_hour_usd=row.stopped_price_per_hour_usd,
            kind=row.kind,
        ),
        idle_minutes=idle_minutes if row.idle_minutes is None else row.idle_minutes,
        charged_until=max(ends, default=None),
        spent_usd=sum((each.charge.amount_usd for each in charges), Decimal(0)),
        stale_before=renewed + timedelta(microseconds=1),  # of this owner, and of nobody who took it since
    )


def _jobs_of(row: PodRow, jobs: Sequence[JobRow], *, with_waiting: bool) -> list[JobRow]:
    """Those on the pod, and for a person who goes on with the session also those that waited for any pod of it."""
    waits = [job for job in jobs if with_waiting and job.pod_id is None and job.session_id == row.session_id]
    return [*(job for job in jobs if job.pod_id == row.pod_id), *waits]


def _limit(row: PodRow, charges: Sequence[ChargeRow], ledger: Ledger) -> Decimal | None:
    """What the pod may cost in all: what it has cost, and what its session had left."""
    if row.session_limit_usd is None:
        return None
    session_usd = ledger.total_usd(row.kind, session_id=row.session_id)
    pod_usd = sum((each.charge.amount_usd for each in charges), Decimal(0))
    return max(Decimal(0), pod_usd + row.session_limit_usd - session_usd)


def _template_path(row: JobRow) -> Path:
    """Where it lay when the job was submitted; else where one of its name lies here."""
    if row.template_path is not None and (path := Path(row.template_path)).is_file():
        return path
    return find_template(row.spec.workflow_template, cwd=Path.cwd())


def _jobs(
    rows: Sequence[JobRow], charges: Sequence[ChargeRow], ledger: Ledger
) -> tuple[tuple[AdoptedJob, ...], list[str]]:
    adopted, notes = [], []
    usual = {name: usual_seconds(ledger, name) for name in {row.spec.workflow_template for row in rows}}
    for row in rows:
        try:
            template = load_template(_template_path(row))
        except TemplateError as error:
            notes.append(f"{row.job_id} cannot be followed: {error}")
            continue
        spent = [each.charge.amount_usd for each in charges if each.charge.job_id == row.job_id]
        adopted.append(
            AdoptedJob(
                row=row,
                template=template,
                uid=str(uuid.uuid4()),
                spent_usd=sum(spent, Decimal(0)),
                usual_s=usual[row.spec.workflow_template],
            )
        )
    return tuple(adopted), notes
