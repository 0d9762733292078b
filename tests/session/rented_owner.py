"""A process that owns a rented pod, to be killed at a moment of its life. Run as ``rented_owner FOLDER MOMENT``.

It says what it has when that moment has come, then waits for its end.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from autopod_nb.clock import Clock
from autopod_nb.config import read_settings
from autopod_nb.models.pod import PodState
from autopod_nb.providers.base import Provider
from autopod_nb.providers.registry import make_provider
from tests.session.live import Live

MOMENTS = ("requested", "booting", "ready", "rendering", "collecting", "terminating")
STEPS = 8


def _provider(_folder: Path, clock: Clock) -> Provider:
    return make_provider(read_settings(), clock)


def _come_to(live: Live, moment: str) -> str:
    """Rent a pod and go on until the moment has come. Returns our id of the pod."""
    pod_id = live.session.connect(live.session.plan(live.request(idle_minutes="1")))
    if moment in ("requested", "booting"):
        live.until_pod(pod_id, PodState(moment))
        return pod_id
    live.until_ready(pod_id)
    if moment in ("rendering", "collecting"):
        live.until_rendering(live.submit("slow", "wanted", steps=STEPS))
    if moment == "collecting":
        live.out.write_text("in the way")
        live.until(lambda snapshot: "cannot be written" in snapshot.jobs["wanted"].warning)
    if moment == "terminating":
        live.session.kill(pod_id)
        live.until(lambda snapshot: bool(snapshot.notices))  # it does not work, and that is told
    return pod_id


if __name__ == "__main__":
    owner = Live(
        Path(sys.argv[1]),
        provider=_provider,
        settings=dict(os.environ),
        clock_file=Path(os.environ["AUTOPOD_TEST_CLOCK"]),
    )
    found = _come_to(owner, sys.argv[2])
    owner.session.wait_written()
    sys.stdout.write(json.dumps({"pod_id": found, "name": owner.pod(found).name}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    owner.close()
