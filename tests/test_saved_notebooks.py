"""The notebooks as they are shipped: run from top to bottom, small, and with nothing of the machine they ran on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autopod_nb.verbs import BY_NAME
from notebooks.save_results import LOCAL, MANY, RENTED, WIDGET_TYPE

ROOT = Path(__file__).resolve().parent.parent
ALL = [LOCAL, RENTED, MANY]
_MOST_BYTES = 300_000  # most of it is the video
_NOT_OURS = {
    "a folder of some machine": r"/(?:work|root|tmp|home|Users|var|opt|usr)/",
    "a key of RunPod": r"rpa_[A-Za-z0-9]{4}",
    "a private key": r"PRIVATE KEY",
    "an address that is not this machine": r"https?://(?!127\.0\.0\.1|github\.com/comfyanonymous/ComfyUI)",
    "a field of a password or a token": r"(?i)\b(?:token|password)\b['\"]?\s*[:=]",
}


def read(name: str) -> Any:
    return nbformat.read(ROOT / "notebooks" / name, as_version=4)  # type: ignore[no-untyped-call] # it has no types


def cells(name: str) -> dict[str, Any]:
    """The code cells by their ids."""
    return {cell.id: cell for cell in read(name).cells if cell.cell_type == "code"}


def shown(cell: Any, media_type: str) -> str:
    """What a cell gave in one form, and what it printed."""
    return "".join(output.get("text", "") + output.get("data", {}).get(media_type, "") for output in cell.outputs)


@pytest.mark.parametrize("name", ALL)
def test_its_results_are_of_one_run_from_top_to_bottom(name: str) -> None:
    found = cells(name)
    assert [cell.execution_count for cell in found.values()] == list(range(1, len(found) + 1))
    assert [cell.id for cell in found.values() if not cell.outputs] == ["load"]
    assert not [cell.id for cell in found.values() for output in cell.outputs if output.output_type == "error"]


@pytest.mark.parametrize("name", ALL)
def test_it_is_small_and_holds_no_widget_that_nothing_fills(name: str) -> None:
    assert (ROOT / "notebooks" / name).stat().st_size < _MOST_BYTES
    notebook = read(name)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert WIDGET_TYPE not in json.dumps(notebook)
    assert not [cell.id for cell in notebook.cells if cell.metadata]


@pytest.mark.parametrize("name", ALL)
def test_nothing_of_the_machine_that_it_ran_on_is_in_it(name: str) -> None:
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", json.dumps(read(name)))
    assert {what: re.findall(pattern, text) for what, pattern in _NOT_OURS.items() if re.search(pattern, text)} == {}


@pytest.mark.parametrize(("name", "money"), [(LOCAL, "simulated"), (RENTED, "real")])
def test_its_reader_sees_the_video_and_what_it_cost(name: str, money: str) -> None:
    found = cells(name)
    assert "data:video/mp4;base64," in shown(found["run"], "text/html")
    assert re.search(rf"cost: +0\.0\d+ USD \({money}\)", shown(found["handle"], "text/plain"))
    assert "terminated" in shown(found["gone"], "text/plain") or "Gone" in shown(found["gone"], "text/plain")


def test_the_one_that_rents_says_that_what_is_saved_in_it_is_made_up() -> None:
    assert "made-up RunPod" in read(RENTED).cells[0].source


@pytest.mark.parametrize("name", ALL)
def test_every_command_in_its_prose_exists(name: str) -> None:
    prose = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    used = set(re.findall(r"%autopod (\w+)", prose))
    assert used
    assert used <= set(BY_NAME)
