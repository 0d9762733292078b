"""A process that owns a pod: run by tests that take its pod over. Says what it has, then waits for the end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.session.live import Live

live = Live(Path(sys.argv[1]))
pod_id = live.rent()
steps = int(sys.argv[2])
if steps:
    live.until_rendering(live.submit("slow", "kept", steps=steps))
sys.stdout.write(json.dumps({"pod_id": pod_id, "port": live.pod(pod_id).local_port}) + "\n")
sys.stdout.flush()
sys.stdin.read()
live.close()
