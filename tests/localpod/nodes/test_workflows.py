from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.localpod.nodes.workbench import Workbench

RECORDINGS = Path(__file__).parents[2] / "recordings"


NUMBERED = re.compile(r"(_[a-z]{5})?_\d{5}_")  # the counter, and the letters of previews before it


def workflow(name: str) -> dict[str, Any]:
    prompt: dict[str, Any] = json.loads((RECORDINGS / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    return prompt


def recorded_outputs(name: str) -> dict[str, Mapping[str, list[Any]]]:
    """Return the outputs of the last finished job of a recording."""
    found: dict[str, Mapping[str, list[Any]]] = {}
    for line in (RECORDINGS / "recordings" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["kind"] == "http" and entry["path"].startswith("/history/"):
            for job in (entry.get("response_json") or {}).values():
                found = job["outputs"] or found
    return found


def keys(outputs: Mapping[str, Mapping[str, list[Any]]]) -> dict[str, dict[str, list[Any]]]:
    """Return outputs without what depends on earlier runs: the numbers of files."""
    return {
        node_id: {
            key: [
                {**item, "filename": NUMBERED.sub("_N_", item["filename"])} if isinstance(item, dict) else item
                for item in items
            ]
            for key, items in shown.items()
        }
        for node_id, shown in outputs.items()
    }


@pytest.fixture
def uploaded(bench: Workbench) -> Workbench:
    """A bench with the pictures that the recordings uploaded."""
    for path in (RECORDINGS / "inputs").iterdir():
        shutil.copy(path, bench.input)
    return bench


@pytest.mark.parametrize("name", ["image_to_animation", "video_with_audio", "text_and_seed"])
def test_a_recorded_workflow_gives_the_recorded_outputs(uploaded: Workbench, name: str) -> None:
    outputs = uploaded.run_workflow(workflow(name))
    assert keys(outputs) == keys(recorded_outputs(name))
    files = [item for shown in outputs.values() for items in shown.values() for item in items if isinstance(item, dict)]
    assert all((uploaded.base / item["type"] / item["subfolder"] / item["filename"]).stat().st_size for item in files)


def test_the_slow_workflow_gives_the_recorded_outputs_at_a_smaller_size(uploaded: Workbench) -> None:
    prompt = workflow("slow_progress")
    prompt["1"]["inputs"] |= {"width": 1024, "height": 1024, "batch_size": 2}
    assert keys(uploaded.run_workflow(prompt)) == keys(recorded_outputs("slow_progress"))


def test_the_failing_workflow_fails_as_recorded_and_keeps_its_preview(uploaded: Workbench) -> None:
    prompt = workflow("fails_while_running")
    with pytest.raises(ZeroDivisionError, match=r"^division by zero$"):
        uploaded.run_workflow(prompt)
    assert [path.suffix for path in uploaded.temp.iterdir()] == [".png"]
    prompt["4"]["inputs"]["overlap"] = 0
    assert keys(uploaded.run_workflow(prompt)) == keys(recorded_outputs("fails_while_running"))
