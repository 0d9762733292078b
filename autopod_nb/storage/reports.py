"""The ledger by columns, for tables of a hundred thousand jobs. Any thread."""

from __future__ import annotations

import contextlib
import gc
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.storage import queries
from autopod_nb.storage.columns import Value
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import PodRow

NO_TIME_US = -(2**63)
"""Stands for "not yet" among microseconds: what numpy, too, calls "not a time"."""
_NO_KEY = 2**63 - 1
_OF_ATTEMPT = (
    "attempt_key",
    "job_id",
    "attempt",
    "session_id",
    "template",
    "state",
    "pod_id",
    "submitted_us",
    f"coalesce(started_us, {NO_TIME_US})",
    f"coalesce(ended_us, {NO_TIME_US})",
    "error",
)


@dataclass(frozen=True, slots=True)
class AttemptColumns:
    """Attempts of jobs, newest first: one list a column, all of one length. Times are microseconds since 1970 UTC."""

    job_id: list[str]
    attempt: list[int]
    session_id: list[str]
    template: list[str]
    state: list[str]
    pod_id: list[str | None]
    submitted_us: list[int]
    started_us: list[int]
    ended_us: list[int]
    error: list[str]
    cost_micro_usd: list[int]
    outputs: list[list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """What a table says of an attempt's pod."""

    gpu_type: str
    gpu_count: int
    provider: str
    kind: MoneyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCosts:
    """What a pod has cost, by purpose, in millionths of a dollar of its kind of money."""

    pod_id: str
    name: str
    session_id: str
    facts: PodFacts
    state: PodState
    created_us: int
    boot_micro_usd: int
    job_micro_usd: int
    idle_micro_usd: int
    storage_micro_usd: int
    total_micro_usd: int


def attempt_columns(
    ledger: Ledger, *, limit: int | None = None, session_id: str | None = None
) -> tuple[AttemptColumns, dict[str, PodFacts]]:
    """The newest attempts with what they cost and their results, and their pods by id.

    Args:
        ledger: need not be open.
        limit: at most so many attempts.
        session_id: only jobs of this session.
    """
    with _no_collecting(), ledger.reading() as db:
        oldest = _oldest(db, limit, session_id)
        keys, *columns = _lists(
            db,
            _OF_ATTEMPT,
            # CROSS: attempts are gone through in the order of their keys, and each one's job is looked up
            f"""attempts CROSS JOIN jobs USING (job_key)
                WHERE attempt_key >= :oldest {"" if session_id is None else "AND session_id = :session_id"}""",
            {"oldest": oldest, "session_id": session_id},
        )
        costs, outputs = _costs(db, oldest), _outputs(db, oldest)
        columns += [[costs.get(key, 0) for key in keys], [outputs[key] for key in keys]]
        pods = {pod.pod_id: _facts(pod) for pod in queries.pods(db, session_id=None)}
    for column in columns:
        column.reverse()
    return AttemptColumns(*columns), pods


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """Python would look through all its objects several times while some hundred thousand are made and none is lost."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _oldest(db: sqlite3.Connection, limit: int | None, session_id: str | None) -> int:
    """The key of the oldest attempt that is asked for."""
    if limit is None:
        return 0
    found = db.execute(
        """SELECT min(attempt_key) FROM (
             SELECT attempt_key FROM attempts JOIN jobs USING (job_key)
             WHERE :session_id IS NULL OR session_id = :session_id ORDER BY attempt_key DESC LIMIT :limit)""",
        {"session_id": session_id, "limit": limit},
    ).fetchone()[0]
    return _NO_KEY if found is None else int(found)


def _costs(db: sqlite3.Connection, oldest: int) -> dict[int, int]:
    """For each attempt from the *oldest* on what it has cost."""
    keys, costs = _lists(
        db,
        ("attempt_key", "cost"),
        """(SELECT attempt_key, sum(amount_micro_usd) AS cost FROM charges
            WHERE attempt_key >= :oldest GROUP BY attempt_key)""",
        {"oldest": oldest},
    )
    return dict(zip(keys, costs, strict=True))


def _outputs(db: sqlite3.Connection, oldest: int) -> defaultdict[int, list[str]]:
    """For each attempt from the *oldest* on the paths of its results, in the order of arrival."""
    where = "WHERE attempt_key >= :oldest" if oldest else ""  # whose index is of no use for all of them
    keys, paths = _lists(db, ("attempt_key", "path"), f"results {where}", {"oldest": oldest})
    outputs: defaultdict[int, list[str]] = defaultdict(list)
    for key, path in zip(keys, paths, strict=True):
        outputs[key].append(path)
    return outputs


def _lists(db: sqlite3.Connection, columns: Sequence[str], source: str, values: Mapping[str, Value]) -> list[list[Any]]:
    """The columns of a question, in the order in which SQLite goes through the rows.

    It writes each column as one JSON text, which takes half the time of a tuple for every row.
    """
    arrays = ", ".join(f"json_group_array({column})" for column in columns)
    row = db.execute(f"SELECT {arrays} FROM {source}", values).fetchone()  # noqa: S608 - names of ours
    return [json.loads(text) for text in row]


def _facts(pod: PodRow) -> PodFacts:
    return PodFacts(gpu_type=pod.gpu_type, gpu_count=pod.gpu_count, provider=pod.provider, kind=pod.kind)


def pod_costs(ledger: Ledger, *, session_id: str | None = None) -> tuple[PodCosts, ...]:
    """What every pod, or every pod of one session, has cost; newest first."""
    with ledger.reading() as db:
        found = db.execute(
            """SELECT pods.pod_id, name, pods.session_id, gpu_type, gpu_count, provider, pods.kind, state, created_us,
                 coalesce(sum(amount_micro_usd) FILTER (WHERE purpose = 'boot'), 0),
                 coalesce(sum(amount_micro_usd) FILTER (WHERE purpose = 'job'), 0),
                 coalesce(sum(amount_micro_usd) FILTER (WHERE purpose = 'idle'), 0),
                 coalesce(sum(amount_micro_usd) FILTER (WHERE purpose = 'storage'), 0),
                 coalesce(sum(amount_micro_usd), 0)
               FROM pods LEFT JOIN charges USING (pod_id)
               WHERE :session_id IS NULL OR pods.session_id = :session_id
               GROUP BY pods.pod_id ORDER BY created_us DESC, pods.rowid DESC""",
            {"session_id": session_id},
        )
        return tuple(
            PodCosts(
                pod_id=row[0],
                name=row[1],
                session_id=row[2],
                facts=PodFacts(gpu_type=row[3], gpu_count=row[4], provider=row[5], kind=MoneyKind(row[6])),
                state=PodState(row[7]),
                created_us=row[8],
                boot_micro_usd=row[9],
                job_micro_usd=row[10],
                idle_micro_usd=row[11],
                storage_micro_usd=row[12],
                total_micro_usd=row[13],
            )
            for row in found
        )


def _words(states: Sequence[PodState | JobState]) -> str:
    return ", ".join(f"'{state.value}'" for state in states)


_ENDED = _words((PodState.DRAINING, PodState.STOPPING, PodState.STOPPED, PodState.TERMINATING, PodState.TERMINATED))
_USABLE = _words((PodState.READY, PodState.BUSY))
_LOST_JOB = _words((JobState.FAILED, JobState.CANCELLED))
_IN_VAIN = f"""state IN ({_ENDED})
  AND pod_id NOT IN (SELECT pod_id FROM events WHERE pod_id IS NOT NULL AND state IN ({_USABLE}))"""  # noqa: S608 - words of ours
_KEYS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "": ("''", "''"),
        "pod": ("charges.pod_id", "pods.gpu_type"),
        "job": ("coalesce(jobs.session_id, '')", "coalesce(jobs.job_id, '')"),
        "template": ("coalesce(jobs.template, '')", "''"),
        "gpu": ("pods.gpu_type", "''"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What was booked in some stretch of time, in millionths of a dollar of one kind of money.

    Attributes:
        key: what it was for, two texts: (pod, GPU), (session, job), (template, ``""``), (GPU, ``""``), or two empty
            ones; what no job was charged for has empty texts for job and template.
        kind: real or simulated.
        boot_micro_usd: of pods that became ready, or that still may.
        vain_boot_micro_usd: of pods that never became ready.
        job_micro_usd: of jobs that are done, or not over.
        lost_job_micro_usd: of attempts that failed, were cancelled or had to be repeated.
        idle_micro_usd: of pods that waited.
        storage_micro_usd: of stopped pods.
        total_micro_usd: all of it.
    """

    key: tuple[str, str]
    kind: MoneyKind
    boot_micro_usd: int
    vain_boot_micro_usd: int
    job_micro_usd: int
    lost_job_micro_usd: int
    idle_micro_usd: int
    storage_micro_usd: int
    total_micro_usd: int


def spend(ledger: Ledger, *, since_us: int, until_us: int, by: str = "") -> tuple[Spend, ...]:
    """What was booked for stretches that begin between two times, the largest sums first.

    Args:
        ledger: need not be open.
        since_us: microseconds since 1970 UTC.
        until_us: likewise, not included.
        by: one row for each ``pod``, ``job``, ``template`` or ``gpu``; empty for one row a kind of money.
    """
    sums = ", ".join(
        f"coalesce(sum(amount_micro_usd) FILTER (WHERE {which}), 0)"
        for which in (
            "purpose = 'boot' AND NOT in_vain",
            "purpose = 'boot' AND in_vain",
            f"purpose = 'job' AND attempts.state NOT IN ({_LOST_JOB})",
            f"purpose = 'job' AND attempts.state IN ({_LOST_JOB})",
            "purpose = 'idle'",
            "purpose = 'storage'",
        )
    )
    with ledger.reading() as db:
        found = db.execute(
            f"""SELECT {", ".join(_KEYS[by])}, charges.kind, {sums}, sum(amount_micro_usd)
                FROM charges JOIN (SELECT pod_id, gpu_type, {_IN_VAIN} AS in_vain FROM pods) AS pods USING (pod_id)
                  LEFT JOIN attempts USING (attempt_key) LEFT JOIN jobs USING (job_key)
                WHERE start_us >= :since_us AND start_us < :until_us
                GROUP BY 1, 2, 3 ORDER BY 10 DESC, 1, 2, 3""",  # noqa: S608 - constants of ours, no value
            {"since_us": since_us, "until_us": until_us},
        )
        return tuple(_spend(row) for row in found)


def _spend(row: Sequence[Any]) -> Spend:
    boot, vain, job, lost, idle, storage, total = row[3:]
    return Spend(
        key=(row[0], row[1]),
        kind=MoneyKind(row[2]),
        boot_micro_usd=boot,
        vain_boot_micro_usd=vain,
        job_micro_usd=job,
        lost_job_micro_usd=lost,
        idle_micro_usd=idle,
        storage_micro_usd=storage,
        total_micro_usd=total,
    )
