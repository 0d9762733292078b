"""The session thread: it owns all state, reads one inbox, and publishes snapshots."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from autopod_nb.clock import Clock
from autopod_nb.models.snapshot import Level, Notice, Snapshot
from autopod_nb.session.effects import Effect
from autopod_nb.session.events import Message, Moment, Tick
from autopod_nb.session.inbox import Inbox
from autopod_nb.session.reducer import is_news_of_progress, reduce, take_in
from autopod_nb.session.state import SessionState
from autopod_nb.session.views import Viewer
from autopod_nb.threads import ServiceThread

_log = logging.getLogger(__name__)
_TICK_S = 1.0
_LOOK_S = 0.1  # how often the loop looks at its clock while nothing comes, in real seconds
_SHARE = 0.03  # of its time that the thread may spend on snapshots; a guess
_LONGEST_PAUSE_S = 0.1  # between two of them in the long run, if there is news: panels are drawn as often


class Core:
    """One inbox in, snapshots and effects out.

    Args:
        state: to begin with.
        clock: the time.
        act: has effects carried out; called in the session thread, must not block.
        on_broken: called when the thread ends by itself, so that whoever keeps pods alive can let them go.
    """

    def __init__(
        self,
        state: SessionState,
        *,
        clock: Clock,
        act: Callable[[Sequence[Effect]], None],
        on_broken: Callable[[], None] = lambda: None,
    ) -> None:
        self._state = state
        self._clock = clock
        self._act = act
        self._on_broken = on_broken
        self._inbox = Inbox()
        self._changed = threading.Condition()
        self._viewer = Viewer()
        self._snapshot = self._viewer.snapshot(state, self._now())
        self._shows_at_s = 0.0  # when the next snapshot may be made, real monotonic seconds
        self._ended = False
        self._thread = ServiceThread("autopod-session", self._loop, on_failure=self._broke)

    def start(self) -> None:
        """Begin to read the inbox."""
        self._thread.start()

    def post(self, message: Message) -> None:
        """Put a message into the inbox. Never blocks; may be called in any thread."""
        self._inbox.put(message, can_wait=is_news_of_progress(message))

    @property
    def snapshot(self) -> Snapshot:
        """The newest; never blocks."""
        return self._snapshot

    @property
    def state(self) -> SessionState:
        """The newest, which is frozen: it may be read in any thread, and knows all that the snapshot shows."""
        return self._state

    @property
    def ended(self) -> bool:
        """Whether the thread was ended, or ended by itself, which is a mistake of ours."""
        return self._ended

    def wait_for(self, done: Callable[[Snapshot], bool], timeout_s: float) -> Snapshot:
        """Wait until *done* holds, the thread has ended, or *timeout_s* real seconds have passed.

        Returns:
            The newest snapshot.
        """
        with self._changed:
            self._changed.wait_for(lambda: done(self._snapshot) or self._ended, timeout_s)
            return self._snapshot

    def stop(self, timeout_s: float) -> None:
        """End the thread and wake everybody who waits. Safe to call twice."""
        self._thread.stop()
        self._thread.join(timeout_s)
        self._wake_at_end()

    def _now(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())

    def _loop(self, stop: threading.Event) -> None:
        ticks, next_tick_s = 0, self._clock.monotonic()
        unseen = False
        while not stop.is_set():
            pause_s = max(0.0, self._shows_at_s - time.monotonic())
            messages = self._inbox.take(wait_s=pause_s if unseen else _LOOK_S, hold_s=pause_s)
            if self._clock.monotonic() >= next_tick_s:
                ticks += 1
                next_tick_s = self._clock.monotonic() + _TICK_S
                messages.append(Tick(number=ticks))
            for some in _runs(messages):
                self._handle(some)
            unseen = unseen or bool(messages)
            if unseen and time.monotonic() >= self._shows_at_s:
                self._publish()
                unseen = False
        if unseen:
            self._publish()

    def _handle(self, messages: Sequence[Message]) -> None:
        """One message, or several that tell of nothing but progress."""
        if len(messages) > 1:
            try:
                self._state = take_in(self._state, messages, self._now())
            except Exception:  # noqa: BLE001 - one by one, the others count
                _log.exception("%d messages were refused together", len(messages))
            else:
                return
        for message in messages:
            self._handle_one(message)

    def _handle_one(self, message: Message) -> None:
        """One message; one that the reducer cannot take changes nothing, and the guard over the money goes on."""
        now = self._now()
        try:
            self._state, effects = reduce(self._state, message, now)
        except Exception as error:  # noqa: BLE001 - the state is as before, and who else would watch the money?
            _log.exception("%s was refused", type(message).__name__)
            text = f"A mistake of autopod_nb ({type(message).__name__}: {error}); the log has the details."
            notice = Notice(level=Level.ERROR, text=text, at=now.at)
            self._state = replace(self._state, notices=(*self._state.notices, notice))
            return
        self._act(effects)

    def _publish(self) -> None:
        begin_s = time.thread_time()
        snapshot = self._viewer.snapshot(self._state, self._now())
        pause_s = min((time.thread_time() - begin_s) / _SHARE, _LONGEST_PAUSE_S)
        self._shows_at_s = max(self._shows_at_s, time.monotonic() - _LONGEST_PAUSE_S) + pause_s  # after quiet, a few
        with self._changed:
            self._snapshot = snapshot
            self._changed.notify_all()

    def _broke(self, error: BaseException) -> None:
        _log.critical("the session thread ended: %s", error)
        self._wake_at_end()
        self._on_broken()

    def _wake_at_end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _runs(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """The same in order, where what tells of progress, one after the other, is together."""
    for together, some in groupby(messages, is_news_of_progress):
        if together:
            yield list(some)
        else:
            yield from ([message] for message in some)
