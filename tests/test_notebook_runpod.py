"""``notebooks/02-runpod.ipynb`` from top to bottom against a made-up RunPod: nothing but the key would be another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.fakes.service import RunpodService
from tests.leftovers import left_of
from tests.session.rented_secrets import private_key_marks

ROOT = Path(__file__).resolve().parent.parent
_LEFT_WITHIN_S = 15.0  # the reaper lingers for some seconds
_END_S = 2.0  # an end takes RunPod a while, so there is something to wait for
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, Any], Path]]:
    """The executed notebook, the bill, and the folder it ran in."""
    folder = tmp_path_factory.mktemp("notebook")
    for name in ("notebooks", "jobs"):
        shutil.copytree(ROOT / name, folder / name)
    home = folder / "home"
    notebook = nbformat.read(folder / "notebooks" / "02-runpod.ipynb", as_version=4)  # type: ignore[no-untyped-call] # it has no types
    before = dict(os.environ)
    with RunpodService(folder / "service") as service:
        for name in [name for name in os.environ if name.startswith(("AUTOPOD_", "RUNPOD_"))]:
            del os.environ[name]
        os.environ.update(
            {"AUTOPOD_HOME": str(home), "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": str(ROOT)},
            **service.environ(),
        )
        service.arm("hang_after", "DELETE /v2/pods/{id}", seconds=_END_S)
        try:
            client = NotebookClient(
                notebook,
                timeout=120,
                store_widget_state=False,
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
                resources={"metadata": {"path": str(folder)}},
            )
            client.execute()
            assert not left_of(home, _LEFT_WITHIN_S)
            yield notebook, service.bill(), folder
        finally:
            os.environ.clear()
            os.environ.update(before)


def shown(notebook: Any, cell_id: str) -> str:
    """The text of what a cell gave."""
    (cell,) = [cell for cell in notebook.cells if cell["id"] == cell_id]
    texts = []
    for output in cell["outputs"]:
        texts.append(output.get("text", ""))
        texts.append(output.get("data", {}).get("text/plain", ""))
    return "".join(texts)


def test_one_pod_was_rented_and_its_bill_has_ended(run: tuple[Any, dict[str, Any], Path]) -> None:
    notebook, bill, folder = run
    (pod,) = bill["pods"]
    assert pod["billing_ended_at"] is not None
    assert (folder / "demo-output" / "rented.mp4").stat().st_size > 10_000
    assert "USD (real)" in shown(notebook, "handle")
    assert "ready" in shown(notebook, "wait")


def test_what_it_shows_is_what_it_promises(run: tuple[Any, dict[str, Any], Path]) -> None:
    notebook, _, _ = run
    assert "RUNPOD_API_KEY" in shown(notebook, "doctor")
    assert "A40" in shown(notebook, "gpus")
    assert "nothing was made" in shown(notebook, "dry")
    assert "real" in shown(notebook, "costs")
    assert shown(notebook, "pods").splitlines() == [
        "No pod is known that may bill: `%autopod connect` rents one.",
        "1 pod of this session ended; `%autopod status` has all.",
    ]
    assert "Compared from " in shown(notebook, "reconcile")


def test_a_pod_that_is_stopped_is_waited_for_until_it_is_gone(run: tuple[Any, dict[str, Any], Path]) -> None:
    notebook, bill, _ = run
    pod_id = bill["pods"][0]["name"].split("-")[1]  # autopod-ID-RANDOM
    assert shown(notebook, "stop").startswith(f"Pod {pod_id} finishes its running job, fetches the results and ends")
    said = shown(notebook, "gone").splitlines()
    assert said[0].startswith(f"Pod {pod_id}: terminating")
    assert said[-1].startswith(f"Pod {pod_id}: terminated: gone")


def test_no_secret_is_in_the_notebook_that_is_saved(run: tuple[Any, dict[str, Any], Path]) -> None:
    notebook, _, folder = run
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call] # it has no types
    marks = private_key_marks(folder / "home" / "keys" / "id_ed25519")
    assert "rpa_" not in text, "a key of RunPod begins like that"
    assert [name for name, line in marks.items() if line in text] == []
    assert len(marks) >= 3
    assert "rented.mp4" in text, "this looks at the real thing"
