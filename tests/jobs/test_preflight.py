from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.comfyui.workflow import WorkflowTemplate, load_template
from autopod_nb.errors import JobSpecError
from autopod_nb.jobs.preflight import check_files, preflight, require
from autopod_nb.jobs.spec import make_spec, parse_cell, read_job_file
from autopod_nb.models.job import JobSpec

ROOT = Path(__file__).parents[2]
GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "{input.image}"}},
    "2": {
        "class_type": "KSampler",
        "inputs": {
            "int": "{param.int=1}", "float": "{param.float=0.5}", "bool": "{param.bool=true}",
            "text": "{param.text=a}", "any": "{param.any=null}", "needed": "{param.needed}", "image": ["1", 0],
        },
    },
    "3": {"class_type": "SaveImage", "_meta": {"title": "output.still"}, "inputs": {"images": ["2", 0]}},
    "4": {"class_type": "SaveVideo", "_meta": {"title": "output.video"}, "inputs": {"video": ["2", 0]}},
}  # fmt: skip
GOOD: dict[str, Any] = {"inputs": {"image": "a.jpg"}, "params": {"needed": 1}}


@pytest.fixture
def template(tmp_path: Path) -> WorkflowTemplate:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(GRAPH))
    return load_template(path)


def with_params(**params: object) -> JobSpec:
    return make_spec("mine", inputs=GOOD["inputs"], params={"needed": 1} | params)


def test_a_good_job_has_nothing_against_it(template: WorkflowTemplate) -> None:
    spec = make_spec("mine", outputs={"still": "a.png", "4": "b.mp4"}, **GOOD)
    assert preflight(spec, template) == ()
    require(())


def test_the_shipped_job_fits_the_shipped_template_and_its_files_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    spec = read_job_file(ROOT / "jobs" / "img2vid-basic.json")
    assert preflight(spec, load_template(ROOT / "templates" / "img2vid-basic.json")) == ()
    assert check_files(spec) == ()


@pytest.mark.parametrize(
    ("words", "key", "said"),
    [
        ({"inputs": {}}, "inputs.image", "template 'mine' needs it; add 'image' to the inputs."),
        ({"params": {}}, "params.needed", "template 'mine' needs it; add 'needed' to the params."),
        (
            {"inputs": {"image": "a", "imgae": "b"}},
            "inputs.imgae",
            "template 'mine' has no input 'imgae'. Did you mean 'image'? It has: image.",
        ),
        (
            {"params": {"needed": 1, "flaot": 1}},
            "params.flaot",
            "template 'mine' has no param 'flaot'. Did you mean 'float'? It has: int, float, bool, text, any, needed.",
        ),
        (
            {"outputs": {"vidoe": "a.mp4"}},
            "outputs.vidoe",
            "Template 'mine' has no output 'vidoe'. Did you mean 'video'? It has: still, video.",
        ),
        (
            {"outputs": {"still": "x/a", "video": "y/../x/a"}},
            "outputs.video",
            "has the same path as the output 'still'",
        ),
        (
            {"outputs": {"video": "a", "4": "b"}},
            "outputs.4",
            "is node '4' (output.video), and so is the output 'video'",
        ),
    ],
)
def test_what_does_not_fit_the_template_is_a_fault_with_key_and_fix(
    template: WorkflowTemplate, words: Mapping[str, Any], key: str, said: str
) -> None:
    (fault,) = preflight(make_spec("mine", **(GOOD | dict(words))), template)
    assert (fault.source, fault.key) == ("Python", key)
    assert said in fault.message


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("int", 7, ""), ("int", 7.0, ""), ("int", 7.5, "a whole number"), ("int", "7", "a whole number"),
        ("int", True, "a whole number"), ("int", None, "a whole number"), ("int", [1], "a whole number"),
        ("float", 7, ""), ("float", 0.1, ""), ("float", "0.1", "a number"), ("float", False, "a number"),
        ("bool", False, ""), ("bool", 0, "true or false"), ("bool", "yes", "true or false"),
        ("text", "", ""), ("text", 5, "a text (in quotes)"), ("text", None, "a text (in quotes)"),
        ("any", 5, ""), ("any", [1, {"a": "b"}], ""), ("needed", "x", ""), ("needed", None, ""),
    ],
)  # fmt: skip
def test_a_param_has_the_type_of_the_templates_default(
    template: WorkflowTemplate, name: str, value: object, wanted: str
) -> None:
    faults = preflight(with_params(**{name: value}), template)
    assert [fault.key for fault in faults] == ([f"params.{name}"] if wanted else [])
    assert all(f"needs {wanted} as in the template" in fault.message for fault in faults)


