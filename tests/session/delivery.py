"""Jobs over lines that fail: a session whose pods stand behind relays, what both sides saw, and the figures."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from autopod_nb.clock import Clock, Deadline
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import JobView
from autopod_nb.session.handle import Job
from autopod_nb.storage.ledger import Ledger
from tests.fakes.relay import Line, Relay, clock_s
from tests.fakes.relayed import Relayed
from tests.session.live import REAL, Live
from tests.session.stall import StallWatch

DELAY_S = 0.02
STEP_S = 0.18  # of the simulated sampler
STEPS = 55
JOB_S = STEPS * STEP_S
"""About ten seconds: so long a job renders."""
WITHIN_S = 90.0
ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "jobs" / "inputs" / "portrait.jpg"


def _node(kind: str, title: str = "", **inputs: object) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title or kind}}


# a sampler takes its time without work for the machine
_SAMPLER = {
    "2": _node("CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors"),
    "3": _node("CLIPTextEncode", text="a harbour", clip=["2", 1]),
    "4": _node("EmptyLatentImage", width=512, height=512, batch_size=1),
    "5": _node(
        "KSampler",
        "Sampler",
        model=["2", 0],
        positive=["3", 0],
        negative=["3", 0],
        latent_image=["4", 0],
        seed="{param.seed=1}",
        steps="{param.steps=20}",
        cfg=1.0,
        sampler_name="euler",
        scheduler="normal",
        denoise=1.0,
    ),
    "6": _node("VAEDecode", samples=["5", 0], vae=["2", 2]),
}
GRAPHS: dict[str, dict[str, Any]] = {
    "plain": _SAMPLER | {"7": _node("SaveImage", "output.picture", images=["6", 0], filename_prefix="test/plain")},
    # a photograph goes up
    "shot": _SAMPLER
    | {
        "1": _node("LoadImage", "Photograph", image="{input.image}"),
        "4": _node("VAEEncode", pixels=["1", 0], vae=["2", 2]),
        "7": _node("SaveImage", "output.picture", images=["6", 0], filename_prefix="test/shot"),
    },
    # a picture of noise comes down, which is as large as its pixels: 6 kB a line
    "large": _SAMPLER
    | {
        "7": _node("PreviewImage", images=["6", 0]),
        "8": _node("EmptyImage", width=2048, height="{param.height=1024}", batch_size=1, color=8421504),
        "9": _node("ImageAddNoise", image=["8", 0], seed="{param.seed=1}", strength=0.2),
        "10": _node("SaveImage", "output.picture", images=["9", 0], filename_prefix="test/large"),
    },
}


class FaultyLines(Relayed[Relay]):
    """The local provider, with a relay on the way to each pod's SSH server. It tells where the relay is now."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        super().__init__(folder, clock=clock, make_way=lambda address: Relay(address.port, delay_s=DELAY_S))


def faulty_lines(folder: Path, clock: Clock) -> FaultyLines:
    return FaultyLines(folder, clock=clock)


def noise(path: Path, *, height: int, seed: int) -> Path:
    """A photograph that nobody has seen, 6 kB a line."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, 2048, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


def pause(seconds: float) -> None:
    """Let real time pass."""
    threading.Event().wait(max(0.0, seconds))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one delivery was like.

    Attributes:
        late_s: from the moment when the line was good and the server had made the result, until it was here.
        stalled_s: for how long of that the whole machine stood still.
        found_s: until the session knew of the fault; None where it was not looked at.
    """

    late_s: float
    stalled_s: float = 0.0
    found_s: float | None = None

    @property
    def net_s(self) -> float:
        """Late, without what the machine is to blame for."""
        return self.late_s - self.stalled_s


