"""How long the machine stood still: a process that does nothing but wake up, and tells when it woke up late.

Run as a program it prints a line for each time: when it should have woken, and how much later it did, in seconds of
the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

_EVERY_S = 0.02
_LATE_S = 0.05  # less than that nobody notices


class StallWatch:
    """Listens to such a process until :meth:`close`."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", str(Path(__file__))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._late: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._read, name="stall-watch")
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            due_s, late_s = map(float, line.split())
            self._late.append((due_s, late_s))

    def between(self, begin_s: float, end_s: float) -> float:
        """For how long nothing ran between two moments of the monotonic clock, in seconds."""
        spans = ((max(begin_s, due_s), min(end_s, due_s + late_s)) for due_s, late_s in list(self._late))
        return sum(max(0.0, end - begin) for begin, end in spans)

    def close(self) -> None:
        """End it."""
        self._process.communicate()
        self._thread.join()


def _watch() -> None:
    """Until standard input ends."""
    ended = threading.Event()

    def until_told() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=until_told, daemon=True).start()
    while not ended.is_set():
        due_s = time.monotonic() + _EVERY_S
        ended.wait(_EVERY_S)
        late_s = time.monotonic() - due_s
        if late_s > _LATE_S:
            sys.stdout.write(f"{due_s} {late_s}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _watch()
