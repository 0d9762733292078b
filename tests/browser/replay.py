"""A session of many pods whose events are made up here: what the outside would say, at the rate that it is told.

Runs in a kernel: a cell imports it. Reducer, snapshots, buttons and panels are the real ones. Effects reach nobody.
"""

from __future__ import annotations

import os
import platform
import threading
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from autopod_nb.clock import SystemClock
from autopod_nb.config import LEDGER_NAME, read_settings
from autopod_nb.log import open_log
from autopod_nb.models.event import NodeProgress, PromptProgress, PromptStarted
from autopod_nb.models.job import JobSpec, JobState
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.providers.registry import make_provider
from autopod_nb.session import commands, events, job_events
from autopod_nb.session.commands import PodPlan, PodRequest
from autopod_nb.session.effects import Effect, WriteLedger
from autopod_nb.session.events import Message
from autopod_nb.session.manager import Session
from autopod_nb.session.state import make_prompt_id
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Owner, Role
from autopod_nb.threads import ServiceThread
from tests.session.story import ADDRESS, TEMPLATE, offer

_PATIENCE_S = 60.0
_LOOK_S = 0.005


class Replayed(Session):
    """A session without hands: what it would have done is acknowledged where it waits for that, and never happens."""

    def _act(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, WriteLedger):
                self.tell(*effect.then)

    def tell(self, *messages: Message) -> None:
        """Let the outside say something."""
        for message in messages:
            self._core.post(message)

    @property
    def backlog(self) -> int:
        """How much of what was said is not applied yet."""
        return len(self._core._inbox)

    def until(self, done: Callable[[Snapshot], bool]) -> None:
        """Wait until a snapshot shows it."""
        assert done(self._core.wait_for(done, _PATIENCE_S))


class Replay:
    """Pods ``p00``, ``p01`` …, each with a job ``j00``, ``j01`` … that renders.

    Args:
        pods: how many, at most 50.
        rate: events a second of each, from now on until the end; fewer where this machine cannot apply so many.

    Attributes:
        session: to be shown.
        told: how many events came so far.
    """

    def __init__(self, pods: int, *, rate: float) -> None:
        self._numbers, self._interval_s = range(pods), 1 / rate
        self._prompts = [make_prompt_id(_uid(number), 1) for number in self._numbers]
        self.told = 0
        self.session = _open()
        self._boot()
        self._submit()
        self._thread = ServiceThread("replay", self._run).start()

    def _boot(self) -> None:
        plan = PodPlan(
            request=PodRequest(),
            offer=offer("0.40"),
            session_limit_usd=None,
            idle_minutes=Decimal(10),
            needs_yes=False,
        )
        pod_ids = [f"p{number:02}" for number in self._numbers]
        for pod_id in pod_ids:
            self.session.tell(
                commands.Connect(pod_id=pod_id, pod_name=f"n-{pod_id}", plan=plan, ends_after_batch=False)
            )
        self._all_pods(PodState.REQUESTED)
        for pod_id in pod_ids:
            self.session.tell(events.PodCreated(pod_id=pod_id, provider_id=f"id-{pod_id}"))
        self._all_pods(PodState.BOOTING)
        for pod_id in pod_ids:
            self.session.tell(events.PodAddressed(pod_id=pod_id, address=ADDRESS))
            self.session.tell(events.PodReady(pod_id=pod_id, local_port=8188, comfyui_version="0.12.1"))
        self._all_pods(PodState.READY)

    def _submit(self) -> None:
        for number in self._numbers:
            outputs = {"picture": Path(f"j{number:02}.png")}
            spec = JobSpec(job_id=f"j{number:02}", workflow_template="tiny", outputs=outputs)
            self.session.tell(
                commands.Submit(spec=spec, template=TEMPLATE, uid=_uid(number), pod_id=f"p{number:02}", usual_s={})
            )
        self._all_jobs(JobState.UPLOADING)
        for number, prompt_id in enumerate(self._prompts):
            self.session.tell(
                job_events.InputsUploaded(job_id=f"j{number:02}", attempt=1, names=()),
                job_events.PromptAccepted(job_id=f"j{number:02}", attempt=1, complaints=()),
                events.PodMessage(pod_id=f"p{number:02}", event=PromptStarted(prompt_id=prompt_id, at_ms=0)),
            )
        self._all_jobs(JobState.RUNNING)

    def _all_pods(self, state: PodState) -> None:
        self.session.until(
            lambda seen: len(seen.pods) == len(self._numbers) and all(pod.state is state for pod in seen.pods.values())
        )

    def _all_jobs(self, state: JobState) -> None:
        self.session.until(
            lambda seen: len(seen.jobs) == len(self._numbers) and all(job.state is state for job in seen.jobs.values())
        )

    def _run(self, stop: threading.Event) -> None:
        clock = SystemClock()
        start_s, turn = clock.monotonic(), 0
        while not stop.is_set():
            for number in self._numbers:
                self._progress(number, 55 + (turn * 7 + number) % 44)
            turn += 1
            stop.wait(max(0.0, start_s + turn * self._interval_s - clock.monotonic()))
            while self.session.backlog > len(self._numbers) and not stop.wait(_LOOK_S):
                start_s += _LOOK_S  # what is late is not caught up
        for number in self._numbers:
            self._progress(number, final_percent(number))

    def end(self) -> dict[str, float | None]:
        """Let the last event of each pod come, and wait until it is applied.

        Returns:
            How far the job of each pod is by the snapshot that is the last one.
        """
        self._thread.stop()
        assert self._thread.join(_PATIENCE_S)
        last = {f"j{number:02}": final_percent(number) for number in self._numbers}
        self.session.until(lambda seen: all(seen.jobs[job_id].progress.percent == last[job_id] for job_id in last))
        return {job.pod_id or "": job.progress.percent for job in self.session.snapshot.jobs.values()}

    def _progress(self, number: int, percent: int) -> None:
        """The two nodes of the workflow are equally far."""
        nodes = [
            NodeProgress(node_id=node, display_node_id=node, value=percent, maximum=100, finished=False)
            for node in TEMPLATE.graph
        ]
        event = PromptProgress(prompt_id=self._prompts[number], nodes=tuple(nodes))
        self.told += 1
        self.session.tell(events.PodMessage(pod_id=f"p{number:02}", event=event))


def final_percent(number: int) -> int:
    """Where a pod's job is in the end: another value for each, and none that any of them had before."""
    return number + 1


def _uid(number: int) -> str:
    return str(uuid.UUID(int=(4 << 76) + (2 << 62) + number))


def _open() -> Replayed:
    settings, clock = read_settings(), SystemClock()
    open_log(settings.home)
    ledger = Ledger(settings.home / LEDGER_NAME, clock=clock).open()
    owner = Owner(owner_id="replay", role=Role.KERNEL, host=platform.node(), pid=os.getpid())
    return Replayed(settings, provider=make_provider(settings, clock), ledger=ledger, owner=owner, clock=clock)
