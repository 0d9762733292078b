"""How handles stand in a notebook: live where widgets work, else as HTML and text.

A live panel is replaced by a card without widgets when what it shows is over, so that a saved notebook shows the result
itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextvars import Context, copy_context
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from IPython import get_ipython
from IPython.display import DisplayHandle, publish_display_data

from autopod_nb.models.snapshot import JobView, PodView
from autopod_nb.widgets import card, render
from autopod_nb.widgets.batch import BatchView, batch_html, batch_text, batch_view
from autopod_nb.widgets.media import results_html
from autopod_nb.widgets.stand_in import stand_in

if TYPE_CHECKING:
    from autopod_nb.session.handle import Batch, Job
    from autopod_nb.session.manager import Session

Bundle = dict[str, Any]
_on_show: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # handle → the cell in whose output its panel stands
_places: WeakKeyDictionary[Any, dict[str, Context]] = WeakKeyDictionary()  # session → job → its cell's context


class LivePanel(Protocol):
    """A panel that can be shown and taken away."""

    @property
    def seen(self) -> bool:
        """Whether it surely came to life in a browser."""
        ...

    def show(self) -> Any:
        """Draw it from now on. Returns the widget."""
        ...

    def close(self) -> None:
        """Take it away."""
        ...


def in_kernel() -> bool:
    """Whether a front end shows more than text."""
    return getattr(get_ipython(), "kernel", None) is not None


def _cell_number() -> int:
    return getattr(get_ipython(), "execution_count", 0)


def widgets_work() -> bool:
    """Whether panels can live: ipywidgets 7 lacks what they are made of."""
    return in_kernel() and importlib.util.find_spec("ipywidgets") is not None and not _widgets_are_old()


def _widgets_are_old() -> bool:
    try:
        return int(version("ipywidgets").split(".")[0]) < 8
    except (PackageNotFoundError, ValueError):  # it is there, and how old it is cannot be told
        return False


def widget_bundle(widget: Any) -> Bundle:
    """A widget by media type, with its text and its HTML form."""
    bundle: Bundle = widget._repr_mimebundle_()
    return bundle


def _live_bundle(panel: LivePanel) -> Bundle:
    """A live panel by media type. What stands in for it without its kernel goes before it, as an output of its own."""
    bundle = widget_bundle(panel.show())
    publish_display_data(stand_in())  # type: ignore[no-untyped-call]  # IPython is half typed
    return bundle


def bundle_of(handle: Job | Batch | Session) -> Bundle:
    """Any handle by media type."""
    from autopod_nb.session.handle import Batch, Job  # noqa: PLC0415 - keeps the import of this module quick

    if isinstance(handle, Job):
        return job_bundle(handle)
    return batch_bundle(handle) if isinstance(handle, Batch) else session_bundle(handle)


def session_bundle(session: Session) -> Bundle:
    """A session by media type: its live panel, or its state now."""
    if widgets_work():
        from autopod_nb.widgets.dashboard import Dashboard  # noqa: PLC0415 - ipywidgets is imported with it

        return _live_bundle(Dashboard(session))
    return _static(render.session_text(session.snapshot), lambda: card.session_html(session.snapshot))


def job_bundle(job: Job) -> Bundle:
    """A job's handle by media type: its live panel, or its state now."""
    if _on_show.get(job) == _cell_number():
        return {"text/plain": f"<Job {job.job_id}>"}  # no state: it would stay in the notebook and grow old
    if widgets_work():
        return _live_bundle(_job_panel(job, None))
    return _job_card(job, media=False)


def batch_bundle(batch: Batch) -> Bundle:
    """The handle of several jobs by media type: its live panel, or its state now."""
    if _on_show.get(batch) == _cell_number():
        return {"text/plain": f"<Batch of {len(batch)} jobs>"}
    if widgets_work() and batch.jobs:
        return _live_bundle(_batch_panel(batch, None))
    return _batch_card(batch, gallery=False)


def _static(text: str, html: Callable[[], str]) -> Bundle:
    return {"text/plain": text, "text/html": html()} if in_kernel() else {"text/plain": text}


# --- one job, several jobs -------------------------------------------------------------------------------------------


def _job_panel(job: Job, on_end: Callable[[], None] | None) -> LivePanel:
    from autopod_nb.widgets.job_panel import JobPanel  # noqa: PLC0415 - ipywidgets is imported with it

    return JobPanel(job.session, job.job_id, on_end=on_end)


