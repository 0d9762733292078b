"""What can still be read of a damaged ledger, row by row, into a new one.

SQLite keeps no checksums, so a row that can be read may still be wrong. Each is therefore looked at before it is
taken: types, words of our own (states, kinds), times, and of a charge that its amount is what its seconds cost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeAlias

from autopod_nb.models.job import JobState, Verified
from autopod_nb.models.money import MoneyKind, Purpose, cost_usd
from autopod_nb.models.pod import PodState
from autopod_nb.storage.columns import from_micro_usd, spec_from_json
from autopod_nb.storage.failures import SQLITE_FAILURES
from autopod_nb.storage.rows import Role

_Row: TypeAlias = dict[str, Any]

_TIMES_US = range(946_684_800_000_000, 4_102_444_800_000_000)  # the years 2000 to 2099
_MOST_PROBES = 100_000  # so many ids in a row of which none can be read are the end; about a second
_LEAST_ROW_BYTES = 16  # a guess; a small file has no room for many ids
_LEAP = 1_000_000  # a greater distance between two ids is damage; a guess


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """How many rows were taken, and how many could be read but made no sense."""

    taken: int
    refused: int


_KEEP = "DO NOTHING"
# What to do with a row whose key is there already: keep what is there (rows of that table never change), or
# take the newer one.
_MERGE = {
    "pods": "(pod_id) DO UPDATE SET {all} WHERE excluded.updated_us >= pods.updated_us",
    "leases": "(pod_id) DO UPDATE SET {all} WHERE excluded.renewed_us >= leases.renewed_us",
    "jobs": _KEEP,
    "attempts": "(attempt_key) DO UPDATE SET {all} WHERE excluded.updated_us >= attempts.updated_us",
    "results": _KEEP,
    "charges": _KEEP,
    "commands": "(command_id) DO UPDATE SET taken_us = coalesce(commands.taken_us, excluded.taken_us)",
    "events": _KEEP,
}


def salvage(source: sqlite3.Connection, target: sqlite3.Connection, *, whole: bool) -> Salvaged:
    """Take over every row that can be read, makes sense, and may be newer than what is there.

    Args:
        source: a damaged ledger, which nobody else uses.
        target: an earlier state of it, or nothing yet; without triggers and with foreign keys off, in a transaction.
        whole: the target lacks nothing of that earlier state, so that only newer rows need to be looked at.
    """
    source.text_factory = bytes
    source.execute("PRAGMA writable_schema = ON")  # else SQLite refuses the whole of a file that was cut short
    source.execute("PRAGMA cell_size_check = ON")
    taken = refused = 0
    for table, merge in _MERGE.items():
        known = _columns(source, table)  # a column that an older ledger does not have keeps its default
        columns = {name: column for name, column in _columns(target, table).items() if name in known}
        insert = _insert(table, tuple(columns))
        first = _newest(target, table) + 1 if whole and merge == _KEEP else 1
        for values in _rows(source, table, tuple(columns), first):
            row = _sensible(table, columns, values, _WHOLE_CHECKS)
            if row is None:
                refused += 1
                continue
            try:
                target.execute(insert, row)
                taken += 1
            except sqlite3.IntegrityError:
                refused += 1
    return Salvaged(taken=taken, refused=refused)


def makes_sense(db: sqlite3.Connection) -> bool:
    """Whether every row of a ledger that SQLite finds sound can be read by us."""
    db.text_factory = bytes
    for table in _MERGE:
        columns = _columns(db, table)
        for values in db.execute(f"SELECT {', '.join(columns)} FROM {table}"):  # noqa: S608 - names of ours
            if _sensible(table, columns, values, _READERS_NEED) is None:
                return False
    return True


def _newest(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0])  # noqa: S608 - a name of ours


def _columns(db: sqlite3.Connection, table: str) -> dict[str, tuple[str, bool]]:
    """Name → declared type, and whether it may be null."""
    found = db.execute(f"PRAGMA table_info({table})").fetchall()
    return {_decoded(name): (_decoded(kind), not (needed or key)) for _, name, kind, needed, _, key in found}


def _decoded(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _insert(table: str, columns: tuple[str, ...]) -> str:
    everything = ", ".join(f"{name} = excluded.{name}" for name in columns)
    names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    conflict = _MERGE[table].replace("{all}", everything)
    return f"INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT {conflict}"  # noqa: S608 - names of ours


def _rows(db: sqlite3.Connection, table: str, columns: tuple[str, ...], first: int) -> Iterator[tuple[Any, ...]]:
    """The rows by id from the *first* on; where a page is damaged, it goes on behind it."""
    sql = f"SELECT rowid, {', '.join(columns)} FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid"  # noqa: S608 - names of ours
    most = min(_MOST_PROBES, _bytes(db) // _LEAST_ROW_BYTES)
    at: int | None = first
    while at is not None:
        begin = at
        try:
            for row in db.execute(sql, (at,)):
                if not at <= row[0] < at + _LEAP:
                    break
                at = row[0] + 1
                yield row[1:]
            else:
                return
        except SQLITE_FAILURES:
            pass
        at = _next_readable(db, table, range(max(at, begin + 1), at + most))


def _next_readable(db: sqlite3.Connection, table: str, ids: range) -> int | None:
    """The first of these ids that can be read, or at least the page that it would be in."""
    sql = f"SELECT 1 FROM {table} NOT INDEXED WHERE rowid = ?"  # noqa: S608 - a name of ours
    for rowid in ids:
        try:
            db.execute(sql, (rowid,)).fetchone()
        except SQLITE_FAILURES:
            continue
        return rowid
    return None


def _bytes(db: sqlite3.Connection) -> int:
    pages, page_bytes = db.execute("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size").fetchone()
    return int(pages * page_bytes)


# --- whether a row makes sense -----------------------------------------------------------------------------------


def _sensible(
    table: str,
    columns: Mapping[str, tuple[str, bool]],
    values: tuple[Any, ...],
    whole_checks: Mapping[str, Callable[[_Row], bool]],
) -> _Row | None:
    """The row with its texts decoded; None if it cannot have been written by us."""
    row: _Row = {}
    for (name, (kind, nullable)), value in zip(columns.items(), values, strict=True):
        if value is None:
            if not nullable:
                return None
            row[name] = None
            continue
        if not isinstance(value, bytes if kind == "TEXT" else int):
            return None
        try:
            row[name] = value.decode() if isinstance(value, bytes) else value
        except UnicodeDecodeError:
            return None
        check = _CHECKS.get(name)
        if (name.endswith("_us") and value not in _TIMES_US) or (check is not None and not check(row[name])):
            return None
    whole = whole_checks.get(table)
    return row if whole is None or whole(row) else None


def _adds_up(charge: _Row) -> bool:
    cost = cost_usd(Decimal(charge["price_per_hour_usd"]), Decimal(charge["seconds"]))
    return cost == from_micro_usd(charge["amount_micro_usd"])


@lru_cache(maxsize=4096)
def _is_amount(text: str) -> bool:
    try:
        return Decimal(0) <= Decimal(text) < Decimal(10**9)
    except InvalidOperation:
        return False


def _is_spec(text: str) -> bool:
    try:
        spec_from_json(text)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return False
    return True


_POD_STATES = frozenset(state.value for state in PodState)
_JOB_STATES = frozenset(state.value for state in JobState)
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "kind": frozenset(kind.value for kind in MoneyKind).__contains__,
    "purpose": frozenset(purpose.value for purpose in Purpose).__contains__,
    "role": frozenset(role.value for role in Role).__contains__,
    "verified": frozenset(verified.value for verified in Verified).__contains__,
    "price_per_hour_usd": _is_amount,
    "stopped_price_per_hour_usd": _is_amount,
    "seconds": _is_amount,
    "spec": _is_spec,
}
"""Of which column → whether a value can be there."""
_READERS_NEED: dict[str, Callable[[_Row], bool]] = {
    "pods": lambda row: row["state"] in _POD_STATES,
    "attempts": lambda row: row["state"] in _JOB_STATES,
    "events": lambda row: row["state"] in (_JOB_STATES if row["pod_id"] is None else _POD_STATES),
}
_WHOLE_CHECKS = _READERS_NEED | {"charges": _adds_up}
"""Of which table → whether the parts of a row go together."""
