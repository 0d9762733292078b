"""The tables of the ledger, and how an older ledger becomes a newer one.

``SCRIPTS`` is append-only: script number N takes a ledger from version N to version N + 1, in one transaction. A
script that has been in a release is never edited.

Conventions of the columns: times are whole microseconds since 1970 UTC (``_us``); amounts are whole millionths of a US
dollar (``_micro_usd``), so that SQL adds them exactly; prices and seconds are Decimal texts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from autopod_nb.errors import LedgerError

APPLICATION_ID = 0x61706F64  # "apod", in the header of the file: tells a ledger from somebody else's SQLite file

_FIRST = """
CREATE TABLE pods (
  pod_id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  session_id TEXT NOT NULL,
  provider TEXT NOT NULL,
  provider_id TEXT,
  gpu_type TEXT NOT NULL,
  gpu_count INTEGER NOT NULL CHECK (gpu_count > 0),
  price_per_hour_usd TEXT NOT NULL,
  stopped_price_per_hour_usd TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('real', 'simulated')),
  state TEXT NOT NULL,
  error TEXT NOT NULL DEFAULT '',
  created_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  UNIQUE (pod_id, kind)
);

CREATE TABLE leases (
  pod_id TEXT NOT NULL PRIMARY KEY REFERENCES pods (pod_id),
  owner_id TEXT NOT NULL,
  role TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  renewed_us INTEGER NOT NULL
);

CREATE TABLE jobs (
  job_key INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  template TEXT NOT NULL,
  spec TEXT NOT NULL,
  UNIQUE (session_id, job_id)
);

CREATE TABLE attempts (
  attempt_key INTEGER PRIMARY KEY,
  job_key INTEGER NOT NULL REFERENCES jobs (job_key),
  attempt INTEGER NOT NULL CHECK (attempt > 0),
  pod_id TEXT REFERENCES pods (pod_id),
  prompt_id TEXT,
  state TEXT NOT NULL,
  error TEXT NOT NULL DEFAULT '',
  submitted_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  started_us INTEGER,
  ended_us INTEGER,
  UNIQUE (job_key, attempt)
);

CREATE TABLE results (
  result_id INTEGER PRIMARY KEY,
  attempt_key INTEGER NOT NULL REFERENCES attempts (attempt_key),
  output TEXT NOT NULL,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL CHECK (bytes >= 0),
  sha256 TEXT NOT NULL,
  verified TEXT NOT NULL,
  node_id TEXT NOT NULL,
  filename TEXT NOT NULL,
  subfolder TEXT NOT NULL,
  folder TEXT NOT NULL,
  recorded_us INTEGER NOT NULL
);
CREATE INDEX results_of_attempt ON results (attempt_key);

-- The foreign key over (pod_id, kind) is what keeps a real charge off a simulated pod, and the other way round.
CREATE TABLE charges (
  charge_id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  pod_id TEXT NOT NULL,
  attempt_key INTEGER REFERENCES attempts (attempt_key),
  purpose TEXT NOT NULL,
  kind TEXT NOT NULL,
  start_us INTEGER NOT NULL,
  seconds TEXT NOT NULL,
  price_per_hour_usd TEXT NOT NULL,
  amount_micro_usd INTEGER NOT NULL CHECK (typeof(amount_micro_usd) = 'integer'),
  FOREIGN KEY (pod_id, kind) REFERENCES pods (pod_id, kind),
  CHECK ((purpose = 'job') = (attempt_key IS NOT NULL))
);
CREATE INDEX charges_of_attempt ON charges (attempt_key, amount_micro_usd) WHERE attempt_key IS NOT NULL;
CREATE INDEX charges_of_pod ON charges (pod_id);

CREATE TABLE commands (
  command_id INTEGER PRIMARY KEY AUTOINCREMENT,
  pod_id TEXT NOT NULL REFERENCES pods (pod_id),
  verb TEXT NOT NULL,
  args TEXT NOT NULL,
  made_us INTEGER NOT NULL,
  taken_us INTEGER
);
CREATE INDEX commands_waiting ON commands (pod_id) WHERE taken_us IS NULL;

-- Every change of state of a pod or of an attempt, whoever made it.
CREATE TABLE events (
  event_id INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  pod_id TEXT REFERENCES pods (pod_id),
  attempt_key INTEGER REFERENCES attempts (attempt_key),
  state TEXT NOT NULL,
  error TEXT NOT NULL,
  CHECK ((pod_id IS NULL) <> (attempt_key IS NULL))
);

