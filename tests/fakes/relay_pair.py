"""One connection through the relay: what is under way in it, each way. Belongs to the relay's thread."""

from __future__ import annotations

import selectors
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

_PIECE_BYTES = 256 << 10
_HELD_BYTES = 16 << 20  # under way at most, as the windows of a long line allow
_LUMP_S = 0.01  # a narrow line passes its bytes in lumps of so much time
_LEAST_HELD = 64 << 10
RESET = b"\1\0\0\0\0\0\0\0"
"""Linger on, for no time: closing sends a reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One way of the line.

    Attributes:
        delay_s: how long a byte is under way.
        bytes_per_s: what passes at most; None for no bound.
    """

    delay_s: float = 0.0
    bytes_per_s: float | None = None

    @property
    def piece_bytes(self) -> int:
        """What is taken at once."""
        if self.bytes_per_s is None:
            return _PIECE_BYTES
        return max(1, min(_PIECE_BYTES, int(self.bytes_per_s * _LUMP_S)))

    @property
    def room_bytes(self) -> int:
        """What may be under way."""
        if self.bytes_per_s is None:
            return _HELD_BYTES
        return min(_HELD_BYTES, max(_LEAST_HELD, int(self.bytes_per_s * (self.delay_s + 10 * _LUMP_S))))


class Way:
    """From one socket to the other."""

    def __init__(self, source: socket.socket, sink: socket.socket, line: Line) -> None:
        self.source, self.sink, self.line = source, sink, line
        self.passed = 0
        self.ended = False  # the source has said that it has no more
        self.torn = False  # or was reset: what it had sent before still arrives
        self.told = False  # and the sink knows
        self.blocked = False  # the sink takes no more for now
        self._held: deque[tuple[float, memoryview]] = deque()
        self._held_bytes = 0
        self._free_s = 0.0  # when a narrow line has passed what it has taken

    @property
    def wants(self) -> bool:
        """Whether there is room for more."""
        return not self.ended and self._held_bytes < self.line.room_bytes

    @property
    def due_s(self) -> float:
        """When something arrives next; never, while the sink takes nothing."""
        return self._held[0][0] if self._held and not self.blocked else float("inf")

    def take(self, now_s: float) -> None:
        """Take what the source has."""
        try:
            data = self.source.recv(self.line.piece_bytes)
        except BlockingIOError:
            return
        except OSError:
            self.ended = self.torn = True
            return
        if not data:
            self.ended = True
            return
        sent_s = now_s
        if self.line.bytes_per_s is not None:
            sent_s = self._free_s = max(self._free_s, now_s) + len(data) / self.line.bytes_per_s
        self._held.append((sent_s + self.line.delay_s, memoryview(data)))
        self._held_bytes += len(data)

    def give(self, now_s: float, most: int | None) -> None:
        """Give the sink what has arrived, at most so many bytes; when all has, its end.

        Raises:
            OSError: nobody is there to take it.
        """
        self.blocked = False
        while self._held and self._held[0][0] <= now_s and most != 0:
            due_s, data = self._held[0]
            try:
                sent = self.sink.send(data if most is None else data[:most])
            except BlockingIOError:
                self.blocked = True
                return
            self.passed += sent
            self._held_bytes -= sent
            most = None if most is None else most - sent
            if sent == len(data):
                self._held.popleft()
            else:
                self._held[0] = (due_s, data[sent:])
        if self.ended and not (self.torn or self._held or self.told):
            self.told = True
            self.sink.shutdown(socket.SHUT_WR)

    @property
    def holds(self) -> bool:
        """Whether something is under way."""
        return bool(self._held)

    def tear(self) -> None:
        """The sink is gone."""
        self.forget()
        self.ended = self.torn = True

    def forget(self) -> None:
        """Lose what is under way."""
        self._held.clear()
        self._held_bytes = 0
        self.blocked = False


class Pair:
    """A connection and its other half.

    Args:
        near: to the client.
        far: to the server.
        up: the way to the server.
        down: the way back.

    Attributes:
        stalled: nothing passes for now.
    """

    def __init__(self, near: socket.socket, far: socket.socket, *, up: Line, down: Line) -> None:
        self.socks = (near, far)
        for sock in self.socks:
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._up, self._down = Way(near, far, up), Way(far, near, down)
        self.stalled = self._finished = self._broken = False

    @property
    def over(self) -> bool:
        """Whether there is nothing more to carry."""
        return self._broken or all(way.ended and way.told for way in (self._up, self._down))

    @property
    def due_s(self) -> float:
        """When something arrives next."""
        return float("inf") if self.stalled else min(self._up.due_s, self._down.due_s)

    def passed(self, *, down: bool) -> int:
        """Bytes that have arrived, one way."""
        return (self._down if down else self._up).passed

    def shape(self, up: Line, down: Line) -> None:
        """Another kind of line from now on."""
        self._up.line, self._down.line = up, down

    def stall(self) -> None:
        """Carry nothing."""
        self.stalled = True

    def resume(self) -> None:
        """Go on."""
        self.stalled = False

    def masks(self) -> dict[socket.socket, int]:
        """What the selector is to look for at each socket."""
        masks = dict.fromkeys(self.socks, 0)
        if not self.stalled:
            for way in (self._up, self._down):
                masks[way.source] |= selectors.EVENT_READ if way.wants else 0
                masks[way.sink] |= selectors.EVENT_WRITE if way.blocked else 0
        return masks

    def carry(self, ready: set[object], now_s: float, *, most_up: int | None, most_down: int | None) -> None:
        """Take what there is at the sockets that are *ready*, and give what has arrived."""
        if self.stalled:
            return
        for way, most in ((self._up, most_up), (self._down, most_down)):
            if way.source in ready and way.wants:
                way.take(now_s)
            try:
                if self._finished:
                    way.forget()
                else:
                    way.give(now_s, most)
            except OSError:
                way.tear()
        if any(way.torn for way in (self._up, self._down)) and not (self._up.holds or self._down.holds):
            self.reset()  # one side is gone without a goodbye, and all that it had sent before is delivered

    def finish(self) -> None:
        """Tell both sides that there is no more; what they still say is lost."""
        self.stalled, self._finished = False, True
        for way in (self._up, self._down):
            way.forget()
            way.told = True
        for sock in self.socks:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break both sides off."""
        self._broken = True
        for sock in self.socks:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def close(self) -> None:
        """Close both sockets."""
        for sock in self.socks:
            sock.close()
