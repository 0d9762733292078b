"""What each verb does: plain functions from parsed arguments to a value that shows itself.

They know no notebook, so that a terminal can call them as well. Everything heavy is imported when a verb needs it.
"""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from autopod_nb.errors import JobFailed, UsageError, nearest
from autopod_nb.magics.adoption import adopt
from autopod_nb.magics.costs import costs, reconcile
from autopod_nb.magics.doctor import doctor
from autopod_nb.magics.ending import detach, disconnect, kill, stop
from autopod_nb.magics.export import export, read_history
from autopod_nb.magics.fleet import fleet_lines, fleet_request
from autopod_nb.magics.gpus import gpus, market_request
from autopod_nb.magics.gui import gui
from autopod_nb.magics.listing import jobs, pods, templates
from autopod_nb.magics.logs import logs
from autopod_nb.magics.parser import Parsed, find_verb
from autopod_nb.magics.plan import NOTHING_MADE
from autopod_nb.magics.session import running_session
from autopod_nb.magics.settings import config
from autopod_nb.magics.starting import again, plan_text, run
from autopod_nb.magics.text import Page, Text
from autopod_nb.magics.waiting import follow, is_settled
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.verb import Verb
from autopod_nb.verbs import CELL, help_text
from autopod_nb.widgets.help_html import help_html, verb_html
from autopod_nb.widgets.render import pod_text
from autopod_nb.widgets.status_json import status_json
from autopod_nb.widgets.words import job_state

if TYPE_CHECKING:
    from autopod_nb.session.commands import PodRequest
    from autopod_nb.session.fleet_state import FleetRequest
    from autopod_nb.session.manager import Session


_SHOWN = 5


def run_verb(parsed: Parsed) -> object:
    """Do what a line after ``%autopod`` says."""
    return ACTIONS[parsed.verb.name](parsed.args)


def connect(args: Namespace) -> object:
    """Rent a pod. Returns the session, or the plan of a dry run."""
    from autopod_nb.session.build import open_session

    request = replace(
        market_request(args),
        gpu=args.gpu,
        image=args.image,
        template=args.pod_template,
        disk_gb=args.disk,
        volume_gb=args.volume,
        session_limit_usd=args.max_cost,
        idle_minutes=args.idle_minutes,
        pods=args.pods or 1,
    )
    wish = fleet_request(args)
    session = open_session(args.provider)
    if wish is not None:
        return _connect_fleet(session, request, wish, args)
    plan = session.plan(request)
    if args.dry_run:
        return plan_text(plan, ())
    if plan.needs_yes and not args.yes:
        price = f"{plan.label} would cost {plan.price_per_hour_usd} USD an hour"
        limit = session.settings.confirm_above_usd_per_hour
        raise UsageError(f"{price}, more than {limit}: say --yes, or ask for less.")
    for _ in range(request.pods):
        session.connect(plan)
    return session


def _connect_fleet(session: Session, request: PodRequest, wish: FleetRequest, args: Namespace) -> object:
    """Nothing is rented before a job waits."""
    if args.pods is not None:
        raise UsageError("--pods rents so many at once, --max-pods and --auto as many as pay: say one of them.")
    plan = session.plan_fleet(request, wish)
    if args.dry_run:
        return Text("\n".join([*fleet_lines(plan), NOTHING_MADE]))
    session.wish_fleet(plan)
    return session


def status(args: Namespace) -> object:
    """The session itself, or its state as JSON, or one of its pods."""
    from autopod_nb.session.build import current_session

    session = current_session()
    if args.pod is not None:
        return _one_pod(args)
    if args.json:
        return Text(status_json(session.snapshot if session is not None else None))
    return session if session is not None else Text("No session yet: `%autopod connect` rents a pod.")


def _one_pod(args: Namespace) -> Text:
    """A pod of this session, also one that is gone."""
    if args.json:
        raise UsageError("--json tells of everything: leave out the pod.")
    snapshot = running_session().snapshot
    pod = snapshot.pods.get(args.pod)
    if pod is None:
        raise UsageError(f"No pod {args.pod!r}.{nearest(args.pod, snapshot.pods) or ' `%autopod status` names them.'}")
    return Text(pod_text(pod, snapshot))


def wait(args: Namespace) -> Text | None:
    """Wait for jobs, or for all jobs and for pods that boot or end. It tells what happens, so it returns nothing."""
    session = running_session()
    job_ids = [session.job(name).job_id for name in args.job]
    before = [view.job_id for view in session.snapshot.jobs.values() if not view.over]
    if is_settled(session.snapshot, job_ids):
        raise_failures(session.snapshot, job_ids)
        gone = [pod.pod_id for pod in session.snapshot.pods.values() if pod.state is PodState.TERMINATED]
        return Text("Nothing to wait for." + (f" Gone: pod {', '.join(gone[-_SHOWN:])}." if gone else ""))
    snapshot = follow(session, job_ids, timeout_s=None if args.timeout is None else float(args.timeout))
    raise_failures(snapshot, job_ids or before)
    return None


def raise_failures(snapshot: Snapshot, job_ids: Sequence[str]) -> None:
    """Raise one error for those of these jobs that did not end well.

    Raises:
        JobFailed: at least one failed, was cancelled, or was not over when the session closed.
    """
    views = [snapshot.jobs[job_id] for job_id in job_ids]
    bad = [view for view in views if view.state is not JobState.DONE]
    if bad:
        raise JobFailed("; ".join(f"{view.job_id} {job_state(view)}: {view.error}".rstrip(": ") for view in bad))


def cancel(args: Namespace) -> Text:
    """End jobs."""
    session = running_session()
    jobs = [session.job(name) for name in args.job]  # all names are checked before the first is cancelled
    for job in jobs:
        job.cancel()
    return Text(f"Cancelling {', '.join(job.job_id for job in jobs)}.")


def keep(args: Namespace) -> Text:
    """Begin a pod's idle countdown anew."""
    return Text(running_session().keep_alive(args.pod))


def history(args: Namespace) -> object:
    """What was run and what it cost, as a DataFrame."""
    return read_history(args.limit)


def help_(args: Namespace) -> Page:
    """Explain the commands."""
    if args.verb is None:
        return help_page()
    name = args.verb.lstrip("%")
    return help_page(CELL if name == CELL.name else find_verb(name))


def help_page(verb: Verb | None = None) -> Page:
    """Help for one command, or for all."""
    return Page(help_text(verb), help_html() if verb is None else verb_html(verb))


def panel(args: Namespace) -> Session:  # noqa: ARG001 - every verb takes its arguments
    """The session, which shows its panel."""
    return running_session()


ACTIONS: dict[str, Callable[[Namespace], object]] = {
    "connect": connect,
    "gpus": gpus,
    "run": run,
    "again": again,
    "status": status,
    "wait": wait,
    "cancel": cancel,
    "stop": stop,
    "kill": kill,
    "keep": keep,
    "detach": detach,
    "disconnect": disconnect,
    "adopt": adopt,
    "panel": panel,
    "pods": pods,
    "jobs": jobs,
    "templates": templates,
    "logs": logs,
    "gui": gui,
    "history": history,
    "costs": costs,
    "reconcile": reconcile,
    "export": export,
    "config": config,
    "doctor": doctor,
    "help": help_,
}
"""Verb → what it does."""
