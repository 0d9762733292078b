"""The socket under an SSH connection: what came over it, and when."""

from __future__ import annotations

import contextlib
import socket
import struct
import time

_AHEAD_BYTES = 16 << 10
_NO_TIME = struct.pack("ii", 1, 0)  # to linger: closing is a reset then, and what waits is dropped


class CountedSocket(socket.socket):
    """A socket that counts what comes in, and knows when something came last.

    An SSH packet is read in two pieces. What has come is taken at once and kept for the next piece: with many pods that
    tell a little many times a second, half of all reading was waiting for what was there already.
    """

    bytes_received = 0
    _heard_s = 0.0
    _kept, _kept_from = b"", 0

    @property
    def silent_s(self) -> float:
        """For how long nothing has come, in seconds."""
        return time.monotonic() - self._heard_s

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As every socket does; for one thread at a time."""
        begin = self._kept_from
        if begin < len(self._kept):
            self._kept_from = min(len(self._kept), begin + size)
            return self._kept[begin : self._kept_from]
        data = super().recv(max(size, _AHEAD_BYTES), flags)
        self.bytes_received += len(data)
        self._heard_s = time.monotonic()
        if len(data) <= size:
            return data
        self._kept, self._kept_from = data, size
        return data[:size]

    def close(self) -> None:
        """As every socket; and whoever waits at it is woken at once. Safe to call twice, in any thread."""
        with contextlib.suppress(OSError):  # not connected any more
            self.shutdown(socket.SHUT_RDWR)
        super().close()

    def drop_unsent(self) -> None:
        """Let it end without a goodbye when it is closed; what waits to be sent is dropped. Safe at any time."""
        with contextlib.suppress(OSError):  # closed already
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_TIME)