CREATE TRIGGER pod_recorded AFTER INSERT ON pods BEGIN
  INSERT INTO events (at_us, pod_id, state, error) VALUES (NEW.updated_us, NEW.pod_id, NEW.state, NEW.error);
END;
CREATE TRIGGER pod_changed AFTER UPDATE OF state ON pods WHEN OLD.state <> NEW.state BEGIN
  INSERT INTO events (at_us, pod_id, state, error) VALUES (NEW.updated_us, NEW.pod_id, NEW.state, NEW.error);
END;
CREATE TRIGGER attempt_recorded AFTER INSERT ON attempts BEGIN
  INSERT INTO events (at_us, attempt_key, state, error) VALUES (NEW.updated_us, NEW.attempt_key, NEW.state, NEW.error);
END;
CREATE TRIGGER attempt_changed AFTER UPDATE OF state ON attempts WHEN OLD.state <> NEW.state BEGIN
  INSERT INTO events (at_us, attempt_key, state, error) VALUES (NEW.updated_us, NEW.attempt_key, NEW.state, NEW.error);
END;

CREATE TRIGGER charges_stay BEFORE UPDATE ON charges BEGIN SELECT RAISE(ABORT, 'charges are append-only'); END;
CREATE TRIGGER charges_last BEFORE DELETE ON charges BEGIN SELECT RAISE(ABORT, 'charges are append-only'); END;
CREATE TRIGGER results_stay BEFORE UPDATE ON results BEGIN SELECT RAISE(ABORT, 'results are append-only'); END;
CREATE TRIGGER results_last BEFORE DELETE ON results BEGIN SELECT RAISE(ABORT, 'results are append-only'); END;
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_last BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
"""

_LIMITS = """
-- What whoever takes over a pod must know to go on as its owner would have.
ALTER TABLE pods ADD COLUMN session_limit_usd TEXT;
ALTER TABLE pods ADD COLUMN idle_minutes TEXT;
ALTER TABLE pods ADD COLUMN place TEXT NOT NULL DEFAULT '';
"""

_MADE = """
-- Which files an attempt made, for a server that forgets it: whoever fetches them later needs to know.
ALTER TABLE attempts ADD COLUMN made TEXT;
-- Where the workflow template lay: whoever takes over a job has another current folder.
ALTER TABLE jobs ADD COLUMN template_path TEXT;
-- A person wants it to go on without its session.
ALTER TABLE pods ADD COLUMN detached INTEGER NOT NULL DEFAULT 0;
"""

SCRIPTS: tuple[str, ...] = (_FIRST, _LIMITS, _MADE)
"""Script N takes a ledger from version N to N + 1."""


def version(db: sqlite3.Connection) -> int:
    """How many scripts this ledger has seen."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection, path: Path, scripts: tuple[str, ...] = SCRIPTS) -> None:
    """Bring a ledger to the newest version, script by script; one that is there already is left alone.

    Two processes may do this at the same time: each script runs under the write lock, which is when the version is
    looked at.

    Args:
        db: in autocommit mode.
        path: for messages.
        scripts: those of this release.

    Raises:
        LedgerError: the ledger is of a newer release, or the file is no ledger.
        sqlite3.Error: a script failed; the ledger is at the version before it.
    """
    check_ours(db, path)
    while (seen := version(db)) < len(scripts):
        db.execute("BEGIN IMMEDIATE")
        try:
            if version(db) == seen:  # nobody was faster
                for statement in _statements(scripts[seen]):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {seen + 1}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    if version(db) > len(scripts):
        raise LedgerError(
            f"{path} was written by a newer autopod_nb (its version {version(db)}, known here: {len(scripts)}): "
            "upgrade autopod_nb, or set AUTOPOD_HOME to another folder."
        )


def check_ours(db: sqlite3.Connection, path: Path) -> None:
    """Look whether a file is a ledger, or empty.

    Raises:
        LedgerError: it is an SQLite file of another program.
    """
    application_id, tables = db.execute(
        "SELECT application_id, (SELECT count(*) FROM sqlite_master) FROM pragma_application_id"
    ).fetchone()
    if application_id != APPLICATION_ID and tables:
        raise LedgerError(f"{path} is an SQLite file of another program: move it away, or set AUTOPOD_HOME elsewhere.")


def _statements(script: str) -> Iterator[str]:
    """Split a script; ``executescript`` would commit by itself."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError(f"a script ends in the middle of a statement: {statement!r}")
