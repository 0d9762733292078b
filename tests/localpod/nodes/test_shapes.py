from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.localpod.nodes import NODES
from autopod_nb.localpod.nodes.shapes import shapes, with_choices

SAMPLE: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "recordings" / "object_info.sample.json").read_text(encoding="utf-8")
)


def wordless(value: Any) -> Any:
    """Return a shape without the texts that recordings leave out and without lists of files."""
    if isinstance(value, list):
        return [wordless(item) for item in value]
    if not isinstance(value, dict):
        return "" if value == "(text left out)" else value
    kept = {name: wordless(item) for name, item in value.items() if name not in {"description", "tooltip"}}
    if kept.get("search_aliases"):
        kept["search_aliases"] = []
    return kept


@pytest.mark.parametrize("name", sorted(NODES.keys() & SAMPLE.keys()))
def test_a_shape_is_that_of_the_real_server(name: str) -> None:
    """Inputs, ranges, defaults, choices, output names and flags are equal; only words are left out."""
    wanted = wordless(SAMPLE[name])
    if name == "LoadImage":
        wanted["input"]["required"]["image"][0] = []  # the recording lists what had been uploaded
    assert wordless(NODES[name].info) == wanted


def test_most_of_the_recorded_classes_are_there() -> None:
    assert len(NODES.keys() & SAMPLE.keys()) >= 40


def test_every_class_has_a_shape_and_every_shape_a_class() -> None:
    assert shapes().keys() == NODES.keys()
    assert all(info["name"] == name for name, info in shapes().items())


def test_choices_are_replaced_in_both_spellings_and_only_in_the_copy() -> None:
    info = {"input": {"required": {"old": [["x"], {"a": 1}], "new": ["COMBO", {"options": ["x"]}], "n": ["INT", {}]}}}
    changed = with_choices(info, {"old": ["y"], "new": ["z"]})
    assert changed["input"]["required"] == {
        "old": [["y"], {"a": 1}],
        "new": ["COMBO", {"options": ["z"]}],
        "n": ["INT", {}],
    }
    assert info["input"]["required"]["old"] == [["x"], {"a": 1}]
