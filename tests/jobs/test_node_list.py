from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.jobs.node_list import NodeInput, NodeList

ROOT = Path(__file__).parents[2]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["input", "required", "optional", "output", "a", "min"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def input_of(description: Any) -> NodeInput:
    nodes = NodeList.from_object_info({"X": {"input": {"required": {"a": description}}}})
    return nodes.kinds["X"].inputs["a"]


@pytest.mark.parametrize(
    ("description", "read"),
    [
        (["IMAGE"], NodeInput(kind="IMAGE", required=True)),
        (["INT", {"min": 1, "max": 2**64 - 1}], NodeInput(kind="INT", required=True, least=1, most=2**64 - 1)),
        ([["a", "b"]], NodeInput(kind="COMBO", required=True, choices=("a", "b"), typed_choices=True)),
        (["COMBO", {"options": ["a", 1]}], NodeInput(kind="COMBO", required=True, choices=("a", 1))),
        ([[], {"image_upload": True}], NodeInput(kind="COMBO", required=True, typed_choices=True)),
        (["COMBO", {"options": [], "audio_upload": True}], NodeInput(kind="COMBO", required=True)),
        (["COMBO", {"options": [], "multiselect": True}], NodeInput(kind="COMBO", required=True)),
        (["COMBO", {"options": ["a"], "multiselect": False}], NodeInput(kind="COMBO", required=True, choices=("a",))),
        (["COMBO", {"remote": {"route": "/x"}}], NodeInput(kind="COMBO", required=True)),
        (["COMBO", {"options": [{"a": 1}]}], NodeInput(kind="COMBO", required=True)),
        (["FLOAT", {"min": "low", "max": True}], NodeInput(kind="FLOAT", required=True)),
        ("IMAGE", NodeInput(kind="*", required=True)),
        ([], NodeInput(kind="*", required=True)),
        ([5], NodeInput(kind="*", required=True)),
    ],
)
def test_each_way_of_writing_an_input_is_read(description: Any, read: NodeInput) -> None:
    assert input_of(description) == read


def test_the_list_of_a_real_comfyui_is_read_whole() -> None:
    info = json.loads((ROOT / "autopod_nb" / "localpod" / "nodes" / "object_info.json").read_text())
    nodes = NodeList.from_object_info(info)
    assert set(nodes.kinds) == set(info)
    sampler = nodes.kinds["KSampler"]
    assert (sampler.outputs, sampler.is_output) == (("LATENT",), False)
    assert (sampler.inputs["steps"].least, sampler.inputs["steps"].most) == (1, 10000)
    assert "euler" in (sampler.inputs["sampler_name"].choices or ())
    save = nodes.kinds["SaveVideo"]
    assert save.is_output
    assert "prompt" not in save.inputs, "hidden"
    assert not nodes.kinds["CreateVideo"].inputs["audio"].required


@given(info=st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_whatever_a_server_answers_is_a_list(info: dict[str, Any]) -> None:
    assert set(NodeList.from_object_info(info).kinds) == set(info)
