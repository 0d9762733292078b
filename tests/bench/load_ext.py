"""How long ``%load_ext autopod_nb`` keeps a person waiting, in a kernel that runs already."""

from __future__ import annotations

import statistics

from jupyter_client.manager import start_new_kernel

from tests.bench.run import Row, row

_PROCESSES = 7
_CELL = """
import time as _time
_begin = _time.perf_counter()
get_ipython().run_line_magic("load_ext", "autopod_nb")
print("TOOK", (_time.perf_counter() - _begin) * 1000)
"""


def measure() -> Row:
    """Median of seven fresh kernels."""
    times = [_once() for _ in range(_PROCESSES)]
    note = f"median of {_PROCESSES} fresh kernels, {min(times):.1f} to {max(times):.1f}"
    return row("load_ext_ms", statistics.median(times), "ms", 50, note)


def _once() -> float:
    manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--IPKernelApp.log_level=ERROR"])
    try:
        printed: list[str] = []
        client.execute_interactive("pass", timeout=60)

        def hook(message: dict[str, dict[str, str]]) -> None:
            printed.append(message["content"].get("text", ""))

        client.execute_interactive(_CELL, timeout=60, output_hook=hook)
        return float("".join(printed).split("TOOK")[1])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
