"""The ledger along time, for figures: what each pod was paid for from when to when, and by which jobs. Any thread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, Purpose
from autopod_nb.storage import queries
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import PodRow

SAME_STRETCH_US = 1_000_000
"""Two charges for the same thing that are no further apart are one stretch; a guess: booking takes milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidStretch:
    """Time for which one pod was paid for one thing: charges that follow each other, as one.

    Attributes:
        pod_id: the pod.
        kind: real or simulated.
        purpose: what it was paid for.
        attempt_key: of the attempt of a job, None unless the purpose is JOB.
        start_us: microseconds since 1970 UTC.
        end_us: likewise.
        paid_us: the sum of the charges' lengths, in microseconds; small gaps between them are not in it.
        amount_micro_usd: the sum of the charges, in millionths of a dollar.
    """

    pod_id: str
    kind: MoneyKind
    purpose: Purpose
    attempt_key: int | None
    start_us: int
    end_us: int
    paid_us: int
    amount_micro_usd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """An attempt of a job.

    Attributes:
        session_id: with the job id, the key of the job.
        job_id: name in its session.
        attempt: from 1.
        template: name of its workflow template.
        template_path: where that lay, None if that is not known.
        spec_json: what was asked for; ``storage.columns.spec_from_json`` reads it.
        state: the last one written.
        error: one line, empty if nothing went wrong.
        results: how many of its files are here.
        running_us: when ComfyUI began with it, microseconds since 1970 UTC; None if that was not seen.
        made_us: when ComfyUI was done with it; likewise.
    """

    session_id: str
    job_id: str
    attempt: int
    template: str
    template_path: str | None
    spec_json: str
    state: JobState
    error: str
    results: int
    running_us: int | None
    made_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTimeline:
    """What was paid for, with the attempts and pods that it names.

    Attributes:
        stretches: pod by pod, each in the order of time.
        attempts: by attempt key.
        pods: by pod id.
    """

    stretches: tuple[PaidStretch, ...]
    attempts: Mapping[int, AttemptFacts]
    pods: Mapping[str, PodRow]


def timeline(
    ledger: Ledger,
    *,
    since_us: int | None = None,
    until_us: int | None = None,
    session_id: str | None = None,
    pod_ids: Collection[str] | None = None,
) -> LedgerTimeline:
    """Everything that was booked, or a part of it.

    Args:
        ledger: need not be open; where there is none, nothing was booked.
        since_us: only charges that begin at this time or later, microseconds since 1970 UTC.
        until_us: only charges that begin before this time.
        session_id: only charges that this session booked.
        pod_ids: only charges of these pods.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with ledger.reading() as db:
        charges = db.execute(
            """SELECT pod_id, kind, purpose, attempt_key, start_us,
                 CAST(round(CAST(seconds AS REAL) * 1e6) AS INTEGER), amount_micro_usd
               FROM charges
               WHERE (:since_us IS NULL OR start_us >= :since_us) AND (:until_us IS NULL OR start_us < :until_us)
                 AND (:session_id IS NULL OR session_id = :session_id)
                 AND (:pod_ids IS NULL OR pod_id IN (SELECT value FROM json_each(:pod_ids)))
               ORDER BY pod_id, start_us, charge_id""",
            {
                "since_us": since_us,
                "until_us": until_us,
                "session_id": session_id,
                "pod_ids": None if pod_ids is None else json.dumps(sorted(pod_ids)),
            },
        )
        stretches = tuple(_merged(map(_stretch, charges)))
        keys = {each.attempt_key for each in stretches if each.attempt_key is not None}
        named = {each.pod_id for each in stretches}
        return LedgerTimeline(
            stretches=stretches,
            attempts=_attempts(db, keys),
            pods={pod.pod_id: pod for pod in queries.pods(db, session_id=None) if pod.pod_id in named},
        )


def _stretch(row: tuple[str, str, str, int | None, int, int, int]) -> PaidStretch:
    pod_id, kind, purpose, attempt_key, start_us, paid_us, amount = row
    return PaidStretch(
        pod_id=pod_id,
        kind=MoneyKind(kind),
        purpose=Purpose(purpose),
        attempt_key=attempt_key,
        start_us=start_us,
        end_us=start_us + paid_us,
        paid_us=paid_us,
        amount_micro_usd=amount,
    )


def _merged(charges: Iterable[PaidStretch]) -> Iterable[PaidStretch]:
    """Charges that follow each other for the same thing become one; nothing of any is lost."""
    now: PaidStretch | None = None
    for each in charges:
        if now is not None and _goes_on(now, each):
            now = replace(
                now,
                end_us=max(now.end_us, each.end_us),
                paid_us=now.paid_us + each.paid_us,
                amount_micro_usd=now.amount_micro_usd + each.amount_micro_usd,
            )
            continue
        if now is not None:
            yield now
        now = each
    if now is not None:
        yield now


def _goes_on(before: PaidStretch, after: PaidStretch) -> bool:
    same = (before.pod_id, before.purpose, before.attempt_key) == (after.pod_id, after.purpose, after.attempt_key)
    return same and after.start_us - before.end_us <= SAME_STRETCH_US


def _attempts(db: sqlite3.Connection, keys: Collection[int]) -> dict[int, AttemptFacts]:
    found = db.execute(
        """WITH wanted AS MATERIALIZED (SELECT value AS attempt_key FROM json_each(:keys)),
             counted AS (SELECT attempt_key, count(*) AS results FROM results
               WHERE attempt_key IN wanted GROUP BY attempt_key),
             seen AS (SELECT attempt_key, min(at_us) FILTER (WHERE state = :running) AS running_us,
                 min(at_us) FILTER (WHERE state = :collecting) AS made_us
               FROM events WHERE attempt_key IN wanted GROUP BY attempt_key)
           SELECT attempts.attempt_key, session_id, job_id, attempt, template, template_path, spec, state, error,
             coalesce(results, 0), running_us, made_us
           FROM wanted JOIN attempts USING (attempt_key) JOIN jobs USING (job_key)
             LEFT JOIN counted USING (attempt_key) LEFT JOIN seen USING (attempt_key)""",
        {
            "keys": json.dumps(sorted(keys)),
            "running": JobState.RUNNING.value,
            "collecting": JobState.COLLECTING.value,
        },
    )
    return {
        row[0]: AttemptFacts(
            session_id=row[1],
            job_id=row[2],
            attempt=row[3],
            template=row[4],
            template_path=row[5],
            spec_json=row[6],
            state=JobState(row[7]),
            error=row[8],
            results=row[9],
            running_us=row[10],
            made_us=row[11],
        )
        for row in found
    }
