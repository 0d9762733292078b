"""Reading the past of a stream that never ends: it is over where nothing comes for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import requests

from autopod_nb.clock import Deadline, SystemClock

_FIRST_S = 2.0  # until the first line comes; a guess
_QUIET_S = 0.75  # the past comes in one burst; what RunPod's own program waits
_WHOLE_S = 8.0  # a pod that talks without a pause; a guess
_MOST_BYTES = 16 * 1024 * 1024  # 5000 lines are seldom 1 MB; a guess
_CHUNK_BYTES = 64 * 1024


def past_lines(
    response: requests.Response, *, first_s: float = _FIRST_S, quiet_s: float = _QUIET_S, whole_s: float = _WHOLE_S
) -> Iterator[bytes]:
    """The lines that have come when the stream falls silent, each without its end.

    Args:
        response: its body is not read yet; the caller closes it.
        first_s: the longest silence before the first line.
        quiet_s: the longest silence after it.
        whole_s: for all of it.
    """
    rest, size = b"", 0
    deadline = Deadline(SystemClock(), whole_s)
    _bound_silence(response, first_s)
    with suppress(requests.RequestException):  # silence is the end, and so is a line that breaks
        for chunk in response.iter_content(_CHUNK_BYTES):
            _bound_silence(response, quiet_s)
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            size += len(chunk)
            if deadline.passed or size > _MOST_BYTES:
                return


def _bound_silence(response: requests.Response, seconds: float) -> None:
    """Until now the time-out was that of an answer's begin, which may take longer."""
    sock = getattr(getattr(response.raw, "connection", None), "sock", None)
    if sock is not None:
        sock.settimeout(seconds)
