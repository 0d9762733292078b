"""What jobs and boots took, one by one, for whoever wants to know what they are going to take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from autopod_nb.models.job import JobState, JsonValue
from autopod_nb.models.pod import PodState
from autopod_nb.storage.ledger import Ledger

_NEWEST = 60  # of a template, on all GPUs; older ones say little of today's; a guess
_BOOTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RanRow:
    """A job that ended well.

    Attributes:
        template: its workflow template.
        gpu_type: where it ran.
        params: what was set in it.
        seconds: from ComfyUI's first word of it until it was done.
        up_s: until its inputs were there and it was accepted.
        down_s: until its results were here.
        cold: the pod had done nothing before, or another template.
    """

    template: str
    gpu_type: str
    params: Mapping[str, JsonValue]
    seconds: float
    up_s: float
    down_s: float
    cold: bool


def ran(ledger: Ledger, template: str) -> tuple[RanRow, ...]:
    """The newest jobs of a template that ended well and were seen to begin, oldest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with ledger.reading() as db:
        found = db.execute(
            """WITH newest AS MATERIALIZED (
                 SELECT attempt_key, pod_id, started_us, spec FROM attempts JOIN jobs USING (job_key)
                 WHERE template = :template AND state = :done AND pod_id IS NOT NULL
                 ORDER BY attempt_key DESC LIMIT :newest),
               seen AS (
                 SELECT attempt_key,
                   min(at_us) FILTER (WHERE state = :uploading) AS taken_us,
                   min(at_us) FILTER (WHERE state = :submitted) AS posted_us,
                   min(at_us) FILTER (WHERE state = :running) AS running_us,
                   min(at_us) FILTER (WHERE state = :collecting) AS made_us,
                   min(at_us) FILTER (WHERE state = :done) AS done_us
                 FROM events WHERE attempt_key IN (SELECT attempt_key FROM newest) GROUP BY attempt_key)
               SELECT gpu_type, spec, made_us - running_us, coalesce(posted_us - taken_us, 0),
                 coalesce(done_us - made_us, 0), (
                   SELECT before_job.template FROM attempts AS before JOIN jobs AS before_job USING (job_key)
                   WHERE before.pod_id = newest.pod_id
                     AND (before.started_us, before.attempt_key) < (newest.started_us, newest.attempt_key)
                   ORDER BY before.started_us DESC, before.attempt_key DESC LIMIT 1)
               FROM newest JOIN seen USING (attempt_key) JOIN pods USING (pod_id)
               WHERE made_us > running_us ORDER BY attempt_key""",
            {
                "template": template,
                "newest": _NEWEST,
                "uploading": JobState.UPLOADING.value,
                "submitted": JobState.SUBMITTED.value,
                "running": JobState.RUNNING.value,
                "collecting": JobState.COLLECTING.value,
                "done": JobState.DONE.value,
            },
        ).fetchall()
    return tuple(
        RanRow(
            template=template,
            gpu_type=row[0],
            params=MappingProxyType(json.loads(row[1]).get("params", {})),
            seconds=row[2] / 1e6,
            up_s=max(0.0, row[3] / 1e6),
            down_s=max(0.0, row[4] / 1e6),
            cold=row[5] != template,
        )
        for row in found
    )


def booted(ledger: Ledger, provider: str) -> Mapping[str, tuple[float, ...]]:
    """GPU → seconds from the request until ComfyUI answered, of the newest pods of a provider, oldest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with ledger.reading() as db:
        found = db.execute(
            """WITH newest AS MATERIALIZED (
                 SELECT pod_id, gpu_type, created_us FROM pods WHERE provider = :provider
                 ORDER BY created_us DESC LIMIT :newest)
               SELECT gpu_type, min(at_us) - created_us FROM newest JOIN events USING (pod_id)
               WHERE state = :ready GROUP BY pod_id ORDER BY created_us""",
            {"provider": provider, "newest": _BOOTS, "ready": PodState.READY.value},
        ).fetchall()
    by_gpu: dict[str, list[float]] = {}
    for gpu, took_us in found:
        by_gpu.setdefault(gpu, []).append(took_us / 1e6)
    return MappingProxyType({gpu: tuple(times) for gpu, times in by_gpu.items()})
