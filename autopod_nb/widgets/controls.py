"""What panels share: the root that saves well, and the buttons of a pod."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.clock import Clock, default_clock
from autopod_nb.errors import AutopodError, UsageError
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import PodView
from autopod_nb.widgets import card

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_log = logging.getLogger(__name__)
_SECOND_PRESS_S = 5.0


class Root(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """The outermost box of a panel, with a text and an HTML form for where no widget can be shown.

    Args:
        children: the widgets in it.
        fallback: makes (text, HTML) at the moment of showing.
    """

    def __init__(self, children: list[Any], fallback: Callable[[], tuple[str, str]]) -> None:
        self._fallback = fallback
        border = "1px solid var(--jp-border-color2, #bdbdbd)"
        super().__init__(children, layout=W.Layout(max_width="720px", padding="4px 12px", border=border))

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        bundle["text/plain"], bundle["text/html"] = self._fallback()
        return bundle


def put(widget: Any, html: str) -> None:
    """Let an HTML widget show *html*, with lines as close as in a card. The pump's thread only, once it is shown."""
    widget.value = f'<div style="line-height:1.5;overflow-wrap:anywhere">{html}</div>' if html else ""


def free_comm(widget: Any) -> None:
    """Let clicks on *widget* run while a cell runs.

    ipykernel 7.4 sends a front end's message to the shell that spoke last, which is the busy one, and drops the
    subshell that the front end chose. Its hook is private, so it is only used where it exists.
    """
    comm = widget.comm
    if comm is not None and hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default  # noqa: ARG005 - see above


def button(text: str, help_: str, press: Callable[[], None], *, style: str = "") -> Any:
    """A button. *press* may run in any thread and must return at once."""
    made = W.Button(description=text, tooltip=help_, button_style=style, layout=W.Layout(width="auto"))
    made.on_click(lambda _: press())
    free_comm(made)
    return made


class Answer:
    """What the last press of a button brought, for the pump to draw. A press may come in any thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.html = ""
        self._wake = wake

    def to(self, act: Callable[[], str]) -> None:
        """Do what a button stands for. What goes wrong is shown, for an exception in a callback is seen by nobody."""
        try:
            self.html = card.message_html(act())
        except AutopodError as error:
            self.html = card.message_html(str(error), bad=True)
        except Exception as error:  # noqa: BLE001 - logged and shown
            _log.exception("a button failed")
            self.html = card.message_html(f"That failed: {type(error).__name__}. The log says more.", bad=True)
        self._wake()


class PodButtons:
    """Stop and Kill of one pod.

    Args:
        session: takes the commands.
        answer: shows what came of a press.
        clock: for the time between two presses.
    """

    def __init__(self, session: Session, answer: Answer, clock: Clock | None = None) -> None:
        self._session = session
        self._answer = answer
        self._clock = clock or default_clock()
        self._pod_id: str | None = None
        self._armed_until_s = float("-inf")
        self.stop = button("Stop pod", "Finish the running job, fetch the results, end the pod", self._press_stop)
        self.kill = button("Kill pod", "Terminate the pod at once", self._press_kill, style="danger")

    def draw(self, pod: PodView | None) -> None:
        """Follow the state of the pod. The pump's thread only."""
        if not self._armed and self._armed_until_s > 0:  # nobody pressed again
            self._armed_until_s = float("-inf")
            self._answer.html = ""
        before, self._pod_id = self._pod_id, pod.pod_id if pod is not None and not pod.over else None
        if before is not None and self._pod_id is None:  # what a press announced has happened
            self._answer.html = ""
        ending = pod is not None and pod.state in (PodState.DRAINING, PodState.STOPPING, PodState.TERMINATING)
        self.stop.disabled = self._pod_id is None or ending
        self.kill.disabled = self._pod_id is None or (pod is not None and pod.state is PodState.TERMINATING)
        self.kill.description = "Kill anyway" if self._armed else "Kill pod"
        for each in (self.stop, self.kill):
            each.layout.display = "none" if self._pod_id is None else None

    @property
    def _armed(self) -> bool:
        return self._clock.monotonic() < self._armed_until_s

    def _press_stop(self) -> None:
        if (pod_id := self._pod_id) is not None:
            self._answer.to(lambda: f"Pod {self._session.stop(pod_id)} finishes, fetches and ends.")

    def _press_kill(self) -> None:
        if (pod_id := self._pod_id) is not None:
            self._answer.to(lambda: self._kill(pod_id))

    def _kill(self, pod_id: str) -> str:
        if self._armed:
            self._armed_until_s = float("-inf")
            return f"Pod {self._session.kill(pod_id, yes=True)} is being terminated."
        try:
            return f"Pod {self._session.kill(pod_id)} is being terminated."
        except UsageError as error:  # results are not here yet: it wants a second press
            self._armed_until_s = self._clock.monotonic() + _SECOND_PRESS_S
            return f"{error} Press again within {_SECOND_PRESS_S:.0f} s to kill it all the same."
