"""From the session's state to the snapshot that faces see: pure, but for a memory of jobs that did not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from autopod_nb.models.job import JobState, job_is_over
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState, is_over, may_bill
from autopod_nb.models.rate import Transfer
from autopod_nb.models.snapshot import JobView, PodView, Progress, Snapshot
from autopod_nb.pods.limits import seconds_left
from autopod_nb.session.alerts import alerts, boot_seconds
from autopod_nb.session.costs_now import day_and_month_cost, job_cost, pod_cost, session_cost
from autopod_nb.session.events import Moment
from autopod_nb.session.fleet_view import fleet_view
from autopod_nb.session.outlook import Outlook
from autopod_nb.session.progress import left_range, show
from autopod_nb.session.state import JobData, PodData, SessionState

_ON_THE_POD = (JobState.UPLOADING, JobState.SUBMITTED, JobState.RUNNING)
_WORKING = (PodState.READY, PodState.BUSY, PodState.DRAINING)
_SILENT_S = 3.0  # since then no byte has come: a guess at when a person wants to know
_ENDING = (PodState.DRAINING, PodState.STOPPING, PodState.TERMINATING)


class Viewer:
    """Makes snapshots. Used by the session thread only.

    Views of jobs that wait or are over are kept as long as the job is the same object: a session may hold thousands.
    """

    def __init__(self) -> None:
        self._number = 0
        self._outlook = Outlook()
        self._kept: dict[str, tuple[JobData, JobView]] = {}
        self._jobs_of: object = None
        self._jobs: MappingProxyType[str, JobView] = MappingProxyType({})

    def snapshot(self, state: SessionState, now: Moment) -> Snapshot:
        """The whole session at this moment."""
        self._number += 1
        pods = {pod.pod_id: pod_view(pod, state, now) for pod in state.pods.values()}
        jobs = self._job_views(state, now)
        costs = _costs(state, now)
        forecast, complete = self._outlook.forecast(state, jobs, costs)
        return Snapshot(
            number=self._number,
            at=now.at,
            pods=MappingProxyType(pods),
            jobs=jobs,
            cost_usd=MappingProxyType(costs),
            limit_usd=state.limit_usd,
            notices=state.notices,
            reaper=state.reaper,
            today_usd=MappingProxyType(_today(state, costs)),
            day_limit_usd=state.rules.day_limit_usd,
            forecast_usd=MappingProxyType(forecast),
            forecast_complete=complete,
            alerts=alerts(state, now.s),
            fleet=fleet_view(state, costs, now),
        )

    def _job_views(self, state: SessionState, now: Moment) -> MappingProxyType[str, JobView]:
        live = [job_id for pod in state.pods.values() for job_id in pod.active]
        if state.jobs is self._jobs_of and not live:
            return self._jobs
        views: dict[str, JobView] = dict(self._jobs)
        changed = state.jobs.items() if state.jobs is not self._jobs_of else ((name, state.jobs[name]) for name in live)
        for job_id, job in changed:
            views[job_id] = self._job_view(job, state, now)
        self._jobs_of, self._jobs = state.jobs, MappingProxyType(views)
        return self._jobs

    def _job_view(self, job: JobData, state: SessionState, now: Moment) -> JobView:
        kept = self._kept.get(job.job_id)
        if kept is not None and kept[0] is job and (job_is_over(job.state) or job.state is JobState.QUEUED):
            return kept[1]
        view = job_view(job, state.pods.get(job.pod_id or ""), now)
        self._kept[job.job_id] = (job, view)
        return view


def job_view(job: JobData, pod: PodData | None, now: Moment) -> JobView:
    """One job."""
    cost = job_cost(job, pod, now.s)
    end_s = job.over_s if job.over_s is not None else now.s
    progress = _progress(job, pod, now)
    return JobView(
        job_id=job.job_id,
        template=job.template.name,
        state=job.state,
        attempt=job.attempt,
        pod_id=job.pod_id,
        prompt_id=job.prompt_id if job.posted else None,
        progress=progress,
        transfer=_transfer(job, now),
        kind=job.kind,
        cost_usd=cost,
        expected_cost_usd=_expected(job, pod, cost, progress),
        max_cost_usd=job.spec.pod_config.max_cost_usd,
        elapsed_s=0.0 if job.taken is None else max(0.0, end_s - job.taken.s),
        results=job.results,
        texts=job.texts,
        error=job.error,
        fault=job.fault,
        warning=job.warning,
        swept=job.spec.swept,
        preview_type=job.preview_type,
        preview=job.preview,
    )


def _progress(job: JobData, pod: PodData | None, now: Moment) -> Progress:
    progress = show(job.track, job.template, job.frame_nodes, job.over_s if job.over_s is not None else now.s)
    if job.state is JobState.DONE:
        frames = progress.frames
        ready = replace(progress, percent=100.0, left_s=0.0, left_low_s=0.0, left_high_s=0.0)
        return replace(ready, node_id="", node_title="", frames_done=frames)
    usual_s = None if pod is None or job.state not in _ON_THE_POD else job.usual_s.get(pod.offer.gpu_type)
    if usual_s is None:
        return progress
    usual_left_s = max(0.0, usual_s - _rendered_s(job, now))
    done = (progress.percent or 0.0) / 100
    if progress.left_s is None:  # too early to tell from this run: earlier ones tell
        low_s, high_s = left_range(usual_left_s, done, usual_s=usual_s)
        return replace(progress, left_s=usual_left_s, left_low_s=low_s, left_high_s=high_s)
    low_s, high_s = left_range(progress.left_s, done, paces=job.track.paces, usual_left_s=usual_left_s)
    return replace(progress, left_low_s=low_s, left_high_s=high_s)


def _transfer(job: JobData, now: Moment) -> Transfer | None:
    """What is on its way; while nothing comes it has no rate, and nobody knows how long it will take."""
    if job.transfer is None or job.state not in (JobState.UPLOADING, JobState.COLLECTING):
        return None
    if job.transfer.done < job.transfer.size and now.s - job.progress_s > _SILENT_S:
        return replace(job.transfer, bytes_per_s=0.0, left_s=None)
    return job.transfer


def _rendered_s(job: JobData, now: Moment) -> float:
    """Since when the server works on it; a job that waits behind another on its pod has all of it ahead."""
    if job.track.started_s is not None:
        return now.s - job.track.started_s
    return now.s - job.taken.s if job.state is JobState.RUNNING and job.taken is not None else 0.0


def _expected(job: JobData, pod: PodData | None, cost: Decimal, progress: Progress) -> Decimal | None:
    if job_is_over(job.state):
        return cost
    if pod is None or progress.left_s is None or job.state not in _ON_THE_POD:
        return None
    return cost + pod.offer.price_per_hour_usd * Decimal(str(progress.left_s)) / 3600


def pod_view(pod: PodData, state: SessionState, now: Moment) -> PodView:
    """One pod."""
    jobs = [state.jobs[job_id] for job_id in pod.active]
    running = next((job for job in jobs if job.state is JobState.RUNNING), jobs[0] if jobs else None)
    rests = pod.state is PodState.READY and pod.idle_since_s is not None and not jobs
    return PodView(
        pod_id=pod.pod_id,
        name=pod.name,
        provider=pod.offer.provider,
        gpu_type=pod.offer.gpu_type,
        gpu_count=pod.offer.gpu_count,
        state=pod.state,
        phase=pod.phase,
        kind=pod.offer.kind,
        price_per_hour_usd=pod.offer.price_per_hour_usd,
        cost_usd=pod_cost(pod, now.s),
        local_port=pod.local_port,
        age_s=max(0.0, now.s - pod.requested.s),
        idle_left_s=seconds_left(pod.idle_since_s, now.s, pod.idle_minutes)
        if rests and pod.idle_since_s is not None
        else None,
        job_id=None if running is None else running.job_id,
        unsaved=sum(1 for job in jobs if job.state not in (JobState.QUEUED, JobState.UPLOADING)),
        ends_after_batch=pod.ends_after_batch,
        detached=pod.detached,
        error=pod.error,
        gpu_use=pod.gpu_use if pod.state in _WORKING else None,
        where=pod.offer.where,
        successor=pod.successor,
        armed=pod.armed,
        guard=pod.guard,
        boot_s=boot_seconds(pod, now.s),
        ending=pod.state in _ENDING or (pod.ending is not None and not is_over(pod.state)),
        bills=pod.state is PodState.STOPPED or (may_bill(pod.state) and bool(pod.offer.price_per_hour_usd)),
        storage_only=pod.state is PodState.STOPPED,
    )


def _today(state: SessionState, costs: Mapping[MoneyKind, Decimal]) -> dict[MoneyKind, Decimal]:
    """Of all sessions; a kind of money that nobody has spent is not in it."""
    known = {kind: state.ledger_usd.get(kind) for kind in MoneyKind}
    days = {kind: day_and_month_cost(spent, costs.get(kind, Decimal(0)))[0] for kind, spent in known.items()}
    return {kind: day for kind, day in days.items() if day or kind in costs}


def _costs(state: SessionState, now: Moment) -> dict[MoneyKind, Decimal]:
    pods = list(state.pods.values())
    kinds = {pod.offer.kind for pod in pods}
    return {kind: session_cost(state.spent_usd.get(kind, Decimal(0)), pods, kind, now.s) for kind in kinds}
