"""The live panel of one job."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.models.action import Action, ActionName
from autopod_nb.models.job import JobState, ResultFile
from autopod_nb.models.snapshot import JobView, PodView, Snapshot
from autopod_nb.widgets import card, media, plain, render, words
from autopod_nb.widgets.controls import button
from autopod_nb.widgets.gui_room import GuiRoom
from autopod_nb.widgets.line import mark
from autopod_nb.widgets.media import Media
from autopod_nb.widgets.panel import SessionPanel
from autopod_nb.widgets.pod_buttons import PodButtons
from autopod_nb.widgets.pump import Beat, Pump
from autopod_nb.widgets.traits import assign, put, show

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_BAR_STYLES = {JobState.DONE: "success", JobState.FAILED: "danger", JobState.CANCELLED: "warning"}


class JobPanel(SessionPanel):
    """Bars, status, preview, facts, buttons, and in the end the result itself.

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
        super().__init__(session, pump)
        self._job_id, self._on_end = job_id, on_end
        self._head, self._status, self._facts, self._step_text = (plain.text() for _ in range(4))
        self._bar = W.FloatProgress(min=0, max=100, layout=W.Layout(width="100%"))
        self._step = W.FloatProgress(min=0, max=100, layout=W.Layout(flex="1 1 120px", height="10px"))
        self._steps = W.HBox([self._step, self._step_text], layout=W.Layout(align_items="center", display="none"))
        self._preview = W.Image(layout=W.Layout(display="none", max_width="min(100%, 320px)"))
        self._room = GuiRoom(session, self._wake)
        self._buttons = self._make_buttons(session)
        self._results = plain.box()
        self._again = button("Run again", "The same job once more, under a new name", self._press_again)
        self._after = W.HBox([self._again], layout=W.Layout(display="none"))
        self._pod_id: str | None = None
        self._ended = False
        shown = [self._head, self._bar, self._status, self._steps, self._preview, self._facts, self._results]
        self._make_root([*shown, self._after, self._buttons, self._room.root], self._fallback)

    def _make_buttons(self, session: Session) -> Any:
        self._cancel = button("Cancel job", "End this job and no other", self._press_cancel)
        self._wait = button("Wait on", "Give the stuck job the same time again", self._press_wait)
        self._gui = button("Open ComfyUI", "ComfyUI of the job's pod, here in the notebook", self._press_gui)
        self._pod_buttons = PodButtons(session, self._answer)
        mark(self._cancel, ActionName.CANCEL, self._job_id)
        mark(self._wait, ActionName.KEEP_WAITING, self._job_id)
        ours = [self._cancel, self._wait, self._gui, self._pod_buttons.stop, self._pod_buttons.kill]
        return W.HBox(ours, layout=W.Layout(flex_flow="row wrap"))

    def _draw(self, beat: Beat) -> bool:
        closed = self._session.closed  # read first: the snapshot after it is then the last one
        snapshot = self._session.snapshot
        view = snapshot.jobs.get(self._job_id)
        if view is None:
            return not closed
        over = view.over or closed
        pod = _pod(view, snapshot)
        self._draw_fast(view, heal=beat.heal)
        if beat.html or over:
            self._draw_slow(view, pod, heal=beat.heal)
        if over and not self._ended:
            self._end(view)
        return not over

    def _draw_fast(self, view: JobView, *, heal: bool = False) -> None:
        percent = 100.0 if view.state is JobState.DONE else words.bounded(view.progress.percent)
        style = _BAR_STYLES.get(view.state, "info" if view.progress.percent is not None else "")
        assign(self._bar, heal=heal, value=percent, bar_style=style)
        put(self._status, card.safe(" · ".join(words.doing(view))), heal=heal)
        self._draw_step(view, heal=heal)
        if view.preview and not view.over:
            kind = view.preview_type.rpartition("/")[2] or "jpeg"
            assign(self._preview, format=kind, value=view.preview)
        show(self._preview, shown=bool(view.preview) and not view.over)

    def _draw_step(self, view: JobView, *, heal: bool) -> None:
        progress = view.progress
        runs = bool(progress.steps) and not view.over
        show(self._steps, shown=runs)
        if runs:
            assign(self._step, heal=heal, max=float(progress.steps), value=float(min(progress.step, progress.steps)))
            put(self._step_text, card.safe(f"step {progress.step:g} of {progress.steps:g}"), heal=heal)

    def _draw_slow(self, view: JobView, pod: PodView | None, *, heal: bool = False) -> None:
        put(self._head, card.job_head(view), heal=heal)
        put(self._facts, card.job_facts(view, pod), heal=heal)
        self._pod_id = None if pod is None or pod.over else pod.pod_id
        self._pod_buttons.draw(pod, heal=heal)
        assign(self._cancel, heal=heal, disabled=view.over)
        show(self._wait, shown=bool(view.warning) and not view.over)
        opens = pod is not None and not pod.over and pod.local_port is not None
        show(self._gui, shown=opens)
        assign(self._gui, heal=heal, description="Close ComfyUI" if self._room.pod_id is not None else "Open ComfyUI")
        self._room.draw(pod)

    def _end(self, view: JobView) -> None:
        self._ended = True
        show(self._buttons, shown=False)
        if view.over:
            mark(self._again, ActionName.AGAIN, self._job_id)
            show(self._after, shown=True)
        self._results.children = result_widgets(view.results)
        if self._on_end is not None:
            self._on_end()

    def _press_cancel(self) -> None:
        def cancel() -> str:
            self._session.cancel(self._job_id)
            return f"Job {self._job_id} is being cancelled."

        self._answer.to(cancel)

    def _press_wait(self) -> None:
        def wait() -> str:
            self._session.keep_waiting(self._job_id)
            return f"Job {self._job_id} has the same time again."

        self._answer.to(wait)

    def _press_again(self) -> None:
        action = Action(action_id=secrets.token_hex(8), name=ActionName.AGAIN, target=self._job_id)
        self._answer.to(lambda: self._session.control.act(action).text)

    def _press_gui(self) -> None:
        if (pod_id := self._pod_id) is not None:
            self._room.toggle(pod_id)

    def _fallback(self) -> tuple[str, str]:
        snapshot = self._session.snapshot
        view = snapshot.jobs.get(self._job_id)
        if view is None:
            return f"Job {self._job_id}", card.message_html(f"Job {self._job_id}")
        note = "" if view.over else card.saved_note()
        text, html = render.job_text(view, _pod(view, snapshot)), card.job_html(view, _pod(view, snapshot))
        return text, html + note


def _pod(view: JobView, snapshot: Snapshot) -> PodView | None:
    return snapshot.pods.get(view.pod_id) if view.pod_id is not None else None


def result_widgets(results: Sequence[ResultFile]) -> list[Any]:
    """Widgets that show the results themselves, as far as they may stand in a notebook, and words about the rest."""
    shown = [widget for result in media.shown_inline(results) if (widget := _result_widget(result)) is not None]
    left_out = media.left_out_html(results, links=False)
    return [*shown, W.HTML(left_out)] if left_out else shown


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
