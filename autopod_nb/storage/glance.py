"""A first look at the ledger for ``%load_ext``: cheap to import, for nothing else of the storage is loaded for it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from autopod_nb.errors import LedgerError


def pod_ids_that_may_bill(path: Path) -> tuple[str, ...]:
    """Our ids of the pods that are not known to be gone, oldest first. Never makes or changes the file.

    Args:
        path: of the ledger; where there is none, nothing bills.

    Raises:
        LedgerError: the file cannot be read; `%autopod status` says more.
    """
    if not path.exists():
        return ()
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0.1)) as db:  # a guess: loading must not hang
            db.execute("PRAGMA query_only = ON")
            if not db.execute("PRAGMA user_version").fetchone()[0]:
                return ()  # made this moment, its tables are not there yet
            found = db.execute("SELECT pod_id FROM pods WHERE state <> 'terminated' ORDER BY created_us, rowid")
            return tuple(row[0] for row in found)
    except sqlite3.Error as error:
        raise LedgerError(f"The ledger {path} cannot be read ({error}): `%autopod status` says more.") from error
