"""``make demo``: run the quickstart notebook without a browser, print what happens, leave the page and the video."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "demo-output"
NOTEBOOK = ROOT / "notebooks" / "01-quickstart.ipynb"
CELL_TIMEOUT_S = 300
ANSI = re.compile(r"\x1b\[[0-9;]*m")
VIDEO = re.compile(r"^video: (.+)$", re.MULTILINE)


class EchoingClient(NotebookClient):
    """Prints what the cells print, as they print it, and keeps it in ``printed``."""

    printed = ""

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Take one output message of the kernel."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            text = ANSI.sub("", content["text"])
            print(text, end="", flush=True)
            self.printed += text
        elif msg["msg_type"] == "error":
            print(ANSI.sub("", f"{content['ename']}: {content['evalue']}"), file=sys.stderr, flush=True)
        return super().output(outs, msg, display_id, cell_index)


def run() -> int:
    """Execute the notebook. Returns the exit status: 0 when the video is there."""
    OUTPUT.mkdir(exist_ok=True)
    os.environ.setdefault("AUTOPOD_HOME", str(OUTPUT / "autopod-home"))  # leave the user's own ledger alone
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call] # nbformat has no types here
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None  # what was saved is of another run
    client = EchoingClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        store_widget_state=False,  # no widget state, and so no secret, in the saved page
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # it warns of its own transport, on loopback
        resources={"metadata": {"path": str(ROOT)}},
    )
    try:
        client.execute()
    except CellExecutionError:
        status = 1
    else:
        status = 0
    exporter = HTMLExporter()  # type: ignore[no-untyped-call] # nor has nbconvert
    page, _ = exporter.from_notebook_node(notebook)
    (OUTPUT / "quickstart.html").write_text(page, encoding="utf-8")
    named = VIDEO.search(client.printed)  # one that an earlier run made, to the byte, is the same file
    video = ROOT / named[1] if named else None
    if video is None or not video.is_file():
        print("make demo failed: no video was made; the cells' output is above.", file=sys.stderr)
        return 1
    print(f"\nvideo  {video.relative_to(ROOT)}\npage   {(OUTPUT / 'quickstart.html').relative_to(ROOT)}")
    return status


if __name__ == "__main__":
    sys.exit(run())