def _job_card(job: Job, *, media: bool) -> Bundle:
    """A job without widgets, with its results inside if *media*."""
    snapshot = job.session.snapshot
    view = snapshot.jobs[job.job_id]
    pod: PodView | None = snapshot.pods.get(view.pod_id or "")

    def html() -> str:
        results = results_html(view.results) if media else ""
        after = card.again_button(job.job_id, job.session.control.instance) if media else ""
        return card.job_html(view, pod, media=results, after=after)

    return _static(render.job_text(view, pod), html)


def _batch_panel(batch: Batch, on_end: Callable[[], None] | None) -> LivePanel:
    from autopod_nb.widgets.batch_panel import BatchPanel  # noqa: PLC0415 - ipywidgets is imported with it

    return BatchPanel(batch.jobs[0].session, batch_name(batch), [job.job_id for job in batch.jobs], on_end=on_end)


def _batch_card(batch: Batch, *, gallery: bool) -> Bundle:
    view = _batch_now(batch)
    return _static(batch_text(view), lambda: batch_html(view, gallery=gallery))


def _batch_now(batch: Batch) -> BatchView:
    if not batch.jobs:
        return BatchView(name=batch_name(batch), views=())
    return batch_view(batch_name(batch), [job.job_id for job in batch.jobs], batch.jobs[0].session.snapshot)


def batch_name(batch: Batch) -> str:
    """What the jobs of a sweep have in common in their names, else how many they are."""
    stems = {job.job_id.rpartition("-")[0] for job in batch.jobs}
    views: list[JobView] = [job.view for job in batch.jobs]
    if len(stems) == 1 and all(view.swept for view in views):
        return stems.pop()
    return f"{len(batch)} jobs"


# --- the output of the cell that started them ------------------------------------------------------------------------


def _show_again(session: Session, old: str, new: str) -> None:
    """Show a job that was run once more below the card of the old one, wherever other cells have gone on meanwhile."""
    place = _places.get(session, {}).get(old)
    if place is not None:
        place.copy().run(LiveOutput(session.job(new)).show)


def _after_the_next_cell(act: Callable[[], None]) -> None:
    """Do it in the main thread, as a part of a cell: what runs a notebook without a browser takes nothing else."""
    shell = get_ipython()

    def once(_: object) -> None:
        shell.events.unregister("post_run_cell", once)
        act()

    shell.events.register("post_run_cell", once)


class LiveOutput:
    """A live panel, and a card in its place when what it shows is over.

    It is shown in the main thread, or in another one with the context of the cell in whose output it is to stand.

    Args:
        handle: a job or a batch.
    """

    def __init__(self, handle: Job | Batch) -> None:
        self._handle = handle
        self._display: Any = DisplayHandle()  # type: ignore[no-untyped-call]  # IPython is half typed
        self._stand_in: Any = DisplayHandle()  # type: ignore[no-untyped-call]  # the same
        self._panel: LivePanel | None = None

    def show(self) -> None:
        """Display the panel, and let the handle itself be a word only as long as this cell runs."""
        if widgets_work():
            self._panel = self._make_panel()
            self._display.display(self._panel.show())
            self._stand_in.display(stand_in(), raw=True)
        elif in_kernel():
            self._display.display(self._card(full=False), raw=True)
        if in_kernel():
            self._remember()

    def _remember(self) -> None:
        from autopod_nb.session.handle import Job  # noqa: PLC0415 - keeps the import of this module quick

        _on_show[self._handle] = _cell_number()
        if isinstance(self._handle, Job):
            session = self._handle.session
            _places.setdefault(session, {})[self._handle.job_id] = copy_context()
            session.control.desk.on_again(lambda old, new: _show_again(session, old, new))

    def close(self) -> None:
        """Put the card in the panel's place now, and take the panel away."""
        if self._panel is not None:
            self._panel.close()
        if in_kernel():
            self._settle()

    def _settle(self) -> None:
        self._update()
        if self._panel is not None and not self._panel.seen:
            _after_the_next_cell(self._update)

    def _update(self) -> None:
        self._display.update(self._card(full=True), raw=True)
        if self._panel is not None:
            self._stand_in.update(stand_in(needed=False), raw=True)

    def _make_panel(self) -> LivePanel:
        from autopod_nb.session.handle import Job  # noqa: PLC0415 - keeps the import of this module quick

        handle = self._handle
        return _job_panel(handle, self._settle) if isinstance(handle, Job) else _batch_panel(handle, self._settle)

    def _card(self, *, full: bool) -> Bundle:
        from autopod_nb.session.handle import Job  # noqa: PLC0415 - keeps the import of this module quick

        handle = self._handle
        return _job_card(handle, media=full) if isinstance(handle, Job) else _batch_card(handle, gallery=full)
