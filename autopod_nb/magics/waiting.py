"""Waiting in the main thread, with progress as lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from autopod_nb.clock import Clock, Deadline, default_clock
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import JobView, Level, PodView, Snapshot
from autopod_nb.widgets import render, words

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_INTERVAL_S = 1.0
_PERCENT_STEP = 10
_MOVING = (
    PodState.PLANNED,
    PodState.REQUESTED,
    PodState.BOOTING,
    PodState.CONNECTING,
    PodState.DRAINING,
    PodState.STOPPING,
    PodState.TERMINATING,
)


def say(line: str) -> None:
    """Print a line where the person sees it at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def is_settled(snapshot: Snapshot, job_ids: Collection[str] = ()) -> bool:
    """Whether these jobs are over; without names, whether all jobs are and no pod boots or ends."""
    jobs = [view for view in snapshot.jobs.values() if not job_ids or view.job_id in job_ids]
    if any(not view.over for view in jobs) or len(jobs) < len(job_ids):
        return False
    return bool(job_ids) or not any(_moves(pod) for pod in snapshot.pods.values())


def _moves(pod: PodView) -> bool:
    ends_soon = pod.ends_after_batch and not pod.over and pod.state is not PodState.STOPPED
    return pod.state in _MOVING or ends_soon


class News:
    """Says of each snapshot what is new and worth a line: a state, a node, ten percent, a warning."""

    def __init__(self, snapshot: Snapshot, job_ids: Collection[str] = ()) -> None:
        self._job_ids = job_ids
        self._known: dict[str, object] = {
            f"pod {p.pod_id}": _pod_mark(p) for p in snapshot.pods.values() if not _moves(p)
        }
        self._known |= {f"job {view.job_id}": _job_mark(view) for view in snapshot.jobs.values() if view.over}
        self._notices = set(snapshot.notices)

    def lines(self, snapshot: Snapshot) -> list[str]:
        """The lines, none if nothing is worth one."""
        lines = [
            f"Pod {render.pod_line(pod)}"
            for pod in snapshot.pods.values()
            if self._is_new(f"pod {pod.pod_id}", _pod_mark(pod))
        ]
        lines += [
            render.job_line(view)
            for view in snapshot.jobs.values()
            if (not self._job_ids or view.job_id in self._job_ids)
            and self._is_new(f"job {view.job_id}", _job_mark(view))
        ]
        fresh = [notice for notice in snapshot.notices if notice not in self._notices]
        self._notices.update(fresh)
        return lines + [render.notice_line(notice) for notice in fresh if notice.level is not Level.INFO]

    def _is_new(self, name: str, mark: object) -> bool:
        if self._known.get(name) == mark:
            return False
        self._known[name] = mark
        return True


def _pod_mark(pod: PodView) -> object:
    state = PodState.READY if pod.state is PodState.BUSY else pod.state  # its jobs say that they run
    return state, pod.phase, pod.error


def _job_mark(view: JobView) -> object:
    percent = view.progress.percent
    tenth = None if percent is None else int(words.bounded(percent)) // _PERCENT_STEP
    moved = view.transfer and 100 * view.transfer.done // max(1, view.transfer.size) // _PERCENT_STEP
    return view.state, view.attempt, tenth, moved, view.warning, view.error


def follow(
    session: Session,
    job_ids: Collection[str] = (),
    *,
    timeout_s: float | None = None,
    tell: Callable[[str], None] = say,
    clock: Clock | None = None,
) -> Snapshot:
    """Wait until :func:`is_settled`, and tell what happens, at most once a second.

    Args:
        session: whose jobs and pods.
        job_ids: wait for these jobs only.
        timeout_s: give up after this long, None for never.
        tell: takes each line.
        clock: for the time-out and the rate of lines.

    Returns:
        The snapshot in which it is settled.

    Raises:
        TimeoutError: the time is up; nothing was cancelled.
    """
    clock = clock or default_clock()
    deadline, told_s = Deadline(clock, timeout_s), float("-inf")
    snapshot = session.snapshot
    news = News(snapshot, job_ids)
    while True:
        closed = session.closed  # read first: the snapshot after it is then the last one
        snapshot = session.snapshot
        end = closed or is_settled(snapshot, job_ids)
        if end or clock.monotonic() - told_s >= _INTERVAL_S:
            told_s = clock.monotonic()
            for line in news.lines(snapshot):
                tell(line)
        if end:
            return snapshot
        if deadline.passed:
            raise TimeoutError(f"Not over after {timeout_s:g} s; the work goes on. `%autopod wait` waits again.")
        session.wait_newer(snapshot.number, deadline.left_s(_INTERVAL_S))
