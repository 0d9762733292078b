"""``notebooks/03-many-pods.ipynb`` from top to bottom: a sweep over three pods, one of which is lost."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.job import JobState
from autopod_nb.storage.ledger import Ledger
from tests.leftovers import left_of

ROOT = Path(__file__).resolve().parent.parent
_LEFT_WITHIN_S = 20.0
_CELL_S = 240

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it ran."""
    folder = tmp_path_factory.mktemp("many")
    shutil.copytree(ROOT / "jobs", folder / "jobs")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Any:
    """The executed notebook."""
    notebook = nbformat.read(ROOT / "notebooks" / "03-many-pods.ipynb", as_version=4)  # type: ignore[no-untyped-call] # it has no types
    ours = {"AUTOPOD_HOME": str(folder / "home"), "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": str(ROOT)}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AUTOPOD_", "RUNPOD_"))]:
            patch.delenv(name)
        for name, value in ours.items():
            patch.setenv(name, value)
        NotebookClient(
            notebook,
            timeout=_CELL_S,
            store_widget_state=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            resources={"metadata": {"path": str(folder)}},
        ).execute()
    return notebook


def _printed(notebook: Any, cell_id: str) -> str:
    (cell,) = [cell for cell in notebook.cells if cell["id"] == cell_id]
    return "".join(output.get("text", "") for output in cell.outputs)


def test_all_videos_are_here_though_a_pod_was_lost_with_jobs_on_it(run: Any, folder: Path) -> None:
    assert "24 of 24 videos are here, 24 different files" in _printed(run, "check")
    lost = re.search(r"^pod (\w+) is gone, with (\S+) on it$", _printed(run, "lose"), re.MULTILINE)
    assert lost is not None, "it was lost in the middle of its work"
    assert lost[2] in _printed(run, "check").partition("rendered again:")[2]
    assert len({path.read_bytes() for path in (folder / "demo-output").glob("sweep-*.mp4")}) == 24


def test_every_job_is_in_the_ledger_once_and_no_pod_is_left(run: Any, folder: Path) -> None:
    ledger = Ledger(folder / "home" / LEDGER_NAME)  # to read: it is not opened
    jobs, pods = ledger.read_jobs(), ledger.read_pods()
    done, lost = ([job for job in jobs if (job.state is JobState.DONE) == ended] for ended in (True, False))
    assert Counter(job.job_id for job in done) == Counter({f"sweep-{number:03}": 1 for number in range(1, 25)})
    assert {(job.job_id, job.attempt) for job in lost} == {(job.job_id, 1) for job in done if job.attempt == 2}
    assert len({job.pod_id for job in jobs}) == 3, "each of the three had some"
    assert len(pods) == 3
    assert not left_of(folder / "home", _LEFT_WITHIN_S)
