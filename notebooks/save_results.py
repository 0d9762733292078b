"""Run notebooks and keep their results in them: ``python -m notebooks.save_results [NAME...]``, all if none is named.

It wants what ``make test`` installs. The notebooks run in folders of their own; ``02-runpod.ipynb`` rents from a
made-up RunPod. What is kept is what a reader of the file sees: nothing that only a running kernel fills, and no folder
of the machine that it ran on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

from notebooks.run_demo import CELL_TIMEOUT_S, ROOT
from tests.fakes.service import RunpodService

WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"
_ONLY_LIVE = re.compile(r"<svg\b.*?</svg>|<button\b.*?</button>", re.DOTALL)
"""JupyterLab and GitHub keep the words of these in a notebook of somebody else's, and not what they do."""
LOCAL, RENTED, MANY = "01-quickstart.ipynb", "02-runpod.ipynb", "03-many-pods.ipynb"


def save(folder: Path, name: str, environ: Mapping[str, str]) -> None:
    """Run one notebook and write it back with its results.

    Args:
        folder: new; the notebook finds its inputs there, and leaves what it makes.
        name: of the notebook.
        environ: variables of its kernel, beside those of this process that are not ours.

    Raises:
        CellExecutionError: a cell failed; the notebook is as it was.
    """
    shutil.copytree(ROOT / "jobs", folder / "jobs")
    home = folder / "home"
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)  # type: ignore[no-untyped-call] # it has no types
    metadata = dict(notebook.metadata)
    ours = {"AUTOPOD_HOME": str(home), "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": str(ROOT)}
    with _environ({**ours, **environ}):
        NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT_S,
            store_widget_state=False,
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(folder)}},
        ).execute()
    notebook.metadata = metadata
    places = {str(home): "~/.autopod", f"{folder}{os.sep}": "", sys.prefix: ".venv"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_kept(output, places) for output in cell.outputs]
    nbformat.write(notebook, ROOT / "notebooks" / name)  # type: ignore[no-untyped-call]


@contextmanager
def _environ(ours: Mapping[str, str]) -> Iterator[None]:
    """The variables of this process meanwhile: nobody's key and nobody's ledger."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith(("AUTOPOD_", "RUNPOD_"))]:
        del os.environ[name]
    os.environ.update(ours)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _kept(output: Any, places: Mapping[str, str]) -> Any:
    """An output as it is saved; *places* are folders here, each with what stands for it."""
    data = output.get("data", {})
    data.pop(WIDGET_TYPE, None)
    if "text/html" in data:
        data["text/html"] = _ONLY_LIVE.sub("", data["text/html"])
    text = json.dumps(output)
    for place, instead in places.items():
        text = text.replace(json.dumps(place)[1:-1], instead)
    return nbformat.from_dict(json.loads(text))  # type: ignore[no-untyped-call]


def main(names: Sequence[str]) -> None:
    """Run and save these."""
    with TemporaryDirectory() as parent, RunpodService(Path(parent) / "service") as runpod:
        for name in names:
            environ = runpod.environ() if name == RENTED else {}
            folder = Path(parent).resolve() / Path(name).stem
            folder.mkdir()
            save(folder, name, environ)
            print(f"saved notebooks/{name}, {(ROOT / 'notebooks' / name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:] or (LOCAL, RENTED, MANY))
