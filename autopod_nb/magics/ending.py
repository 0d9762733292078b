"""Verbs that end pods, or let go of them: ``stop``, ``kill``, ``detach``, ``disconnect``."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import UsageError
from autopod_nb.magics.session import running_session
from autopod_nb.magics.text import Text
from autopod_nb.models.pod import PodState

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_TAKEN_WITHIN_S = 2.0  # a guess: the session takes a command in some milliseconds
_ENDING = (PodState.DRAINING, PodState.STOPPING, PodState.STOPPED, PodState.TERMINATING, PodState.TERMINATED)


def stop(args: Namespace) -> Text:
    """Let a pod, or all of them, finish, fetch and end."""
    session = running_session()
    how = "breaks off what runs" if args.now else "finishes its running job"
    names = _meant(session, args)
    lines = _without_fleet(session, args)
    for name in names:
        pod_id = session.stop(name, now=args.now)
        _until_it_begins(session, pod_id)
        lines.append(f"Pod {pod_id} {how}, fetches the results and ends; `%autopod wait` waits for it.")
    return Text("\n".join(lines))


def kill(args: Namespace) -> Text:
    """Terminate a pod, or all of them."""
    session = running_session()
    names = _meant(session, args)
    unsaved = [pod.pod_id for pod in session.snapshot.pods.values() if pod.unsaved and not pod.over]
    if args.all and unsaved and not args.yes:  # before any is killed
        raise UsageError(
            f"Results on {', '.join(unsaved)} are not here yet: say --yes to lose them, or `%autopod stop --all`."
        )
    lines = _without_fleet(session, args)
    for name in names:
        pod_id = session.kill(name, yes=args.yes)
        _until_it_begins(session, pod_id)
        lines.append(f"Pod {pod_id} is being terminated.")
    return Text("\n".join(lines))


def _meant(session: Session, args: Namespace) -> list[str | None]:
    """The pod that was named, None for the only one, or all of this session.

    Raises:
        UsageError: one and all, or all of none.
    """
    if not args.all:
        return [args.pod]
    if args.pod is not None:
        raise UsageError(f"{args.pod} and --all: name one pod, or say --all alone.")
    there = [pod.pod_id for pod in session.snapshot.pods.values() if not pod.over]
    if not there and session.snapshot.fleet is None:
        raise UsageError("No pod is running: `connect` rents one.")
    return [*there]


def _without_fleet(session: Session, args: Namespace) -> list[str]:
    """Who ends all pods wants no new ones."""
    if not args.all or not session.drop_fleet():
        return []
    return ["No more pods are started by themselves."]


def _until_it_begins(session: Session, pod_id: str) -> None:
    """Let the session take the command, or a `%autopod wait` right behind it would find nothing to wait for."""
    deadline = Deadline(SystemClock(), _TAKEN_WITHIN_S)
    while (pod := (snapshot := session.snapshot).pods.get(pod_id)) is not None and pod.state not in _ENDING:
        if deadline.passed or session.closed:
            return
        session.wait_newer(snapshot.number, deadline.left_s(1.0))


def detach(args: Namespace) -> Text:
    """Leave a pod running."""
    return Text(running_session().detach(args.pod))


def disconnect(args: Namespace) -> Text:
    """Let go of a machine that nobody can end."""
    session = running_session()
    pod_id = session.disconnect(args.pod)
    _until_it_begins(session, pod_id)
    return Text(f"{pod_id} finishes its running job and is let go then; nothing on the machine ends.")
