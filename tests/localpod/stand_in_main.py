"""Stands in for a user's ComfyUI: takes its flags, is as particular, and keeps what it was started with.

Tests copy it as ``main.py``. The variable ``STAND_IN`` says how it behaves.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", allow_abbrev=False)
    parser.add_argument("--listen")
    parser.add_argument("--port", type=int)
    parser.add_argument("--base-directory", type=Path)
    parser.add_argument("--database-url")
    parser.add_argument("--extra-model-paths-config", type=Path)
    parser.add_argument("--preview-method")
    parser.add_argument("--disable-auto-launch", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    return parser.parse_args()


class Door(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"system": {"comfyui_version": "stand-in"}, "devices": []}).encode()
        self.send_response(200 if self.path == "/system_stats" else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def main() -> None:
    given, how = arguments(), os.environ.get("STAND_IN", "")
    nodes = sorted(path.name for path in (given.base_directory / "custom_nodes").iterdir())  # must be there
    models = given.extra_model_paths_config
    seen = {
        "argv": sys.argv,
        "environ": dict(os.environ),
        "cwd": str(Path.cwd()),
        "custom_nodes": nodes,
        "models": None if models is None else models.read_text(encoding="utf-8"),
    }
    (given.base_directory / "user" / "seen.json").write_text(json.dumps(seen))
    sys.stdout.write("printed\n")
    if how == "fails":
        sys.stderr.write("first words\n")
        raise ModuleNotFoundError("No module named 'torch'")
    if how == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "says nothing":
        os._exit(3)
    if how == "leaves its group":
        subprocess.Popen(["sleep", "999"], start_new_session=True)
    if how == "never answers":
        signal.pause()
    HTTPServer((given.listen, given.port), Door).serve_forever()


if __name__ == "__main__":
    main()
