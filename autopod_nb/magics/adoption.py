"""The verb ``adopt``: pods, running jobs and their panels come back after a restart."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autopod_nb.magics.text import Text
from autopod_nb.widgets import render

if TYPE_CHECKING:
    from autopod_nb.session.handle import Job
    from autopod_nb.session.manager import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """Pods that were taken over.

    Attributes:
        session: theirs now.
        jobs: those that are not over, in order of submission.
        lines: what was taken over and what was left alone, for the person.
    """

    session: Session
    jobs: Sequence[Job]
    lines: Sequence[str]


def adopt(args: Namespace) -> Adopted | Text:  # noqa: ARG001 - every verb takes its arguments
    """Take over pods whose process is gone."""
    from autopod_nb.session.build import open_session
    from autopod_nb.session.handle import Job

    session = open_session()
    before = set(session.snapshot.jobs)
    pod_ids, notes = session.adopt()
    if not pod_ids:
        return Text("\n".join(["No pod without an owner may bill: nothing to take over.", *notes]))
    snapshot = session.snapshot
    came = [view for job_id, view in snapshot.jobs.items() if job_id not in before]
    lines = [f"Took over pod {render.pod_line(snapshot.pods[pod_id])}" for pod_id in pod_ids]
    lines += [f"Job {render.job_line(view)}" for view in came]
    jobs = [Job(session, view.job_id) for view in came if not view.over]
    return Adopted(session=session, jobs=jobs, lines=[*lines, *notes])
