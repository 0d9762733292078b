"""What a test left behind: threads, child processes, processes of a home. Linux only, where ``/proc`` tells."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path

from autopod_nb.clock import Deadline, SystemClock

_LOOK_S = 0.02
_CALLS = 6
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Alive:
    """The threads and child processes of this process at one moment."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]

    def since(self, before: Alive) -> tuple[str, ...]:
        """What is here and was not before, in words; daemon threads that are not ours are somebody else's matter."""
        threads = [each for each in self.threads - before.threads if not each.daemon or each.name.startswith("autopod")]
        return (
            *sorted(f"thread {each.name}{_where(each)}" for each in threads),
            *(f"process {pid} ({command_of(pid)})" for pid in sorted(self.children - before.children)),
        )


def _where(thread: threading.Thread) -> str:
    """What a thread is at: the innermost calls, for whoever must find out why it does not end."""
    frame = sys._current_frames().get(thread.ident or 0)
    calls = traceback.extract_stack(frame)[-_CALLS:] if frame is not None else []
    return "".join(f" > {Path(call.filename).name}:{call.lineno} {call.name}" for call in calls)


def alive() -> Alive:
    """Threads and children that live just now. A child that nobody waited for counts."""
    children: set[int] = set()
    for path in _PROC.glob("self/task/*/children"):
        with contextlib.suppress(OSError):  # the thread ended meanwhile
            children.update(int(pid) for pid in path.read_text().split())
    return Alive(frozenset(threading.enumerate()), frozenset(children))


def left_since(before: Alive, within_s: float) -> tuple[str, ...]:
    """What is left after *within_s* seconds at most; empty as soon as nothing is."""
    deadline, pause = Deadline(SystemClock(), within_s), threading.Event()
    while (left := alive().since(before)) and not deadline.passed:
        pause.wait(_LOOK_S)
    return left


def command_of(pid: int) -> str:
    """The command line of a process, for a person."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200] or "over"
    except OSError:
        return "gone"


def processes_of(home: Path) -> set[int]:
    """Every process that carries this ``AUTOPOD_HOME``, but this one."""
    mark = os.fsencode(f"AUTOPOD_HOME={home}")
    found = set()
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile, or somebody else's
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
    return found - {os.getpid()}


def left_of(home: Path, within_s: float) -> set[int]:
    """The processes of a home that still live after *within_s* seconds at most; empty as soon as there is none."""
    deadline, pause = Deadline(SystemClock(), within_s), threading.Event()
    while (left := processes_of(home)) and not deadline.passed:
        pause.wait(_LOOK_S)
    return left
