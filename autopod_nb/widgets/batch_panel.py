"""The live panel of several jobs that belong together, such as those of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.models.job import JobState
from autopod_nb.models.snapshot import JobView, PodView, Snapshot
from autopod_nb.widgets import card
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
from autopod_nb.widgets.controls import Answer, PodButtons, Root, button, put
from autopod_nb.widgets.pump import Pump, the_pump

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session


class BatchPanel:
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
        self._session, self._name, self._job_ids, self._on_end = session, name, tuple(job_ids), on_end
        self._pump = pump or the_pump()
        self._answer = Answer(lambda: self._pump.add(self))
        self._pod_buttons = PodButtons(session, self._answer)
        self._cancel = button("Cancel all", "End those jobs that are not over", self._press_cancel)
        self._head, self._summary, self._rows, self._gallery, self._message = (W.HTML() for _ in range(5))
        self._bar = W.FloatProgress(min=0, max=100, layout=W.Layout(width="100%"))
        self._preview = W.Image(layout=W.Layout(display="none", max_width="320px"))
        self._buttons = W.HBox(
            [self._cancel, self._pod_buttons.stop, self._pod_buttons.kill], layout=W.Layout(flex_flow="row wrap")
        )
        self._began: datetime | None = None
        self._ended = False
        self._parts = [self._head, self._bar, self._summary, self._preview, self._buttons, self._message]
        self.root = Root([*self._parts, self._gallery, self._rows], self._fallback)

    def show(self) -> Any:
        """Draw it from now on. Returns the widget."""
        self._draw_slow(self._view(self._session.snapshot), self._session.snapshot)
        self._pump.add(self)
        return self.root

    def close(self) -> None:
        """Take it away, in every front end. Not from the pump's thread."""
        self._pump.remove(self)
        for widget in (*self._buttons.children, *self.root.children, self.root):
            widget.close()

    def draw(self, *, slow: bool) -> bool:
        """See :class:`autopod_nb.widgets.pump.Panel`."""
        closed = self._session.closed  # read first: the snapshot after it is then the last one
        snapshot = self._session.snapshot
        batch = self._view(snapshot)
        over = closed or (batch.over and len(batch.views) == len(self._job_ids))
        self._draw_fast(batch, snapshot)
        if slow or over:
            self._draw_slow(batch, snapshot)
        if over and not self._ended:
            self._end(batch)
        return not over

    def _view(self, snapshot: Snapshot) -> BatchView:
        return batch_view(self._name, self._job_ids, snapshot)

    def _draw_fast(self, batch: BatchView, snapshot: Snapshot) -> None:
        self._bar.value = batch.percent
        self._bar.bar_style = _bar_style(batch)
        self._pod_buttons.draw(_pod(batch, snapshot))
        put(self._message, self._answer.html)
        self._cancel.disabled = batch.over
        shown = next((view for view in batch.views if view.preview and view.state is JobState.RUNNING), None)
        self._draw_preview(shown)

    def _draw_preview(self, view: JobView | None) -> None:
        if view is None:
            self._preview.layout.display = "none"
            return
        self._preview.format = view.preview_type.rpartition("/")[2] or "jpeg"
        self._preview.value = view.preview
        self._preview.layout.display = None

    def _draw_slow(self, batch: BatchView, snapshot: Snapshot) -> None:
        if self._began is None and any(view.state is not JobState.QUEUED for view in batch.views):
            self._began = snapshot.at
        elapsed_s = 0.0 if self._began is None else (snapshot.at - self._began).total_seconds()
        put(self._head, head_html(batch))
        put(self._summary, card.text_line(" · ".join(summary_parts(batch, left=left_s(batch.percent, elapsed_s)))))
        put(self._rows, rows_html(batch))

    def _end(self, batch: BatchView) -> None:
        self._ended = True
        self._preview.layout.display = "none"
        self._buttons.layout.display = "none"
        if self._on_end is not None:
            self._on_end()
        else:  # whoever asked to be told puts a card with the results in its place
            put(self._gallery, gallery_html(batch))

    def _press_cancel(self) -> None:
        def cancel() -> str:
            open_jobs = [view.job_id for view in self._view(self._session.snapshot).views if not view.over]
            for job_id in open_jobs:
                self._session.cancel(job_id)
            return f"{len(open_jobs)} job{'' if len(open_jobs) == 1 else 's'} are being cancelled."

        self._answer.to(cancel)

    def _fallback(self) -> tuple[str, str]:
        batch = self._view(self._session.snapshot)
        return batch_text(batch), batch_html(batch)


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
