"""Follows the prompts of one pod: the socket for speed, queue and history for the truth."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import uuid4

from autopod_nb.clock import Clock, Deadline
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.comfyui.line import Line, LineLost
from autopod_nb.comfyui.messages import decode_binary, decode_text
from autopod_nb.comfyui.monitor_events import (
    Connected,
    Counters,
    Disconnected,
    MonitorEvent,
    PromptResultFound,
    PromptRunning,
    PromptVanished,
    ServerRestarted,
)
from autopod_nb.comfyui.suspicion import Suspicion
from autopod_nb.comfyui.watchlist import Watchlist
from autopod_nb.errors import ComfyError
from autopod_nb.models.event import PromptOver, PromptResult, PromptStarted, QueueStatus
from autopod_nb.threads import ServiceThread

_log = logging.getLogger(__name__)

_TICK_S = 0.25  # how long the socket is read before polls and pings are looked at again
_POLL_TIMEOUT_S = 3.0  # a poll that hangs keeps the socket from being read
_FRESH_S = 1.0  # a line that was silent for longer is pinged before a poll, which would hang if it is dead
_PONG_SHARE = 0.8  # of the ping interval: how long to wait for the answer
_MOST_OF_TIME = 0.2  # polls take at most this share of the time, for a long queue carries megabytes
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.2, 3.0
_JITTER = 0.25  # of the back-off, to both sides
_LOOKS = 2  # without a trace of a prompt, before it has vanished
_HINT_S = 0.5  # a queue that moved without a word about our prompts: wait this long for the word
_FEATURES = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})


class Monitor:
    """One thread that reads the socket of one ComfyUI, and polls it when the socket does not tell.

    Every connection has a client id of its own, as a late end of an old socket would silence a new one of the same
    id. Each event goes to *on_event*, in the monitor's thread; what names a prompt that is not watched does not.

    Args:
        base_url: for example ``http://127.0.0.1:8188``.
        clock: for pings, polls and back-off.
        on_event: posts to the session; must not block and not raise.
        client: of the same server; the monitor polls with connections of its own.
        poll_s: the truth is asked after this long without a word about the watched prompts.
        ping_s: a silent line is pinged after this long, and given up when nothing comes for nearly as long again.
    """

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        on_event: Callable[[MonitorEvent], None],
        client: ComfyClient,
        poll_s: float = 1.0,
        ping_s: float = 5.0,
    ) -> None:
        self._url = base_url.rstrip("/")
        self._clock = clock
        self._post = on_event
        self._client = client.sibling(_POLL_TIMEOUT_S)
        self._poll_s, self._ping_s = poll_s, ping_s
        self._watched = Watchlist()
        self._line: Line | None = None
        self._connected = threading.Condition()
        self._client_id: str | None = None
        self._connects = self._breaks = self._messages = self._polls = 0
        self._remaining: int | None = None
        self._heard_at = self._poll_at = clock.monotonic()
        self._hint_at: float | None = None
        self._suspicion = Suspicion(poll_s)
        self._hurried = threading.Event()
        port = urlsplit(self._url).port
        self._thread = ServiceThread(f"autopod-monitor-{port}", self._run)

    def start(self) -> Monitor:
        """Start the thread. Returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask the thread to end, which it does within a second. Safe to call twice, in any thread."""
        self._thread.stop()
        self.hurry()
        self._client.close()
        if (line := self._line) is not None:
            line.abort()
        with self._connected:
            self._connected.notify_all()

    def hurry(self) -> None:
        """The line is good again: connect at once, should there be no socket. Never blocks, in any thread."""
        self._hurried.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end, at most *timeout_s* seconds. Returns whether it has ended."""
        return self._thread.join(timeout_s)

    @property
    def failure(self) -> BaseException | None:
        """What ended the thread against our will: a mistake of ours, never the network."""
        return self._thread.failure

    @property
    def client_id(self) -> str | None:
        """The client id to submit under now; None while there is no socket."""
        with self._connected:
            return self._client_id

    @property
    def counters(self) -> Counters:
        """What has happened so far."""
        return Counters(connects=self._connects, messages=self._messages, polls=self._polls)

    def wait_connected(self, deadline: Deadline) -> str:
        """Wait for an open socket. Callable in any thread but the monitor's.

        Returns:
            Its client id.

        Raises:
            ComfyError: none until *deadline*, or the monitor has ended.
        """
        while not deadline.passed and not self._thread.stop_event.is_set():
            with self._connected:
                if self._client_id is not None:
                    return self._client_id
                self._connected.wait(min(_TICK_S, deadline.left_s()))
        raise ComfyError(f"The event socket of ComfyUI at {self._url} did not open in time.")

    def watch(self, prompt_id: str, client_id: str, *, posted: bool = False) -> None:
        """Follow a prompt from now on. Call it before posting the prompt, or an event may be missed.

        Args:
            client_id: that it is submitted under.
            posted: it is on the server already, as after an adoption; see :meth:`posted`.
        """
        if not self._watched:
            self._heard_at = self._clock.monotonic()  # it has the usual time to be heard of
        self._watched.add(prompt_id, client_id, posted=posted)

    def posted(self, prompt_id: str, *, sure: bool = True) -> None:
        """The server took the prompt, or may have: from now on its absence from queue and history means something."""
        self._watched.posted(prompt_id, sure=sure)

    def unwatch(self, prompt_id: str) -> None:
        """Follow it no longer. Safe to call twice."""
        self._watched.remove(prompt_id)

    def _run(self, stop: threading.Event) -> None:
        backoff_s = _FIRST_BACKOFF_S
        while not stop.is_set():
            self._hurried.clear()
            line = self._line = Line(self._url, client_id := str(uuid4()))
            try:
                if stop.is_set():
                    break  # stop() may have come before there was a line to abort
                line.open(_FEATURES, tick_s=_TICK_S)
                self._opened(client_id)
                backoff_s = _FIRST_BACKOFF_S
                self._read(line, client_id, stop)
            except LineLost as error:
                self._lost(str(error), stop)
            finally:
                line.close()
            self._away(backoff_s * random.uniform(1 - _JITTER, 1 + _JITTER), stop)  # noqa: S311 - jitter, no secret
            backoff_s = _FIRST_BACKOFF_S if self._hurried.is_set() else min(_LAST_BACKOFF_S, backoff_s * 2)

    def _opened(self, client_id: str) -> None:
        self._connects += 1
        self._remaining = self._hint_at = None
        self._suspicion.drop()
        self._heard_at = self._clock.monotonic()
        with self._connected:
            self._client_id = client_id
            self._connected.notify_all()
        self._post(Connected(client_id=client_id))
        if self._watched:
            self._poll(client_id)  # what ended while the line was down is delivered now

    def _lost(self, reason: str, stop: threading.Event) -> None:
        with self._connected:
            was_connected, self._client_id = self._client_id is not None, None
        _log.debug("event socket of %s: %s", self._url, reason)
        if was_connected and not stop.is_set():
            self._breaks += 1
            self._post(Disconnected(reason=reason))

    def _away(self, seconds: float, stop: threading.Event) -> None:
        """Wait before the next try to connect; polls go on, for they may get through where the socket does not."""
        deadline = Deadline(self._clock, seconds)
        while not (stop.is_set() or self._hurried.is_set() or deadline.passed):
            if self._watched and self._clock.monotonic() >= self._poll_at:
                self._poll(None)
            self._clock.wait(self._hurried, min(_TICK_S, deadline.left_s()))

    def _read(self, line: Line, client_id: str, stop: threading.Event) -> None:
        """Read, ping and poll until the line is lost."""
        alive_at = self._clock.monotonic()
        pinged_at: float | None = None
        while not stop.is_set():
            frame = line.receive()
            now = self._clock.monotonic()
            if frame is not None:
                alive_at, pinged_at = now, None
                self._take(frame)
            due = self._is_due(client_id, now)
            if pinged_at is not None:
                if now - pinged_at >= _PONG_SHARE * self._ping_s:
                    raise LineLost(f"no answer to a ping within {_PONG_SHARE * self._ping_s:.3g} s")
            elif now - alive_at >= (_FRESH_S if due else self._ping_s):
                line.ping()
                pinged_at = now
            elif due:
                self._poll(client_id)
            if self._suspicion.is_right(now, self._messages):
                raise LineLost("the server no longer tells this socket anything")

    def _take(self, frame: str | bytes) -> None:
        """Post what one frame tells. An empty one is only a sign of life."""
        if not frame:
            return
        self._messages += 1
        for event in decode_text(frame) if isinstance(frame, str) else decode_binary(frame):
            if prompt_id := getattr(event, "prompt_id", ""):
                over = isinstance(event, PromptOver)
                if not self._watched.heard(prompt_id, started=isinstance(event, PromptStarted), over=over):
                    continue  # a stranger's
                self._heard_at, self._hint_at = self._clock.monotonic(), None
                if over:  # whoever follows it asks for the history now; we only do when it is watched for longer
                    self._poll_at = max(self._poll_at, self._heard_at + self._poll_s)
            elif isinstance(event, QueueStatus):
                if self._remaining not in (None, event.remaining) and self._hint_at is None:
                    self._hint_at = self._soon(0.0 if self._watched.is_deaf(self._client_id) else _HINT_S)
                self._remaining = event.remaining
            self._post(event)

    def _soon(self, after_s: float = _HINT_S) -> float:
        """When to poll for a good reason: after so long, or later where polls take long."""
        return max(self._clock.monotonic() + after_s, self._poll_at - self._poll_s)

    def _is_due(self, client_id: str, now: float) -> bool:
        """Whether to ask queue and history. As long as a socket tells of one of its prompts it tells of all."""
        if not self._watched:
            return False
        if self._hint_at is not None and now >= self._hint_at:
            return True
        return now >= self._poll_at and (now - self._heard_at >= self._poll_s or self._watched.untold(client_id))

    def _poll(self, client_id: str | None) -> None:
        """Ask where the watched prompts are, and post what the socket did not tell."""
        self._polls += 1
        began, self._hint_at = self._clock.monotonic(), None
        pause_s = self._poll_s
        try:
            self._ask(client_id)
            pause_s = max(pause_s, (self._clock.monotonic() - began) / _MOST_OF_TIME)
        except ComfyError as error:
            _log.debug("poll of %s: %s", self._url, error)
        self._poll_at = self._clock.monotonic() + pause_s

    def _ask(self, client_id: str | None) -> None:
        queued = self._client.queue()
        for prompt_id, its_client_id in self._watched.begun(queued.running).items():
            if its_client_id == client_id:
                self._suspect()
            self._post(PromptRunning(prompt_id=prompt_id))
        vanished = []
        for prompt_id in self._watched.absent((*queued.running, *queued.pending)):
            result = self._client.history(prompt_id)
            if result is not None:
                self._found(result, client_id)
            elif misses := self._watched.missed(prompt_id):
                self._hint_at = self._soon()  # for the next look
                if misses >= _LOOKS:
                    vanished.append(prompt_id)
        if vanished:
            self._vanished(vanished)

    def _found(self, result: PromptResult, client_id: str | None) -> None:
        watched = self._watched.remove(result.prompt_id)
        if watched is None:
            return
        if watched.client_id == client_id and not watched.over:
            self._suspect()
        self._post(PromptResultFound(result=result))

    def _suspect(self) -> None:
        """The socket should have told something."""
        self._suspicion.rouse(self._clock.monotonic(), self._messages)

    def _vanished(self, prompt_ids: list[str]) -> None:
        forgotten = self._breaks > 0 and self._client.history_is_empty()  # a restart breaks the socket first
        forgotten = forgotten and self._watched.any_seen  # else it never had anything to forget
        removed = ((prompt_id, self._watched.remove(prompt_id)) for prompt_id in prompt_ids)
        gone = {prompt_id: watched.seen for prompt_id, watched in removed if watched is not None}
        if gone and forgotten:
            self._post(ServerRestarted())
        for prompt_id, seen in gone.items():
            self._post(PromptVanished(prompt_id=prompt_id, may_have_run=seen or forgotten))
