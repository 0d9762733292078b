"""How long a person waits, after a kernel died, until the next one has pod, tunnel and running job back."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

from tests.bench.run import Row, row
from tests.session.graphs import GRAPHS

_ROUNDS = 3
_BEGIN = """
%load_ext autopod_nb
import autopod_nb
session = autopod_nb.open_session()
spec = autopod_nb.make_spec({template!r}, job_id="kept", params={{"steps": 400}}, outputs={{"picture": {output!r}}})
job = session.submit(spec)
while job.progress.step < 2:
    session.wait_newer(session.snapshot.number, 1)
print("RUNS")
"""
_ADOPT = """
%load_ext autopod_nb
%autopod adopt
import autopod_nb
job = autopod_nb.open_session().job("kept")
print("STATE", job.state.value, autopod_nb.open_session().snapshot.pods[job.view.pod_id].state.value)
"""
_END = "import autopod_nb; autopod_nb.close_session()"


def measure() -> Row:
    """From the start of the new kernel to the end of its first cell: load, adopt, panel shown."""
    times = [_once() for _ in range(_ROUNDS)]
    note = f"median of {_ROUNDS}, {min(times):.2f} to {max(times):.2f}; killed in mid-job, kernel start included"
    return row("restart_to_adopted_s", statistics.median(times), "s", 5, note)


def _once() -> float:
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as folder:
        home = Path(folder)
        template = home / "slow.json"
        template.write_text(json.dumps(GRAPHS["slow"]))
        env = {**os.environ, "AUTOPOD_HOME": str(home / "home")}
        first, client = _kernel(env)
        _run(client, _BEGIN.format(template=str(template), output=str(home / "kept.png")))
        first.shutdown_kernel(now=True)
        client.stop_channels()
        begin = time.perf_counter()
        second, client = _kernel(env)
        try:
            told = _run(client, _ADOPT)
            took_s = time.perf_counter() - begin
            if "STATE running busy" not in told:
                raise RuntimeError(f"the job was not taken over: {told}")
            _run(client, _END)
        finally:
            client.stop_channels()
            second.shutdown_kernel(now=True)
        return took_s


def _kernel(env: dict[str, str]) -> tuple[Any, Any]:
    return start_new_kernel(kernel_name="python3", env=env, extra_arguments=["--IPKernelApp.log_level=ERROR"])


def _run(client: Any, code: str) -> str:
    printed: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        content = message["content"]
        printed.append(content.get("text", "") + "\n".join(content.get("traceback", [])))

    client.execute_interactive(code, timeout=120, output_hook=hook)
    return "".join(printed)
