"""What a sweep of short jobs costs beside the same work by plain requests over the same tunnel."""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests

from autopod_nb.config import read_settings
from autopod_nb.jobs.spec import make_jobs
from autopod_nb.session.build import build_session
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.manager import Session
from autopod_nb.storage.ledger import Ledger
from autopod_nb.threads import ServiceThread
from autopod_nb.widgets.batch import batch_text, batch_view, head_html, rows_html
from tests.bench.run import Row, row

_JOBS = 200
_ROUNDS = 3
_SIDE_PX = 344  # noise of this size takes about 50 ms on this machine
_POLL_S = 0.005
_DRAWN_S = 0.1
_WITHIN_S = 300


def sweep() -> Row:
    """The sweep of a cell, in the ledger, drawn as a panel draws it, with every file verified, over plain requests."""
    return measure(_JOBS, _ROUNDS)


def measure(jobs: int, rounds: int) -> Row:
    """Median ratio of rounds in which both ways do the same work, one after the other."""
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as name:
        folder = Path(name)
        template = folder / "noise.json"
        template.write_text(json.dumps(_graph("{param.seed}")))
        session = build_session(read_settings({"AUTOPOD_HOME": str(folder / "home")}))
        try:
            port = _connect(session)
            ours(session, template, folder / "warm", range(5))
            ratios, ours_s, plain_s = [], [], []
            for number in range(rounds):
                seeds = range(10_000 * (number + 1), 10_000 * (number + 1) + jobs)
                plain_s.append(plain(port, folder / f"plain{number}", [seed + 5000 for seed in seeds]))
                ours_s.append(ours(session, template, folder / f"ours{number}", seeds))
                ratios.append(ours_s[-1] / plain_s[-1])
        finally:
            session.close()
    note = (
        f"{jobs} jobs of one sweep, {rounds} rounds, {min(ratios):.2f} to {max(ratios):.2f}; ours"
        f" {statistics.median(ours_s):.2f} s, plain requests {statistics.median(plain_s):.2f} s, which is"
        f" {statistics.median(plain_s) / jobs * 1000:.0f} ms a job; new files counted, downloads and ledger included"
    )
    return row("sweep200_vs_direct", statistics.median(ratios), "×", 1.3, note)


def _graph(seed: object) -> dict[str, Any]:
    grey = {"width": _SIDE_PX, "height": _SIDE_PX, "batch_size": 1, "color": 8421504}
    noise = {"image": ["1", 0], "seed": seed, "strength": 0.5}
    saved = {"images": ["2", 0], "filename_prefix": "bench/picture"}
    return {
        "1": {"class_type": "EmptyImage", "inputs": grey},
        "2": {"class_type": "ImageAddNoise", "inputs": noise},
        "3": {"class_type": "SaveImage", "inputs": saved, "_meta": {"title": "output.picture"}},
    }


def _connect(session: Session) -> int:
    pod_id = session.connect(session.plan(PodRequest()))
    snapshot = session.snapshot
    while (port := snapshot.pods[pod_id].local_port) is None:
        if snapshot.pods[pod_id].over:
            raise RuntimeError(snapshot.pods[pod_id].error)
        snapshot = session.wait_newer(snapshot.number, 1.0)
    return port


def ours(session: Session, template: Path, folder: Path, seeds: Sequence[int]) -> float:
    """Seconds from what a cell says to the last verified file.

    Raises:
        RuntimeError: a file or a row of the ledger is missing.
    """
    begin = time.perf_counter()
    outputs = {"picture": str(folder / "{job_id}.png")}
    specs = make_jobs(str(template), sweep={"seed": list(seeds)}, outputs=outputs, job_id=folder.name)
    jobs = session.submit_all(specs)
    with _drawn(session, folder.name, [job.job_id for job in jobs]):
        for job in jobs:
            job.wait(_WITHIN_S)
    took_s = time.perf_counter() - begin
    _count(folder, len(seeds))
    session.wait_written()
    rows = Ledger(session.ledger_path).read_results()
    written = {each.result.path for each in rows if each.result.path.parent == folder}
    if len(written) != len(seeds):
        raise RuntimeError(f"the ledger knows of {len(written)} of {len(seeds)} files")
    return took_s


def plain(port: int, folder: Path, seeds: Sequence[int]) -> float:
    """The same as a short script would do it, at its best: post everything, then take what is ready, in order.

    Raises:
        RuntimeError: a file is missing.
    """
    folder.mkdir()
    url = f"http://127.0.0.1:{port}"
    client_id = str(uuid.uuid4())
    pause = threading.Event()
    begin = time.perf_counter()
    with requests.Session() as http:
        prompt_ids = []
        for seed in seeds:
            answer = http.post(f"{url}/prompt", json={"prompt": _graph(seed), "client_id": client_id}, timeout=30)
            prompt_ids.append(answer.json()["prompt_id"])
        for prompt_id in prompt_ids:
            while not (history := http.get(f"{url}/history/{prompt_id}", timeout=30).json()):
                pause.wait(_POLL_S)
            for picture in history[prompt_id]["outputs"]["3"]["images"]:
                file = http.get(f"{url}/view", params=picture, timeout=30)
                file.raise_for_status()
                (folder / picture["filename"]).write_bytes(file.content)
    took_s = time.perf_counter() - begin
    _count(folder, len(seeds))
    return took_s


def _count(folder: Path, count: int) -> None:
    """Different seeds make different files."""
    found = {path.read_bytes() for path in folder.glob("*.png")}
    if len(found) != count:
        raise RuntimeError(f"{len(found)} different files came instead of {count}")


@contextlib.contextmanager
def _drawn(session: Session, name: str, job_ids: Sequence[str]) -> Iterator[None]:
    """Have the progress of these jobs written out, as often as the panel of a cell does."""

    def draw(stop: threading.Event) -> None:
        turn = 0
        while not stop.wait(_DRAWN_S):
            view = batch_view(name, job_ids, session.snapshot)
            batch_text(view)
            turn += 1
            if turn % 2:
                head_html(view)
            if turn % 5 == 0:
                rows_html(view)

    thread = ServiceThread("bench-panel", draw).start()
    try:
        yield
    finally:
        thread.stop()
        thread.join(2.0)
    if thread.failure is not None:
        raise thread.failure
