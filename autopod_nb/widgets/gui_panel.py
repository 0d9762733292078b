"""ComfyUI of one pod as a panel of its own: what `%autopod gui` shows in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autopod_nb.widgets import card, plain, words
from autopod_nb.widgets.gui_room import GuiRoom
from autopod_nb.widgets.panel import SessionPanel
from autopod_nb.widgets.pump import Beat, Pump
from autopod_nb.widgets.traits import put

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_WIDTH_PX = 1400


class GuiPanel(SessionPanel):
    """Lives as long as its pod.

    Args:
        session: whose pod it is.
        pod_id: which one; it has a tunnel.
        ways: other ways to it in words, as (text, HTML), for where no widget can be shown.
        pump: draws it; the one of this process if left out.

    Attributes:
        root: the widget to be shown.
    """

    def __init__(self, session: Session, pod_id: str, ways: tuple[str, str], *, pump: Pump | None = None) -> None:
        super().__init__(session, pump)
        self._pod_id, self._ways = pod_id, ways
        self._head = plain.text()
        self._room = GuiRoom(session, self._wake)
        self._room.toggle(pod_id)
        self._make_root([self._head, self._room.root], lambda: self._ways, width_px=_WIDTH_PX)

    def _draw(self, beat: Beat) -> bool:
        closed = self._session.closed  # read first: the snapshot after it is then the last one
        pod = self._session.snapshot.pods.get(self._pod_id)
        state = "gone" if pod is None else words.pod_state(pod)
        put(self._head, f"<b>ComfyUI of pod {card.safe(self._pod_id)}</b> {card.safe(state)}", heal=beat.heal)
        self._room.draw(pod)
        return not closed and pod is not None and not pod.over
