"""What rows that were saved refer to, and that itself was lost: it is put in again as far as it is known.

So that no charge is left out of the totals because the row of its pod or its job could not be read, and that a pod
of which only charges or changes are left still counts as billing, unless the last of them says that it is gone.
"""

from __future__ import annotations

import sqlite3

from autopod_nb.models.job import JobSpec, JobState, job_is_over
from autopod_nb.models.pod import PodState
from autopod_nb.storage.columns import spec_to_json

_WHY = "Its row was lost with a damaged ledger."
_OVER = ", ".join(f"'{state.value}'" for state in JobState if job_is_over(state))


def mend(db: sqlite3.Connection) -> int:
    """Put in what is missing, in a ledger without triggers and with foreign keys off.

    Returns:
        How many rows had to be left out, because they fit nothing.
    """
    _add_attempts(db)
    _add_jobs(db)
    _add_pods(db)
    return _drop_what_fits_nothing(db)


def _add_attempts(db: sqlite3.Connection) -> None:
    """Each gets a job key of its own, which is beyond those in use."""
    db.execute(
        """INSERT INTO attempts (attempt_key, job_key, attempt, state, error, submitted_us, updated_us, ended_us)
           SELECT known.attempt_key, known.attempt_key + (SELECT coalesce(max(job_key), 0) FROM
                    (SELECT job_key FROM jobs UNION ALL SELECT job_key FROM attempts)),
             1, :failed, :why, min(at_us), max(at_us), max(at_us)
           FROM (SELECT attempt_key, start_us AS at_us FROM charges UNION ALL SELECT attempt_key, at_us FROM events
                 UNION ALL SELECT attempt_key, recorded_us FROM results) AS known
           WHERE known.attempt_key IS NOT NULL AND known.attempt_key NOT IN (SELECT attempt_key FROM attempts)
           GROUP BY known.attempt_key""",
        {"failed": JobState.FAILED.value, "why": _WHY},
    )
    last = "(SELECT state FROM events WHERE attempt_key = attempts.attempt_key ORDER BY event_id DESC LIMIT 1)"
    db.execute(f"UPDATE attempts SET state = {last} WHERE error = ? AND {last} IN ({_OVER})", (_WHY,))  # noqa: S608 - states of ours


def _add_jobs(db: sqlite3.Connection) -> None:
    """Without what was asked for nobody can go on with a job: its attempts are over."""
    missing = db.execute(
        """SELECT job_key, coalesce(max(charges.session_id), max(pods.session_id), 'unknown')
           FROM attempts LEFT JOIN charges USING (attempt_key) LEFT JOIN pods ON pods.pod_id = attempts.pod_id
           WHERE job_key NOT IN (SELECT job_key FROM jobs) GROUP BY job_key"""
    ).fetchall()
    for job_key, session_id in missing:
        spec = JobSpec(job_id=f"lost-{job_key}", workflow_template="unknown")
        db.execute(
            "INSERT INTO jobs (job_key, session_id, job_id, template, spec) VALUES (?, ?, ?, ?, ?)",
            (job_key, session_id, spec.job_id, spec.workflow_template, spec_to_json(spec)),
        )
        db.execute(
            f"""UPDATE attempts SET state = ?, error = ?, ended_us = updated_us
                WHERE job_key = ? AND state NOT IN ({_OVER})""",  # noqa: S608 - states of ours
            (JobState.FAILED.value, _WHY, job_key),
        )


def _add_pods(db: sqlite3.Connection) -> None:
    """As dear as its dearest charge, of that kind of money, and in the state of its last change."""
    db.execute(
        """INSERT INTO pods (pod_id, name, session_id, provider, gpu_type, gpu_count, price_per_hour_usd,
             stopped_price_per_hour_usd, kind, state, error, created_us, updated_us)
           SELECT known.pod_id, 'autopod-' || known.pod_id || '-lost',
             coalesce((SELECT session_id FROM charges WHERE pod_id = known.pod_id), 'unknown'), 'unknown', 'unknown', 1,
             coalesce((SELECT price_per_hour_usd FROM charges WHERE pod_id = known.pod_id
                       ORDER BY CAST(price_per_hour_usd AS REAL) DESC), '0'), '0',
             coalesce((SELECT kind FROM charges WHERE pod_id = known.pod_id), 'real'),
             coalesce((SELECT state FROM events WHERE pod_id = known.pod_id ORDER BY event_id DESC), :lost), :why,
             min(known.at_us), max(known.at_us)
           FROM (SELECT pod_id, start_us AS at_us FROM charges UNION ALL SELECT pod_id, at_us FROM events
                 UNION ALL SELECT pod_id, updated_us FROM attempts UNION ALL SELECT pod_id, renewed_us FROM leases
                ) AS known
           WHERE known.pod_id IS NOT NULL AND known.pod_id NOT IN (SELECT pod_id FROM pods) GROUP BY known.pod_id""",
        {"lost": PodState.LOST.value, "why": _WHY},
    )


def _drop_what_fits_nothing(db: sqlite3.Connection) -> int:
    """A command to a pod that nobody knows, a charge of the other kind of money than its pod."""
    wrong = {(table, rowid) for table, rowid, *_ in db.execute("PRAGMA foreign_key_check").fetchall()}
    for table, rowid in wrong:
        db.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608 - a name of ours
    return len(wrong)
