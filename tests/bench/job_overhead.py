"""What a durable, verified, metered job costs beside the same work by plain requests over the same tunnel."""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import requests

from autopod_nb.config import read_settings
from autopod_nb.jobs.spec import make_spec
from autopod_nb.session.build import build_session
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.manager import Session
from tests.bench.run import Row, row

_JOBS = 100
_ROUNDS = 3
_POLL_S = 0.005
_GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 512, "height": 512, "batch_size": 1, "color": 8421504}},
    "2": {"class_type": "ImageAddNoise", "inputs": {"image": ["1", 0], "seed": "{param.seed}", "strength": 0.5}},
    "3": {
        "class_type": "SaveImage",
        "inputs": {"images": ["2", 0], "filename_prefix": "bench/picture"},
        "_meta": {"title": "output.picture"},
    },
}


def measure() -> Row:
    """Median ratio of rounds in which both ways do the same work, one after the other."""
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as folder:
        home = Path(folder)
        template = home / "noise.json"
        template.write_text(json.dumps(_GRAPH))
        session = build_session(read_settings({"AUTOPOD_HOME": str(home / "home")}))
        try:
            port = _connect(session)
            _ours(session, template, home / "warm", first_seed=0, count=5)
            ratios, ours_s, plain_s = [], [], []
            for number in range(_ROUNDS):
                seed = 1000 * (number + 1)
                plain_s.append(_plain(port, home / f"plain{number}", first_seed=seed, count=_JOBS))
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


def _connect(session: Session) -> int:
    pod_id = session.connect(session.plan(PodRequest()))
    snapshot = session.snapshot
    while (port := snapshot.pods[pod_id].local_port) is None:
        if snapshot.pods[pod_id].over:
            raise RuntimeError(snapshot.pods[pod_id].error)
        snapshot = session.wait_newer(snapshot.number, 1.0)
    return port


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
    assert len(list(folder.glob("*.png"))) == count
    return took_s


def _plain(port: int, folder: Path, *, first_seed: int, count: int) -> float:
    """The same as a short script would do it, at its best: post everything, then take what is ready, in order."""
    folder.mkdir()
    url = f"http://127.0.0.1:{port}"
    client_id = str(uuid.uuid4())
    pause = threading.Event()
    begin = time.perf_counter()
    with requests.Session() as http:
        prompt_ids = []
        for seed in range(first_seed, first_seed + count):
            graph = json.loads(json.dumps(_GRAPH).replace('"{param.seed}"', str(seed)))
            answer = http.post(f"{url}/prompt", json={"prompt": graph, "client_id": client_id}, timeout=30)
            prompt_ids.append(answer.json()["prompt_id"])
        for prompt_id in prompt_ids:
            while not (history := http.get(f"{url}/history/{prompt_id}", timeout=30).json()):
                pause.wait(_POLL_S)
            for picture in history[prompt_id]["outputs"]["3"]["images"]:
                file = http.get(f"{url}/view", params=picture, timeout=30)
                file.raise_for_status()
                (folder / picture["filename"]).write_bytes(file.content)
    took_s = time.perf_counter() - begin
    assert len(list(folder.glob("*.png"))) == count
    return took_s
