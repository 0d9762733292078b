"""A line to one server on this machine, with the faults of a real one: delay, little room, cuts, silence, another port.

One thread moves all bytes. Every method may be called in any thread and has taken effect when it returns; what it
returns is the moment of that by :func:`clock_s`. As a program it is a line without faults, for measurements beside
programs that must not share an interpreter with it: ``python -m tests.fakes.relay PORT DELAY_MS`` prints its port and
ends with its standard input.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from tests.fakes.relay_pair import RESET, Line, Pair
from tests.fakes.runpod_forwarder import listen_elsewhere

__all__ = ["Line", "Relay", "clock_s"]
_HOST = "127.0.0.1"
_DIAL_S = 5.0
_ANSWER_S = 20.0
_IDLE_S = 3600.0


def clock_s() -> float:
    """The relay's clock, monotonic seconds."""
    return time.monotonic()


@dataclass
class _Doom:
    """Where the line is cut: when so many bytes have come down, or gone up."""

    bytes_left: int
    down: bool
    came_at: Future[float]


class Relay:
    """Listens on a free port of loopback and carries each connection to *target*.

    Args:
        target: port of the server, on this machine.
        delay_s: how long a byte is under way, each way.
        bytes_per_s: what passes at most, each way; None for no bound.

    Attributes:
        port: where it listens now.
        accepted: connections that were carried so far.
    """

    def __init__(self, target: int, *, delay_s: float = 0.0, bytes_per_s: float | None = None) -> None:
        self._target = target
        self._up = self._down = Line(delay_s=delay_s, bytes_per_s=bytes_per_s)
        self._listener = listen_elsewhere(None)
        self._listener.settimeout(0)
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self._passed = {True: 0, False: 0}  # down → bytes, of pairs that are gone
        self._pairs: list[Pair] = []
        self._refuses = self._holds = False
        self._ended = threading.Event()
        self._doom: _Doom | None = None
        self._calls: list[tuple[Callable[[], None], Future[float]]] = []
        self._lock = threading.Lock()
        self._woken, self._waker = socket.socketpair()
        self._woken.settimeout(0)
        self._selector = selectors.DefaultSelector()
        self._masks: dict[socket.socket, int] = {}
        self._thread = threading.Thread(target=self._run, name=f"relay-{self.port}")
        self._thread.start()

    # --- what it does to the line -------------------------------------------------------------------------------------

    def shape(self, *, up: Line | None = None, down: Line | None = None) -> float:
        """Give the line another delay or room, one way or both; what is under way keeps the old one."""

        def change() -> None:
            self._up, self._down = up or self._up, down or self._down
            for pair in self._pairs:
                pair.shape(self._up, self._down)

        return self._do(change)

    def cut(self, *, reset: bool = True) -> float:
        """End every open connection on both sides: with a reset, or as if each side had said goodbye."""
        return self._do(lambda: self._cut(reset=reset))

    def stall(self) -> float:
        """Let nothing pass through the connections that are open now, and close none. New ones work."""
        return self._do(lambda: self._each(Pair.stall))

    def resume(self) -> float:
        """Let the stalled connections go on, with all that was kept back, also where a side has given up meanwhile."""
        return self._do(lambda: self._each(Pair.resume))

    def hold(self) -> float:
        """Let nothing pass, new connections included, and lose nothing: TCP would send it all again."""
        return self._do(lambda: self._set(holds=True))

    def release(self) -> float:
        """End :meth:`hold`."""
        return self._do(lambda: self._set(holds=False))

    def refuse(self) -> float:
        """Reset every new connection."""
        return self._do(lambda: self._set(refuses=True))

    def admit(self) -> float:
        """End :meth:`refuse`."""
        return self._do(lambda: self._set(refuses=False))

    def move(self) -> float:
        """Listen on another port; at the old one nobody is any more. Open connections stay."""

        def change() -> None:
            old, self._listener = self._listener, listen_elsewhere(self.port)
            self._listener.settimeout(0)
            self._watch(old, 0)
            old.close()
            self.port = self._listener.getsockname()[1]

        return self._do(change)

    def cut_after(self, count: int, *, down: bool = True) -> Future[float]:
        """Cut the line with a reset once *count* more bytes have come down (or gone up), not one byte later.

        Returns:
            When that happens.
        """
        came_at: Future[float] = Future()
        self._do(lambda: self._set(doom=_Doom(count, down, came_at)))
        return came_at

    # --- what one can know ----------------------------------------------------------------------------------------

    @property
    def bytes_down(self) -> int:
        """What has come from the server so far."""
        return self._passed[True] + sum(pair.passed(down=True) for pair in list(self._pairs))

    @property
    def bytes_up(self) -> int:
        """What has gone to the server so far."""
        return self._passed[False] + sum(pair.passed(down=False) for pair in list(self._pairs))

    @property
    def open_count(self) -> int:
        """Connections that are open, stalled ones included."""
        return len(self._pairs)

    def close(self) -> None:
        """Cut everything and end. Safe to call twice."""
        if self._ended.is_set():
            return
        with suppress(RuntimeError):  # it ended by itself
            self._do(self._ended.set)
        self._thread.join(_ANSWER_S)
        self._waker.close()

    def __enter__(self) -> Relay:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- the thread -----------------------------------------------------------------------------------------------

    def _do(self, call: Callable[[], None]) -> float:
        """Have the thread do it. Returns when that was."""
        if not self._thread.is_alive():
            raise RuntimeError("the relay has ended")
        done: Future[float] = Future()
        with self._lock:
            self._calls.append((call, done))
        with suppress(BrokenPipeError):  # something else woke the thread, and it has done it and ended
            self._waker.send(b"x")
        return done.result(_ANSWER_S)

    def _run(self) -> None:
        self._selector.register(self._woken, selectors.EVENT_READ)
        try:
            while not self._ended.is_set():
                self._watch_all()
                ready: set[object] = {key.fileobj for key, _ in self._selector.select(self._rest_s())}
                self._answer_calls()
                if not (self._ended.is_set() or self._holds):
                    if self._listener in ready:
                        self._accept()
                    self._carry(ready)
        finally:
            self._ended.set()
            self._cut(reset=True)
            self._listener.close()
            self._selector.close()
            self._woken.close()

    def _answer_calls(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)
        with self._lock:
            calls, self._calls = self._calls, []
        for call, done in calls:
            call()
            done.set_result(clock_s())

    def _rest_s(self) -> float:
        """How long nothing is due."""
        if self._holds:
            return _IDLE_S
        due_s = min((pair.due_s for pair in self._pairs), default=float("inf"))
        return min(_IDLE_S, max(0.0, due_s - clock_s()))

    def _watch_all(self) -> None:
        masks: dict[socket.socket, int] = {self._listener: 0 if self._holds else selectors.EVENT_READ}
        for pair in self._pairs:
            masks.update(dict.fromkeys(pair.socks, 0) if self._holds else pair.masks())
        for sock, mask in masks.items():
            self._watch(sock, mask)

    def _watch(self, sock: socket.socket, mask: int) -> None:
        before = self._masks.get(sock, 0)
        if mask == before:
            return
        if not mask:
            self._selector.unregister(sock)
            del self._masks[sock]
            return
        (self._selector.modify if before else self._selector.register)(sock, mask)
        self._masks[sock] = mask

    def _accept(self) -> None:
        with suppress(OSError):  # whoever knocked is gone again
            near, _ = self._listener.accept()
            if self._refuses:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                near.close()
                return
            try:
                far = socket.create_connection((_HOST, self._target), timeout=_DIAL_S)
            except OSError:
                near.close()
                return
            self.accepted += 1
            self._pairs.append(Pair(near, far, up=self._up, down=self._down))

    def _carry(self, ready: set[object]) -> None:
        for pair in list(self._pairs):
            room = self._doom.bytes_left if self._doom is not None else None
            down = self._doom is not None and self._doom.down
            before = pair.passed(down=down)
            pair.carry(ready, clock_s(), most_down=room if down else None, most_up=None if down else room)
            if self._doom is not None:
                self._doom.bytes_left -= pair.passed(down=down) - before
                if self._doom.bytes_left <= 0:
                    self._cut(reset=True)
                    self._doom.came_at.set_result(clock_s())
                    self._doom = None
                    return
            if pair.over:
                self._drop(pair)

    def _cut(self, *, reset: bool) -> None:
        for pair in list(self._pairs):
            if reset:
                pair.reset()
                self._drop(pair)
            else:
                pair.finish()

    def _drop(self, pair: Pair) -> None:
        for sock in pair.socks:
            self._watch(sock, 0)
        pair.close()
        self._pairs.remove(pair)
        for down in (True, False):
            self._passed[down] += pair.passed(down=down)

    def _each(self, change: Callable[[Pair], None]) -> None:
        for pair in self._pairs:
            change(pair)

    def _set(self, *, holds: bool | None = None, refuses: bool | None = None, doom: _Doom | None = None) -> None:
        self._holds = self._holds if holds is None else holds
        self._refuses = self._refuses if refuses is None else refuses
        self._doom = doom or self._doom


if __name__ == "__main__":
    with Relay(int(sys.argv[1]), delay_s=float(sys.argv[2]) / 1000) as found:
        sys.stdout.write(f"{found.port}\n")
        sys.stdout.flush()
        sys.stdin.read()
