"""What a durable, verified, metered job costs beside the same work by plain requests over the same tunnel."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

from autopod_nb.config import read_settings
from autopod_nb.jobs.spec import make_spec
from autopod_nb.session.build import build_session
from autopod_nb.session.manager import Session
from tests.bench.noise import connect, count_pictures, graph, plain
from tests.bench.run import Row, row

_JOBS = 100
_ROUNDS = 3
_SIDE_PX = 512


def measure() -> Row:
    """Median ratio of rounds in which both ways do the same work, one after the other."""
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as folder:
        home = Path(folder)
        template = home / "noise.json"
        template.write_text(json.dumps(graph("{param.seed}", _SIDE_PX)))
        session = build_session(read_settings({"AUTOPOD_HOME": str(home / "home")}))
        try:
            port = connect(session)
            _ours(session, template, home / "warm", first_seed=0, count=5)
            ratios, ours_s, plain_s = [], [], []
            for number in range(_ROUNDS):
                seed = 1000 * (number + 1)
                plain_s.append(plain(port, home / f"plain{number}", range(seed, seed + _JOBS), _SIDE_PX))
                ours_s.append(_ours(session, template, home / f"ours{number}", first_seed=seed + 500, count=_JOBS))
                ratios.append(ours_s[-1] / plain_s[-1])
        finally:
            session.close()
    note = (
        f"{_JOBS} jobs, {_ROUNDS} rounds, {min(ratios):.2f} to {max(ratios):.2f};"
        f" ours {statistics.median(ours_s):.2f} s, plain {statistics.median(plain_s):.2f} s"
        f" ({statistics.median(plain_s) / _JOBS * 1000:.0f} ms a job), all posted at once"
    )
    return row("job_overhead_ratio", statistics.median(ratios), "×", 1.5, note)


def _ours(session: Session, template: Path, folder: Path, *, first_seed: int, count: int) -> float:
    """Seconds from the submission of all jobs to the last verified file."""
    specs = [
        make_spec(
            str(template),
            job_id=f"{folder.name}-{seed}",
            params={"seed": seed},
            outputs={"picture": str(folder / f"{seed}.png")},
        )
        for seed in range(first_seed, first_seed + count)
    ]
    begin = time.perf_counter()
    for job in session.submit_all(specs):
        job.wait(300)
    took_s = time.perf_counter() - begin
    count_pictures(folder, count)
    return took_s
