"""``python -m autopod_nb.reaper``: guards the pods of ``AUTOPOD_HOME`` when the process that rented them is gone.

Started by ``session/guardian.py`` and by nobody else, as a rule. Ends at once, and quietly, when there is one already.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from autopod_nb.clock import default_clock
from autopod_nb.config import read_home
from autopod_nb.reaper.journal import open_journal
from autopod_nb.reaper.lock import ReaperLock, acquire
from autopod_nb.reaper.supervisor import PROGRAM, Supervisor

_log = logging.getLogger("autopod_nb.reaper")
_TOLD_TO_END = 128 + signal.SIGTERM  # as a shell counts it: not 0, for pods may be left


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m autopod_nb.reaper", description=__doc__, allow_abbrev=False)
    parser.add_argument("--once", action="store_true", help="end what nobody owns now, and do not wait for the rest")
    parser.add_argument("--linger", type=float, metavar="SECONDS", help="end when nothing may bill for so long")
    parser.add_argument("--lock-fd", type=int, help=argparse.SUPPRESS)  # the lock, held already
    parser.add_argument("--worker-of", type=int, metavar="PID", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Be the supervisor, or one of its workers.

    Returns:
        The exit status: 0 when nothing is left to guard, or another reaper guards it.
    """
    args = _parse(argv)
    home = read_home()
    options = ["--once"] if args.once else []
    options += [] if args.linger is None else ["--linger", str(args.linger)]
    if args.worker_of is not None:
        return _work(args, home, options)
    lock = acquire(home) if args.lock_fd is None else ReaperLock(args.lock_fd)
    if lock is None:
        return 0
    with suppress(OSError):  # without a log it guards all the same
        open_journal(home, rotates=False)
    _log.info("the reaper of %s begins", home)
    Supervisor(lock, home=home, clock=default_clock(), options=options, once=args.once).run()
    _log.info("the reaper of %s ends", home)
    return 0


def _work(args: argparse.Namespace, home: Path, options: Sequence[str]) -> int:
    """Guard, until nothing is left; or until the supervisor is gone, whose place is taken then."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    with suppress(OSError):
        open_journal(home, rotates=True)
    # it takes ten times as long to load as the supervisor, and may fail
    from autopod_nb.reaper.loop import LINGER_S, Loop, Outcome  # noqa: PLC0415

    linger_s = LINGER_S if args.linger is None else args.linger
    loop = Loop(home, clock=default_clock(), linger_s=linger_s, once=args.once)
    outcome = loop.run(stop, orphaned=lambda: os.getppid() != args.worker_of)
    _log.info("worker %d ends: %s", os.getpid(), outcome.value)
    if outcome is Outcome.ORPHANED:
        # The lock stays with this process all the time, so there is neither a gap nor a second reaper.
        os.set_inheritable(args.lock_fd, True)  # noqa: FBT003 - Python's own signature
        os.execv(PROGRAM[0], [*PROGRAM, "--lock-fd", str(args.lock_fd), *options])  # noqa: S606 - our own program
    return 0 if outcome is Outcome.NOTHING_LEFT else _TOLD_TO_END


if __name__ == "__main__":
    sys.exit(main())
