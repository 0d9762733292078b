"""The live panel of several jobs that belong together, such as those of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.models.job import JobState
from autopod_nb.models.snapshot import PodView, Snapshot
from autopod_nb.widgets import card, plain
from autopod_nb.widgets.batch import (
    BatchView,
    batch_html,
    batch_text,
    batch_view,
    gallery_html,
    head_html,
    left_s,
    rows_html,
    summary_parts,
)
from autopod_nb.widgets.controls import button
from autopod_nb.widgets.gui_room import GuiRoom
from autopod_nb.widgets.panel import SessionPanel
from autopod_nb.widgets.pod_buttons import PodButtons
from autopod_nb.widgets.pump import Beat, Pump
from autopod_nb.widgets.traits import assign, put, show

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session


class BatchPanel(SessionPanel):
    """One bar for all, a row each, the preview of what runs, buttons, and in the end the results side by side.

    Args:
        session: where the jobs are; its snapshots are read and its commands posted.
        name: of the batch.
        job_ids: which jobs, in order.
        on_end: called once in the pump's thread when all are over.
        pump: draws it; the one of this process if left out.

    Attributes:
        root: the widget to be shown.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        job_ids: Sequence[str],
        *,
        on_end: Callable[[], None] | None = None,
        pump: Pump | None = None,
    ) -> None:
        super().__init__(session, pump)
        self._name, self._job_ids, self._on_end = name, tuple(job_ids), on_end
        self._pod_buttons = PodButtons(session, self._answer)
        self._cancel = button("Cancel all", "End those jobs that are not over", self._press_cancel)
        self._gui = button("Open ComfyUI", "ComfyUI of the jobs' pod, here in the notebook", self._press_gui)
        self._room = GuiRoom(session, self._wake)
        self._head, self._summary, self._rows, self._gallery = (plain.text() for _ in range(4))
        self._bar = W.FloatProgress(min=0, max=100, layout=W.Layout(width="100%"))
        self._preview = W.Image(layout=W.Layout(display="none", max_width="min(100%, 320px)"))
        buttons = [self._cancel, self._gui, self._pod_buttons.stop, self._pod_buttons.kill]
        self._buttons = W.HBox(buttons, layout=W.Layout(flex_flow="row wrap"))
        self._pod_id: str | None = None
        self._began: datetime | None = None
        self._ended = False
        shown = [self._head, self._bar, self._summary, self._preview, self._buttons, self._gallery, self._rows]
        self._make_root([*shown, self._room.root], self._fallback)

    def _draw(self, beat: Beat) -> bool:
        closed = self._session.closed  # read first: the snapshot after it is then the last one
        snapshot = self._session.snapshot
        batch = self._view(snapshot)
        over = closed or (batch.over and len(batch.views) == len(self._job_ids))
        self._draw_fast(batch, heal=beat.heal)
        if beat.html or over:
            self._draw_html(batch, snapshot, heal=beat.heal)
        if beat.table or over:
            put(self._rows, rows_html(batch), heal=beat.heal)
        if over and not self._ended:
            self._end(batch)
        return not over

    def _view(self, snapshot: Snapshot) -> BatchView:
        return batch_view(self._name, self._job_ids, snapshot)

    def _draw_fast(self, batch: BatchView, *, heal: bool) -> None:
        assign(self._bar, heal=heal, value=batch.percent, bar_style=_bar_style(batch))
        view = next((view for view in batch.views if view.preview and view.state is JobState.RUNNING), None)
        show(self._preview, shown=view is not None)
        if view is not None:
            kind = view.preview_type.rpartition("/")[2] or "jpeg"
            assign(self._preview, format=kind, value=view.preview)

    def _draw_html(self, batch: BatchView, snapshot: Snapshot, *, heal: bool) -> None:
        if self._began is None and any(view.state is not JobState.QUEUED for view in batch.views):
            self._began = snapshot.at
        elapsed_s = 0.0 if self._began is None else (snapshot.at - self._began).total_seconds()
        summary = " · ".join(summary_parts(batch, left=left_s(batch.percent, elapsed_s)))
        put(self._head, head_html(batch), heal=heal)
        put(self._summary, card.text_line(summary), heal=heal)
        self._draw_pod(_pod(batch, snapshot), heal=heal)
        assign(self._cancel, heal=heal, disabled=batch.over)

    def _draw_pod(self, pod: PodView | None, *, heal: bool) -> None:
        self._pod_id = None if pod is None or pod.over else pod.pod_id
        self._pod_buttons.draw(pod, heal=heal)
        show(self._gui, shown=self._pod_id is not None and pod is not None and pod.local_port is not None)
        assign(self._gui, heal=heal, description="Close ComfyUI" if self._room.pod_id is not None else "Open ComfyUI")
        self._room.draw(pod)

    def _end(self, batch: BatchView) -> None:
        self._ended = True
        show(self._preview, shown=False)
        show(self._buttons, shown=False)
        put(self._gallery, gallery_html(batch))
        if self._on_end is not None:
            self._on_end()

    def _press_cancel(self) -> None:
        def cancel() -> str:
            open_jobs = [view.job_id for view in self._view(self._session.snapshot).views if not view.over]
            for job_id in open_jobs:
                self._session.cancel(job_id)
            return f"{len(open_jobs)} job{'' if len(open_jobs) == 1 else 's'} are being cancelled."

        self._answer.to(cancel)

    def _press_gui(self) -> None:
        if (pod_id := self._pod_id) is not None:
            self._room.toggle(pod_id)

    def _fallback(self) -> tuple[str, str]:
        batch = self._view(self._session.snapshot)
        return batch_text(batch), batch_html(batch) + ("" if batch.over else card.saved_note())


def _bar_style(batch: BatchView) -> str:
    if not batch.over:
        return "info"
    if batch.failed:
        return "danger"
    return "success" if all(view.state is JobState.DONE for view in batch.views) else "warning"


def _pod(batch: BatchView, snapshot: Snapshot) -> PodView | None:
    """The pod that works for them."""
    pods = [pod for view in batch.views if (pod := snapshot.pods.get(view.pod_id or "")) is not None]
    return next((pod for pod in pods if not pod.over), pods[-1] if pods else None)
