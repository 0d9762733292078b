"""Ends waits of paramiko's that have no bound of their own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import paramiko

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.threads import ServiceThread

_LOOK_S = 0.2
_JOIN_S = 2.0
_REAL_TIME = SystemClock()  # what waits here waits in real time, whatever a test's clock says


@contextlib.contextmanager
def alarm(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Call *action* once, in a thread, if the block takes longer than *seconds*."""
    timer = threading.Timer(seconds, action)
    timer.name, timer.daemon = "autopod-ssh-alarm", True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join(_JOIN_S)


@contextlib.contextmanager
def channel_alarm(channel: paramiko.Channel, transport: paramiko.Transport, seconds: float) -> Iterator[None]:
    """Wake whoever waits for the pod's word at *channel*: after *seconds*, or soon after the transport's end.

    paramiko sets the channel's event when the transport ends, but a request that begins at that moment clears it
    again and then waits for ever, and to close a channel that is closed wakes nobody.
    """
    deadline = Deadline(_REAL_TIME, seconds)

    def watch(stop: threading.Event) -> None:
        while not stop.wait(_LOOK_S):
            if deadline.passed:
                channel.close()
            if deadline.passed or not transport.is_active():
                channel.event.set()

    thread = ServiceThread("autopod-ssh-alarm", watch).start()
    try:
        yield
    finally:
        thread.stop()
        thread.join(_JOIN_S)
