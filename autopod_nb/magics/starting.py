"""Verbs that start jobs: ``run`` and the cell magic, with their dry runs."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.errors import UsageError
from autopod_nb.magics import plan as plan_lines
from autopod_nb.magics.fleet import fleet_lines, fleet_request, forecast_lines
from autopod_nb.magics.text import Text
from autopod_nb.models.job import JobSpec
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import PodView, Snapshot

if TYPE_CHECKING:
    from autopod_nb.session.commands import PodPlan
    from autopod_nb.session.fleet_state import FleetPlan
    from autopod_nb.session.handle import Batch, Job
    from autopod_nb.session.manager import Session

_PLANNED = 5  # jobs that a dry run shows in full


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Jobs that were queued, and how they are to be presented.

    Attributes:
        session: theirs.
        handle: of the one job, or of all.
        job_ids: in order.
        wait: block until they are over.
        variable: the name under which the person wants the handle, None for none.
    """

    session: Session
    handle: Job | Batch
    job_ids: Sequence[str]
    wait: bool
    variable: str | None


def run(args: Namespace) -> object:
    """Run job files. Returns :class:`Started`, or the plan of a dry run."""
    from autopod_nb.jobs.spec import read_jobs

    files = job_files(args.job or (), args.jobs)
    specs = [spec for file in files for spec in read_jobs(file)]
    return _start(specs, args, yes=args.yes)


def job_files(named: Sequence[str], pattern: str | None) -> list[Path]:
    """The job files that were named, then those that match a pattern, each once.

    Raises:
        UsageError: none was named, or none matches.
    """
    if not named and pattern is None:
        raise UsageError("%autopod run: which jobs? Say --job FILE or --jobs 'jobs/*.json'.")
    files = [*named, *(_matching(pattern) if pattern is not None else ())]
    return [Path(name).expanduser() for name in dict.fromkeys(files)]


def _matching(pattern: str) -> list[str]:
    from autopod_nb.jobs.patterns import matching_files

    try:
        found = matching_files(pattern, cwd=Path.cwd())
    except ValueError as error:
        raise UsageError(f"--jobs {error}") from error
    if not found:
        raise UsageError(f"--jobs {pattern}: no file matches; look at the folder and the pattern.")
    return found


def comfyjob(args: Namespace, body: str, namespace: Mapping[str, object]) -> object:
    """Run the job in a cell, or those of its sweep. Returns :class:`Started`, or the plan of a dry run.

    Args:
        args: the option line.
        body: the rest of the cell.
        namespace: the notebook's variables, for values such as ``$image``.
    """
    from autopod_nb.jobs.spec import parse_cell_jobs

    specs = parse_cell_jobs(body, template=args.template, name=args.name, namespace=namespace)
    return _start(specs, args, yes=args.yes)


def again(args: Namespace) -> Started:
    """Run a job of this session once more."""
    from autopod_nb.magics.session import running_session

    session = running_session()
    job = session.again(args.job, name=args.name, yes=args.yes)
    return Started(session=session, handle=job, job_ids=[job.job_id], wait=args.wait, variable=args.variable)


def _start(specs: Sequence[JobSpec], args: Namespace, *, yes: bool) -> object:
    from autopod_nb.session.build import open_session
    from autopod_nb.session.handle import Batch
    from autopod_nb.session.stop_on_error import stop_on_error

    session = open_session()
    specs = [_limited(spec, args) for spec in specs]
    fleet = _fleet(session, specs, args)
    if args.dry_run:
        return _dry_run(session, specs, args.pod, fleet)
    jobs = session.submit_all(specs, pod_id=args.pod, yes=yes, fleet=fleet)
    handle = jobs[0] if len(jobs) == 1 and not specs[0].batch else Batch(jobs)
    if args.stop_on_error and isinstance(handle, Batch):
        stop_on_error(session, handle)
    job_ids = [job.job_id for job in jobs]
    return Started(session=session, handle=handle, job_ids=job_ids, wait=args.wait, variable=args.variable)


def _fleet(session: Session, specs: Sequence[JobSpec], args: Namespace) -> FleetPlan | None:
    """What the options say of many pods; they say nothing if it is None."""
    from autopod_nb.session.commands import PodRequest

    wish = fleet_request(args)
    if wish is None:
        return None
    if args.pod is not None:
        raise UsageError("--pod names one pod, --max-pods and --auto are for as many as pay: say one of them.")
    config = specs[0].pod_config
    return session.plan_fleet(PodRequest(gpu=config.gpu_type, gpu_count=config.gpu_count), wish)


def _limited(spec: JobSpec, args: Namespace) -> JobSpec:
    """The job with the limits of the option line instead of its own."""
    from autopod_nb.jobs.spec import with_pod_config

    given = {"max_cost_usd": args.max_cost, "timeout_minutes": args.timeout}
    return with_pod_config(spec, {key: value for key, value in given.items() if value is not None})


def _dry_run(session: Session, specs: Sequence[JobSpec], pod_id: str | None, fleet: FleetPlan | None) -> Text:
    from autopod_nb.jobs.fault import raise_faults
    from autopod_nb.jobs.spec import check_batch
    from autopod_nb.session.commands import PodRequest

    check_batch(specs)
    raise_faults([fault for spec in specs for fault in session.check(spec)])
    if fleet is not None:
        coming = forecast_lines(session.forecast_fleet(fleet, specs), fleet)
        return _with_jobs([*fleet_lines(fleet), *coming], specs)
    pod = _pod_at_hand(session.snapshot, pod_id)
    if pod is not None:
        return plan_text(None, specs, pod)
    config = specs[0].pod_config
    return plan_text(session.plan(PodRequest(gpu=config.gpu_type, gpu_count=config.gpu_count)), specs)


def _pod_at_hand(snapshot: Snapshot, pod_id: str | None) -> PodView | None:
    """The pod that was named, or one that takes jobs now or soon."""
    leaving = (PodState.DRAINING, PodState.STOPPING, PodState.STOPPED, PodState.TERMINATING, PodState.TERMINATED)
    pods = [pod for pod in snapshot.pods.values() if pod.state not in leaving and pod_id in (None, pod.pod_id)]
    if pod_id is not None and not pods:
        raise UsageError(f"No pod {pod_id!r} takes jobs now; `%autopod status` lists them.")
    return pods[0] if pods else None


def plan_text(plan: PodPlan | None, specs: Sequence[JobSpec], pod: PodView | None = None) -> Text:
    """What a dry run says."""
    return _with_jobs([] if plan is None else plan_lines.pod_lines(plan, for_jobs=bool(specs)), specs, pod)


def _with_jobs(lines: list[str], specs: Sequence[JobSpec], pod: PodView | None = None) -> Text:
    for spec in specs[:_PLANNED]:
        lines += plan_lines.job_lines(spec, pod)
    if len(specs) > _PLANNED:
        lines.append(f"… and {len(specs) - _PLANNED} jobs more, {len(specs)} in all.")
    return Text("\n".join([*lines, plan_lines.NOTHING_MADE]))
