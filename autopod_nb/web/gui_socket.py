"""Two connections become one: bytes are copied both ways, as they come, for as long as a WebSocket lives.

Frames are not looked at: what a browser and a ComfyUI say to each other is theirs. A side that reads nothing holds
the other back after a quarter of a megabyte, and nothing is kept beyond that.
"""

from __future__ import annotations

import contextlib
import selectors
import socket

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.web.gui_wire import CHUNK_BYTES, Wire

_CLOCK = SystemClock()
_HELD_BYTES = 256 << 10
_LAST_WORDS_S = 10.0  # how long one side may go on when the other has ended


class _Way:
    """One direction."""

    def __init__(self, source: Wire, target: Wire) -> None:
        self.source, self.target = source.sock, target.sock
        self._data = bytearray(source.held())
        self._ended = False
        self.over = False

    @property
    def wants_to_read(self) -> bool:
        return not self._ended and len(self._data) < _HELD_BYTES

    @property
    def wants_to_write(self) -> bool:
        return not self.over and (bool(self._data) or self._ended)

    def read(self) -> None:
        data = self.source.recv(CHUNK_BYTES)
        self._data += data
        self._ended = not data

    def write(self) -> None:
        if self._data:
            del self._data[: self.target.send(self._data)]
        if self._ended and not self._data:
            self.over = True
            self.target.shutdown(socket.SHUT_WR)


def carry(client: Wire, pod: Wire) -> None:
    """Copy both ways until both have ended, one has broken, or :meth:`Lines.end` ends them. Closes neither."""
    ways = (_Way(client, pod), _Way(pod, client))
    last_words: Deadline | None = None
    with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
        for sock in (client.sock, pod.sock):
            sock.settimeout(0)
        while not all(way.over for way in ways):
            if last_words is None and any(way.over for way in ways):
                last_words = Deadline(_CLOCK, _LAST_WORDS_S)
            if last_words is not None and last_words.passed:
                return
            _watch(selector, ways)
            ready = selector.select(None if last_words is None else last_words.left_s())
            masks: dict[object, int] = {key.fileobj: mask for key, mask in ready}
            for way in ways:
                _move(way, masks)


def _watch(selector: selectors.BaseSelector, ways: tuple[_Way, _Way]) -> None:
    """Wait for what each direction wants now."""
    for way, other in (ways, ways[::-1]):
        sock = way.source
        mask = (selectors.EVENT_READ if way.wants_to_read else 0) | (
            selectors.EVENT_WRITE if other.wants_to_write else 0
        )
        now = selector.get_map().get(sock)
        if now is not None and now.events == mask:
            continue
        if now is not None:
            selector.unregister(sock)
        if mask:
            selector.register(sock, mask)


def _move(way: _Way, masks: dict[object, int]) -> None:
    """What one direction can do now."""
    with contextlib.suppress(BlockingIOError):
        if way.wants_to_read and masks.get(way.source, 0) & selectors.EVENT_READ:
            way.read()
        if way.wants_to_write and masks.get(way.target, 0) & selectors.EVENT_WRITE:
            way.write()
