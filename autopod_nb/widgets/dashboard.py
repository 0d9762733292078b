"""The live panel of a session: its money, its warnings, its pods with their buttons, its queue, a log, ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autopod_nb.models.snapshot import Snapshot
from autopod_nb.widgets import card, plain, render
from autopod_nb.widgets.alert_cards import AlertCards
from autopod_nb.widgets.gui_room import GuiRoom
from autopod_nb.widgets.log_feed import LogFeed
from autopod_nb.widgets.log_view import LogView
from autopod_nb.widgets.panel import SessionPanel
from autopod_nb.widgets.pod_rows import PodRows
from autopod_nb.widgets.pump import Beat, Pump
from autopod_nb.widgets.queue_rows import QueueRows
from autopod_nb.widgets.traits import put

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_WIDTH_PX = 1100
_FEW_PODS = 10  # more rows than these are drawn as a table is, half as often


class Dashboard(SessionPanel):
    """Lives as long as a pod is there or a job is not over.

    Args:
        session: its snapshots are read and its commands posted.
        pump: draws it; the one of this process if left out.

    Attributes:
        root: the widget to be shown.
    """

    def __init__(self, session: Session, *, pump: Pump | None = None) -> None:
        super().__init__(session, pump)
        self._money, self._notices = plain.text(), plain.text()
        self._room = GuiRoom(session, self._wake)
        self._alerts = AlertCards(session, self._answer, self._room.toggle)
        self._pods = PodRows(session, self._answer, open_gui=self._room.toggle, open_logs=self._toggle_logs)
        self._queue = QueueRows(session, self._answer)
        self._log_of: str | None = None  # whose log is wanted; any thread
        self._log: LogView | None = None
        self._log_shown: str | None = None
        self._logs = plain.box()
        shown = [self._money, self._alerts.root, self._pods.root, self._room.root, self._logs, self._queue.root]
        self._make_root([*shown, self._notices], self._fallback, width_px=_WIDTH_PX)

    def _draw(self, beat: Beat) -> bool:
        closed = self._session.closed  # read first: the snapshot after it is then the last one
        snapshot = self._session.snapshot
        lives = not closed and _alive(snapshot)
        whole = True
        if beat.html or not lives:
            put(self._money, card.money_html(snapshot), heal=beat.heal)
            self._alerts.draw(snapshot, heal=beat.heal)
            self._room.draw(snapshot.pods.get(self._room.pod_id or ""))
            logs = self._draw_logs(heal=beat.heal)
            lives = lives or logs
        if beat.table or not lives or (beat.html and len(snapshot.pods) <= _FEW_PODS):
            whole = self._pods.draw(snapshot.pods, snapshot.jobs, heal=beat.heal)
        if beat.table or not lives:
            whole = self._queue.draw(snapshot.jobs, heal=beat.heal) and whole
            put(self._notices, card.notices_html(snapshot.notices), heal=beat.heal)
        return lives or not whole

    def _toggle_logs(self, pod_id: str) -> None:
        self._log_of = None if self._log_of == pod_id else pod_id
        self._wake()

    def _draw_logs(self, *, heal: bool) -> bool:
        """Follow whose log is wanted. Returns whether more of it is to come."""
        wanted = self._log_of
        if wanted != self._log_shown:
            if self._log is not None:
                self._log.stop()
            self._log_shown, self._log = wanted, None if wanted is None else self._open_log(wanted)
            self._logs.children = () if self._log is None else (self._log.root,)
        return self._log is not None and self._log.draw(heal=heal)

    def _open_log(self, pod_id: str) -> LogView:
        feed = LogFeed(self._session, pod_id, lambda lines: self._session.logs(pod_id, lines=lines))
        view = LogView(feed, f"ComfyUI's log on pod {pod_id}", self._wake)
        view.start()
        return view

    def close(self) -> None:
        """Take it away, in every front end. Not from the pump's thread."""
        super().close()
        if self._log is not None:
            self._log.feed.stop()

    def _fallback(self) -> tuple[str, str]:
        snapshot = self._session.snapshot
        note = card.saved_note() if _alive(snapshot) else ""
        return render.session_text(snapshot), card.session_html(snapshot) + note


def _alive(snapshot: Snapshot) -> bool:
    return any(not pod.over for pod in snapshot.pods.values()) or any(not job.over for job in snapshot.jobs.values())
