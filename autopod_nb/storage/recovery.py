"""A damaged ledger is kept aside, and a new one is built of its copy and of all that can still be read.

Until the new one is whole and on the disk, nothing is changed: a recovery that fails or is killed leaves everything as
it was. Nothing is ever written to the damaged file; it is read in a copy of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from autopod_nb.errors import LedgerError
from autopod_nb.models.pod import PodState
from autopod_nb.storage.copies import check_sound, copy_made, copy_path, has_lost, open_copy
from autopod_nb.storage.failures import SQLITE_FAILURES, is_damage
from autopod_nb.storage.locks import alone
from autopod_nb.storage.migrations import SCRIPTS, check_ours, migrate, version
from autopod_nb.storage.orphans import mend
from autopod_nb.storage.salvage import Salvaged, makes_sense, salvage

_BESIDE = ("-wal", "-shm")  # SQLite's own files of a database


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was done about a damaged ledger; as text, one line for a person.

    Attributes:
        path: of the ledger.
        damaged: where the damaged file is kept.
        copied: when the copy was made that it was rebuilt from, UTC; None if there was none that could be used.
        read: rows that could still be read of the damaged file.
        refused: rows that could be read, but made no sense.
        may_bill: pods that are not known to be gone.
    """

    path: Path
    damaged: Path
    copied: datetime | None
    read: int
    refused: int
    may_bill: int

    def __str__(self) -> str:
        copy = f"its copy of {self.copied:%Y-%m-%d %H:%M:%S} UTC and " if self.copied else ""
        refused = f", without {self.refused} that made no sense" if self.refused else ""
        pods = "1 pod" if self.may_bill == 1 else f"{self.may_bill} pods"
        return (
            f"The ledger {self.path} was damaged. It is rebuilt from {copy}{self.read} rows that could still be read"
            f"{refused}; what is newer may be missing. The damaged file is kept as {self.damaged.name}. "
            f"{pods} in it may still bill: `%autopod pods`."
        )


def rebuild(path: Path, now: datetime) -> Recovery | None:
    """Look whether a ledger is damaged, and rebuild it.

    Who has it open had better close it afterwards: a process that goes on writing writes to the file that is kept
    aside. :class:`Ledger` looks before each batch.

    Args:
        path: of the ledger.
        now: UTC, for the name of the damaged file.

    Returns:
        What was done; None if it is sound, for example because another process was faster.

    Raises:
        LedgerError: it cannot be rebuilt, or is of a newer release; nothing was changed.
    """
    try:
        with alone(path.parent):
            if _is_sound(path):
                return None
            with _workshop(path) as folder:
                return _rebuild(path, folder, now)
    except (*SQLITE_FAILURES, OSError) as error:
        raise LedgerError(
            f"The ledger {path} is damaged and cannot be rebuilt ({error}). Nothing was changed, and its copy is "
            f"{copy_path(path)}: look at the space on the disk and try again."
        ) from error


