"""The questions that are asked of the ledger: SQL in, frozen rows out. Any thread, on a connection of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from autopod_nb.models.job import JobState, RemoteFile, ResultFile, Verified, job_is_over
from autopod_nb.models.money import Charge, MoneyKind, Purpose
from autopod_nb.models.pod import PodState
from autopod_nb.storage.columns import from_micro_usd, from_us
from autopod_nb.storage.rows import ChargeRow, CommandRow, EventRow, JobRow, Lease, Owner, PodRow, ResultRow, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargedStretch:
    """A charge without what it was for; there may be hundreds of thousands."""

    pod_id: str
    start: datetime
    seconds: Decimal
    amount_usd: Decimal


def pods(db: sqlite3.Connection, *, session_id: str | None) -> tuple[PodRow, ...]:
    """Pods with their leases, oldest first."""
    found = db.execute(
        """SELECT pod_id, name, session_id, provider, provider_id, gpu_type, gpu_count, price_per_hour_usd,
             stopped_price_per_hour_usd, kind, state, error, created_us, updated_us, owner_id, role, host, pid,
             renewed_us, session_limit_usd, idle_minutes, place, detached
           FROM pods LEFT JOIN leases USING (pod_id)
           WHERE :session_id IS NULL OR session_id = :session_id ORDER BY created_us, pods.rowid""",
        {"session_id": session_id},
    )
    return tuple(
        PodRow(
            pod_id=row[0],
            name=row[1],
            session_id=row[2],
            provider=row[3],
            provider_id=row[4],
            gpu_type=row[5],
            gpu_count=row[6],
            price_per_hour_usd=Decimal(row[7]),
            stopped_price_per_hour_usd=Decimal(row[8]),
            kind=MoneyKind(row[9]),
            state=PodState(row[10]),
            error=row[11],
            created=from_us(row[12]),
            updated=from_us(row[13]),
            lease=None if row[14] is None else _lease(row[14], row[15], row[16], row[17], row[18]),
            session_limit_usd=None if row[19] is None else Decimal(row[19]),
            idle_minutes=None if row[20] is None else Decimal(row[20]),
            place=row[21],
            detached=bool(row[22]),
        )
        for row in found
    )


def _lease(owner_id: str, role: str, host: str, pid: int, renewed_us: int) -> Lease:
    return Lease(owner=Owner(owner_id=owner_id, role=Role(role), host=host, pid=pid), renewed=from_us(renewed_us))


_OVER = ", ".join(f"'{state.value}'" for state in JobState if job_is_over(state))


def jobs(db: sqlite3.Connection, *, session_id: str | None, open_only: bool) -> tuple[JobRow, ...]:
    """Attempts of jobs, in the order in which they were queued."""
    found = db.execute(
        f"""SELECT session_id, job_id, attempt, template, spec, pod_id, prompt_id, state, error, submitted_us,
             started_us, ended_us, made, template_path
           FROM attempts JOIN jobs USING (job_key)
           WHERE (:session_id IS NULL OR session_id = :session_id)
             AND (NOT :open_only OR state NOT IN ({_OVER})) ORDER BY attempt_key""",  # noqa: S608 - words of ours
        {"session_id": session_id, "open_only": open_only},
    )
    return tuple(
        JobRow(
            session_id=row[0],
            job_id=row[1],
            attempt=row[2],
            template=row[3],
            spec_json=row[4],
            pod_id=row[5],
            prompt_id=row[6],
            state=JobState(row[7]),
            error=row[8],
            submitted=from_us(row[9]),
            started=_time(row[10]),
            ended=_time(row[11]),
            made_json=row[12],
            template_path=row[13],
        )
        for row in found
    )


def results(db: sqlite3.Connection, *, session_id: str | None) -> tuple[ResultRow, ...]:
    """Results in the order of arrival."""
    found = db.execute(
        """SELECT session_id, job_id, attempt, output, path, bytes, sha256, verified, node_id, filename, subfolder,
             folder
           FROM results JOIN attempts USING (attempt_key) JOIN jobs USING (job_key)
           WHERE :session_id IS NULL OR session_id = :session_id ORDER BY result_id""",
        {"session_id": session_id},
    )
    return tuple(
        ResultRow(
            session_id=row[0],
            job_id=row[1],
            attempt=row[2],
            result=ResultFile(
                output=row[3],
                path=Path(row[4]),
                bytes=row[5],
                sha256=row[6],
                verified=Verified(row[7]),
                source=RemoteFile(node_id=row[8], filename=row[9], subfolder=row[10], folder=row[11]),
            ),
        )
        for row in found
    )


def charges(db: sqlite3.Connection, *, session_id: str | None, pod_id: str | None) -> tuple[ChargeRow, ...]:
    """Charges in the order of booking."""
    found = db.execute(
        """SELECT charges.session_id, charges.pod_id, job_id, coalesce(attempt, 0), purpose, kind, start_us, seconds,
             price_per_hour_usd, amount_micro_usd
           FROM charges LEFT JOIN attempts USING (attempt_key) LEFT JOIN jobs USING (job_key)
           WHERE (:session_id IS NULL OR charges.session_id = :session_id)
             AND (:pod_id IS NULL OR charges.pod_id = :pod_id) ORDER BY charge_id""",
        {"session_id": session_id, "pod_id": pod_id},
    )
    return tuple(
        ChargeRow(
            session_id=row[0],
            charge=Charge(
                pod_id=row[1],
                job_id=row[2],
                attempt=row[3],
                purpose=Purpose(row[4]),
                kind=MoneyKind(row[5]),
                start=from_us(row[6]),
                seconds=Decimal(row[7]),
                price_per_hour_usd=Decimal(row[8]),
                amount_usd=from_micro_usd(row[9]),
            ),
        )
        for row in found
    )


def stretches(db: sqlite3.Connection, provider: str, *, since_us: int) -> tuple[ChargedStretch, ...]:
    """What was booked for the pods of one provider, of the stretches that are not over at *since_us*."""
    found = db.execute(
        """SELECT pod_id, start_us, seconds, amount_micro_usd FROM charges JOIN pods USING (pod_id)
           WHERE provider = :provider AND start_us + CAST(seconds AS REAL) * 1e6 >= :since_us
           ORDER BY charge_id""",
        {"provider": provider, "since_us": since_us},
    )
    return tuple(
        ChargedStretch(pod_id=row[0], start=from_us(row[1]), seconds=Decimal(row[2]), amount_usd=from_micro_usd(row[3]))
        for row in found
    )


def total_micro_usd(db: sqlite3.Connection, kind: MoneyKind, *, since_us: int | None, session_id: str | None) -> int:
    """The sum of the charges of one kind, in millionths of a dollar."""
    row = db.execute(
        """SELECT coalesce(sum(amount_micro_usd), 0) FROM charges
           WHERE kind = :kind AND (:since_us IS NULL OR start_us >= :since_us)
             AND (:session_id IS NULL OR session_id = :session_id)""",
        {"kind": kind.value, "since_us": since_us, "session_id": session_id},
    ).fetchone()
    return int(row[0])


def commands(db: sqlite3.Connection, pod_ids: Sequence[str]) -> tuple[CommandRow, ...]:
    """Commands for these pods that nobody has taken, oldest first."""
    found = db.execute(
        """SELECT command_id, pod_id, verb, args, made_us FROM commands
           WHERE taken_us IS NULL AND pod_id IN (SELECT value FROM json_each(?)) ORDER BY command_id""",
        (json.dumps(list(pod_ids)),),
    )
    return tuple(
        CommandRow(
            command_id=row[0],
            pod_id=row[1],
            verb=row[2],
            args=MappingProxyType(json.loads(row[3])),
            made=from_us(row[4]),
        )
        for row in found
    )


def events(db: sqlite3.Connection) -> tuple[EventRow, ...]:
    """Changes of state, in order."""
    found = db.execute(
        """SELECT at_us, events.pod_id, session_id, job_id, coalesce(attempt, 0), events.state, events.error
           FROM events LEFT JOIN attempts USING (attempt_key) LEFT JOIN jobs USING (job_key) ORDER BY event_id"""
    )
    return tuple(
        EventRow(
            at=from_us(row[0]),
            pod_id=row[1],
            session_id=row[2],
            job_id=row[3],
            attempt=row[4],
            state=row[5],
            error=row[6],
        )
        for row in found
    )


def _time(at_us: int | None) -> datetime | None:
    return None if at_us is None else from_us(at_us)
