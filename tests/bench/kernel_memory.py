"""How much a kernel grows by a thousand jobs."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.run import ROOT, Row, row

_JOBS = 1000
_WARM = 50
_AT_ONCE = 100
_GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 8421504}},
    "2": {"class_type": "ImageAddNoise", "inputs": {"image": ["1", 0], "seed": "{param.seed}", "strength": 0.5}},
    "3": {
        "class_type": "SaveImage",
        "inputs": {"images": ["2", 0], "filename_prefix": "bench/picture"},
        "_meta": {"title": "output.picture"},
    },
}


def measure() -> Row:
    """Growth of the resident memory of a process of its own, from after fifty jobs to after a thousand more."""
    command = [sys.executable, "-m", "tests.bench.kernel_memory"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=1200)
    before_mb, after_mb = json.loads(done.stdout.splitlines()[-1])
    note = f"{_JOBS} jobs of a few milliseconds, {before_mb:.0f} MB before, {after_mb:.0f} MB after"
    return row("kernel_mb_after_1000_jobs", after_mb - before_mb, "MB", 60, note)


def _resident_mb() -> float:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _main() -> None:
    from autopod_nb.config import read_settings  # noqa: PLC0415 - only in the process that is measured
    from autopod_nb.jobs.spec import make_spec  # noqa: PLC0415
    from autopod_nb.session.build import build_session  # noqa: PLC0415
    from autopod_nb.session.commands import PodRequest  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as folder:
        home = Path(folder)
        template = home / "noise.json"
        template.write_text(json.dumps(_GRAPH))
        session = build_session(read_settings({"AUTOPOD_HOME": str(home / "home")}))
        try:
            session.connect(session.plan(PodRequest()))

            def run(first: int, count: int) -> None:
                specs = [
                    make_spec(
                        str(template),
                        job_id=f"job-{seed}",
                        params={"seed": seed},
                        outputs={"picture": str(home / "out" / f"{seed}.png")},
                    )
                    for seed in range(first, first + count)
                ]
                for job in session.submit_all(specs):
                    job.wait(600)

            run(0, _WARM)
            before_mb = _resident_mb()
            for first in range(_WARM, _WARM + _JOBS, _AT_ONCE):
                run(first, _AT_ONCE)
            after_mb = _resident_mb()
        finally:
            session.close()
    print(json.dumps([before_mb, after_mb]))


if __name__ == "__main__":
    _main()
