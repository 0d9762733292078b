"""The pods of a session, a row each with its buttons, as a part of the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.models.snapshot import JobView, PodView
from autopod_nb.widgets import card, plain
from autopod_nb.widgets.controls import Answer, button
from autopod_nb.widgets.pod_buttons import PodButtons
from autopod_nb.widgets.traits import assign, put, show, take_away

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_NEW_ROWS = 5  # a draw: many widgets at once are more than a notebook server lets through
_GONE_SHOWN = 3


class _PodRow:
    """One pod: what it does, and its buttons."""

    def __init__(self, pod_id: str, rows: PodRows) -> None:
        self._buttons = PodButtons(rows.session, rows.answer, name=pod_id, layout=rows.button_layout)
        layout = rows.button_layout
        self._gui = button(
            "Open ComfyUI", f"ComfyUI of pod {pod_id}, here", lambda: rows.open_gui(pod_id), layout=layout
        )
        self._logs = button(
            "Logs", f"ComfyUI's log of pod {pod_id}, here", lambda: rows.open_logs(pod_id), layout=layout
        )
        self._text = plain.text(rows.text_layout)
        self._controls = W.HBox([self._gui, self._logs, *self._buttons.all], layout=W.Layout(flex_flow="row wrap"))
        self.root = W.HBox([self._text, self._controls], layout=rows.row_layout)

    def draw(self, pod: PodView, job: JobView | None, *, heal: bool) -> None:
        """Follow the pod."""
        put(self._text, card.pod_html(pod, job), heal=heal)
        self._buttons.draw(pod, heal=heal)
        assign(self._gui, heal=heal, disabled=pod.local_port is None)
        assign(self._logs, heal=heal, disabled=pod.local_port is None)
        show(self._controls, shown=not pod.over)


class PodRows:
    """Rows in order of renting; of those that are gone only the last few.

    Args:
        session: takes the commands.
        answer: shows what came of a press.
        open_gui, open_logs: take the id of a pod; any thread.

    Attributes:
        root: the widget to be put into a panel.
    """

    def __init__(
        self,
        session: Session,
        answer: Answer,
        *,
        open_gui: Callable[[str], None],
        open_logs: Callable[[str], None],
    ) -> None:
        self.session, self.answer, self.open_gui, self.open_logs = session, answer, open_gui, open_logs
        self.button_layout = plain.layout(width="auto")
        self.text_layout = plain.layout(flex="1 1 320px", min_width="240px")
        self.row_layout = plain.layout(flex_flow="row wrap", align_items="flex-start", flex="none")
        self._rows: dict[str, _PodRow] = {}
        self._shown: list[str] = []
        self._rest = plain.text()
        self.root = plain.box(self._rest)

    def draw(self, pods: Mapping[str, PodView], jobs: Mapping[str, JobView], *, heal: bool = False) -> bool:
        """Follow the pods. The pump's thread only.

        Returns:
            Whether every pod that is to be shown has its row; the others come with the next draws.
        """
        wanted, gone = _which(pods)
        missing = [pod_id for pod_id in wanted if pod_id not in self._rows]
        for pod_id in missing[:_NEW_ROWS]:
            self._rows[pod_id] = _PodRow(pod_id, self)
        shown = [pod_id for pod_id in wanted if pod_id in self._rows]
        for pod_id in shown:
            pod = pods[pod_id]
            self._rows[pod_id].draw(pod, jobs.get(pod.job_id or ""), heal=heal)
        if shown != self._shown:
            self._shown = shown
            self.root.children = [*(self._rows[pod_id].root for pod_id in shown), self._rest]
            for pod_id in [pod_id for pod_id in self._rows if pod_id not in shown]:
                take_away(self._rows.pop(pod_id).root)
        rest = f"and {gone} pod{'s' if gone > 1 else ''} that are gone; `%autopod history` knows their jobs"
        none = "No pod: `%autopod connect` rents one."
        put(self._rest, card.text_line(rest if gone else "" if pods else none, card.QUIET), heal=heal)
        return len(missing) <= _NEW_ROWS


def _which(pods: Mapping[str, PodView]) -> tuple[list[str], int]:
    """The pods that have a row, in order, and how many have none."""
    gone = [pod_id for pod_id, pod in pods.items() if pod.over]
    hidden = set(gone[:-_GONE_SHOWN])
    return [pod_id for pod_id in pods if pod_id not in hidden], len(hidden)
