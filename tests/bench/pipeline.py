"""How long a GPU waits between two jobs that take and give large files over a line with delay.

Side by side in one run: our session; a server that had all its jobs posted at once, with the files there already, which
is the least that can be; and afterwards what a script does that brings, renders and fetches one job after the other.
"""

from __future__ import annotations

import functools
import json
import shutil
import statistics
import tempfile
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from autopod_nb.config import read_settings
from autopod_nb.jobs.spec import make_spec
from autopod_nb.models.pod import PodState
from autopod_nb.session.build import build_session
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.manager import Session
from tests.bench.pipeline_line import SAVER, DelayedPods, Work, gaps_ms, until_idle
from tests.bench.run import Row, at_least, row
from tests.session.live import REAL

_WORK = Work(megabytes=20, seconds=4)
_JOBS = 30
_NAIVE_JOBS = 8
_DELAY_MS = 20.0
_POLL_S = 0.005
_WITHIN_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Between jobs on a pod, in ms: ours, of a server that has everything, and of the naive order."""

    ours: Sequence[float]
    server: Sequence[float]
    naive: Sequence[float]


def gap() -> Row:
    """How much longer than it must the GPU waits, in the median or at the 90th percentile, whichever is worse."""
    got = _gaps()
    middle = statistics.median(got.ours) - statistics.median(got.server)
    late = p90(got.ours) - p90(got.server)
    note = (
        f"{len(got.ours) + 1} jobs of {_WORK.seconds:g} s, {_WORK.megabytes:g} MB in and out, {_DELAY_MS:g} ms each"
        f" way; median {statistics.median(got.ours):.0f}, p90 {p90(got.ours):.0f}, worst {max(got.ours):.0f}; the"
        f" server by itself {statistics.median(got.server):.0f}, {p90(got.server):.0f}, {max(got.server):.0f}"
    )
    return row("gap_over_server_ms", max(middle, late), "ms", 20, note)


def naive() -> Row:
    """The same of a script that uploads, runs, downloads, and only then begins the next."""
    got = _gaps()
    note = f"upload, run, download, next; {len(got.naive) + 1} jobs; aim: no less than ours in the median"
    return at_least("naive_gap_ms", statistics.median(got.naive), "ms", statistics.median(got.ours), note)


def p90(times: Sequence[float]) -> float:
    """The 90th percentile."""
    return statistics.quantiles(times, n=10)[8]


@functools.cache
def _gaps() -> Gaps:
    return measure(_WORK, _JOBS, _NAIVE_JOBS)


def measure(work: Work, jobs: int, naive_jobs: int, delay_ms: float = _DELAY_MS) -> Gaps:
    """Run them all; every result is compared with what it was made of."""
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as name:
        folder = Path(name)
        provider = DelayedPods(folder / "home" / "pods", clock=REAL, delay_ms=delay_ms)
        session = build_session(read_settings({"AUTOPOD_HOME": str(folder / "home")}), provider=provider)
        try:
            ours, server, slow = (_rent(session, folder) for _ in range(3))
            posted = _post_all(work, server, work.pictures(folder / "there", jobs, seed=1000))
            told = _run(session, work, ours, folder, jobs)
            until_idle(server.comfyui_port, _WITHIN_S)
            one_by_one = _one_by_one(work, slow, work.pictures(folder / "slow", naive_jobs, seed=3000), folder)
            return Gaps(
                ours=gaps_ms(ours.comfyui_port, told),
                server=gaps_ms(server.comfyui_port, posted),
                naive=gaps_ms(slow.comfyui_port, one_by_one),
            )
        finally:
            session.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pod:
    """Where a pod is: its id, the port of our tunnel to it, and ComfyUI itself."""

    pod_id: str
    tunnel_port: int
    comfyui_port: int
    comfyui_dir: Path


def _rent(session: Session, folder: Path) -> _Pod:
    pod_id = session.connect(session.plan(PodRequest()))
    snapshot = session.snapshot
    while snapshot.pods[pod_id].state is not PodState.READY:
        if snapshot.pods[pod_id].over:
            raise RuntimeError(snapshot.pods[pod_id].error)
        snapshot = session.wait_newer(snapshot.number, 1.0)
    pod = snapshot.pods[pod_id]
    facts = json.loads((folder / "home" / "pods" / pod.name / "pod.json").read_text())
    assert pod.local_port is not None
    return _Pod(
        pod_id=pod_id,
        tunnel_port=pod.local_port,
        comfyui_port=facts["comfyui_port"],
        comfyui_dir=Path(facts["comfyui_dir"]),
    )


def _run(session: Session, work: Work, pod: _Pod, folder: Path, count: int) -> list[str]:
    """Our session's way. Returns the prompt ids in order."""
    pictures = work.pictures(folder / "ours", count, seed=2000)
    template = work.template(folder / "work.json")
    specs = [
        make_spec(
            str(template),
            job_id=f"ours-{number:02}",
            inputs={"image": picture},
            params={"seed": number},
            outputs={"picture": str(folder / "results" / f"{number:02}.png")},
        )
        for number, picture in enumerate(pictures)
    ]
    jobs = session.submit_all(specs, pod_id=pod.pod_id)
    for job in jobs:
        job.wait(_WITHIN_S)
    work.check(pictures, [job.outputs["picture"][0] for job in jobs])
    return [str(job.view.prompt_id) for job in jobs]


def _post_all(work: Work, pod: _Pod, pictures: Sequence[Path]) -> list[str]:
    """All at once, with the files on the pod already. Does not wait for them."""
    folder = pod.comfyui_dir / "input" / "there"
    folder.mkdir(parents=True)
    with requests.Session() as http:
        for picture in pictures:
            shutil.copyfile(picture, folder / picture.name)
        return [_post(http, work, pod.comfyui_port, f"there/{picture.name}", picture) for picture in pictures]


def _post(http: requests.Session, work: Work, port: int, name: str, picture: Path) -> str:
    body = {"prompt": work.graph(name, int(picture.stem)), "client_id": str(uuid.uuid4())}
    answer = http.post(f"http://127.0.0.1:{port}/prompt", json=body, timeout=60)
    answer.raise_for_status()
    prompt_id: str = answer.json()["prompt_id"]
    return prompt_id


def _one_by_one(work: Work, pod: _Pod, pictures: Sequence[Path], folder: Path) -> list[str]:
    """What a short script does over the same tunnel: each job from end to end before the next."""
    url, prompt_ids, results = f"http://127.0.0.1:{pod.tunnel_port}", [], []
    pause = threading.Event()
    with requests.Session() as http:
        for picture in pictures:
            with picture.open("rb") as file:
                sent = http.post(f"{url}/upload/image", files={"image": (picture.name, file)}, timeout=60)
            prompt_ids.append(_post(http, work, pod.tunnel_port, sent.json()["name"], picture))
            while not (history := http.get(f"{url}/history/{prompt_ids[-1]}", timeout=60).json()):
                pause.wait(_POLL_S)
            (image,) = history[prompt_ids[-1]]["outputs"][SAVER]["images"]
            results.append(folder / f"naive-{picture.name}")
            results[-1].write_bytes(http.get(f"{url}/view", params=image, timeout=60).content)
    work.check(pictures, results)
    return prompt_ids
