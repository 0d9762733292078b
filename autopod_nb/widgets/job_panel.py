"""The live panel of one job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.models.job import JobState, ResultFile
from autopod_nb.models.snapshot import JobView, PodView, Snapshot
from autopod_nb.widgets import card, media, render, words
from autopod_nb.widgets.controls import Answer, PodButtons, Root, button, put
from autopod_nb.widgets.media import Media
from autopod_nb.widgets.pump import Pump, the_pump

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_BAR_STYLES = {JobState.DONE: "success", JobState.FAILED: "danger", JobState.CANCELLED: "warning"}


class JobPanel:
    """Bar, status, preview, facts, buttons, and in the end the result itself.

    Args:
        session: where the job is; its snapshots are read and its commands posted.
        job_id: which job.
        on_end: called once in the pump's thread when it is over.
        pump: draws it; the one of this process if left out.

    Attributes:
        root: the widget to be shown.
    """

    def __init__(
        self,
        session: Session,
        job_id: str,
        *,
        on_end: Callable[[], None] | None = None,
        pump: Pump | None = None,
    ) -> None:
        self._session, self._job_id, self._on_end = session, job_id, on_end
        self._pump = pump or the_pump()
        self._answer = Answer(lambda: self._pump.add(self))
        self._pod_buttons = PodButtons(session, self._answer)
        self._cancel = button("Cancel job", "End this job and no other", self._press_cancel)
        self._head, self._status, self._facts, self._message = (W.HTML() for _ in range(4))
        self._bar = W.FloatProgress(min=0, max=100, layout=W.Layout(width="100%"))
        self._preview = W.Image(layout=W.Layout(display="none", max_width="320px"))
        self._buttons = W.HBox(
            [self._cancel, self._pod_buttons.stop, self._pod_buttons.kill], layout=W.Layout(flex_flow="row wrap")
        )
        self._results = W.VBox()
        self._ended = False
        self.root = Root(
            [
                self._head,
                self._bar,
                self._status,
                self._preview,
                self._facts,
                self._buttons,
                self._message,
                self._results,
            ],
            self._fallback,
        )

    def show(self) -> Any:
        """Draw it from now on. Returns the widget."""
        snapshot = self._session.snapshot
        if (view := snapshot.jobs.get(self._job_id)) is not None:
            self._draw_fast(view, _pod(view, snapshot))
            self._draw_slow(view, _pod(view, snapshot))
        self._pump.add(self)
        return self.root

    def close(self) -> None:
        """Take it away, in every front end. Not from the pump's thread."""
        self._pump.remove(self)
        for widget in (*self._results.children, *self._buttons.children, *self.root.children, self.root):
            widget.close()

    def draw(self, *, slow: bool) -> bool:
        """See :class:`autopod_nb.widgets.pump.Panel`."""
        closed = self._session.closed  # read first: the snapshot after it is then the last one
        snapshot = self._session.snapshot
        view = snapshot.jobs.get(self._job_id)
        if view is None:
            return not closed
        over = view.over or closed
        pod = _pod(view, snapshot)
        self._draw_fast(view, pod)
        if slow or over:
            self._draw_slow(view, pod)
        if over and not self._ended:
            self._end(view)
        return not over

    def _draw_fast(self, view: JobView, pod: PodView | None) -> None:
        self._bar.value = 100.0 if view.state is JobState.DONE else words.bounded(view.progress.percent)
        self._bar.bar_style = _BAR_STYLES.get(view.state, "info" if view.progress.percent is not None else "")
        put(self._status, card.safe(" · ".join(words.doing(view))))
        self._pod_buttons.draw(pod)
        put(self._message, self._answer.html)
        self._cancel.disabled = view.over
        if view.preview and not view.over:
            self._preview.format = view.preview_type.rpartition("/")[2] or "jpeg"
            self._preview.value = view.preview
            self._preview.layout.display = None

    def _draw_slow(self, view: JobView, pod: PodView | None) -> None:
        put(self._head, card.job_head(view))
        put(self._facts, card.job_facts(view, pod))

    def _end(self, view: JobView) -> None:
        self._ended = True
        self._preview.layout.display = "none"
        self._buttons.layout.display = "none"
        self._results.children = result_widgets(view.results)
        if self._on_end is not None:
            self._on_end()

    def _press_cancel(self) -> None:
        def cancel() -> str:
            self._session.cancel(self._job_id)
            return f"Job {self._job_id} is being cancelled."

        self._answer.to(cancel)

    def _fallback(self) -> tuple[str, str]:
        snapshot = self._session.snapshot
        view = snapshot.jobs.get(self._job_id)
        if view is None:
            return f"Job {self._job_id}", card.message_html(f"Job {self._job_id}")
        return render.job_text(view, _pod(view, snapshot)), card.job_html(view, _pod(view, snapshot))


def _pod(view: JobView, snapshot: Snapshot) -> PodView | None:
    return snapshot.pods.get(view.pod_id) if view.pod_id is not None else None


def result_widgets(results: Sequence[ResultFile]) -> list[Any]:
    """Widgets that show the results themselves, as far as they may stand in a notebook."""
    return [widget for result in media.shown_inline(results) if (widget := _result_widget(result)) is not None]


def _result_widget(result: ResultFile) -> Any:
    kind, media_type = media.media_of(result.path)
    if kind is Media.TEXT:
        return W.HTML(media.results_html([result]))
    try:
        data = result.path.read_bytes()
    except OSError:  # gone since: its path is in the facts all the same
        return None
    format_, layout = media_type.rpartition("/")[2], W.Layout(max_width="100%")
    if kind is Media.VIDEO:
        return W.Video(value=data, format=format_, autoplay=False, controls=True, loop=True, layout=layout)
    if kind is Media.AUDIO:
        return W.Audio(value=data, format=format_, autoplay=False, controls=True, loop=False, layout=layout)
    return W.Image(value=data, format=format_, layout=layout)
