"""The guard: a small process that outlives a killed pod just long enough to end its children.

It reads lines ``+GROUP`` and ``-GROUP`` (process groups that began and ended) from its standard input, which is a pipe
from the pod. The kernel closes that pipe however the pod ends; the guard then kills every group that is left and, where
there is a ``/proc``, every process that carries a mark of the pod, for a command may have left its group.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

_SWEEPS = 20  # a process may fork while it is looked for; a sweep that finds nothing is the last


def _marked(marks: frozenset[bytes]) -> list[int]:
    """Processes whose environment holds one of *marks*, this one left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):  # ended meanwhile, or somebody else's
            pid = int(entry.name)
            if pid != os.getpid() and not marks.isdisjoint((entry / "environ").read_bytes().split(b"\0")):
                found.append(pid)
    return found


def _kill_all(groups: set[int], marks: frozenset[bytes]) -> None:
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(_SWEEPS):
        strays = _marked(marks)
        for pid in strays:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not strays:
            break


def main(marks: list[str]) -> None:
    """Follow the pod until its pipe closes, then kill what is left. Each of *marks* is ``NAME=VALUE``."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # its end is the end of the pipe and nothing else
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    _kill_all(groups, frozenset(map(os.fsencode, marks)))


if __name__ == "__main__":
    main(sys.argv[1:])