def test_faults_know_the_line_and_are_raised_as_one_line(template: WorkflowTemplate) -> None:
    spec = parse_cell("inputs: {image: a}\nparams:\n  needed: 1\n  int: x\n  typo: 2", template="mine", namespace={})
    with pytest.raises(JobSpecError) as caught:
        require(preflight(spec, template))
    said = str(caught.value)
    assert said.startswith("cell, line 6, params.typo: template 'mine' has no param 'typo'.")
    assert "Also line 5, params.int: needs a whole number as in the template (1), not 'x'." in said
    assert "\n" not in said


def input_trouble(path: Path) -> str:
    (fault,) = check_files(make_spec("mine", inputs={"image": path}, outputs={"still": "out.png"}))
    assert fault.key == "inputs.image"
    return fault.message


def test_an_input_that_cannot_be_uploaded_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert "is no regular file" in input_trouble(tmp_path / "s")
    assert f"there is no file {tmp_path / 'phto.jpg'}. Did you mean 'photo.jpg'?" in input_trouble(
        tmp_path / "phto.jpg"
    )
    assert "there is no file" in input_trouble(tmp_path / "nowhere" / "a.jpg")
    assert "cannot be read: Not a directory" in input_trouble(tmp_path / "photo.jpg" / "a.jpg")
    assert "is a folder; name a file." in input_trouble(tmp_path)
    assert "is empty." in input_trouble(tmp_path / "empty.jpg")
    assert "cannot be read: Too many levels of symbolic links" in input_trouble(tmp_path / "loop.jpg")
    assert "cannot be read: File name too long" in input_trouble(tmp_path / ("x" * 300))
    assert "is no regular file" in input_trouble(tmp_path / "pipe.jpg")


def test_an_output_that_could_not_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    def trouble(path: Path) -> str:
        (fault,) = check_files(make_spec("mine", outputs={"still": path}))
        assert fault.key == "outputs.still"
        return fault.message

    assert "is a folder; add a file name." in trouble(tmp_path)
    assert f"{tmp_path / 'file'} is a file, not a folder" in trouble(tmp_path / "file" / "deep" / "a.mp4")
    assert "File name too long" in trouble(tmp_path / ("x" * 300))
    assert "File name too long" in trouble(tmp_path / ("x" * 300) / "a.mp4")


def test_a_folder_that_may_not_be_written_into_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at by a child without privileges, since nothing is forbidden to root."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o555)
    tmp_path.chmod(0o755)  # the child may look in here, from inside
    spec = make_spec("mine", outputs={"still": "closed/deep/a.mp4"}, cwd=Path())
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            os.write(write_end, check_files(spec)[0].message.encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answers:
        said = answers.read()
    os.waitpid(child, 0)
    assert said == "closed cannot be written into; choose another path or change its permissions."


def test_checking_makes_nothing_and_an_existing_output_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.mp4").write_bytes(b"kept")
    spec = make_spec("mine", outputs={"still": "new/deep/a.png", "video": "old.mp4"})
    assert check_files(spec) == ()
    assert check_files(make_spec("mine")) == ()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["old.mp4"]


def test_the_folder_that_results_go_to_by_default_is_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").write_bytes(b"a file in the way")
    (fault,) = check_files(make_spec("mine"))
    assert fault.key == "outputs"
    assert "is a file, not a folder" in fault.message
