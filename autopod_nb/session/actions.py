"""The desk behind every button: each press acts once, by whichever road it comes first, and is answered at once."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import AutopodError, UsageError, nearest
from autopod_nb.log import redact
from autopod_nb.models.action import Action, ActionAnswer, ActionName
from autopod_nb.models.snapshot import PodView
from autopod_nb.threads import ServiceThread

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_log = logging.getLogger(__name__)
_KEPT_ANSWERS = 1000
_KEPT_NEWS = 20
_MOST_AGAIN = 4  # at the same time
_OTHER_ROAD_S = 2.0  # the first road needs less than 10 ms
_CLOSE_S = 2.0

Handler = Callable[[str], str]
"""Takes the target of a press, returns what to say. Called in any thread, must return at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What came of a press later than its answer.

    Attributes:
        number: from 1, in order.
        action_id: of the press.
        text: one line for the person.
        bad: whether it failed.
    """

    number: int
    action_id: str
    text: str
    bad: bool = False


@dataclass(slots=True)
class _Press:
    """An answer that is there or will be."""

    done: threading.Event = field(default_factory=threading.Event)
    answer: ActionAnswer | None = None


class ActionDesk:
    """Takes actions. Any thread; :meth:`act` only posts commands and returns at once.

    Args:
        session: takes the commands.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._presses: OrderedDict[str, _Press] = OrderedDict()
        self._handlers: dict[ActionName, Handler] = {}
        self._shows_again: Callable[[str, str], None] | None = None
        self._news: deque[News] = deque(maxlen=_KEPT_NEWS)
        self._told = 0
        self._listeners: list[Callable[[News], None]] = []
        self._workers: set[ServiceThread] = set()
        self._closed = False

    def act(self, action: Action) -> ActionAnswer:
        """Do what a button stands for, once for each id. Never raises."""
        with self._lock:
            press = self._presses.get(action.action_id)
            first = press is None
            if press is None:
                press = self._presses[action.action_id] = _Press()
                if len(self._presses) > _KEPT_ANSWERS:
                    self._presses.popitem(last=False)
        if first:
            press.answer = self._answer(action)
            press.done.set()
        else:
            press.done.wait(_OTHER_ROAD_S)
        return press.answer or ActionAnswer(text="That was taken already; its answer is still to come.")

    def on(self, name: ActionName, handler: Handler) -> Callable[[], None]:
        """Let a face do what is no matter of the session; the newest handler counts.

        Args:
            name: GUI or LOGS, with a pod's id as the target.
            handler: does it.

        Returns:
            Takes the handler away again. Safe to call twice.
        """
        with self._lock:
            self._handlers[name] = handler

        def off() -> None:
            with self._lock:
                if self._handlers.get(name) is handler:
                    del self._handlers[name]

        return off

    def on_again(self, shows: Callable[[str, str], None]) -> None:
        """Let a face show a job that was queued again, with the old and the new job's id; in a thread of its own."""
        with self._lock:
            self._shows_again = shows

    @property
    def news(self) -> tuple[News, ...]:
        """What came of presses later than their answers: the last few, oldest first."""
        with self._lock:
            return tuple(self._news)

    def listen(self, listener: Callable[[News], None]) -> Callable[[], None]:
        """Be called with each new one, in any thread.

        Returns:
            Ends that. Safe to call twice.
        """
        with self._lock:
            self._listeners.append(listener)

        def off() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return off

    def close(self) -> None:
        """Take nothing more that runs on, and wait for what does. Safe to call twice."""
        with self._lock:
            self._closed = True
            workers = list(self._workers)
        deadline = Deadline(SystemClock(), _CLOSE_S)
        for worker in workers:
            if not worker.join(deadline.left_s()):
                _log.warning("a job that is to be run again is still being checked")

    def _answer(self, action: Action) -> ActionAnswer:
        doers = {
            ActionName.STOP: self._stop,
            ActionName.KILL: self._kill,
            ActionName.KEEP_ALIVE: self._keep_alive,
            ActionName.CANCEL: self._cancel,
            ActionName.KEEP_WAITING: self._keep_waiting,
            ActionName.AGAIN: self._again,
        }
        try:
            answer = doers.get(action.name, self._leave_to_a_face)(action)
        except Exception as error:  # noqa: BLE001 - an exception in a button's thread is seen by nobody
            answer = ActionAnswer(taken=False, text=_words(error))
        _log.info("%s %r: %s", action.name.value, action.target, "taken" if answer.taken else "not taken")
        return ActionAnswer(text=redact(answer.text), taken=answer.taken, wants_yes=answer.wants_yes)

    def _stop(self, action: Action) -> ActionAnswer:
        pod = self._pod(action.target)
        self._session.stop(pod.pod_id)
        text = f"Pod {pod.pod_id} finishes its job, fetches the results and ends; it bills until the provider confirms."
        return ActionAnswer(text=text)

    def _kill(self, action: Action) -> ActionAnswer:
        pod = self._pod(action.target)
        try:
            self._session.kill(pod.pod_id, yes=action.yes)
        except UsageError as error:
            pod = self._session.snapshot.pods[pod.pod_id]  # what it had a moment ago is not what was refused
            loses = bool(pod.unsaved) and not (action.yes or pod.over or self._session.no_end)
            return ActionAnswer(text=_unsaved(pod) if loses else str(error), taken=False, wants_yes=loses)
        return ActionAnswer(text=f"Pod {pod.pod_id} is being terminated; it bills until the provider confirms.")

    def _keep_alive(self, action: Action) -> ActionAnswer:
        return ActionAnswer(text=self._session.keep_alive(self._pod(action.target).pod_id))

    def _cancel(self, action: Action) -> ActionAnswer:
        self._session.cancel(action.target)
        return ActionAnswer(text=f"Job {action.target} is being cancelled.")

    def _keep_waiting(self, action: Action) -> ActionAnswer:
        self._session.keep_waiting(action.target)
        return ActionAnswer(text=f"Job {action.target} has the same time again.")

    def _leave_to_a_face(self, action: Action) -> ActionAnswer:
        pod = self._pod(action.target)
        with self._lock:
            handler = self._handlers.get(action.name)
        if handler is None:
            what = "ComfyUI" if action.name is ActionName.GUI else "the log"
            return ActionAnswer(taken=False, text=f"Not available here: `%autopod panel` in the notebook shows {what}.")
        return ActionAnswer(text=handler(pod.pod_id))

    def _again(self, action: Action) -> ActionAnswer:
        """Checks templates and looks for a pod, which takes a while: what comes of it is news."""
        job_id = self._session.job(action.target).job_id
        with self._lock:
            if self._closed:
                raise UsageError("The session is closed: `%autopod connect` begins another.")
            if len(self._workers) >= _MOST_AGAIN:
                raise UsageError("Several jobs are just being queued again: press once more in a moment.")
            worker = ServiceThread("autopod-again", lambda _: self._run_again(action.action_id, job_id, worker))
            self._workers.add(worker)
            worker.start()
        return ActionAnswer(text=f"Job {job_id} is being queued again.")

    def _run_again(self, action_id: str, job_id: str, worker: ServiceThread) -> None:
        try:
            made = self._session.again(job_id).job_id
            self._tell(action_id, f"Job {job_id} is queued again as {made}.", bad=False)
            with self._lock:
                shows = self._shows_again
            if shows is not None:
                shows(job_id, made)
        except Exception as error:  # noqa: BLE001 - it must reach the person
            self._tell(action_id, f"Run again of job {job_id}: {_words(error)}", bad=True)
        finally:
            with self._lock:
                self._workers.discard(worker)

    def _tell(self, action_id: str, text: str, *, bad: bool) -> None:
        with self._lock:
            self._told += 1
            news = News(number=self._told, action_id=action_id, text=redact(text), bad=bad)
            self._news.append(news)
            listeners = list(self._listeners)
        for listener in listeners:
            _inform(listener, news)

    def _pod(self, pod_id: str) -> PodView:
        """A pod of this session. Others are looked for in the ledger and at the provider, for which no button waits.

        Raises:
            UsageError: there is none of that id, or it is gone.
        """
        pods = self._session.snapshot.pods
        pod = pods.get(pod_id)
        if pod is None:
            hint = nearest(pod_id, pods)
            raise UsageError(f"No pod {pod_id!r} in this session.{hint} `%autopod kill` also reaches other pods.")
        if pod.over:
            raise UsageError(f"Pod {pod_id} is gone already.")
        return pod


def _inform(listener: Callable[[News], None], news: News) -> None:
    try:
        listener(news)
    except Exception as error:  # noqa: BLE001 - one panel's fault is not another's
        _log.error("a listener of the desk failed", exc_info=error)


def _unsaved(pod: PodView) -> str:
    return (
        f"Pod {pod.pod_id} has {pod.unsaved} job(s) whose results are not here yet and would be lost: press Kill again"
        " within 5 s to kill it all the same, or Stop to fetch them first."
    )


def _words(error: Exception) -> str:
    """An error in one line; one that nobody expected is logged."""
    if isinstance(error, AutopodError):
        return str(error)
    _log.error("a button failed", exc_info=error)
    return f"That failed: {type(error).__name__}. The log says more."
