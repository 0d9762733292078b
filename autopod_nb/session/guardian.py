"""The reaper as a session sees it: start it, ask whether it lives, ask it for a pod that it guards.

The reaper is a program of its own (``python -m autopod_nb.reaper``) that holds the lock of ``AUTOPOD_HOME`` as long as
it lives; nothing here imports it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.clock import Clock, Deadline
from autopod_nb.config import Settings

if TYPE_CHECKING:
    from autopod_nb.storage.ledger import Ledger

_log = logging.getLogger(__name__)
LOCK_NAME = "reaper.lock"
HAND_OVER = "adopt"
"""The verb of a command by which another process asks the reaper for a pod."""
_START_WITHIN_S = 5.0  # a shell that only starts something takes milliseconds
_LOOK_S = 0.1
# The shell starts the reaper and ends: so the reaper is nobody's child, and leaves no zombie in a kernel.
_DETACHED = '"$0" "$@" </dev/null >/dev/null 2>&1 &'


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperState:
    """Whether a reaper guards the pods of this ``AUTOPOD_HOME``.

    Attributes:
        running: somebody holds its lock.
        pid: its process id; None if it does not run, or has not said so yet.
        since: when it began, UTC; None likewise.
    """

    running: bool
    pid: int | None = None
    since: datetime | None = None


def ensure_reaper(settings: Settings) -> None:
    """Start the reaper unless it runs. Returns within some 20 ms, never raises; any thread, and as often as one likes.

    It ends by itself when no pod of the ledger may bill any more, so call this after the intent of a pod is written,
    never before; and again now and then while a pod bills, for somebody may have killed it.

    It inherits the environment, keys and all; on its command line there is nothing.

    Args:
        settings: whose ``home`` it guards.
    """
    try:
        if not reaper_state(settings.home).running:
            _start(settings.home)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _log.error("the reaper could not be started: %s", error)


def _start(home: Path) -> None:
    starter = subprocess.Popen(  # noqa: S603 - our own program
        ["/bin/sh", "-c", _DETACHED, sys.executable, "-m", "autopod_nb.reaper"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # neither ^C nor the end of a terminal or of a kernel's group reaches it
        env={**os.environ, "AUTOPOD_HOME": str(home.absolute())},
    )
    try:
        starter.wait(_START_WITHIN_S)
    except subprocess.TimeoutExpired:
        starter.kill()
        starter.wait()
        raise


def reaper_state(home: Path) -> ReaperState:
    """Whether the reaper of this home runs, and since when. Reads one file, asks the kernel for its lock.

    Args:
        home: ``AUTOPOD_HOME``.
    """
    path = home / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # there is none yet, or it is not ours to read
        return ReaperState(running=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(os.read(descriptor, 1000))
    except OSError as error:  # some network file systems cannot; then nobody can hold it, either
        _log.warning("the lock %s cannot be asked for: %s", path, error)
    finally:
        os.close(descriptor)
    return ReaperState(running=False)


def _told(content: bytes) -> ReaperState:
    """What the holder of the lock has written into it; it may be about to write it."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        told = json.loads(content)
        return ReaperState(running=True, pid=int(told["pid"]), since=datetime.fromisoformat(told["since"]))
    return ReaperState(running=True)


def take_back(ledger: Ledger, *, clock: Clock, within_s: float = 5.0) -> tuple[str, ...]:
    """Ask the reaper for the pods that it guards, and wait until it has let go of them. Blocks; any thread.

    What it lets go belongs to nobody for half a minute, in which time the caller adopts it as any other orphan.

    Args:
        ledger: of this home; it is only read, and written to over a connection of its own.
        clock: the time.
        within_s: seconds of that clock to wait at most.

    Returns:
        Our ids of the pods that nobody owns now.

    Raises:
        LedgerError: the ledger cannot be read or written.
    """
    wanted = _guarded(ledger)
    if not wanted:
        return ()
    _ask_for(ledger.path, wanted, clock)
    deadline, pause = Deadline(clock, within_s), threading.Event()
    while (still := _guarded(ledger) & wanted) and not deadline.passed:
        clock.wait(pause, _LOOK_S)
    return tuple(sorted(wanted - still))


def _guarded(ledger: Ledger) -> set[str]:
    from autopod_nb.storage.rows import Role  # noqa: PLC0415 - starting a reaper needs nothing of the storage

    rows = ledger.pods_that_may_bill()
    return {row.pod_id for row in rows if row.lease is not None and row.lease.owner.role is Role.REAPER}


def _ask_for(path: Path, pod_ids: set[str], clock: Clock) -> None:
    from autopod_nb.storage.leases import CommandPosted  # noqa: PLC0415 - as above
    from autopod_nb.storage.ledger import Ledger  # noqa: PLC0415 - as above

    with Ledger(path, clock=clock) as writer:
        writer.write([CommandPosted(pod_id=pod_id, verb=HAND_OVER, at=clock.now()) for pod_id in sorted(pod_ids)])
