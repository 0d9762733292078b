"""Views to draw, made of plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from autopod_nb.models.event import PromptFault
from autopod_nb.models.job import JobState, RemoteFile, ResultFile, Verified
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import JobView, Level, Notice, PodView, Progress, Snapshot

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)

POD = PodView(
    pod_id="3fa2c1",
    name="autopod-3fa2c1-00",
    provider="local",
    gpu_type="A40",
    gpu_count=1,
    state=PodState.BUSY,
    phase="ComfyUI 0.12.1",
    kind=MoneyKind.SIMULATED,
    price_per_hour_usd=Decimal("0.40"),
    cost_usd=Decimal("0.0012"),
    local_port=8188,
    job_id="portrait",
)

RUNNING = JobView(
    job_id="portrait",
    template="img2vid-basic",
    state=JobState.RUNNING,
    pod_id="3fa2c1",
    progress=Progress(
        percent=40.4, node_id="213", node_title="frame 12", frames_done=12, frames=24, rate_per_s=8.13, left_s=4.2
    ),
    kind=MoneyKind.SIMULATED,
    cost_usd=Decimal("0.0004"),
    expected_cost_usd=Decimal("0.0009"),
    max_cost_usd=Decimal("0.5"),
    elapsed_s=75,
)

RESULT = ResultFile(
    output="video",
    path=Path("/elsewhere/portrait.mp4"),
    bytes=123_456,
    sha256="0" * 64,
    verified=Verified.SHA256,
    source=RemoteFile(node_id="401", filename="portrait.mp4"),
)

DONE = replace(RUNNING, state=JobState.DONE, progress=Progress(percent=100.0), results=(RESULT,))

FAILED = replace(
    RUNNING,
    state=JobState.FAILED,
    error="The workflow failed in node 5: give it a smaller image.",
    fault=PromptFault(
        node_id="5",
        node_type="ImageCrop",
        exception_type="ValueError",
        message="x is too large",
        traceback=("  File nodes.py, line 1\n", "ValueError: x is too large"),
    ),
)


def snapshot(
    *jobs: JobView, pods: tuple[PodView, ...] = (POD,), texts: tuple[str, ...] = (), number: int = 1
) -> Snapshot:
    """A session with these jobs and pods, and a warning for each text."""
    return Snapshot(
        number=number,
        at=NOW,
        pods=MappingProxyType({pod.pod_id: pod for pod in pods}),
        jobs=MappingProxyType({job.job_id: job for job in jobs}),
        cost_usd=MappingProxyType({MoneyKind.SIMULATED: Decimal("0.0012")}),
        limit_usd=Decimal(10),
        notices=tuple(Notice(level=Level.WARNING, text=text, at=NOW) for text in texts),
    )
