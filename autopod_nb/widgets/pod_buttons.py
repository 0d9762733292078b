"""The buttons of one pod: keep alive, stop, kill. They work through the panel's line, or by plain clicks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autopod_nb.clock import Clock, default_clock
from autopod_nb.errors import UsageError
from autopod_nb.models.action import ActionName
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import PodView
from autopod_nb.widgets.controls import Answer, button
from autopod_nb.widgets.line import mark
from autopod_nb.widgets.traits import assign, show

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_SECOND_PRESS_S = 5.0
_ENDING = (PodState.DRAINING, PodState.STOPPING, PodState.TERMINATING)


class PodButtons:
    """Stop, Kill and Keep alive of one pod, which may become known later.

    Args:
        session: takes the commands.
        answer: shows what came of a press.
        clock: for the time between two presses.
        name: put behind the words on the buttons, where there are several pods.
        layout: shared by the buttons of many pods; then they are disabled and not hidden when the pod is over.

    Attributes:
        all: the buttons, in order.
    """

    def __init__(
        self, session: Session, answer: Answer, clock: Clock | None = None, *, name: str = "pod", layout: Any = None
    ) -> None:
        self._session, self._answer, self._name = session, answer, name
        self._clock = clock or default_clock()
        self._hides = layout is None
        self._pod_id: str | None = None
        self._armed_until_s = float("-inf")
        self.keep = button("Keep alive", "Begin the idle countdown anew", self._press_keep, layout=layout)
        help_ = "Finish the running job, fetch the results, end the pod"
        self.stop = button(f"Stop {name}", help_, self._press_stop, layout=layout)
        self.kill = button(f"Kill {name}", "Terminate the pod at once", self._press_kill, style="danger", layout=layout)
        self.all = (self.keep, self.stop, self.kill)

    def draw(self, pod: PodView | None, *, heal: bool = False) -> None:
        """Follow the state of the pod. The pump's thread only."""
        if not self._armed and self._armed_until_s > 0:  # nobody pressed again
            self._armed_until_s = float("-inf")
            self._answer.html = ""
        before, self._pod_id = self._pod_id, pod.pod_id if pod is not None and not pod.over else None
        if before is not None and self._pod_id is None:  # what a press announced has happened
            self._answer.html = ""
        ending = pod is not None and pod.state in _ENDING
        killed = pod is not None and pod.state is PodState.TERMINATING
        kill = "Kill anyway" if self._armed else f"Kill {self._name}"
        assign(self.kill, heal=heal, disabled=self._pod_id is None or killed, description=kill)
        assign(self.stop, heal=heal, disabled=self._pod_id is None or ending)
        assign(self.keep, heal=heal, disabled=self._pod_id is None or ending)
        if pod is not None:
            mark(self.stop, ActionName.STOP, pod.pod_id, heal=heal)
            mark(self.kill, ActionName.KILL, pod.pod_id, unsaved=bool(pod.unsaved), heal=heal)
            mark(self.keep, ActionName.KEEP_ALIVE, pod.pod_id, heal=heal)
        if self._hides:
            show(self.stop, shown=self._pod_id is not None)
            show(self.kill, shown=self._pod_id is not None)
            show(self.keep, shown=self._pod_id is not None and pod is not None and pod.idle_left_s is not None)

    @property
    def _armed(self) -> bool:
        return self._clock.monotonic() < self._armed_until_s

    def _press_keep(self) -> None:
        if (pod_id := self._pod_id) is not None:
            self._answer.to(lambda: self._session.keep_alive(pod_id))

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
