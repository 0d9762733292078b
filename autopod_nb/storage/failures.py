"""What SQLite and the disk say when something is wrong, and what that means for the ledger."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from autopod_nb.errors import LedgerError, LedgerRefused

BUSY_TIMEOUT_S = 5.0
"""How long a writer waits for another process's transaction, which takes milliseconds; a guess."""

_DAMAGED = (
    "is damaged: it is kept aside and rebuilt from its last good state when a session next opens it or writes to it, "
    "for example by `%autopod pods`."
)
_DAMAGE = ("not a database", "image is malformed", "malformed database schema", "Could not decode to UTF-8")
SQLITE_FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What a call of SQLite may raise; the second when the words of its message are themselves from a damaged file."""
# What SQLite or the system says (part of its message) → what is wrong and what to do.
_REMEDIES = {
    "is full": "cannot grow, for its disk is full: free some space and try again.",
    "disk I/O error": "cannot be written: look at the space and the health of its disk.",
    "readonly": "is read-only: make it and its folder writable, or set AUTOPOD_HOME to another folder.",
    "locked": f"has been locked by another process for {BUSY_TIMEOUT_S:.0f} s: end that one or try again.",
    "unable to open": "cannot be opened: look at the rights of its folder, or set AUTOPOD_HOME to another folder.",
    "Is a directory": "is a folder: move it away.",
}


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file itself is not what it should be."""
    if isinstance(error, UnicodeDecodeError):
        return True
    return isinstance(error, sqlite3.DatabaseError) and any(words in str(error) for words in _DAMAGE)


def damaged(path: Path) -> LedgerError:
    """What a reader says of a damaged ledger."""
    return LedgerError(f"The ledger {path} {_DAMAGED}")


def translation(path: Path, error: Exception) -> LedgerError:
    """What an error of SQLite or the system means for the ledger, with the fix."""
    if isinstance(error, sqlite3.IntegrityError):
        return LedgerRefused(f"The ledger {path} refused a batch, nothing of it was written: {error}.")
    if is_damage(error):
        return damaged(path)
    for words, remedy in _REMEDIES.items():
        if words in str(error):
            return LedgerError(f"The ledger {path} {remedy}")
    return LedgerError(f"The ledger {path} cannot be read or written: {error}.")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Foreign errors in the body become a :class:`LedgerError` that names the ledger and the fix."""
    try:
        yield
    except (*SQLITE_FAILURES, OSError, OverflowError) as error:
        raise translation(path, error) from error