def _is_sound(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            check_sound(db, every_index=True)
            if has_lost(db, path):
                return False
            migrate(db, path)
            return makes_sense(db)
    except SQLITE_FAILURES as error:
        if is_damage(error):
            return False
        raise


@contextlib.contextmanager
def _workshop(path: Path) -> Iterator[Path]:
    """A folder on the same disk; also takes away one that a killed process left."""
    prefix = f"{path.name}.rebuild-"
    for left in path.parent.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rebuild(path: Path, folder: Path, now: datetime) -> Recovery:
    new = folder / "new"
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as db:
        copied, found = _fill(db, path, folder)
        if copied is None and not found.taken:
            raise LedgerError(
                f"The ledger {path} is damaged, and there is nothing to rebuild it from: nothing of it can be read, "
                f"and its copy {copy_path(path)} is {'damaged, too' if copy_path(path).exists() else 'missing'}. "
                "Nothing was changed: move them away, and a new ledger is begun. Look at your provider's own page for "
                "pods that still bill."
            )
        check_sound(db)
        gone = PodState.TERMINATED.value
        may_bill = db.execute("SELECT count(*) FROM pods WHERE state <> ?", (gone,)).fetchone()[0]
    new.chmod(0o600)
    damaged = _keep_aside(path, now)
    new.replace(path)
    _sync(path.parent)
    return Recovery(
        path=path, damaged=damaged, copied=copied, read=found.taken, refused=found.refused, may_bill=may_bill
    )


def _fill(db: sqlite3.Connection, path: Path, folder: Path) -> tuple[datetime | None, Salvaged]:
    """The new ledger. Returns when the copy was made that it began with, and what was read of the rest."""
    copied = copy_made(path) if _begin_with_copy(db, path) else None
    migrate(db, path)
    db.execute("PRAGMA foreign_keys = OFF")
    triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    db.execute("BEGIN IMMEDIATE")
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")
    taken = refused = 0
    for source in _sources(path, folder, with_copy=copied is None):
        found = salvage(source, db, whole=copied is not None)
        taken, refused = taken + found.taken, refused + found.refused
    refused += mend(db)
    for _, sql in triggers:
        db.execute(sql)
    db.execute("COMMIT")
    return copied, Salvaged(taken=taken, refused=refused)


def _begin_with_copy(db: sqlite3.Connection, path: Path) -> bool:
    """Whether there is a sound copy."""
    try:
        with open_copy(path) as copy:
            check_sound(copy)
            if not makes_sense(copy):
                return False
            copy.backup(db)
    except SQLITE_FAILURES as error:
        if is_damage(error) or "unable to open" in str(error):
            return False
        raise
    return version(db) > 0


def _sources(path: Path, folder: Path, *, with_copy: bool) -> Iterator[sqlite3.Connection]:
    """What there is to read from: the damaged file, and before it its copy if that is damaged, too."""
    for original, name in ((copy_path(path), "copy"), (path, "damaged")):
        if not original.is_file() or (name == "copy" and not with_copy):
            continue
        shutil.copyfile(original, folder / name)
        _cut_to_whole_pages(folder / name)
        wal = original.with_name(f"{original.name}-wal")
        if wal.is_file():
            shutil.copyfile(wal, folder / f"{name}-wal")
        with contextlib.closing(sqlite3.connect(folder / name, isolation_level=None)) as db:
            if _readable(db, path):
                yield db


def _cut_to_whole_pages(file: Path) -> None:
    """SQLite would read a last page that was cut as one that ends in zeros, and so rows that nobody wrote."""
    with file.open("r+b") as opened:
        header = opened.read(18)
        page_bytes = int.from_bytes(header[16:18], "big")
        if page_bytes > 1:  # 1 stands for 65536; no ledger has that
            opened.truncate(file.stat().st_size // page_bytes * page_bytes)


def _readable(db: sqlite3.Connection, path: Path) -> bool:
    """Whether at least the list of tables can be read.

    Raises:
        LedgerError: it is of a newer release, or of another program.
    """
    try:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        check_ours(db, path)
        seen = version(db)
    except SQLITE_FAILURES:
        return False
    if seen > len(SCRIPTS):
        raise LedgerError(
            f"{path} is damaged and was written by a newer autopod_nb (its version {seen}): upgrade autopod_nb, which "
            "can rebuild it. Nothing was changed."
        )
    return True


def _keep_aside(path: Path, now: datetime) -> Path:
    """Give the damaged file a name with the time. It has its old name, too, until the new ledger takes that over."""
    name = wanted = f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}"
    number = 2
    while path.with_name(name).exists():
        name, number = f"{wanted}-{number}", number + 1
    aside = path.with_name(name)
    try:
        os.link(path, aside)
    except OSError:  # a file system without links
        path.rename(aside)
    for beside in _BESIDE:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + beside).rename(aside.with_name(aside.name + beside))
    return aside


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
