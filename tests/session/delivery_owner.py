"""A process that owns a pod behind a relay and has it render a picture; run by a test that kills it at some moment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.session.delivery import Delivery, faulty_lines
from tests.session.live import Live

live = Live(Path(sys.argv[1]), provider=faulty_lines)
pod_id = live.rent()
Delivery(live, pod_id).submit_shot("kept", steps=int(sys.argv[2]), seed=int(sys.argv[3]))
live.session.wait_written()
sys.stdout.write(json.dumps({"pod_id": pod_id}) + "\n")
sys.stdout.flush()
sys.stdin.read()
live.close()
