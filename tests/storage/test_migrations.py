from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import LedgerError
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.migrations import APPLICATION_ID, SCRIPTS, migrate, version

_HERE = Path("here.sqlite3")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def _tables(db: sqlite3.Connection) -> set[str]:
    return {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_new_ledger_has_the_newest_version_and_says_whose_file_it_is(db: sqlite3.Connection) -> None:
    migrate(db, _HERE)
    migrate(db, _HERE)
    assert version(db) == len(SCRIPTS)
    assert db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    assert _tables(db) >= {"pods", "leases", "jobs", "attempts", "results", "charges", "commands", "events"}


def test_an_older_ledger_gets_only_the_scripts_that_it_has_not_seen(db: sqlite3.Connection) -> None:
    migrate(db, _HERE, ("CREATE TABLE one (x);",))
    db.execute("INSERT INTO one VALUES (7)")
    migrate(db, _HERE, ("not even SQL", "ALTER TABLE one ADD COLUMN y DEFAULT 8;\nCREATE TABLE two (x);"))
    assert version(db) == 2
    assert db.execute("SELECT x, y FROM one").fetchall() == [(7, 8)]
    assert _tables(db) == {"one", "two"}


def test_a_script_that_fails_leaves_the_version_before_it(db: sqlite3.Connection) -> None:
    scripts = ("CREATE TABLE one (x);", "CREATE TABLE two (x);\nCREATE TABLE one (x);")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(db, _HERE, scripts)
    assert (version(db), _tables(db), db.in_transaction) == (1, {"one"}, False)


def test_a_ledger_of_a_newer_release_is_refused_with_the_fix(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    Ledger(path).open().close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(SCRIPTS) + 1}")
    for use in (lambda: Ledger(path).open(), lambda: Ledger(path).read_pods()):
        with pytest.raises(LedgerError, match=r"newer autopod_nb.*upgrade autopod_nb") as caught:
            use()
        assert str(path) in str(caught.value)
