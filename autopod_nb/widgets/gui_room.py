"""The place in a panel where ComfyUI of a pod stands, in a frame of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autopod_nb.errors import AutopodError
from autopod_nb.models.snapshot import PodView
from autopod_nb.widgets import card, plain, words
from autopod_nb.widgets.traits import put, take_away, tell

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_log = logging.getLogger(__name__)


class GuiRoom:
    """Empty until a pod is asked for; then a frame that is never touched again, or it would load anew.

    Args:
        session: opens the way to a pod.
        wake: has the panel drawn now; any thread.

    Attributes:
        root: the widget to be put into a panel.
    """

    def __init__(self, session: Session, wake: Callable[[], None]) -> None:
        self._session, self._wake = session, wake
        self._wanted: str | None = None
        self._shown: str | None = None
        self._asked = False
        self._origin = ""
        self._frame: Any = None
        self.root = plain.box()

    @property
    def pod_id(self) -> str | None:
        """Whose ComfyUI stands here, or is about to."""
        return self._wanted

    def toggle(self, pod_id: str) -> None:
        """Open it for this pod, or close it if it stands here already. Any thread."""
        self._wanted = None if self._wanted == pod_id else pod_id
        self._wake()

    def draw(self, pod: PodView | None) -> None:
        """Follow what is wanted. The pump's thread only.

        Args:
            pod: the pod that :attr:`pod_id` names, None if it is unknown.
        """
        gone = self._wanted is not None and (pod is None or pod.over)
        if self._wanted != self._shown:
            self._change()
        if self._frame is not None and self._asked and not gone:
            self._asked = False
            self._send()
        if gone and self._frame is not None and self._shown is not None:
            tell(self._frame, {"type": "gone", "text": f"Pod {self._shown} is gone, and its ComfyUI with it."})
            self._frame = None
            self._session.gui.sweep_later()

    def _change(self) -> None:
        before = self.root.children
        self._shown, self._frame, self._asked = self._wanted, None, False
        if self._shown is None:
            self.root.children = ()
            take_away(*before)
            return
        try:
            from autopod_nb.widgets.gui_widget import GuiWidget  # noqa: PLC0415 - anywidget may be missing
        except ImportError as error:
            _log.info("ComfyUI cannot be framed: %s", error)
            self._say("ComfyUI can stand here with anywidget: `pip install anywidget`; `%autopod gui` says other ways.")
            return
        self._frame = GuiWidget()
        self._frame.on_msg(self._take)
        self.root.children = (self._frame,)
        take_away(*before)

    def _take(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """A frame came to life in a browser; any thread."""
        if content.get("type") == "hello":
            origin = content.get("origin")
            self._origin = origin if isinstance(origin, str) else ""
            self._asked = True
            self._wake()

    def _send(self) -> None:
        assert self._shown is not None  # noqa: S101 - a frame belongs to a pod
        try:
            place = self._session.gui.open(self._shown, origin=self._origin)
        except AutopodError as error:
            tell(self._frame, {"type": "gone", "text": words.clean(str(error))})
            return
        tell(self._frame, {"type": "place", "pod": self._shown, "port": place.port, "prefix": place.prefix})

    def _say(self, text: str) -> None:
        said = plain.text()
        put(said, card.message_html(text))
        self.root.children = (said,)
