"""Stands in for a pod's ComfyUI that means harm: whatever it may say of itself, it says in markup, scripts and codes.

Tests install it as "the user's own ComfyUI". It is the built-in engine with three nodes more.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopod_nb.localpod import comfy_info
from autopod_nb.localpod.comfy_api import LOG, make_app, open_door
from autopod_nb.localpod.nodes import NODES, NodeClass, NodeContext, NodeResult

SCRIPT = "<script>planted=1</script>"
IMAGE = "<img src=x onerror=planted=2>"
LINK = "<a href=javascript:planted=3>x</a>"
STYLE = "</style><b onclick=planted=4>x"
FORMULA = r"\(\href{javascript:planted=5}{x}\)"
DOLLARS = r"$\href{javascript:planted=6}{x}$"
EVIL = (SCRIPT, IMAGE, LINK, STYLE, FORMULA, DOLLARS)
"""What would set ``window.planted`` if it were anything but text. Each is short enough to be shown whole."""
CODES = "mi\u202er\x1b[31mro\x1b]8;;javascript:planted=7\x07r"
"""Turns the writing round, and steers a terminal."""
_LOOK_S = 0.05


@dataclass(frozen=True)
class _Odd:
    """A node of its own, which shows the text that it is given."""

    name: str

    @property
    def info(self) -> Mapping[str, Any]:
        inputs = {"text": ["STRING", {"default": ""}]}
        return {
            "input": {"required": inputs},
            "input_order": {"required": ["text"]},
            "is_input_list": False,
            "output": ["STRING"],
            "output_is_list": [False],
            "output_name": ["STRING"],
            "output_node": True,
            "name": self.name,
            "display_name": SCRIPT,
            "description": IMAGE,
            "python_module": "x",
            "category": LINK,
        }

    def info_now(self, input_dir: Path) -> Mapping[str, Any]:  # noqa: ARG002 - the protocol of nodes
        return self.info

    def validate(self, inputs: Mapping[str, object], input_dir: Path) -> str | None:  # noqa: ARG002 - the same
        return None

    def fingerprint(self, inputs: Mapping[str, object], input_dir: Path) -> str:  # noqa: ARG002 - the same
        return ""

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:  # noqa: ARG002 - the same
        return NodeResult((inputs["text"],), {"text": [inputs["text"]]})


class _Fails(_Odd):
    """Raises an exception whose name, words and file are what was planted."""

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:  # noqa: ARG002 - the same
        names = {"error": type(IMAGE, (Exception,), {}), "words": f"{inputs['text']} {CODES}\n" * 3}
        exec(compile("raise error(words)", SCRIPT, "exec"), names)  # noqa: S102 - so it has a file in its traceback
        raise AssertionError


class _Hangs(_Odd):
    """Does nothing, until it is interrupted."""

    def run(self, ctx: NodeContext, **inputs: object) -> NodeResult:  # noqa: ARG002 - the same
        pause = threading.Event()
        while not pause.wait(_LOOK_S):
            ctx.progress(0, 1)
        raise AssertionError


def nodes() -> dict[str, NodeClass]:
    """Those of the engine, and ours."""
    odd: tuple[NodeClass, ...] = (_Odd("Shows"), _Fails("Fails"), _Hangs("Hangs"))
    return {**NODES, **{node.name: node for node in odd}}


def install(folder: Path) -> dict[str, str]:
    """Put it into a new folder. Returns the variables of a kernel whose pods run it."""
    folder.mkdir()
    shutil.copy(__file__, folder / "main.py")
    return {"AUTOPOD_COMFYUI_DIR": str(folder), "AUTOPOD_COMFYUI_PYTHON": sys.executable}


async def _serve(host: str, port: int, base: Path) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    comfy_info.VERSION = SCRIPT
    app = make_app(base, gpu_name=IMAGE, vram_bytes=10**9, nodes=nodes())
    runner = await open_door(app, host, port)
    for line in (*EVIL, CODES):
        app[LOG].error("planted: %s", line)
    try:
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--base-directory", type=Path, required=True)
    given, _ = parser.parse_known_args()
    asyncio.run(_serve(given.listen, given.port, given.base_directory))


if __name__ == "__main__":
    main()
