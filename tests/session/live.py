"""A session with real pods on this machine, a home of its own, and a clock that a test can move on."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from autopod_nb.clock import Clock, Deadline, FileClock, SystemClock
from autopod_nb.config import read_settings
from autopod_nb.jobs.spec import make_spec
from autopod_nb.models.job import JobSpec, JobState
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import JobView, PodView, Snapshot
from autopod_nb.providers.base import Provider
from autopod_nb.providers.local import LocalProvider
from autopod_nb.session.build import build_session
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.handle import Job
from autopod_nb.session.manager import Session
from tests.fakes.relay import Relay
from tests.fakes.relayed import Relayed
from tests.session.graphs import GRAPHS

WITHIN_S = 30.0
REAL = SystemClock()


class Live:
    """One session.

    Args:
        folder: home, clock, templates and outputs lie below it.
        provider: instead of the local one.
        settings: environment variables.
        clock_file: of a clock that others share.
    """

    def __init__(
        self,
        folder: Path,
        *,
        provider: Callable[[Path, Clock], Provider] | None = None,
        settings: Mapping[str, str] | None = None,
        clock_file: Path | None = None,
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.out = folder / "out"
        self._offset = clock_file or folder / "clock"
        self._offset_s = 0.0
        self.clock = FileClock(self._offset)
        self.provider = (provider or _local)(self.home / "pods", self.clock)
        self._templates = folder / "templates"
        self._templates.mkdir(parents=True, exist_ok=True)
        for name, graph in GRAPHS.items():
            (self._templates / f"{name}.json").write_text(json.dumps(graph))
        found = read_settings({"AUTOPOD_HOME": str(self.home), **(settings or {})})
        self.session: Session = build_session(found, clock=self.clock, provider=self.provider)

    def jump(self, seconds: float) -> None:
        """Move the clock of the session on."""
        self._offset_s += seconds
        part = self._offset.with_suffix(".part")
        part.write_text(str(self._offset_s))
        part.replace(self._offset)  # at once: half a number would be another time

    def until(self, done: Callable[[Snapshot], bool], within_s: float = WITHIN_S) -> Snapshot:
        """Wait until *done* holds; what the session says by then is the error if it never does."""
        deadline = Deadline(REAL, within_s)
        while not done(snapshot := self.session.snapshot):
            assert not deadline.passed, f"not within {within_s} s: {_short(snapshot)}"
            assert not self.session.closed, f"the session ended: {_short(snapshot)}"
            self.session.wait_newer(snapshot.number, deadline.left_s(1.0))
        return snapshot

    def let_pass(self, seconds: float) -> None:
        """Wait until the session has lived on for so long by its own clock."""
        began = self.session.snapshot.at
        self.until(lambda snapshot: (snapshot.at - began).total_seconds() >= seconds)

    # --- pods -------------------------------------------------------------------------------------------------------

    def rent(self, *, idle_minutes: str | None = None, limit_usd: str | None = None) -> str:
        """Rent a pod and wait until it is ready. Returns its id."""
        request = self.request(idle_minutes=idle_minutes, limit_usd=limit_usd)
        pod_id = self.session.connect(self.session.plan(request))
        return self.until_ready(pod_id)

    @staticmethod
    def request(*, idle_minutes: str | None = None, limit_usd: str | None = None) -> PodRequest:
        return PodRequest(
            idle_minutes=None if idle_minutes is None else Decimal(idle_minutes),
            session_limit_usd=None if limit_usd is None else Decimal(limit_usd),
        )

    def until_ready(self, pod_id: str, within_s: float = WITHIN_S) -> str:
        """Wait until a pod is ready, or one that was rented in its place. Returns the id of that."""

        def newest(snapshot: Snapshot) -> PodView:
            pod = snapshot.pods[pod_id]
            while pod.successor is not None:
                pod = snapshot.pods[pod.successor]
            return pod

        return newest(self.until(lambda snapshot: newest(snapshot).state is PodState.READY, within_s)).pod_id

    def pod(self, pod_id: str) -> PodView:
        return self.session.snapshot.pods[pod_id]

    def until_pod(self, pod_id: str, *states: PodState, within_s: float = WITHIN_S) -> PodView:
        return self.until(lambda snapshot: snapshot.pods[pod_id].state in states, within_s).pods[pod_id]

    def pod_folder(self, pod_id: str) -> Path:
        """Where the pod's files lie."""
        return self.home / "pods" / self.pod(pod_id).name

    def process(self, pod_id: str, what: str) -> int:
        """The id of a process of a pod: ``localpod`` itself, or its ``engine_main``."""
        folder = str(self.pod_folder(pod_id)).encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if f"autopod_nb.localpod{what}".encode() in command.split(b"\0") and folder in command:
                    return int(entry.name)
        raise AssertionError(f"pod {pod_id} has no process {what!r}")

    # --- jobs -------------------------------------------------------------------------------------------------------

    def spec(
        self,
        template: str,
        job_id: str,
        *,
        output: Path | None = None,
        inputs: Mapping[str, object] | None = None,
        limits: Mapping[str, object] | None = None,
        **params: object,
    ) -> JobSpec:
        """A job. Without *output* its picture goes to ``out/JOB_ID.png``."""
        file = self._templates / f"{template}.json"
        kind = "picture" if file.exists() else "video"
        return make_spec(
            str(file) if file.exists() else template,
            job_id=job_id,
            inputs=inputs,
            params=params,
            outputs={kind: output or self.out / f"{job_id}.{'png' if kind == 'picture' else 'mp4'}"},
            pod_config=limits,
        )

    def submit(self, template: str, job_id: str, *, pod_id: str | None = None, **wishes: object) -> Job:
        return self.session.submit(self.spec(template, job_id, **wishes), pod_id=pod_id)  # type: ignore[arg-type] # of spec

    def until_job(self, job: Job, *states: JobState, within_s: float = WITHIN_S) -> JobView:
        return self.until(lambda snapshot: snapshot.jobs[job.job_id].state in states, within_s).jobs[job.job_id]

    def until_rendering(self, job: Job, percent: float = 0.0) -> JobView:
        """Wait until it runs and has made some progress."""

        def renders(snapshot: Snapshot) -> bool:
            view = snapshot.jobs[job.job_id]
            assert not view.over, f"it is over: {view}"
            return view.state is JobState.RUNNING and (view.progress.percent or 0.0) > percent

        return self.until(renders).jobs[job.job_id]

    def until_over(self, job: Job, within_s: float = WITHIN_S) -> JobView:
        return self.until(lambda snapshot: snapshot.jobs[job.job_id].over, within_s).jobs[job.job_id]

    @property
    def notices(self) -> str:
        return "\n".join(notice.text for notice in self.session.snapshot.notices)

    def close(self) -> None:
        self.session.close()


def _local(folder: Path, clock: Clock) -> LocalProvider:
    return LocalProvider(folder, clock=clock)


def _short(snapshot: Snapshot) -> str:
    pods = [f"pod {pod.pod_id} {pod.state.value} ({pod.phase}) {pod.error}" for pod in snapshot.pods.values()]
    jobs = [
        f"{job.job_id} {job.state.value} {job.progress.percent} {job.error} {job.warning}"
        for job in snapshot.jobs.values()
    ]
    return " | ".join([*pods, *jobs, *(notice.text for notice in snapshot.notices)])


def threads_of_ours() -> list[str]:
    """Every thread that a session may have started."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("autopod"))


class RelayedProvider(Relayed[Relay]):
    """The local provider, with a relay that a test can cut on the way to each pod's SSH server."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        super().__init__(folder, clock=clock, make_way=lambda address: Relay(address.port))


def kill(pid: int, number: int) -> None:
    """Send a signal to a process that the test's own pod has."""
    os.kill(pid, number)
