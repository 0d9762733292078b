"""One step of the reducer: the state being changed, and what is to be done. Lives inside one call; never shared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from autopod_nb.models.job import JobEvent, next_job_state
from autopod_nb.models.money import Charge
from autopod_nb.models.pod import PodEvent, next_pod_state
from autopod_nb.models.snapshot import Level, Notice
from autopod_nb.session import books
from autopod_nb.session.effects import Effect, WriteLedger
from autopod_nb.session.events import Message, Moment
from autopod_nb.session.state import JobData, PodData, SessionState
from autopod_nb.storage.ledger import LedgerWrite

_KEPT_NOTICES = 100


class Step:
    """Works on copies; the state that it began with is never touched.

    Args:
        state: before.
        now: the moment of the message.
    """

    def __init__(self, state: SessionState, now: Moment) -> None:
        self._before = state
        self.now = now
        self.rules = state.rules
        self.limit_usd = state.limit_usd
        self.pods = dict(state.pods)
        self._jobs = state.jobs
        self._jobs_changed: dict[str, JobData] = {}
        self.queue = state.queue
        self._prompts: dict[str, str] | None = None
        self.spent_usd = dict(state.spent_usd)
        self.limits = dict(state.limits)
        self.ledger_usd = state.ledger_usd
        self.reaper = state.reaper
        self.strangers = state.strangers
        self.fleet = state.fleet
        self._notices: list[Notice] = []
        self._effects: list[Effect] = []
        self._writes: list[LedgerWrite] = []

    # --- jobs: thousands of them, so only those that change are copied ------------------------------------------------

    def find_job(self, job_id: str) -> JobData | None:
        """The job as it is now, None if there is none."""
        return self._jobs_changed.get(job_id) or self._jobs.get(job_id)

    def job(self, job_id: str) -> JobData:
        """The job as it is now."""
        found = self.find_job(job_id)
        if found is None:
            raise KeyError(job_id)
        return found

    def put(self, job: JobData) -> JobData:
        """Keep the job as it is now."""
        self._jobs_changed[job.job_id] = job
        return job

    def move(self, job: JobData, event: JobEvent) -> JobData:
        """Take the job through its table, keep it and write it into the ledger."""
        job = self.put(replace(job, state=next_job_state(job.state, event)))
        self.record(books.job_changed(job, self.now))
        return job

    def jobs_of(self, pod: PodData) -> list[JobData]:
        """The jobs that the pod has and that are not over."""
        return [self.job(job_id) for job_id in pod.active]

    def jobs_before(self) -> Iterable[JobData]:
        """All jobs as they were before this step."""
        return self._jobs.values()

    @property
    def prompts(self) -> dict[str, str]:
        """Prompt id → job id, to be changed."""
        if self._prompts is None:
            self._prompts = dict(self._before.prompts)
        return self._prompts

    def job_of_prompt(self, prompt_id: str) -> JobData | None:
        """Whose prompt it is, None if it is nobody's, or that of an earlier attempt."""
        prompts = self._before.prompts if self._prompts is None else self._prompts
        job_id = prompts.get(prompt_id)
        return None if job_id is None else self.find_job(job_id)

    # --- pods -------------------------------------------------------------------------------------------------------

    def put_pod(self, pod: PodData) -> PodData:
        """Keep the pod as it is now."""
        self.pods[pod.pod_id] = pod
        return pod

    def move_pod(self, pod: PodData, event: PodEvent) -> PodData:
        """Take the pod through its table, keep it and write it into the ledger."""
        pod = self.put_pod(replace(pod, state=next_pod_state(pod.state, event)))
        self.record(books.pod_changed(pod, self.now))
        return pod

    # --- what comes of it ---------------------------------------------------------------------------------------------

    def charge(self, charge: Charge) -> None:
        """Book a stretch: in the totals, on its job and in the ledger."""
        spent = self.spent_usd.get(charge.kind, Decimal(0))
        self.spent_usd[charge.kind] = spent + charge.amount_usd
        session_id = self.pods[charge.pod_id].session_id
        if charge.job_id is not None:
            job = self.job(charge.job_id)
            session_id = job.session_id
            self.put(replace(job, spent_usd=job.spent_usd + charge.amount_usd))
        self.record(books.charged(charge, session_id))

    def notice(self, level: Level, text: str, *, pod_id: str | None = None, job_id: str | None = None) -> None:
        """Tell the person."""
        self._notices.append(Notice(level=level, text=text, at=self.now.at, pod_id=pod_id, job_id=job_id))

    def said(self, text: str) -> bool:
        """Whether the person was told this already, as far as it is remembered."""
        return any(notice.text == text for notice in (*self._before.notices, *self._notices))

    def record(self, *writes: LedgerWrite, then: Message | None = None) -> None:
        """Write into the ledger, in order; *then* comes back when it is safely there."""
        self._writes.extend(writes)
        if then is not None:
            self._effects.append(WriteLedger(writes=tuple(self._writes), then=(then,)))
            self._writes.clear()

    def emit(self, effect: Effect) -> None:
        """Have this done, after what was recorded before it is on its way to the ledger."""
        self._flush()
        self._effects.append(effect)

    def _flush(self) -> None:
        if self._writes:
            self._effects.append(WriteLedger(writes=tuple(self._writes)))
            self._writes.clear()

    def finish(self) -> tuple[SessionState, tuple[Effect, ...]]:
        """The state after the step, and what is to be done."""
        self._flush()
        jobs = self._jobs
        if self._jobs_changed:
            jobs = MappingProxyType({**self._jobs, **self._jobs_changed})
        state = replace(
            self._before,
            limit_usd=self.limit_usd,
            pods=MappingProxyType(self.pods),
            jobs=jobs,
            queue=self.queue,
            prompts=self._before.prompts if self._prompts is None else MappingProxyType(self._prompts),
            spent_usd=MappingProxyType(self.spent_usd),
            limits=MappingProxyType(self.limits),
            ledger_usd=self.ledger_usd,
            reaper=self.reaper,
            strangers=self.strangers,
            fleet=self.fleet,
            notices=(*self._before.notices, *self._notices)[-_KEPT_NOTICES:],
        )
        return state, tuple(self._effects)
