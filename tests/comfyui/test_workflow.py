from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.comfyui.placeholders import REQUIRED
from autopod_nb.comfyui.workflow import WorkflowTemplate, fill, find_template, list_templates, load_template
from autopod_nb.errors import TemplateError

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "recordings" / "workflows"
NODE_LIST = ROOT / "autopod_nb" / "localpod" / "nodes" / "object_info.json"  # shapes of a real ComfyUI 0.12.1


def node(cls: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    return {"class_type": cls, "inputs": inputs} | ({"_meta": {"title": title}} if title else {})


GRAPH: dict[str, dict[str, Any]] = {
    "1": node("LoadImage", "Photograph", image="{input.image}"),
    "2": node("KSampler", image=["1", 0], seed="{param.seed=42}", text="a {param.style} {red|blue} cat, {param.seed}"),
    "3": node("SaveImage", "output.still", images=["2", 0], filename_prefix="x"),
    "4": node("SaveVideo", "Save it", images=["2", 0], more={"deep": ["{param.deep=1.5}", "{{param.deep}}"]}),
}


def template_of(tmp_path: Path, graph: object, name: str = "mine") -> WorkflowTemplate:
    path = tmp_path / f"{name}.json"
    path.write_text(graph if isinstance(graph, str) else json.dumps(graph), encoding="utf-8")
    return load_template(path)


# finding


def test_a_users_own_template_comes_before_the_shipped_one_of_that_name(tmp_path: Path) -> None:
    shipped = find_template("img2vid-basic", cwd=tmp_path)
    (tmp_path / "templates").mkdir()
    own = tmp_path / "templates" / "img2vid-basic.json"
    own.write_text("{}")
    assert shipped == ROOT / "templates" / "img2vid-basic.json"
    assert find_template("img2vid-basic", cwd=tmp_path) == own
    assert find_template("img2vid-basic.json", cwd=tmp_path) == own
    assert list_templates(tmp_path)["img2vid-basic"] == own


def test_a_path_to_a_file_is_a_template_too(tmp_path: Path) -> None:
    path = tmp_path / "flows" / "a b.json"
    path.parent.mkdir()
    path.write_text("{}")
    assert find_template("flows/a b.json", cwd=tmp_path) == path
    assert find_template(str(path), cwd=Path("/")) == path


def test_a_missing_template_is_answered_with_the_nearest_name_and_the_list(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "portrait.json").write_text("{}")
    with pytest.raises(TemplateError) as caught:
        find_template("img2vid-basics", cwd=tmp_path)
    assert "no workflow template 'img2vid-basics'. Did you mean 'img2vid-basic'?" in str(caught.value)
    assert "img2vid-basic, " in str(caught.value)
    assert "portrait" in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "a\0b", "~nobody-of-that-name/x", "x" * 5000, "../templates"])
def test_a_name_that_can_be_no_file_is_a_missing_template(tmp_path: Path, name: str) -> None:
    with pytest.raises(TemplateError):
        find_template(name, cwd=tmp_path)