class Delivery:
    """One pod of a session, its relay, and one job at a time."""

    def __init__(self, live: Live, pod_id: str, stalls: StallWatch | None = None) -> None:
        assert isinstance(live.provider, FaultyLines)
        self.live = live
        self.pod_id = pod_id
        self.stalls = stalls
        self.relay = live.provider.relays[live.pod(pod_id).name]
        self.folder = live.pod_folder(pod_id)
        facts = json.loads((self.folder / "pod.json").read_text())
        self.comfyui_port: int = facts["comfyui_port"]
        self.log = Path(facts["comfyui_log"])
        self._before = self.in_all()

    def _count(self, words: str) -> int:
        return self.log.read_text(errors="replace").count(words)

    def since(self) -> tuple[int, int]:
        """How often the server was given a prompt since this was asked last, and how often it ran one to its end."""
        before, self._before = self._before, self.in_all()
        return self._before[0] - before[0], self._before[1] - before[1]

    def in_all(self) -> tuple[int, int]:
        """The same since the pod was rented."""
        return self._count("got prompt"), self._count("Prompt executed")

    def until_idle(self) -> None:
        """Wait until the server has nothing to do, for nobody."""
        deadline = Deadline(REAL, WITHIN_S)
        with closing(ComfyClient(f"http://127.0.0.1:{self.comfyui_port}", clock=REAL)) as client:
            while client.queue_remaining():
                assert not deadline.passed, "the server does not come to rest"
                pause(0.05)

    def submit(self, graph: str, name: str, **wishes: object) -> Job:
        """One of GRAPHS."""
        path = self.live.folder / "templates" / f"{graph}.json"
        if not path.exists():
            part = path.with_suffix(f".{self.pod_id}")
            part.write_text(json.dumps(GRAPHS[graph]))
            part.replace(path)
        return self.live.submit(graph, name, pod_id=self.pod_id, **wishes)

    def submit_shot(self, name: str, *, steps: int, seed: int, photograph: Path = PORTRAIT) -> Job:
        """A photograph goes up, the sampler takes STEP_S a step, a picture comes down."""
        return self.submit("shot", name, inputs={"image": photograph}, steps=steps, seed=seed)

    def ended_s(self, prompt_id: str) -> float | None:
        """When the server was through with it, by the relay's clock; None before."""
        with closing(ComfyClient(f"http://127.0.0.1:{self.comfyui_port}", clock=REAL)) as client:
            result = client.history(prompt_id)
        if result is None or result.ended_ms is None:
            return None
        return result.ended_ms / 1000 - time.time() + clock_s()

    def until_runs(self, job: Job) -> None:
        """Wait until the server renders it, whoever knows of that."""
        deadline = Deadline(REAL, WITHIN_S)
        with closing(ComfyClient(f"http://127.0.0.1:{self.comfyui_port}", clock=REAL)) as client:
            while job.view.prompt_id not in client.queue().running:
                assert not job.view.over, f"it is over: {job.view}"
                assert not deadline.passed, "it does not begin"
                pause(0.05)

    def until_ended(self, prompt_id: str) -> float:
        """Wait until the server is through with it, whoever knows of that."""
        deadline = Deadline(REAL, WITHIN_S)
        while (ended_s := self.ended_s(prompt_id)) is None:
            assert not deadline.passed, "the server does not end"
            pause(0.05)
        return ended_s

    def until_done(self, job: Job, *, back_s: float) -> tuple[JobView, Figures]:
        """Wait until it is delivered; how late that is after the line was good again and the server had made it."""
        view = self.live.until_job(job, JobState.DONE, JobState.FAILED, JobState.CANCELLED, within_s=WITHIN_S)
        here_s = clock_s()
        assert view.state is JobState.DONE, f"{job.job_id}: {view.error}; {self.told()}"
        assert view.prompt_id is not None
        (path,) = job.outputs["picture"]
        assert path.stat().st_size > 0
        good_s = max(back_s, self.until_ended(view.prompt_id))
        stalled_s = self.stalls.between(good_s, here_s) if self.stalls is not None else 0.0
        return view, Figures(late_s=here_s - good_s, stalled_s=stalled_s)

    def told(self) -> str:
        """What the session said of this pod and its jobs, for who must find out what went wrong."""
        return "\n".join(
            line for line in self.live.notices.splitlines() if self.pod_id in line or "tried again" in line
        )

    def until_ready(self) -> None:
        """Mend the line, and wait until nothing goes on any more."""
        self.relay.admit()
        self.relay.release()
        self.relay.resume()
        self.relay.shape(up=Line(delay_s=DELAY_S), down=Line(delay_s=DELAY_S))
        self.live.until_pod(self.pod_id, PodState.READY, within_s=WITHIN_S)
        self.until_idle()
        self.since()

    def attempts(self, job: Job) -> list[tuple[int, JobState]]:
        """What the ledger says: attempt and state, in order."""
        assert self.live.session.wait_written()
        rows = Ledger(self.live.session.ledger_path).read_jobs()
        return [(row.attempt, row.state) for row in rows if row.job_id == job.job_id]

    def until_lost(self) -> float:
        """Wait until the session knows that the line is gone. Returns when that was."""
        self.live.until_pod(self.pod_id, PodState.LOST)
        return clock_s()

    def until_line(self) -> None:
        """Wait until the session has a line to the pod again."""
        self.live.until(lambda snapshot: snapshot.pods[self.pod_id].state is not PodState.LOST, WITHIN_S)


class Chance(random.Random):
    """What is left to chance in one repeat of a case, and is the same in each run.

    Attributes:
        name: of the job.
        number: of the repeat, so that no way of doing harm is left out.
    """

    def __init__(self, case: str, number: int) -> None:
        self.name, self.number = f"{case}-{number:02}", number
        super().__init__(self.name)

    def turn(self, ways: Sequence[str]) -> str:
        """Each in its turn."""
        return ways[self.number % len(ways)]
