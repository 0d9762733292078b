"""How long a person waits for the table of 100,000 jobs."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.job import JobSpec
from autopod_nb.models.money import MoneyKind
from autopod_nb.session.history import history_frame
from autopod_nb.storage.columns import spec_to_json
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.writes import PodIntent
from tests.bench.run import Row, row

_JOBS = 100_000
_PODS = 50
_CHARGES_A_JOB = 3
_ROUNDS = 7
_GPUS = ("A40", "RTX A6000", "RTX A5000")

# A hundred sessions of a thousand jobs, each with one attempt that is done, three charges and one result. Written in
# SQL, for a hundred thousand times ten records would take most of a minute.
_STORY = """
CREATE TEMP TABLE numbers AS
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs}) SELECT i FROM n;
INSERT INTO jobs (job_key, session_id, job_id, template, spec)
  SELECT i, 'session-' || (i / 1000), printf('img2vid-basic-%06d', i), 'img2vid-basic', '{spec}' FROM numbers;
INSERT INTO attempts (attempt_key, job_key, attempt, pod_id, prompt_id, state, submitted_us, updated_us, started_us,
    ended_us)
  SELECT i, i, 1, 'p' || (i % {pods}), 'prompt-' || i, 'done', t, t + 12000000, t + 1000000, t + 12000000
  FROM (SELECT i, 1767268800000000 + i * 20000000 AS t FROM numbers);
INSERT INTO charges (session_id, pod_id, attempt_key, purpose, kind, start_us, seconds, price_per_hour_usd,
    amount_micro_usd)
  SELECT 'session-' || (i / 1000), 'p' || (i % {pods}), i, 'job', 'simulated', 1767268800000000 + i * 20000000, '5.1',
    '0.4', 567
  FROM numbers, (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3);
INSERT INTO results (attempt_key, output, path, bytes, sha256, verified, node_id, filename, subfolder, folder,
    recorded_us)
  SELECT i, 'video', printf('/home/somebody/outputs/img2vid-basic-%06d.mp4', i), 123456, '{sha}', 'sha256', '9',
    'ComfyUI_00001_.mp4', '', 'output', 1767268800000000 FROM numbers;
DROP TABLE numbers;
"""


def measure() -> Row:
    """Median of seven tables; what the first one takes, which loads pandas, is in the note."""
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as folder:
        path = Path(folder) / LEDGER_NAME
        _fill(path)
        first_s = _once(path)
        times = [_once(path) for _ in range(_ROUNDS)]
        size_mb = path.stat().st_size / 1e6
    note = (
        f"median of {_ROUNDS}, {min(times):.2f} to {max(times):.2f}; the first, with pandas, {first_s:.2f};"
        f" ledger of {size_mb:.0f} MB"
    )
    return row("history_100k_s", statistics.median(times), "s", 1, note)


def _once(path: Path) -> float:
    begin = time.perf_counter()
    frame = history_frame(path)
    took = time.perf_counter() - begin
    if len(frame) != _JOBS or round(float(frame["cost_usd"].sum()), 4) != _JOBS * _CHARGES_A_JOB * 567 / 1e6:
        raise RuntimeError("the table is not what was written")
    return took


def _fill(path: Path) -> None:
    spec = spec_to_json(
        JobSpec(
            job_id="img2vid-basic-000000",
            workflow_template="img2vid-basic",
            inputs={"image": Path("/home/somebody/pictures/portrait.jpg")},
            params={"seed": 42, "fps": 12},
        )
    )
    with Ledger(path) as ledger:
        ledger.write([_pod(number) for number in range(_PODS)])
    with closing(sqlite3.connect(path)) as db:
        db.executescript(_STORY.format(jobs=_JOBS, pods=_PODS, spec=spec, sha="ab" * 32))


def _pod(number: int) -> PodIntent:
    return PodIntent(
        pod_id=f"p{number}",
        name=f"autopod-p{number}",
        session_id=f"session-{number}",
        provider="local",
        gpu_type=_GPUS[number % len(_GPUS)],
        gpu_count=1,
        price_per_hour_usd=Decimal("0.4"),
        stopped_price_per_hour_usd=Decimal("0.01"),
        kind=MoneyKind.SIMULATED,
        at=datetime(2026, 1, 1, tzinfo=timezone.utc),
    )
