"""A second process that commands pods: run as ``delivery_rival FOLDER``, it does what its input says.

``disturb PORT``: it takes the event socket of whoever renders there, has prompts of its own, ends one of them, and
tries to take the pods over. ``stop POD_ID``: it asks for the pod's end. It prints a line of JSON when it is ready, and
after each.
"""

from __future__ import annotations

import json
import sys
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import websocket

from autopod_nb.comfyui.client import ComfyClient
from tests.session.graphs import GRAPHS
from tests.session.live import REAL, Live

_ANSWER_S = 20.0


def take_socket(url: str) -> str:
    """Open and close a socket under the client id of what runs, so that the server forgets the one that has it."""
    with urlopen(f"{url}/queue", timeout=_ANSWER_S) as answer:  # noqa: S310 - a loopback address
        running = json.load(answer)["queue_running"]
    client_id = str(running[0][3]["client_id"])
    line = websocket.create_connection(f"{url.replace('http', 'ws')}/ws?clientId={client_id}", timeout=_ANSWER_S)
    line.recv()
    line.close()
    return client_id


def graph(name: str) -> dict[str, Any]:
    """A workflow with the values that its placeholders have anyway."""
    text = json.dumps(GRAPHS[name])
    for placeholder, value in (("seed=1", "7"), ("strength=0.5", "0.5"), ("steps=2000", "2000")):
        text = text.replace(f'"{{param.{placeholder}}}"', value)
    found: dict[str, Any] = json.loads(text)
    return found


def have_prompts(url: str) -> None:
    """One that is to run, and one that is ended while it waits."""
    kept, ended = str(uuid.uuid4()), str(uuid.uuid4())
    with closing(ComfyClient(url, clock=REAL)) as client:
        client.submit(graph("noise"), prompt_id=kept, client_id="rival")
        client.submit(graph("slow"), prompt_id=ended, client_id="rival")
        client.cancel(ended)


if __name__ == "__main__":
    live = Live(Path(sys.argv[1]))
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        told: dict[str, object] = {}
        verb, what = line.split()
        if verb == "disturb":
            url = f"http://127.0.0.1:{what}"
            told["client_id"] = take_socket(url)
            have_prompts(url)
            adopted, notes = live.session.adopt()
            told |= {"adopted": adopted, "notes": notes}
        else:
            told["stopped"] = live.session.stop(what)
            live.session.wait_written()
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    live.close()
