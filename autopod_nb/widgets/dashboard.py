"""The live panel of a session: its pods with their buttons, its jobs, its money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.models.snapshot import PodView, Snapshot
from autopod_nb.widgets import card, render
from autopod_nb.widgets.controls import Answer, PodButtons, Root, put
from autopod_nb.widgets.pump import Pump, the_pump

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session


class _PodRow:
    """One pod: what it does, Stop and Kill."""

    def __init__(self, session: Session, answer: Answer) -> None:
        self._text = W.HTML(layout=W.Layout(flex="1 1 280px"))
        self._buttons = PodButtons(session, answer)
        controls = W.HBox([self._buttons.stop, self._buttons.kill])
        self.root = W.HBox([self._text, controls], layout=W.Layout(flex_flow="row wrap"))

    def draw(self, pod: PodView, *, slow: bool) -> None:
        """Follow the pod."""
        if slow:
            put(self._text, card.pod_html(pod))
        self._buttons.draw(pod)


class Dashboard:
    """Lives as long as a pod is there or a job is not over.

    Args:
        session: its snapshots are read and its commands posted.
        pump: draws it; the one of this process if left out.

    Attributes:
        root: the widget to be shown.
    """

    def __init__(self, session: Session, *, pump: Pump | None = None) -> None:
        self._session = session
        self._pump = pump or the_pump()
        self._answer = Answer(lambda: self._pump.add(self))
        self._rows: dict[str, _PodRow] = {}
        self._money, self._jobs, self._notices, self._message = (W.HTML() for _ in range(4))
        self._pods = W.VBox()
        self.root = Root([self._money, self._pods, self._message, self._jobs, self._notices], self._fallback)

    def show(self) -> Any:
        """Draw it from now on. Returns the widget."""
        self._pump.add(self)
        return self.root

    def draw(self, *, slow: bool) -> bool:
        """See :class:`autopod_nb.widgets.pump.Panel`."""
        closed = self._session.closed  # read first: the snapshot after it is then the last one
        snapshot = self._session.snapshot
        lives = not closed and _alive(snapshot)
        self._draw_pods(snapshot, slow=slow or not lives)
        put(self._message, self._answer.html)
        if slow or not lives:
            put(self._money, card.money_html(snapshot))
            put(self._jobs, card.jobs_html(snapshot.jobs.values()))
            put(self._notices, card.notices_html(snapshot.notices))
        return lives

    def _draw_pods(self, snapshot: Snapshot, *, slow: bool) -> None:
        fresh = [pod_id for pod_id in snapshot.pods if pod_id not in self._rows]
        for pod_id in fresh:
            self._rows[pod_id] = _PodRow(self._session, self._answer)
        for pod_id, pod in snapshot.pods.items():
            self._rows[pod_id].draw(pod, slow=slow or pod_id in fresh)
        if fresh:
            self._pods.children = [row.root for row in self._rows.values()]

    def _fallback(self) -> tuple[str, str]:
        snapshot = self._session.snapshot
        return render.session_text(snapshot), card.session_html(snapshot)


def _alive(snapshot: Snapshot) -> bool:
    return any(not pod.over for pod in snapshot.pods.values()) or any(not job.over for job in snapshot.jobs.values())
