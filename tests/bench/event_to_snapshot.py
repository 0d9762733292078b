"""How long a frame from ComfyUI's socket takes to be in the snapshot that the panels show."""

from __future__ import annotations

import json
import statistics
import threading
import time
from pathlib import Path

from autopod_nb.clock import SystemClock
from autopod_nb.comfyui.messages import decode_text
from autopod_nb.comfyui.workflow import find_template, load_template
from autopod_nb.session.core import Core
from autopod_nb.session.effects import LookAtGpu, PollCommands, ReadSpent, WriteLedger
from autopod_nb.session.events import PodMessage
from tests.bench.run import Row, row
from tests.session.story import Story

_EVENTS = 300
_EVERY_S = 1 / 20
_GIVE_UP_S = 5.0


def measure(count: int = _EVENTS) -> Row:
    """From the undecoded frame to the snapshot, 20 frames a second, of a workflow with 77 nodes."""
    story = Story()
    story.boot()
    template = load_template(find_template("img2vid-basic", cwd=Path.cwd()))
    story.submit(template=template)
    story.run()
    prompt_id = story.job().prompt_id
    core = Core(story.state, clock=SystemClock(), act=_no_hands)
    core.start()
    times = []
    pause = threading.Event()
    try:
        for number in range(1, count + 1):
            frame = _frame(prompt_id, list(template.graph), number)
            step = {"value": number, "max": _EVENTS, "prompt_id": prompt_id, "node": "1"}
            begin = time.perf_counter()
            for text in (frame, json.dumps({"type": "progress", "data": step})):
                for event in decode_text(text):
                    core.post(PodMessage(pod_id="p1", event=event))
            seen = core.wait_for(lambda snapshot, n=number: snapshot.jobs["j1"].progress.step >= n, _GIVE_UP_S)  # type: ignore[misc]
            times.append((time.perf_counter() - begin) * 1000)
            if seen.jobs["j1"].progress.step < number:
                raise RuntimeError("the session thread does not publish")
            pause.wait(_EVERY_S)
    finally:
        core.stop(2.0)
    p99 = statistics.quantiles(times, n=100)[98]
    note = f"{count} events at 20/s, 77 nodes each; median {statistics.median(times):.2f}, max {max(times):.2f}"
    return row("event_to_snapshot_p99_ms", p99, "ms", 50, note)


def _no_hands(effects: object) -> None:
    """Nothing is carried out: the job runs in the frames only."""
    assert not [e for e in effects if not isinstance(e, (WriteLedger, PollCommands, LookAtGpu, ReadSpent))]  # type: ignore[attr-defined]


def _frame(prompt_id: str, nodes: list[str], number: int) -> str:
    """One ``progress_state`` as the server sends it: cumulative, with every node touched so far."""
    touched = nodes[: max(1, len(nodes) * number // _EVENTS)]
    data = {
        "prompt_id": prompt_id,
        "nodes": {
            node: {
                "value": 1.0,
                "max": 1.0,
                "state": "finished" if node != touched[-1] else "running",
                "node_id": node,
                "prompt_id": prompt_id,
                "display_node_id": node,
                "parent_node_id": None,
                "real_node_id": node,
            }
            for node in touched
        },
    }
    return json.dumps({"type": "progress_state", "data": data})
