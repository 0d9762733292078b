"""The built-in ComfyUI engine as a process of its own, so that it does not share an interpreter lock with SSH.

Started by ``pod.py`` with a pipe as its input; the end of that pipe is the end of the engine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

from autopod_nb.localpod.comfy_api import serve
from autopod_nb.localpod.nodes.simulation import GPU_VARIABLE


def _end_with_pipe() -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    os._exit(0)  # whatever the other threads do: nobody is left to render for


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(
        host=arguments.host,
        port=arguments.port,
        base_dir=arguments.base_dir,
        gpu_name=arguments.gpu,
        vram_bytes=arguments.vram_bytes,
        stop=stop,
    )


def main() -> None:
    """Serve until SIGTERM or the end of the input pipe."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--base-dir", type=Path, required=True)
    parser.add_argument("--gpu", required=True)
    parser.add_argument("--vram-bytes", type=int, required=True)
    arguments = parser.parse_args()
    os.environ[GPU_VARIABLE] = arguments.gpu  # the pace and the models of the simulation
    threading.Thread(target=_end_with_pipe, name="autopod-pipe", daemon=True).start()
    asyncio.run(_run(arguments))


if __name__ == "__main__":
    main()
