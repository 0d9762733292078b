from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.comfyui.workflow import fill, load_template
from autopod_nb.errors import TemplateError
from autopod_nb.jobs.fault import Fault
from autopod_nb.jobs.node_list import NodeList
from autopod_nb.jobs.preflight import preflight
from autopod_nb.jobs.spec import make_spec, parse_cell
from autopod_nb.localpod.nodes import NODES as ENGINE_NODES
from autopod_nb.localpod.validation import check_prompt

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "tests" / "recordings"
INFO = json.loads((ROOT / "autopod_nb" / "localpod" / "nodes" / "object_info.json").read_text(encoding="utf-8"))
NODES = NodeList.from_object_info(INFO)


def node(cls: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    return {"class_type": cls, "inputs": inputs} | ({"_meta": {"title": title}} if title else {})


GOOD = {
    "1": node("LoadImage", image="{input.image}"),
    "2": node("ImageScale", "Smaller", image=["1", 0], upscale_method="{param.how=lanczos}", width="{param.width=64}",
              height=64, crop="disabled"),
    "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
}  # fmt: skip


def check(folder: Path, graph: object, *, nodes: NodeList = NODES, **words: Any) -> tuple[Fault, ...]:
    path = folder / "mine.json"
    path.write_text(json.dumps(graph))
    template = load_template(path)
    given = {"inputs": dict.fromkeys(template.inputs, "a.jpg")} | words
    return preflight(make_spec(str(path), **given), template, nodes)


def changed(node_id: str, **inputs: Any) -> dict[str, Any]:
    graph = copy.deepcopy(GOOD)
    graph[node_id]["inputs"].update(inputs)
    return graph


# agreement with real answers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the files that the recorded workflows read."""
    found = tmp_path_factory.mktemp("input")
    for path in [*(RECORDINGS / "inputs").iterdir(), *(ROOT / "jobs" / "inputs").iterdir()]:
        shutil.copy(path, found)
    return found


@pytest.mark.parametrize(
    "path",
    [*sorted((RECORDINGS / "workflows").glob("*.json")), *sorted((ROOT / "templates").glob("*.json"))],
    ids=lambda path: path.stem,
)
def test_what_a_real_comfyui_took_has_nothing_against_it_and_what_it_refused_has(path: Path) -> None:
    template = load_template(path)
    spec = make_spec(str(path), inputs=dict.fromkeys(template.inputs, "a.jpg"))
    assert bool(preflight(spec, template, NODES)) == (path.stem == "invalid_at_submission")


def test_the_inputs_that_a_real_comfyui_refused_are_named_and_no_others() -> None:
    """All but a picture, which a job brings, and a model: that server had none, so the list tells nothing of them."""
    path = RECORDINGS / "workflows" / "invalid_at_submission.json"
    found = preflight(make_spec(str(path)), load_template(path), NODES)
    ours = [re.match(r"node '(\w+)' \(.*\), input '(\w+)': ", fault.message) for fault in found]
    lines = (RECORDINGS / "recordings" / "invalid_at_submission.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line).get("response_json") or {} for line in lines]
    nodes = next(answer["node_errors"] for answer in answers if answer.get("node_errors"))
    theirs = {
        (node_id, error["extra_info"]["input_name"])
        for node_id, entry in nodes.items()
        for error in entry["errors"]
        if error["type"] != "custom_validation_failed"
    }
    assert {match.groups() for match in ours if match} == theirs - {("2", "ckpt_name")}
    assert len(theirs) > 5


def test_models_that_no_list_knows_are_taken_and_a_wrong_one_is_refused_with_the_nearest(tmp_path: Path) -> None:
    graph = {
        "1": node("VAELoader", vae_name="{param.vae=wan_2.1_vae.safetensors}"),
        "2": node("PreviewAny", source=["1", 0]),
    }
    assert check(tmp_path, graph) == ()
    info = copy.deepcopy(INFO)
    info["VAELoader"]["input"]["required"]["vae_name"] = [["wan_2.1_vae.safetensors", "pixel_space"]]
    nodes = NodeList.from_object_info(info)
    assert check(tmp_path, graph, nodes=nodes) == ()
    (fault,) = check(tmp_path, graph, nodes=nodes, params={"vae": "wan_2.2_vae.safetensors"})
    assert fault.message == (
        "node '1' (VAELoader), input 'vae_name': 'wan_2.2_vae.safetensors': no such file is on the pod. "
        "Did you mean 'wan_2.1_vae.safetensors'? There are: wan_2.1_vae.safetensors, pixel_space."
    )


def workflows() -> list[dict[str, Any]]:
    paths = [path for path in (RECORDINGS / "workflows").glob("*.json") if path.stem != "invalid_at_submission"]
    paths.append(ROOT / "templates" / "still-with-voice.json")
    files = {"image": "portrait.jpg", "voice": "voice.wav"}
    templates = [load_template(path) for path in sorted(paths)]
    return [fill(each, inputs={name: files[name] for name in each.inputs}, params={}) for each in templates]


VALUES = st.sampled_from(
    [0, -1, 1, 2**70, 0.5, 1e9, "64", "6.5", "x", "", None, True, [], [1, 2], ["1", 0], ["2", 0], ["99", 0], ["1", 5],
     ["1", "0"], {}, {"__value__": 5}, {"__value__": [5]}, "lanczos", "auto", "a.safetensors", "pixel_space"]
)  # fmt: skip


@given(data=st.data())
def test_what_the_engine_takes_has_nothing_against_it(data: st.DataObject, folder: Path) -> None:
    """No false alarm: a recorded workflow with a value, an input or a class replaced, which the engine still takes."""
    graph = copy.deepcopy(data.draw(st.sampled_from(workflows())))
    for _ in range(data.draw(st.integers(1, 2))):
        changed_node = graph[data.draw(st.sampled_from(sorted(graph)))]
        name = data.draw(st.sampled_from([*changed_node["inputs"], "extra"]))
        if data.draw(st.booleans()):
            changed_node["inputs"][name] = copy.deepcopy(data.draw(VALUES))
        elif data.draw(st.booleans()):
            changed_node["inputs"].pop(name, None)
        else:
            changed_node["class_type"] = data.draw(st.sampled_from([*sorted(INFO), "Nonsense"]))
    path = folder / "mine.json"
    path.write_text(json.dumps(graph))
    try:
        found = preflight(make_spec(str(path)), load_template(path), NODES)
    except TemplateError:
        return
    verdict = check_prompt(graph, ENGINE_NODES, folder)
    if found:
        assert verdict.error or verdict.node_errors, found


# faults


@pytest.mark.parametrize(
    ("graph", "key", "said"),
    [
        (
            GOOD | {"9": node("ImageScael", "Mine", width=1)},
            "workflow_template",
            "node '9' (Mine, ImageScael): this ComfyUI has no node class 'ImageScael'. Did you mean 'ImageScale'?",
        ),
        (
            GOOD | {"9": node("MyOwnThing")},
            "workflow_template",
            "node '9' (MyOwnThing): this ComfyUI has no node class 'MyOwnThing'. Add the custom node",
        ),
        (
            {key: GOOD[key] for key in ("1", "2")},
            "workflow_template",
            "no node of the workflow is an output node; add one such as SaveImage or SaveVideo.",
        ),
        (
            GOOD | {"2": node("ImageScale", "Smaller", image=["1", 0], upscale_method="area", width=1, crop="center")},
            "workflow_template",
            "node '2' (Smaller, ImageScale), input 'height': is missing; the node needs it (INT).",
        ),
        (changed("2", height=-1), "workflow_template", "input 'height': -1 is too small; give 0 to 16384."),
        (changed("2", height=20000), "workflow_template", "input 'height': 20000 is too large; give 0 to 16384."),
        (changed("2", height="tall"), "workflow_template", "input 'height': needs a whole number, not 'tall'."),
        (changed("2", height=None), "workflow_template", "input 'height': needs a whole number, not None."),
        (changed("2", width="{param.width=-5}"), "params.width", "node '2' (Smaller, ImageScale), input 'width': -5"),
        (
            changed("2", upscale_method="{param.how=lanzcos}"),
            "params.how",
            "'lanzcos': is none of the choices. Did you mean 'lanczos'? There are: nearest-exact, bilinear, area, bic",
        ),
        (changed("2", crop=5), "workflow_template", "'crop': 5: is none of the choices. There are: disabled, center"),
        (changed("2", crop={"__value__": 5}), "workflow_template", "input 'crop': 5: is none of the choices."),
        (
            changed("3", images=["1", 1]),
            "workflow_template",
            "node '3' (SaveImage), input 'images': needs IMAGE, and output 1 of node '1' is MASK; link it to another.",
        ),
        (changed("3", images=["1", 2]), "workflow_template", "is linked to output 2 of node '1', which has 2 (counted"),
        (changed("3", images=[1, 0]), "workflow_template", '[1, 0] is no link ["NODE_ID", slot]; ComfyUI'),
    ],
)  # fmt: skip
def test_what_comfyui_would_refuse_is_a_fault_with_node_and_fix(
    tmp_path: Path, graph: Mapping[str, Any], key: str, said: str
) -> None:
    (fault,) = check(tmp_path, graph)
    assert fault.key == key
    assert said in fault.message


@pytest.mark.parametrize(
    "graph",
    [
        changed("2", height="64"),
        changed("2", height=64.7),
        changed("2", height=True),
        changed("2", nonsense="x"),
        changed("2", height={"__value__": 64}),
        changed("2", crop={"__value__": "center"}),
        changed("2", crop={"__value__": ["center"]}),
        changed("1", image="there already.png"),
        changed("3", images=["1", 0]),
        GOOD | {"9": node("ImageScale", width=-1)},
        GOOD | {"8": node("PrimitiveFloat", value=1.5), "9": node("PreviewAny", source=["8", 0])},
    ],
)
def test_what_comfyui_would_take_is_no_fault(tmp_path: Path, graph: Mapping[str, Any]) -> None:
    """Numbers as texts, inputs that the class does not have, files on the pod, nodes that no output needs."""
    assert check(tmp_path, graph) == ()


def test_inputs_of_types_that_a_node_makes_up_are_left_alone(tmp_path: Path) -> None:
    made_up = {"input": {"required": {"images": ["COMFY_AUTOGROW_V3", {}]}}, "output": ["COMFY_MATCHTYPE_V3"]}
    nodes = NodeList.from_object_info(INFO | {"Batch": made_up})
    graph = GOOD | {"2": {"class_type": "Batch", "inputs": {"images.a": ["1", 0]}}}
    assert check(tmp_path, graph, nodes=nodes) == ()


def test_a_node_that_the_list_tells_nothing_of_is_left_alone(tmp_path: Path) -> None:
    nodes = NodeList.from_object_info(INFO | {"Odd": "garbage"})
    assert check(tmp_path, GOOD | {"2": node("Odd", a=1)}, nodes=nodes) == ()


def test_the_list_is_asked_only_when_the_job_fits_its_template(tmp_path: Path) -> None:
    (fault,) = check(tmp_path, changed("2", height=-1), params={"wdith": 1})
    assert fault.key == "params.wdith"


def test_a_fault_names_the_line_of_the_value_that_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(GOOD))
    text = "inputs: {image: a.jpg}\nparams:\n  width: -1\n  Smaller.height: -2"
    spec = parse_cell(text, template=str(path), namespace={})
    found = preflight(spec, load_template(path), NODES)
    assert [(fault.line, fault.key) for fault in found] == [(4, "params.width"), (5, "params.Smaller.height")]
