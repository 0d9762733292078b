"""The lock that makes it one reaper a home."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from datetime import datetime
from pathlib import Path

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.session.guardian import LOCK_NAME

_TRY_S = 0.3  # who only asks whether somebody holds it has it for some microseconds
_PAUSE_S = 0.02


class ReaperLock:
    """``AUTOPOD_HOME/reaper.lock``, an advisory lock of the whole file, with a line in it that says who holds it.

    The lock belongs to the open file, not to a process: supervisor and worker have the same, and it is free when the
    last of them is gone, however they ended. So between the death of one and what the other does about it nobody else
    gets it. The file is never removed, for then two could hold one each.

    Args:
        descriptor: of the open and locked file.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def note(self, pid: int, since: datetime) -> None:
        """Say who holds it."""
        line = json.dumps({"pid": pid, "since": since.isoformat()}).encode() + b"\n"
        with contextlib.suppress(OSError):  # a full disk: it is held all the same
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, line, 0)

    def release(self) -> None:
        """Give it up, also for others that have it from us. Safe to call twice."""
        if self.descriptor >= 0:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            os.close(self.descriptor)
            self.descriptor = -1


def acquire(home: Path) -> ReaperLock | None:
    """Take the lock of a home, which is made if need be.

    Returns:
        None when another reaper holds it.

    Raises:
        OSError: the home cannot be made or written to.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline, pause = Deadline(SystemClock(), _TRY_S), threading.Event()
    try:
        while not (taken := _try(descriptor)) and not deadline.passed:
            pause.wait(_PAUSE_S)
    except OSError:
        os.close(descriptor)
        raise
    if taken:
        return ReaperLock(descriptor)
    os.close(descriptor)
    return None


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
