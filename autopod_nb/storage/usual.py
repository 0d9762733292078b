"""What jobs usually take, learned from those that are done."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from autopod_nb.models.job import JobState
from autopod_nb.storage.ledger import Ledger

_NEWEST = 50  # older runs say little of today's: other code, other models; a guess
_PER_GPU = 20


def usual_seconds(ledger: Ledger, template: str) -> Mapping[str, float]:
    """GPU type → median seconds of the newest runs of a workflow template that ended well; empty if there are none."""
    with ledger.reading() as db:
        rows = db.execute(
            """SELECT gpu_type, (attempts.ended_us - attempts.started_us) / 1e6
               FROM attempts JOIN jobs USING (job_key) JOIN pods ON pods.pod_id = attempts.pod_id
               WHERE jobs.template = ? AND attempts.state = ? AND attempts.started_us IS NOT NULL
               ORDER BY attempt_key DESC LIMIT ?""",
            (template, JobState.DONE.value, _NEWEST),
        ).fetchall()
    by_gpu: dict[str, list[float]] = {}
    for gpu, seconds in rows:
        if len(times := by_gpu.setdefault(gpu, [])) < _PER_GPU:
            times.append(seconds)
    return {gpu: statistics.median(times) for gpu, times in by_gpu.items()}