def test_an_installed_package_finds_the_templates_that_lie_inside_it(tmp_path: Path) -> None:
    """As in a wheel: the folder ``templates`` lies in the package, and no checkout is near."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "autopod_nb", site / "autopod_nb", ignore=shutil.ignore_patterns("localpod", "__pycache__"))
    shutil.copytree(ROOT / "templates", site / "autopod_nb" / "templates")
    program = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "from pathlib import Path\n"
        "from autopod_nb.comfyui.workflow import find_template, load_template\n"
        "print(load_template(find_template('img2vid-basic', cwd=Path())).path)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == str(site / "autopod_nb" / "templates" / "img2vid-basic.json")


# loading


def test_a_template_knows_its_inputs_params_outputs_and_titles(tmp_path: Path) -> None:
    template = template_of(tmp_path, GRAPH)
    assert template.name == "mine"
    assert template.inputs == ("image",)
    assert template.params == {"seed": 42, "style": REQUIRED, "deep": 1.5}
    assert template.outputs == {"still": "3", "4": "4"}
    assert template.node_title("1") == "Photograph"
    assert template.node_title("2") == "KSampler"
    assert template.node_title("1.0.2") == "1.0.2"


def test_nodes_titled_frame_n_are_counted_as_frames_by_their_number(tmp_path: Path) -> None:
    titles = {"7": "Frame 10", "8": "frame 2", "9": "frame 2b", "10": "my frame 3", "11": "FRAME 1"}
    template = template_of(tmp_path, {key: node("SaveImage", title) for key, title in titles.items()})
    assert template.frame_nodes == ("11", "8", "7")


@pytest.mark.parametrize(("name", "node_id"), [("still", "3"), ("4", "4"), ("3", "3")])
def test_an_output_is_named_by_title_or_node_id(tmp_path: Path, name: str, node_id: str) -> None:
    assert template_of(tmp_path, GRAPH).resolve_output(name) == node_id


def test_the_only_output_node_answers_to_any_name(tmp_path: Path) -> None:
    graph = {key: value for key, value in GRAPH.items() if key != "3"}
    assert template_of(tmp_path, graph).resolve_output("video") == "4"


@pytest.mark.parametrize("name", ["stil", "2", "output.still"])
def test_an_output_that_is_none_is_refused_with_the_nearest_and_the_list(tmp_path: Path, name: str) -> None:
    with pytest.raises(TemplateError, match=rf"'mine' has no output '{name}'.*It has: still, 4\. Title a node"):
        template_of(tmp_path, GRAPH).resolve_output(name)


def test_without_a_known_output_class_what_nobody_takes_from_is_an_output(tmp_path: Path) -> None:
    template = template_of(tmp_path, {"1": node("LoadImage"), "2": node("MyWriter", images=["1", 0])})
    assert template.outputs == {"2": "2"}


def test_a_node_of_unknown_class_that_nobody_takes_from_answers_to_its_id(tmp_path: Path) -> None:
    assert template_of(tmp_path, GRAPH | {"9": node("MyWriter", images=["2", 0])}).resolve_output("9") == "9"


def test_a_default_in_one_place_counts_for_all(tmp_path: Path) -> None:
    graph = {"1": node("SaveImage", a="{param.x}", b="{param.x=3}", c="{param.x}")}
    template = template_of(tmp_path, graph)
    assert template.params == {"x": 3}
    assert fill(template, inputs={}, params={})["1"]["inputs"] == {"a": 3, "b": 3, "c": 3}


GUI = {"nodes": [{"id": 1, "type": "LoadImage"}], "links": [], "version": 0.4}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GUI, "export it in API format: menu Workflow → Export (API)"),
        ('{\n "1": {\n  "class_type" "X"}}', "line 3, column 16: not JSON"),
        ("", "line 1, column 1: not JSON"),
        ("[1]", "expected an object of nodes"),
        ("{}", "expected an object of nodes"),
        ("null", "expected an object of nodes"),
        ({"prompt": GRAPH}, "inside the key 'prompt'"),
        ({"1": {"inputs": {}}}, "node '1' has no 'class_type', so this is not ComfyUI's API format"),
        ({"1": 5}, "node '1' has no 'class_type'"),
        ({"1": {"class_type": "X"}}, "node '1' (X) needs an object 'inputs'"),
        ({"1": node("X", image=["77", 0])}, "node '1', input 'image': linked to node '77', which is missing"),
        ('{"1": {"class_type": "X", "inputs": {"a": 1, "a": 2}}}', "the key 'a' stands twice"),
        ('{"1": {"class_type": "X", "inputs": {"a": NaN}}}', "NaN is no JSON number"),
        ('{"1": ' + "9" * 5000 + "}", "not JSON that can be used"),
        ('{"1": ' + "[" * 100_000, "nested too deeply"),
        ({"1": node("X", "Text", text="{param.}")}, "node '1' (Text), input 'text': '{param.}' is no placeholder"),
        ({"1": node("X", a="{param.x=1}", b="{param.x=true}")}, "{param.x} has two defaults, 1 and True; keep one"),
        ({"1": node("X", "output.a"), "2": node("X", "output.a")}, "nodes '1' and '2' are both the output 'a'"),
    ],
)
def test_a_file_that_is_no_template_is_refused_with_its_name_and_the_fix(
    tmp_path: Path, content: object, said: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        template_of(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'mine.json'}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="cannot be read: Is a directory"):
        load_template(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(TemplateError, match="not UTF-8"):
        load_template(tmp_path / "latin.json")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("\ufeff" + json.dumps(GRAPH), encoding="utf-8")
    assert load_template(tmp_path / "mine.json").inputs == ("image",)


# filling


def test_filling_gives_a_new_graph_and_leaves_the_template_alone(tmp_path: Path) -> None:
    template = template_of(tmp_path, GRAPH)
    before = copy.deepcopy(template.graph)
    graph = fill(template, inputs={"image": 'sub/my "photo".png'}, params={"style": "{param.seed}\n"})
    assert graph["1"] == node("LoadImage", "Photograph", image='sub/my "photo".png')
    assert graph["2"]["inputs"] == {"image": ["1", 0], "seed": 42, "text": "a {param.seed}\n {red|blue} cat, 42"}
    assert graph["4"]["inputs"]["more"] == {"deep": [1.5, "{param.deep}"]}
    graph["2"]["inputs"]["image"].append("changed")
    graph["1"]["_meta"]["title"] = "changed"
    assert template.graph == before


@pytest.mark.parametrize(
    ("inputs", "params", "said"),
    [
        ({}, {"style": "x"}, "'mine' needs input.image: give it a value"),
        ({"image": "a"}, {}, "'mine' needs param.style"),
        ({"image": "a"}, {"style": "x", "sede": 1}, "no placeholder {param.sede}. Did you mean 'param.seed'?"),
        ({"image": "a", "seed": "b"}, {"style": "x"}, "no placeholder {input.seed}"),
    ],
)
def test_a_missing_or_unknown_value_is_refused(
    tmp_path: Path, inputs: Mapping[str, str], params: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        fill(template_of(tmp_path, GRAPH), inputs=inputs, params=params)
    assert said in str(caught.value)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> WorkflowTemplate:
    return template_of(tmp_path_factory.mktemp("template"), GRAPH)


@given(text=st.text(), seed=st.integers(0, 2**64 - 1))
def test_any_text_survives_filling_and_the_way_to_the_server(template: WorkflowTemplate, text: str, seed: int) -> None:
    """Quotes, braces, newlines and any Unicode arrive unchanged, also when they look like a placeholder."""
    graph = fill(template, inputs={"image": text}, params={"style": text, "seed": seed, "deep": text})
    arrived = json.loads(json.dumps(graph))
    assert arrived["1"]["inputs"]["image"] == text
    assert arrived["2"]["inputs"]["text"] == f"a {text} {{red|blue}} cat, {seed}"
    assert arrived["2"]["inputs"]["seed"] == seed
    assert arrived["4"]["inputs"]["more"]["deep"] == [text, "{param.deep}"]


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_a_workflow_without_placeholders_is_a_template_that_fills_to_itself(path: Path) -> None:
    assert fill(load_template(path), inputs={}, params={}) == json.loads(path.read_text())


# what is shipped


def shipped() -> list[Path]:
    return sorted((ROOT / "templates").glob("*.json"))


def trouble(graph: Mapping[str, Any], node_id: str, nodes: Mapping[str, Any]) -> list[str]:
    """What a real ComfyUI would say against a node, by its node list."""
    entry = graph[node_id]
    info = nodes.get(entry["class_type"])
    if info is None:
        return [f"{node_id}: no class {entry['class_type']}"]
    wanted = info["input"].get("required", {}) | info["input"].get("optional", {})
    found = [f"{node_id}: {name} missing" for name in info["input"].get("required", {}) if name not in entry["inputs"]]
    found += [f"{node_id}: {name} unknown" for name in entry["inputs"] if name not in wanted]
    for name, value in entry["inputs"].items():
        kind, options = wanted[name][0], (wanted[name][1:] or [{}])[0]
        if isinstance(value, list):
            made = nodes[graph[value[0]]["class_type"]]["output"][value[1]]
            ok = made == kind
        elif isinstance(kind, list) or kind == "COMBO":
            ok = any(key.endswith("_upload") for key in options) or value in (
                kind if isinstance(kind, list) else options["options"]
            )
        else:
            types = {"INT": (int,), "FLOAT": (int, float), "STRING": (str,)}[kind]
            ok = isinstance(value, types) and (kind == "STRING" or options["min"] <= value <= options["max"])
        if not ok:
            found.append(f"{node_id}: {name} = {value!r} is no {kind}")
    return found


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_a_shipped_template_fits_the_node_list_of_a_real_comfyui_but_for_model_files(path: Path) -> None:
    nodes = json.loads(NODE_LIST.read_text())
    template = load_template(path)
    graph = fill(template, inputs=dict.fromkeys(template.inputs, "photo.jpg"), params={})
    found = [line for node_id in graph for line in trouble(graph, node_id, nodes)]
    assert [line for line in found if not re.fullmatch(r"\d+: \w+_name = '\S+\.safetensors' is no .*", line)] == []
    assert all(nodes[graph[node_id]["class_type"]]["output_node"] for node_id in template.outputs.values())


def test_the_windows_of_img2vid_basic_start_with_the_whole_canvas_shrink_and_stay_inside() -> None:
    template = load_template(ROOT / "templates" / "img2vid-basic.json")
    frames = [template.graph[node_id] for node_id in template.frame_nodes]
    windows = [template.graph[frame["inputs"]["image"][0]]["inputs"] for frame in frames]
    canvas = template.graph["3"]["inputs"]
    assert len(windows) == 24
    first = windows[0]
    assert (first["x"], first["y"], first["width"], first["height"]) == (0, 0, canvas["width"], canvas["height"])
    for before, after in pairwise(windows):
        assert after["width"] == after["height"] < before["width"]
        assert after["x"] + after["width"] <= canvas["width"]
        assert after["y"] + after["height"] <= canvas["height"]


def test_the_frames_of_img2vid_basic_reach_the_video_in_order() -> None:
    template = load_template(ROOT / "templates" / "img2vid-basic.json")

    def frames_of(node_id: str) -> list[str]:
        entry = template.graph[node_id]
        if entry["class_type"] != "ImageBatch":
            return [node_id]
        return [frame for name in ("image1", "image2") for frame in frames_of(entry["inputs"][name][0])]

    video = template.graph[template.resolve_output("video")]["inputs"]["video"][0]
    assert tuple(frames_of(template.graph[video]["inputs"]["images"][0])) == template.frame_nodes
