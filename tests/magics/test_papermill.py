"""A notebook that no browser shows: all cells run, what they say can be read, and nothing secret is in the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autopod_nb.ssh.keys import own_key_path
from tests.leftovers import left_of
from tests.session.rented_secrets import private_key_marks

PORTRAIT = Path(__file__).parents[2] / "jobs" / "inputs" / "portrait.jpg"
WIDGET = "application/vnd.jupyter.widget-view+json"
_SECRETS = {
    "HF_TOKEN": "hf_plantedPLANTED0123456789abcdefghij",
    "RUNPOD_API_KEY": "rpa_PLANTEDplanted0123456789ABCDEFGHIJ",
}
_TOKEN = "autopod_nb.current_session().control.address().token.reveal()"
_JOB = f"%%comfyjob img2vid-basic {{}}\ninputs:\n  image: {PORTRAIT}\nparams:\n  width: 64\n  height: 64"
_CELLS = [
    "%load_ext autopod_nb",
    "%autopod connect",
    _JOB.format("--name one"),  # a live panel, which nobody sees
    "%autopod wait one",
    _JOB.format("--name two --wait"),
    "%autopod status",
    "%autopod history",
    "%autopod logs",
    "%autopod gui",
    "%autopod doctor",
    "%autopod costs --plot",
    f"import autopod_nb, pathlib\n_ = pathlib.Path('token').write_text({_TOKEN})",
    "%autopod stop",
    "%autopod wait",
]
_RUNNERS = {
    "papermill": ["-m", "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar"],
    "jupyter execute": ["-c", "from nbclient.cli import main; main()", "in.ipynb", "--output=out"],
    "nbconvert": ["-m", "nbconvert", "--to", "notebook", "--execute", "in.ipynb", "--output", "out.ipynb"],
}


def run(folder: Path, command: list[str]) -> Any:
    """Have a program run the cells; the notebook that it wrote."""
    notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call] # it has no types
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in _CELLS]  # type: ignore[no-untyped-call]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "in.ipynb")  # type: ignore[no-untyped-call]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOPOD_", "RUNPOD_"))}
    environ |= {"AUTOPOD_HOME": str(folder / "home"), "IPYTHONDIR": str(folder / "ipython"), **_SECRETS}
    environ |= {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environ, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(folder / "out.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def texts(cell: Any) -> str:
    """What a cell printed, and the plain text of its displays."""
    return "".join(each.get("text") or each.get("data", {}).get("text/plain", "") for each in cell.outputs)


def htmls(cell: Any) -> str:
    return "".join(each.get("data", {}).get("text/html", "") for each in cell.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("runner", _RUNNERS)
def test_every_cell_runs_and_the_file_has_the_results_and_no_secret(tmp_path: Path, runner: str) -> None:
    notebook = run(tmp_path, _RUNNERS[runner])
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) == len(_CELLS)
    said = {cell.source.splitlines()[0]: cell for cell in cells}
    assert "$0.40 an hour simulated" in texts(said["%autopod connect"])
    for name in ("one", "two"):
        job = said[f"%%comfyjob img2vid-basic --name {name}{' --wait' if name == 'two' else ''}"]
        assert f"Job {name} (img2vid-basic): done" in texts(job), name
        assert "data:video/mp4;base64," in htmls(job), name
        assert not any(WIDGET in each.get("data", {}) for each in job.outputs), "what is over needs no kernel"
    assert "one: done" in texts(said["%autopod wait one"])
    for line in ("status", "logs", "gui", "history", "doctor", "costs --plot"):
        assert texts(said[f"%autopod {line}"]).strip(), line
        assert htmls(said[f"%autopod {line}"]), line
    assert "ends; `%autopod wait` waits for it" in texts(said["%autopod stop"])
    file = (tmp_path / "out.ipynb").read_text()
    assert "IPY_MODEL_" in file, "the state of the widgets is in it"
    marks = {
        **_SECRETS,
        "token": (tmp_path / "token").read_text(),
        **private_key_marks(own_key_path(tmp_path / "home")),
    }
    assert len(marks) > 5
    assert [name for name, mark in marks.items() if mark in file] == []
    assert left_of(tmp_path / "home", 5.0) == set()
