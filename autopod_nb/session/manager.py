"""The session: one thread that owns all state, and the doors through which faces talk to it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from autopod_nb.clock import Clock
from autopod_nb.comfyui.outputs import safe_name
from autopod_nb.comfyui.workflow import WorkflowTemplate, find_template, load_template
from autopod_nb.config import Settings
from autopod_nb.errors import InternalError, UsageError, nearest
from autopod_nb.jobs.fault import Fault
from autopod_nb.jobs.preflight import check_files, preflight, require
from autopod_nb.jobs.spec import check_batch, make_spec
from autopod_nb.models.job import JobSpec
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.providers.base import Provider
from autopod_nb.session import commands, events
from autopod_nb.session.again import next_id, once_more
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.control import Control
from autopod_nb.session.core import Core
from autopod_nb.session.doors import ANSWER_S
from autopod_nb.session.effects import Effect
from autopod_nb.session.end_doors import EndDoors
from autopod_nb.session.fleet_state import FleetPlan
from autopod_nb.session.forecast import refuse_what_does_not_fit
from autopod_nb.session.gui import GuiPlaces
from autopod_nb.session.handle import Job
from autopod_nb.session.lanes import Lanes
from autopod_nb.session.state import Rules, SessionState
from autopod_nb.session.work import Worker
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Owner
from autopod_nb.storage.usual import usual_seconds

_LANES_S = 2.0
_NOT_LIVE = (PodState.TERMINATING, PodState.TERMINATED, PodState.STOPPING, PodState.STOPPED, PodState.DRAINING)


class Session(EndDoors):
    """From the first pod to the last. Made by :func:`autopod_nb.session.build.open_session`.

    Every method returns at once unless it says otherwise, and may be called in any thread.

    Args:
        settings: what it goes by.
        provider: who rents out pods.
        ledger: open; closed with the session.
        owner: this process, as the ledger shall know it.
        clock: the time.

    Attributes:
        gui: the ways to ComfyUI's own page of each pod.
        control: what buttons press, and the door through which they press it.
    """

    def __init__(self, settings: Settings, *, provider: Provider, ledger: Ledger, owner: Owner, clock: Clock) -> None:
        rules = Rules(
            session_id=owner.owner_id,
            owner=owner,
            stuck_minutes=settings.stuck_minutes,
            boot_minutes=settings.boot_minutes,
            can_stop=provider.capabilities.can_stop,
            outlives=provider.capabilities.outlives,
            watchdog=provider.capabilities.watchdog_url is not None,
            pod_limit_usd=settings.pod_limit_usd,
            day_limit_usd=settings.day_limit_usd,
            month_limit_usd=settings.month_limit_usd,
        )
        state = SessionState(rules=rules, limit_usd=settings.session_limit_usd)
        core = Core(state, clock=clock, act=self._act, on_broken=provider.close)
        super().__init__(settings, provider=provider, ledger=ledger, core=core, clock=clock)
        self._worker = Worker(settings, provider=provider, ledger=ledger, clock=clock, post=core.post)
        self._lanes = Lanes(self._worker.do)
        self._again = threading.Lock()  # each call sees the pod and the name of the one before
        self.gui = GuiPlaces(self)
        self.control = Control(self)
        core.start()
        if ledger.recovery is not None:  # rebuilt from what was left of a damaged one
            core.post(events.LedgerFailed(why=str(ledger.recovery)))

    def _act(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self._lanes.put(effect)

    def job(self, job_id: str) -> Job:
        """The handle of a job.

        Raises:
            UsageError: no such job.
        """
        jobs = self.snapshot.jobs
        if job_id not in jobs:
            known = f" Jobs: {', '.join(list(jobs)[-5:])}." if jobs else " There are no jobs yet."
            raise UsageError(f"No job {job_id!r}.{nearest(job_id, jobs) or known}")
        return Job(self, job_id)

    def check(self, spec: JobSpec) -> tuple[Fault, ...]:
        """Everything that is wrong with a job, as far as it can be told without a pod.

        Raises:
            TemplateError: the template cannot be read.
        """
        return _faults(spec, _template(spec.workflow_template))

    def submit(self, spec: JobSpec, *, pod_id: str | None = None, yes: bool = False) -> Job:
        """Check a job and queue it; see :meth:`submit_all`."""
        return self.submit_all([spec], pod_id=pod_id, yes=yes)[0]

    def submit_all(
        self,
        specs: Sequence[JobSpec],
        *,
        pod_id: str | None = None,
        yes: bool = False,
        fleet: FleetPlan | None = None,
    ) -> list[Job]:
        """Check jobs and queue them, all or none.

        If no pod is there, one is rented for them, which ends when they are done; or as many as *fleet* allows and pay.

        Args:
            specs: the jobs, each with an id of its own.
            pod_id: run them there; None for any pod.
            yes: rent a pod although it is dearer than the settings allow without asking.
            fleet: from now on pods are started and ended as this says.

        Raises:
            JobSpecError, TemplateError: something is wrong with a job; nothing was queued.
            UsageError: no such pod, or a pod that is dear and not *yes*.
            ProviderError: no pod is to be had.
        """
        check_batch(specs)
        templates = {name: _template(name) for name in {spec.workflow_template for spec in specs}}
        return self._queue([(spec, templates[spec.workflow_template]) for spec in specs], pod_id, yes=yes, fleet=fleet)

    def _queue(
        self,
        jobs: Sequence[tuple[JobSpec, WorkflowTemplate]],
        pod_id: str | None,
        *,
        yes: bool,
        fleet: FleetPlan | None = None,
    ) -> list[Job]:
        checked = []
        for spec, template in jobs:
            if spec.job_id in self.snapshot.jobs:
                raise UsageError(f"There is a job {spec.job_id!r} already in this session: give another --name.")
            require(_faults(spec, template))
            spec = self._limited(spec)  # noqa: PLW2901 - the same job
            checked.append((spec if spec.outputs else _with_all_outputs(spec, template), template))
        usual = {name: usual_seconds(self._ledger, name) for name in {spec.workflow_template for spec, _ in jobs}}
        wish = self._pod_for([spec for spec, _ in checked], usual, pod_id, yes=yes, fleet=fleet) if checked else None
        for spec, template in checked:
            usual_s, uid = usual[spec.workflow_template], str(uuid.uuid4())
            self._post(commands.Submit(spec=spec, template=template, uid=uid, pod_id=wish, usual_s=usual_s))
        if jobs:
            last = jobs[-1][0].job_id
            if last not in self._core.wait_for(lambda snapshot: last in snapshot.jobs, ANSWER_S).jobs:
                raise InternalError("The session does not answer: restart the kernel.")
        return [Job(self, spec.job_id) for spec, _ in jobs]

    def _limited(self, spec: JobSpec) -> JobSpec:
        """A job that names no limit has that of the settings."""
        limit, config = self.settings.job_limit_usd, spec.pod_config
        if limit is None or config.max_cost_usd is not None:
            return spec
        return replace(spec, pod_config=replace(config, max_cost_usd=limit))

    def _pod_for(
        self,
        specs: Sequence[JobSpec],
        usual: Mapping[str, Mapping[str, float]],
        pod_id: str | None,
        *,
        yes: bool,
        fleet: FleetPlan | None,
    ) -> str | None:
        """Where jobs go; without a pod, one is rented. Refuses jobs that are going to break a limit."""
        if fleet is not None:
            offer = min(fleet.offers, key=lambda offer: offer.price_per_hour_usd)
            self._refuse_too_dear(specs, usual, offer.gpu_type, offer.price_per_hour_usd, offer.kind)
            self.wish_fleet(fleet, batch=True)
            return None
        if pod_id is not None:
            pod = self.pick_pod(pod_id)
            if pod.state in _NOT_LIVE:
                raise UsageError(f"Pod {pod.pod_id} is {pod.state.value} and takes no jobs: name another.")
            self._refuse_too_dear(specs, usual, pod.gpu_type, pod.price_per_hour_usd, pod.kind)
            return pod.pod_id
        live = [pod for pod in self.snapshot.pods.values() if pod.state not in _NOT_LIVE]
        if not live and self.snapshot.fleet is not None:
            return None
        if live:
            self._refuse_too_dear(specs, usual, live[0].gpu_type, live[0].price_per_hour_usd, live[0].kind)
            return None
        config = specs[0].pod_config
        plan = self.plan(PodRequest(gpu=config.gpu_type, gpu_count=config.gpu_count))
        offer = plan.offer
        if plan.needs_yes and not yes:
            raise UsageError(
                f"{offer.label} costs {offer.price_per_hour_usd} USD an hour, which is more than"
                f" {self.settings.confirm_above_usd_per_hour}: say --yes, or ask for less."
            )
        self._refuse_too_dear(specs, usual, offer.gpu_type, offer.price_per_hour_usd, offer.kind)
        return self.connect(plan, ends_after_batch=True)

    def _refuse_too_dear(
        self,
        specs: Sequence[JobSpec],
        usual: Mapping[str, Mapping[str, float]],
        gpu_type: str,
        price_per_hour_usd: Decimal,
        kind: MoneyKind,
    ) -> None:
        there = {name: seconds[gpu_type] for name, seconds in usual.items() if gpu_type in seconds}
        budgets = self.budgets(kind)
        refuse_what_does_not_fit(specs, there, price_per_hour_usd=price_per_hour_usd, kind=kind, budgets=budgets)

    def cancel(self, job_id: str) -> None:
        """End this job and no other.

        Raises:
            UsageError: no such job.
        """
        self.job(job_id)
        self._post(commands.Cancel(job_id=job_id))

    def keep_waiting(self, job_id: str) -> None:
        """Give a stuck job the same time again.

        Raises:
            UsageError: no such job.
        """
        self.job(job_id)
        self._post(commands.KeepWaiting(job_id=job_id))

    def again(self, job_id: str, *, name: str | None = None, yes: bool = False) -> Job:
        """Run a job of this session once more: the same workflow, values, limits and files, under another name.

        Its results get names of their own; see :func:`autopod_nb.session.again.once_more`. As :meth:`submit_all` it
        waits until the job is queued, and rents a pod if there is none; two calls at a time rent one.

        Args:
            job_id: the job, over or not, of this session or taken over by it.
            name: of the new job; ``portrait-2`` and so on if left out.
            yes: rent a pod although it is dearer than the settings allow without asking.

        Raises:
            UsageError: no such job, a name that is taken, or a pod that is dear and not *yes*.
            JobSpecError: a name that cannot be one, or an input file that is not there any more.
            ProviderError: no pod is to be had.
        """
        self.job(job_id)
        if name is not None:
            make_spec(job_id, job_id=name)  # is it a name?
        before = self._core.state.jobs[job_id]
        with self._again:
            spec = once_more(before.spec, name or next_id(job_id, self.snapshot.jobs))
            return self._queue([(spec, before.template)], None, yes=yes)[0]

    def close(self, timeout_s: float = 10.0) -> None:
        """End what bills (but for detached pods), then the threads. Waits; safe to call twice.

        A pod whose results are not here yet is stopped and keeps them; any other is terminated.
        """
        if self.closed:
            return
        self._core.post(commands.CloseSession())
        self._core.wait_for(
            lambda snapshot: all(
                pod.over or pod.state is PodState.STOPPED or pod.detached for pod in snapshot.pods.values()
            ),
            timeout_s,
        )
        self.leave()

    def leave(self) -> None:
        """End the threads and let every pod be, for the kernel that comes next to adopt. Waits; safe to call twice."""
        self.control.close()
        self.gui.close()
        self._core.stop(_LANES_S)
        self._worker.close()
        self._lanes.close(_LANES_S)
        self._provider.close()
        self._ledger.close()


def _template(name: str) -> WorkflowTemplate:
    return load_template(find_template(name, cwd=Path.cwd()))


def _faults(spec: JobSpec, template: WorkflowTemplate) -> tuple[Fault, ...]:
    return *preflight(spec, template), *check_files(spec)


def _with_all_outputs(spec: JobSpec, template: WorkflowTemplate) -> JobSpec:
    """A job that names no outputs gets all of them, in ``outputs/JOB_ID/`` of the folder that is current now."""
    folder = Path.cwd() / "outputs" / spec.job_id
    return replace(spec, outputs=MappingProxyType({name: folder / safe_name(name) for name in template.outputs}))
