"""The line of a panel: the widget that carries its presses to the kernel, twice, and says whether the kernel lives.

ipykernel and front ends differ in whether a widget's message is taken while a cell runs. So each press also goes to the
control server of this kernel by HTTP, under the same id. The server's token travels by custom message only, which no
notebook keeps. Without this widget (anywidget is missing) the panel's buttons send plain clicks.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autopod_nb.errors import AutopodError
from autopod_nb.models.action import Action, ActionAnswer, ActionName
from autopod_nb.widgets.traits import assign, tell

if TYPE_CHECKING:
    from autopod_nb.session.control import Control

_log = logging.getLogger(__name__)
_BEAT_S = 1.0
_STATIC = Path(__file__).with_name("static")
_MAX_ID = 64


def mark(button: Any, name: ActionName, target: str, *, unsaved: bool = False, heal: bool = False) -> None:
    """Say in a button's classes what it does on what, for the line to read. The pump's thread only.

    Args:
        button: a core button.
        name: what it does.
        target: our id of a pod or a job.
        unsaved: the browser asks for a second press, for results would be lost.
        heal: as for :func:`autopod_nb.widgets.traits.assign`.
    """
    classes = ["autopod-act", f"autopod-do-{name.value}", f"autopod-on-{target.encode().hex()}"]
    if unsaved:
        classes.append("autopod-unsaved")
    assign(button, heal=heal, _dom_classes=tuple(classes))


def static_text(name: str) -> str:
    """A file that goes to the browser."""
    return (_STATIC / name).read_text(encoding="utf-8")


def make_line(control: Control, wake: Callable[[], None]) -> Line | None:
    """The line of a panel; None where anywidget is not installed.

    Args:
        control: takes the actions.
        wake: has the panel drawn now.
    """
    try:
        from autopod_nb.widgets.line_widget import LineWidget  # noqa: PLC0415 - anywidget may be missing
    except ImportError as error:
        _log.info("panels live without their own line: %s", error)
        return None
    return Line(LineWidget(), control, wake)


class Line:
    """Carries presses to the desk and answers back. Drawn with its panel.

    Args:
        widget: takes part in the panel.
        control: takes the actions.
        wake: has the panel drawn now; any thread.

    Attributes:
        seen: whether it has come to life in a browser.
    """

    def __init__(self, widget: Any, control: Control, wake: Callable[[], None]) -> None:
        self.widget = widget
        self.seen = False
        self._control, self._wake = control, wake
        self._answers: deque[tuple[str, ActionAnswer]] = deque(maxlen=20)
        self._pressed: deque[str] = deque(maxlen=20)
        self._told = 0
        self._fresh = True
        self._rests: bool | None = None
        self._next_s = 0.0
        widget.on_msg(self._take)

    def draw(self, *, rests: bool) -> None:
        """Send what is due. The pump's thread only.

        Args:
            rests: nothing more will come unless somebody presses; the browser must not call that stale.
        """
        self._tell_news()
        while self._answers:
            action_id, answer = self._answers.popleft()
            said = {"taken": answer.taken, "text": answer.text, "wants_yes": answer.wants_yes}
            tell(self.widget, {"type": "answer", "id": action_id, **said})
        now_s = time.monotonic()
        if self._fresh or rests != self._rests or (now_s >= self._next_s and not rests):
            self._fresh, self._rests, self._next_s = False, rests, now_s + _BEAT_S
            tell(self.widget, {"type": "beat", "rests": rests, **self._address()})

    def _tell_news(self) -> None:
        """What came of a press of this panel later than its answer."""
        for news in self._control.desk.news:
            if news.number > self._told:
                self._told = news.number
                if news.action_id in self._pressed:
                    tell(self.widget, {"type": "news", "text": news.text})

    def _address(self) -> dict[str, Any]:
        try:
            address = self._control.address()
        except (AutopodError, OSError) as error:  # presses still come as messages
            _log.warning("there is no control server: %s", error)
            return {}
        return {"port": address.port, "instance": address.instance, "token": address.token.reveal()}

    def _take(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """A message of the browser; any thread, returns at once."""
        if content.get("type") == "hello":
            self.seen = self._fresh = True
        elif content.get("type") == "act" and (action := action_of(content)) is not None:
            self._pressed.append(action.action_id)
            self._answers.append((action.action_id, self._control.act(action)))
        self._wake()


def action_of(content: dict[str, Any]) -> Action | None:
    """The action in a message of the browser, None if it makes no sense."""
    action_id, target = content.get("id"), content.get("target")
    if not (isinstance(action_id, str) and 0 < len(action_id) <= _MAX_ID and isinstance(target, str)):
        return None
    try:
        name = ActionName(content.get("action"))
    except ValueError:
        return None
    return Action(action_id=action_id, name=name, target=target, yes=content.get("yes") is True)
