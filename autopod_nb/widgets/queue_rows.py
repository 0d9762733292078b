"""The jobs of a session, a row each with Cancel for those that are not over, as a part of the dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.models.action import ActionName
from autopod_nb.models.snapshot import JobView
from autopod_nb.widgets import card, plain, render
from autopod_nb.widgets.controls import Answer, button
from autopod_nb.widgets.line import mark
from autopod_nb.widgets.traits import put, take_away

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_OPEN_SHOWN = 12
_NEW_ROWS = 6  # a draw: many widgets at once are more than a notebook server lets through


class QueueRows:
    """Open jobs with a button each, then the newest that are over as lines.

    Args:
        session: takes the commands.
        answer: shows what came of a press.

    Attributes:
        root: the widget to be put into a panel.
    """

    def __init__(self, session: Session, answer: Answer) -> None:
        self._session, self._answer = session, answer
        self._rows: dict[str, tuple[W.HTML, W.HBox]] = {}
        self._shown: list[str] = []
        self._button_layout = plain.layout(width="auto")
        self._text_layout = plain.layout(flex="1 1 320px")
        self._row_layout = plain.layout(flex_flow="row wrap", align_items="flex-start")
        self._head, self._over = plain.text(), plain.text()
        self.root = plain.box(self._head, self._over)

    def draw(self, jobs: Mapping[str, JobView], *, heal: bool = False) -> bool:
        """Follow the jobs. The pump's thread only.

        Returns:
            Whether every job that is to be shown has its row; the others come with the next draws.
        """
        waiting = [view for view in jobs.values() if not view.over]
        wanted = waiting[:_OPEN_SHOWN]
        missing = [view for view in wanted if view.job_id not in self._rows]
        for view in missing[:_NEW_ROWS]:
            self._rows[view.job_id] = self._make_row(view.job_id)
        shown = [view for view in wanted if view.job_id in self._rows]
        for view in shown:
            put(self._rows[view.job_id][0], card.job_row(view), heal=heal)
        self._list_rows([view.job_id for view in shown])
        left = len(waiting) - len(wanted)
        more = f"and {left} more that wait: `%autopod jobs`" if left else ""
        put(self._head, f"<b>Jobs</b> {card.safe(render.job_counts(jobs.values()))}" if jobs else "", heal=heal)
        over = [view for view in jobs.values() if view.over]
        put(self._over, (card.text_line(more, card.QUIET) if more else "") + card.jobs_html(over), heal=heal)
        return len(missing) <= _NEW_ROWS

    def _list_rows(self, shown: list[str]) -> None:
        if shown == self._shown:
            return
        self._shown = shown
        self.root.children = [self._head, *(self._rows[job_id][1] for job_id in shown), self._over]
        for job_id in [job_id for job_id in self._rows if job_id not in shown]:
            take_away(self._rows.pop(job_id)[1])

    def _make_row(self, job_id: str) -> tuple[W.HTML, W.HBox]:
        text = plain.text(self._text_layout)
        cancel = button("Cancel", f"End job {job_id}", lambda: self._cancel(job_id), layout=self._button_layout)
        mark(cancel, ActionName.CANCEL, job_id)
        return text, W.HBox([text, cancel], layout=self._row_layout)

    def _cancel(self, job_id: str) -> None:
        def cancel() -> str:
            self._session.cancel(job_id)
            return f"Job {job_id} is being cancelled."

        self._answer.to(cancel)
