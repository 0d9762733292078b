"""The handle of one job: what `%%comfyjob` and ``Session.submit`` return."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.clock import Deadline
from autopod_nb.errors import JobFailed
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import JobView, Progress

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session


class Batch:
    """Several jobs that belong together, such as those of a sweep. May be used in any thread."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)

    @property
    def states(self) -> Mapping[str, JobState]:
        """Job id → where it is."""
        return {job.job_id: job.state for job in self.jobs}

    @property
    def over(self) -> bool:
        """Whether all of them have their end states."""
        return all(job.view.over for job in self.jobs)

    @property
    def cost_usd(self) -> Decimal:
        """What all of them have cost so far; one pod's money is of one kind."""
        return sum((job.cost_usd for job in self.jobs), Decimal(0))

    @property
    def outputs(self) -> Mapping[str, Mapping[str, list[Path]]]:
        """Job id → output name → files that are here, whole."""
        return {job.job_id: job.outputs for job in self.jobs}

    def wait(self, timeout_s: float | None = None) -> Batch:
        """Wait until all of them are over, whatever becomes of each.

        Returns:
            Itself.

        Raises:
            JobFailed: some failed or were cancelled; the message names them, and the others are done.
            TimeoutError: not all are over yet, and they go on.
        """
        if not self.jobs:
            return self
        deadline = Deadline(self.jobs[0].session.clock, timeout_s)
        ends = [_end_of(job, None if timeout_s is None else deadline.left_s(timeout_s)) for job in self.jobs]
        failed = [why for why in ends if why]
        if failed:
            raise JobFailed(f"{len(failed)} of {len(self.jobs)} jobs: {'; '.join(failed)}")
        return self

    def cancel(self) -> None:
        """End those that are not over; returns at once."""
        for job in self.jobs:
            if not job.view.over:
                job.cancel()

    def __len__(self) -> int:
        return len(self.jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)

    def __repr__(self) -> str:
        counts = Counter(state.value for state in self.states.values())
        return f"{len(self.jobs)} jobs: " + ", ".join(f"{count} {state}" for state, count in counts.items())


def _end_of(job: Job, timeout_s: float | None) -> str:
    """Wait for a job. Returns why it failed, empty if it did not."""
    try:
        job.wait(timeout_s)
    except JobFailed as error:
        return str(error)
    return ""


class Job:
    """One job of a session. Reads snapshots and posts commands; may be used in any thread."""

    def __init__(self, session: Session, job_id: str) -> None:
        self._session = session
        self.job_id = job_id

    @property
    def session(self) -> Session:
        """The session that it belongs to."""
        return self._session

    @property
    def view(self) -> JobView:
        """Everything about it at this moment."""
        return self._session.snapshot.jobs[self.job_id]

    @property
    def state(self) -> JobState:
        """Where it is."""
        return self.view.state

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self.view.progress

    @property
    def cost_usd(self) -> Decimal:
        """What it has cost so far; ``view.kind`` says whether that is real money."""
        return self.view.cost_usd

    @property
    def outputs(self) -> Mapping[str, list[Path]]:
        """Output name → files that are here, whole."""
        found: dict[str, list[Path]] = {}
        for result in self.view.results:
            found.setdefault(result.output, []).append(result.path)
        return found

    @property
    def error(self) -> str:
        """Why it failed, in one line; empty if it did not."""
        return self.view.error

    def wait(self, timeout_s: float | None = None) -> Job:
        """Wait until it is over.

        Args:
            timeout_s: at most this long; None for ever.

        Returns:
            Itself, done.

        Raises:
            JobFailed: it failed or was cancelled; the message says why.
            TimeoutError: it is not over yet, and goes on.
        """
        deadline = Deadline(self._session.clock, timeout_s)
        while True:
            snapshot = self._session.snapshot
            view = snapshot.jobs[self.job_id]
            if view.over:
                break
            if self._session.closed:
                raise JobFailed(f"{self.job_id} is {view.state.value}: the session was closed before it ended.")
            pod = snapshot.pods.get(view.pod_id or "")
            if view.state is JobState.COLLECTING and pod is not None and pod.state is PodState.STOPPED:
                raise JobFailed(
                    f"{self.job_id} ran, but its results are on the stopped pod {pod.pod_id}:"
                    " `%autopod adopt` fetches them."
                )
            if deadline.passed:
                raise TimeoutError(f"{self.job_id} is still {view.state.value} after {timeout_s} s; it goes on.")
            self._session.wait_newer(snapshot.number, deadline.left_s(1.0))
        if view.state is not JobState.DONE:
            raise JobFailed(f"{self.job_id} {view.state.value}: {view.error}")
        return self

    def cancel(self) -> None:
        """End it, and no other; returns at once."""
        self._session.cancel(self.job_id)

    def __repr__(self) -> str:
        view = self.view
        percent = "" if view.progress.percent is None or view.over else f" {view.progress.percent:.0f} %"
        cost = show_usd(view.cost_usd, view.kind or MoneyKind.REAL)
        files = ", ".join(str(path) for paths in self.outputs.values() for path in paths)
        return " · ".join(
            part for part in (f"Job {self.job_id}", f"{view.state.value}{percent}", cost, files, view.error) if part
        )
