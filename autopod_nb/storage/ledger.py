"""The ledger: what was asked for, what came of it, what it cost. One SQLite file, ``AUTOPOD_HOME/ledger.sqlite3``.

What a commit is worth: every batch survives the death of the process (also ``kill -9``), whole or not at all. A batch
with a record that says ``survives_power_loss`` is on the disk when :meth:`Ledger.write` returns, and with it everything
written before; other batches may be lost with the power, newest first (SQLite's WAL mode, ``synchronous`` FULL and
NORMAL).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias, final

from autopod_nb.clock import Clock, default_clock
from autopod_nb.errors import LedgerError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.storage import queries
from autopod_nb.storage.columns import from_micro_usd, to_us
from autopod_nb.storage.copies import Copies, has_lost
from autopod_nb.storage.failures import BUSY_TIMEOUT_S, SQLITE_FAILURES, damaged, is_damage, translated, translation
from autopod_nb.storage.leases import CommandPosted, CommandTaken, LeaseReleased, LeaseRenewed, LeaseTaken
from autopod_nb.storage.locks import alone
from autopod_nb.storage.migrations import migrate
from autopod_nb.storage.private import make_private
from autopod_nb.storage.recovery import Recovery, rebuild
from autopod_nb.storage.rows import ChargeRow, CommandRow, EventRow, JobRow, PodRow, ResultRow
from autopod_nb.storage.writes import (
    ChargeRecorded,
    JobChanged,
    JobRecorded,
    PodChanged,
    PodDetached,
    PodIntent,
    ResultRecorded,
)

_log = logging.getLogger(__name__)

LedgerWrite: TypeAlias = (
    PodIntent
    | PodChanged
    | PodDetached
    | JobRecorded
    | JobChanged
    | ResultRecorded
    | ChargeRecorded
    | LeaseTaken
    | LeaseRenewed
    | LeaseReleased
    | CommandPosted
    | CommandTaken
)
_OF_PODS = (PodIntent, PodChanged)


@final
class Ledger:
    """The ledger of one ``AUTOPOD_HOME``.

    Writing wants :meth:`open` first (or ``with``), and is meant for one thread, the ledger lane. Reading may be done in
    any thread and process, before, beside and after that, over short connections of its own; where there is no file
    yet it finds nothing and makes nothing.

    A file that is damaged is kept aside and rebuilt when a writer meets it; a reader leaves it as it is.

    Args:
        path: of the file.
        clock: the time; the machine's otherwise.

    Attributes:
        recovery: what was done when the ledger was last found damaged by this object; None if it never was.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self.path = path
        self.recovery: Recovery | None = None
        self._clock = clock or default_clock()
        self._copies = Copies(path, self._clock)
        self._opened = False
        self._suspect = False  # a reader has met damage
        self._db: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None  # which one is open
        self._synchronous = ""
        self._lock = threading.Lock()

    def open(self) -> Ledger:
        """Make or open the file for writing and bring it to the newest version. Safe to call twice.

        One that is damaged, or that has lost what its copy holds, is kept aside and rebuilt; :attr:`recovery` says so.

        Raises:
            LedgerError: it cannot be made, opened, understood or rebuilt; the message names it and the fix.
        """
        with self._lock, translated(self.path):
            if self._db is None:
                self._attach()
            self._opened = True
        return self

    def close(self) -> None:
        """Close it. Safe to call twice, in any thread."""
        with self._lock, translated(self.path):
            if self._db is not None:
                self._copies.at_close(self._db)
            self._opened = False
            self._detach()

    def __enter__(self) -> Ledger:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, batch: Sequence[LedgerWrite]) -> None:
        """Apply the records in order: all of them, or none.

        Raises:
            LedgerRefused: a record does not fit what the ledger holds.
            LedgerError: the file can be neither written nor rebuilt.
        """
        with self._lock, translated(self.path):
            if not self._opened:
                raise LedgerError(f"The ledger {self.path} is not open for writing; call open() first.")
            try:
                _apply(self._current(batch), batch)
            except SQLITE_FAILURES as error:
                if not is_damage(error):
                    raise
                self._rebuild()
                _apply(self._current(batch), batch)
            self._copy_after(batch)

    def read_pods(self, *, session_id: str | None = None) -> tuple[PodRow, ...]:
        """All pods, or those of one session, oldest first."""
        with self.reading() as db:
            return queries.pods(db, session_id=session_id)

    def pods_that_may_bill(self) -> tuple[PodRow, ...]:
        """Every pod that is not known to be gone, whoever owns it, oldest first: a stopped one bills its volume."""
        return tuple(pod for pod in self.read_pods() if pod.state is not PodState.TERMINATED)

    def read_jobs(self, *, session_id: str | None = None, open_only: bool = False) -> tuple[JobRow, ...]:
        """All attempts, or those of one session's jobs, or those that are not over, in the order of queuing."""
        with self.reading() as db:
            return queries.jobs(db, session_id=session_id, open_only=open_only)

    def read_results(self, *, session_id: str | None = None) -> tuple[ResultRow, ...]:
        """All results, or those of one session's jobs, in the order of arrival."""
        with self.reading() as db:
            return queries.results(db, session_id=session_id)

    def read_charges(self, *, session_id: str | None = None, pod_id: str | None = None) -> tuple[ChargeRow, ...]:
        """All charges, or those of one session or pod, in the order of booking."""
        with self.reading() as db:
            return queries.charges(db, session_id=session_id, pod_id=pod_id)

    def read_events(self) -> tuple[EventRow, ...]:
        """Every change of state of a pod or a job's attempt, in order."""
        with self.reading() as db:
            return queries.events(db)

    def poll_commands(self, pod_ids: Sequence[str]) -> tuple[CommandRow, ...]:
        """Commands for these pods that nobody has taken, oldest first."""
        with self.reading() as db:
            return queries.commands(db, pod_ids)

    def total_usd(self, kind: MoneyKind, *, since: datetime | None = None, session_id: str | None = None) -> Decimal:
        """The exact sum of the charges of one kind.

        Args:
            kind: real or simulated; nothing adds the two.
            since: only charges that start at this time or later.
            session_id: only those that this session booked.
        """
        with self.reading() as db:
            amount = queries.total_micro_usd(
                db, kind, since_us=None if since is None else to_us(since), session_id=session_id
            )
        return from_micro_usd(amount)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A short connection that cannot write, for one question or for several that belong together.

        Raises:
            LedgerError: the file cannot be read or understood; also for an ``sqlite3.Error`` in the body.
        """
        try:
            with contextlib.closing(self._connect(make=False)) as db:
                db.execute("PRAGMA query_only = ON")
                db.execute("BEGIN")  # so that all questions see the same moment
                yield db
        except (*SQLITE_FAILURES, OSError) as error:
            self._suspect = self._suspect or is_damage(error)  # the next write looks at it
            raise translation(self.path, error) from error
        except (ValueError, TypeError, ArithmeticError) as error:  # a value that we never wrote
            self._suspect = True
            raise damaged(self.path) from error

    def _connect(self, *, make: bool = True) -> sqlite3.Connection:
        """Connect, at the newest version. With *make* unset, a missing file is an empty ledger in memory."""
        name = str(self.path) if make or self.path.exists() else ":memory:"
        db = sqlite3.connect(name, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA foreign_keys = ON")
            if make:
                with alone(self.path.parent):  # two that change it at once would wait for each other
                    db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA fullfsync = ON")  # macOS: what a sync is elsewhere; no effect there
            migrate(db, self.path)
        except BaseException:
            db.close()
            raise
        return db

    # --- which file is open, and whether it is a good one; all of it under the lock ---------------------------------

    def _current(self, batch: Sequence[LedgerWrite]) -> sqlite3.Connection:
        """The connection, set to what the batch wants of a commit; to the file that has the ledger's name now."""
        if self._suspect:
            self._rebuild()
        elif self._db is None or not self._is_same_file():  # another process has rebuilt it
            self._detach()
            self._attach()
        if self._db is None:
            raise LedgerError(f"The ledger {self.path} is not open.")
        mode = "FULL" if any(record.survives_power_loss for record in batch) else "NORMAL"
        if mode != self._synchronous:
            self._db.execute(f"PRAGMA synchronous = {mode}")
            self._synchronous = mode
        return self._db

    def _is_same_file(self) -> bool:
        try:
            return self._file is not None and os.path.samestat(self.path.stat(), self._file)
        except OSError:
            return False

    def _attach(self) -> None:
        """Connect for writing; a ledger that is damaged is rebuilt first."""
        make_private(self.path)
        try:
            if self._has_lost():
                self._rebuild()
            else:
                self._copies.at_open(self._connect_to_write())
        except SQLITE_FAILURES as error:
            if not is_damage(error):
                raise
            self._rebuild()

    def _has_lost(self) -> bool:
        """Looked at before a new ledger would be made of an empty file."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S)) as db:
            return has_lost(db, self.path)

    def _connect_to_write(self) -> sqlite3.Connection:
        self._file, self._synchronous = self.path.stat(), ""
        self._db = self._connect()
        return self._db

    def _detach(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _rebuild(self) -> None:
        """Rebuild the ledger if it is damaged, and connect to what is there then."""
        try:
            recovery = rebuild(self.path, self._clock.now())
        finally:
            self._detach()  # not before: SQLite would tidy up in the damaged file
        self._suspect = False
        db = self._connect_to_write()
        if recovery is not None:
            self.recovery = recovery
            _log.warning("%s", recovery)
            self._copies.make(db)

    def _copy_after(self, batch: Sequence[LedgerWrite]) -> None:
        if self._db is None:
            return
        try:
            self._copies.after_write(self._db, pods_changed=any(isinstance(record, _OF_PODS) for record in batch))
        except SQLITE_FAILURES as error:
            self._suspect = is_damage(error)  # the batch is written; the next one begins with the rebuilding


def _apply(db: sqlite3.Connection, batch: Sequence[LedgerWrite]) -> None:
    """All records in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for record in batch:
            record.apply(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # some failures, a full disk among them, have already rolled back
            db.execute("ROLLBACK")
        raise
