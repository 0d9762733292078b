"""The supervisor: holds the lock, keeps one worker alive, ends when the worker says that nothing is left.

It does as little as it can, so that nothing can go wrong in it. Should it be killed all the same, its worker becomes
the supervisor, with the lock that both of them have.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from autopod_nb.clock import Clock
from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import LedgerError
from autopod_nb.reaper.lock import ReaperLock, acquire

_log = logging.getLogger(__name__)
PROGRAM = (sys.executable, "-m", "autopod_nb.reaper")
_BACKOFF_S = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)  # a guess: at once first, for pods on this machine live 15 s
_WELL_S = 120.0  # a worker that has lived so long was well: the next begins with the shortest pause
_END_WITHIN_S = 30  # lanes and lines of every guard, each within seconds


class Supervisor:
    """Runs workers, one after another. Used by the main thread, which gets its signals.

    Args:
        lock: held; released in the end.
        home: ``AUTOPOD_HOME``.
        clock: the time.
        options: for the worker.
        once: do not look again when the worker has ended.
    """

    def __init__(self, lock: ReaperLock, *, home: Path, clock: Clock, options: Sequence[str], once: bool) -> None:
        self._lock = lock
        self._home = home
        self._clock = clock
        self._options = options
        self._once = once
        self._stop = threading.Event()
        self._worker: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Until nothing is left to guard, or SIGTERM, which the worker is told, too."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)
        self._lock.note(os.getpid(), self._clock.now())
        failures = 0
        while not self._stop.is_set():
            began_s = self._clock.monotonic()
            code = self._run_worker()
            if code == 0:
                if self._is_really_over():
                    return
                failures = 0
            elif not self._stop.is_set():
                failures = 0 if self._clock.monotonic() - began_s > _WELL_S else failures
                pause_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
                failures += 1
                _log.error("the worker ended with %d; the next one starts in %g s", code, pause_s)
                self._clock.wait(self._stop, pause_s)
        self._lock.release()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()
        signal.alarm(_END_WITHIN_S)
        if self._worker is not None:
            self._worker.terminate()

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        """It was told to end and does not."""
        if self._worker is not None:
            self._worker.kill()

    def _run_worker(self) -> int:
        """Returns how it ended: 0 when nothing is left to guard."""
        fd = self._lock.descriptor
        command = [*PROGRAM, "--worker-of", str(os.getpid()), "--lock-fd", str(fd), *self._options]
        self._worker = worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[fd])  # noqa: S603 - ours
        _log.info("worker %d runs", worker.pid)
        if self._stop.is_set():  # the signal came before there was anybody to tell it
            worker.terminate()
        return worker.wait()

    def _is_really_over(self) -> bool:
        """Give the lock up, and look once more.

        Whoever rents a pod writes that down first and asks for the lock then; here it is the other way round, so one
        of the two sees the other, and no pod falls between the worker's last look and the end of this process.
        """
        self._lock.release()
        if self._once or not self._may_bill():
            return True
        lock = acquire(self._home)
        if lock is None:
            return True  # another reaper is there already
        self._lock = lock
        self._lock.note(os.getpid(), self._clock.now())
        return False

    def _may_bill(self) -> bool:
        from autopod_nb.storage.glance import pod_ids_that_may_bill  # noqa: PLC0415 - needed once, in the end

        try:
            return bool(pod_ids_that_may_bill(self._home / LEDGER_NAME))
        except LedgerError:
            return True  # silence is never "nothing bills"
