"""What a sweep of short jobs costs beside the same work by plain requests over the same tunnel."""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from autopod_nb.config import read_settings
from autopod_nb.jobs.spec import make_jobs
from autopod_nb.session.build import build_session
from autopod_nb.session.manager import Session
from autopod_nb.storage.ledger import Ledger
from autopod_nb.threads import ServiceThread
from autopod_nb.widgets.batch import batch_text, batch_view, head_html, rows_html
from tests.bench.noise import connect, count_pictures, graph, plain
from tests.bench.run import Row, row

_JOBS = 200
_ROUNDS = 3
_SIDE_PX = 344  # noise of this size takes about 50 ms on this machine
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
        template.write_text(json.dumps(graph("{param.seed}", _SIDE_PX)))
        session = build_session(read_settings({"AUTOPOD_HOME": str(folder / "home")}))
        try:
            port = connect(session)
            ours(session, template, folder / "warm", range(5))
            ratios, ours_s, plain_s = [], [], []
            for number in range(rounds):
                seeds = range(10_000 * (number + 1), 10_000 * (number + 1) + jobs)
                plain_s.append(plain(port, folder / f"plain{number}", [seed + 5000 for seed in seeds], _SIDE_PX))
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
    count_pictures(folder, len(seeds))
    session.wait_written()
    rows = Ledger(session.ledger_path).read_results()
    written = {each.result.path for each in rows if each.result.path.parent == folder}
    if len(written) != len(seeds):
        raise RuntimeError(f"the ledger knows of {len(written)} of {len(seeds)} files")
    return took_s


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
