from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.comfyui.workflow import WorkflowTemplate, fill, load_template
from autopod_nb.jobs.preflight import preflight
from autopod_nb.jobs.spec import make_spec
from autopod_nb.models.job import JsonValue

GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "{input.image}"}},
    "2": {"class_type": "PrimitiveInt", "_meta": {"title": "Steps"}, "inputs": {"value": 20}},
    "3": {
        "class_type": "KSampler",
        "_meta": {"title": "Sampler"},
        "inputs": {
            "seed": "{param.seed=1}", "needed": "{param.needed}", "cfg": 8, "denoise": 0.5, "on": True, "name": "euler",
            "text": "a {param.seed}", "list": [1, 2, 3], "map": {"a": 1}, "any": None, "steps": ["2", 0],
            "image": ["1", 0],
        },
    },
    "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
    "5": {"class_type": "Clock", "_meta": {"title": "Time"}, "inputs": {}},
    "6": {"class_type": "X", "inputs": {"time": ["5", 0]}},
}  # fmt: skip


@pytest.fixture
def template(tmp_path: Path) -> WorkflowTemplate:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(GRAPH))
    return load_template(path)


def faults(template: WorkflowTemplate, **params: object) -> list[tuple[str | None, str]]:
    spec = make_spec("mine", inputs={"image": "a.jpg"}, params={"needed": 1} | params)
    return [(fault.key, fault.message) for fault in preflight(spec, template)]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("Sampler.seed", 7, ""), ("3.seed", 7.5, ""), ("3.seed", "7", "needs a number, not '7'."),
        ("3.needed", {"any": "thing"}, ""), ("3.cfg", 7.5, ""), ("3.cfg", True, "needs a number, not True."),
        ("3.denoise", 1, ""), ("3.on", False, ""), ("3.on", 1, "needs true or false, not 1."),
        ("3.name", "ddim", ""), ("3.name", 5, "needs a text (in quotes), not 5."), ("3.name", None, "needs a text"),
        ("3.text", "{param.seed}", ""), ("3.text", 5, "needs a text (in quotes)"), ("1.image", "there.png", ""),
        ("3.list", [9], ""), ("3.list", 9, "needs a list, not 9."), ("3.map", {}, ""), ("3.map", [], "needs a mapping"),
        ("3.any", 5, ""), ("3.any", ["4", 0], ""), ("3.any", ["44", 0], "there is no node '44' to link it to."),
        ("3.cfg", ["2", 0], "needs a number, not ['2', 0]."),
        ("3.steps", ["2", 0], ""), ("3.image", ["1", 1], ""),
        ("3.image", ["11", 0], "node '3' (Sampler), input 'image': there is no node '11' to link it to."),
        (
            "3.steps", 30,
            "node '3' (Sampler), input 'steps': is linked to node '2' (Steps); set an input of that node (2.value), or",
        ),
        ("6.time", 5, "is linked to node '5' (Time); change the template, or give a link"),
        ("3.sede", 1, "template 'mine': node '3' (Sampler) has no input 'sede' in the workflow. Did you mean 'seed'?"),
        ("Samplr.seed", 1, "template 'mine': no node has the id or the title 'Samplr'. Did you mean 'Sampler'?"),
    ],
)  # fmt: skip
def test_a_nodes_input_takes_what_is_of_the_kind_that_stands_there(
    template: WorkflowTemplate, key: str, value: object, said: str
) -> None:
    found = faults(template, **{key: value})
    assert [name for name, _ in found] == ([f"params.{key}"] if said else [])
    assert all(said in message for _, message in found)
    if not said:
        spec = make_spec("mine", params={"needed": 1, key: value})
        name, wanted = key.split(".")
        graph = fill(template, inputs={"image": "a"}, params=spec.params)
        assert graph["3" if name == "Sampler" else name]["inputs"][wanted] == value


def test_one_input_by_id_and_by_title_is_refused(template: WorkflowTemplate) -> None:
    ((key, said),) = faults(template, **{"3.seed": 1, "Sampler.seed": 2})
    assert (key, said) == ("params.Sampler.seed", "is the same input as '3.seed'; keep one of them.")


def test_an_unknown_parameter_that_is_an_input_of_nodes_says_how_to_set_it(template: WorkflowTemplate) -> None:
    ((_, said),) = faults(template, cfg=7)
    assert "has no param 'cfg'. To set the input of a node, write 3.cfg. It has: seed, needed." in said


@pytest.mark.parametrize("params", [{"seed": 5, "3.seed": 9}, {"3.seed": 9, "seed": 5}])
def test_a_nodes_input_comes_after_the_placeholders(template: WorkflowTemplate, params: Mapping[str, Any]) -> None:
    """What is set for one node holds there, and elsewhere the parameter does."""
    graph = fill(template, inputs={"image": "a"}, params={"needed": 1} | dict(params))
    assert (graph["3"]["inputs"]["seed"], graph["3"]["inputs"]["text"]) == (9, "a 5")


def test_what_was_set_is_a_copy_and_the_template_stays_as_it_is(template: WorkflowTemplate) -> None:
    value: list[JsonValue] = [1]
    graph = fill(template, inputs={"image": "a"}, params={"needed": 1, "3.list": value})
    graph["3"]["inputs"]["list"].append(2)
    assert value == [1]
    assert template.graph["3"]["inputs"]["list"] == [1, 2, 3]
