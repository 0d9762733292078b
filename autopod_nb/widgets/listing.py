"""Pods and jobs as tables; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autopod_nb.models.job import JobState
from autopod_nb.models.money import show_usd
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import JobView, PodView, Snapshot
from autopod_nb.widgets import card, render, words
from autopod_nb.widgets.table import Cell, Table

if TYPE_CHECKING:
    from autopod_nb.session.others import OtherPod

_NONE = "–"
_OURS = "this session"


def pods_table(snapshot: Snapshot, others: Sequence[OtherPod]) -> Table:
    """Every pod that may bill: those of this session, then those that are nobody's or another process's."""
    ours = [pod for pod in snapshot.pods.values() if not pod.over]
    gone = len(snapshot.pods) - len(ours)
    notes = [_nobodys(pod) for pod in others if not pod.owner]
    if not ours and not others:
        notes.append("No pod is known that may bill: `%autopod connect` rents one.")
    if gone:
        notes.append(f"{gone} pod{'s' if gone > 1 else ''} of this session ended; `%autopod status` has all.")
    headings = ("Pod", "State", "GPU", "Price", "Cost so far", "Owner", "Port", "Ends")
    return Table(
        name="Pods", headings=headings, rows=[*map(_our_row, ours), *map(_other_row, others)], notes=tuple(notes)
    )


def _our_row(pod: PodView) -> tuple[Cell, ...]:
    return (
        Cell(pod.pod_id),
        _pod_state(pod.state),
        Cell(f"{pod.gpu_type} × {pod.gpu_count} ({pod.provider})"),
        Cell(words.price(pod.price_per_hour_usd, pod.kind)),
        Cell(show_usd(pod.cost_usd, pod.kind)),
        Cell(_OURS),
        Cell(_NONE if pod.local_port is None else str(pod.local_port)),
        Cell(words.pod_end(pod) or _NONE),
    )


def _other_row(pod: OtherPod) -> tuple[Cell, ...]:
    return (
        Cell(pod.pod_id),
        _pod_state(pod.state),
        Cell(f"{pod.gpu_type} × {pod.gpu_count} ({pod.provider})"),
        Cell(words.price(pod.price_per_hour_usd, pod.kind)),
        Cell(show_usd(pod.cost_usd, pod.kind)),
        Cell(pod.owner, "") if pod.owner else Cell("nobody", card.BAD),
        Cell(_NONE),
        Cell("when its owner says" if pod.owner else "unknown"),
    )


def _pod_state(state: PodState) -> Cell:
    return Cell(state.value, card.POD_COLOURS.get(state, card.ACTIVE))


def _nobodys(pod: OtherPod) -> str:
    price = words.price(pod.price_per_hour_usd, pod.kind)
    return f"Pod {pod.pod_id} may bill ({price}) and is nobody's: `%autopod adopt` takes it over."


def jobs_table(snapshot: Snapshot | None) -> Table:
    """The jobs of the session, the newest first."""
    views = [] if snapshot is None else list(snapshot.jobs.values())[::-1]
    notes = [] if views else ["No jobs in this session yet. `%autopod jobs --all` shows those of earlier ones."]
    notes += [f"{view.job_id}: {line}" for view in views for line in render.failure_lines(view)]
    headings = ("Job", "State", "Template", "Pod", "Time", "Cost", "Now, or the result")
    return Table(name="Jobs", headings=headings, rows=[_job_row(view) for view in views], notes=tuple(notes))


def _job_row(view: JobView) -> tuple[Cell, ...]:
    return (
        Cell(view.job_id),
        Cell(words.short_state(view), card.JOB_COLOURS.get(view.state, card.ACTIVE)),
        Cell(view.template),
        Cell(view.pod_id or _NONE),
        Cell(words.duration(view.elapsed_s) if view.elapsed_s else _NONE),
        Cell(_NONE if view.kind is None else show_usd(view.cost_usd, view.kind)),
        Cell(_now(view)),
    )


def _now(view: JobView) -> str:
    if view.state is JobState.DONE:
        return ", ".join(words.place(result.path) for result in view.results) or "no files"
    return " · ".join(words.doing(view)) or view.warning or _NONE
