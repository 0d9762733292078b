from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.comfyui.workflow import fill, load_template
from autopod_nb.errors import JobSpecError
from autopod_nb.jobs.spec import (
    check_batch,
    fresh_job_id,
    job_id_for,
    make_spec,
    parse_cell,
    read_job_file,
    with_pod_config,
)
from autopod_nb.models.job import JobSpec, PodConfig

ROOT = Path(__file__).parents[2]
CWD = Path("/somewhere")

WHOLE = """\
{
  "job_id": "first-1",
  "workflow_template": "img2vid-basic",
  "inputs": {"image": "photos/a.jpg"},
  "params": {"seed": 42, "style": "{param.x} $5 \\"quoted\\"\\n", "deep": [1, {"a": null}]},
  "outputs": {"video": "out/{job_id}/{job_id}.mp4"},
  "pod_config": {"gpu_type": "A40", "gpu_count": 2, "max_cost_usd": 0.1, "timeout_minutes": 7.5}
}
"""


def cell(text: str, *, name: str | None = None, **namespace: object) -> JobSpec:
    return parse_cell(
        text, template="img2vid-basic", name=name, namespace=namespace, cwd=CWD, new_id=lambda template: f"{template}-1"
    )


def file_of(tmp_path: Path, text: str, name: str = "job.json") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(text: str, **namespace: Any) -> JobSpecError:
    with pytest.raises(JobSpecError) as caught:
        cell(text, **namespace)
    assert "\n" not in str(caught.value)
    return caught.value


# one schema for files, cells and Python


def test_a_job_file_with_every_key_becomes_a_spec(tmp_path: Path) -> None:
    path = file_of(tmp_path, WHOLE)
    spec = read_job_file(path, cwd=CWD)
    assert spec == JobSpec(
        job_id="first-1",
        workflow_template="img2vid-basic",
        inputs={"image": CWD / "photos/a.jpg"},
        params={"seed": 42, "style": '{param.x} $5 "quoted"\n', "deep": [1, {"a": None}]},
        outputs={"video": CWD / "out/first-1/first-1.mp4"},
        pod_config=PodConfig(gpu_type="A40", gpu_count=2, max_cost_usd=Decimal("0.1"), timeout_minutes=Decimal("7.5")),
        source=str(path),
    )
    assert (spec.lines["job_id"], spec.lines["inputs.image"], spec.lines["pod_config.max_cost_usd"]) == (2, 4, 7)


def test_the_same_words_in_a_cell_and_from_python_make_the_same_job(tmp_path: Path) -> None:
    from_file = read_job_file(file_of(tmp_path, WHOLE), cwd=CWD)
    from_cell = cell(WHOLE)
    words = json.loads(WHOLE)
    template = words.pop("workflow_template")
    from_python = make_spec(template, cwd=CWD, **words)
    assert [from_cell.source, from_python.source] == ["cell", "Python"]
    for other in (from_cell, from_python):
        assert (other.job_id, other.inputs, other.params, other.outputs, other.pod_config) == (
            from_file.job_id, from_file.inputs, from_file.params, from_file.outputs, from_file.pod_config,
        )  # fmt: skip


def test_an_empty_cell_is_a_job_of_defaults_with_a_fresh_id() -> None:
    assert cell("") == JobSpec(job_id="img2vid-basic-1", workflow_template="img2vid-basic", source="cell")
    assert cell("inputs:\nparams:\noutputs:\npod_config:\n") == cell("")


def test_the_shipped_job_file_is_a_job_with_a_photograph() -> None:
    spec = read_job_file(ROOT / "jobs" / "img2vid-basic.json", cwd=ROOT)
    assert spec.workflow_template == "img2vid-basic"
    assert spec.inputs["image"].is_file()


def test_relative_paths_are_relative_to_the_current_folder_and_tilde_is_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of a job file that lies elsewhere."""
    (tmp_path / "jobs").mkdir()
    text = '{"workflow_template": "t", "inputs": {"a": "x.jpg", "b": "~/y.jpg", "c": "/z.jpg"}}'
    path = file_of(tmp_path / "jobs", text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert read_job_file(path).inputs == {"a": tmp_path / "x.jpg", "b": Path("/home/me/y.jpg"), "c": Path("/z.jpg")}


def test_a_variable_gives_paths_and_values_at_any_depth() -> None:
    text = (
        "inputs: {image: $photo}\nparams: {seed: $seed, list: [$seed], text: $$seed}\npod_config: {max_cost_usd: $most}"
    )
    spec = cell(text, photo=Path("a b.jpg"), seed=7, most=Decimal("0.30"))
    assert spec.inputs == {"image": CWD / "a b.jpg"}
    assert spec.params == {"seed": 7, "list": [7], "text": "$seed"}
    assert spec.pod_config.max_cost_usd == Decimal("0.30")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(value=JSON, text=st.text())
def test_any_value_survives_the_way_from_a_cell_into_the_graph(value: Any, text: str) -> None:
    """Cell → spec → filled graph; a text that looks like a variable is written with two signs."""
    template = load_template(ROOT / "templates" / "img2vid-basic.json")
    spec = cell(json.dumps({"params": {"seed": doubled(value), "prefix": doubled(text)}}), x=1)
    graph = fill(template, inputs={"image": "a.jpg"}, params=spec.params)
    assert json.dumps(graph["4"]["inputs"]["seed"]) == json.dumps(value)
    assert graph["401"]["inputs"]["filename_prefix"] == f"autopod/{text}"


def doubled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: doubled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [doubled(item) for item in value]
    return (
        f"${value}" if isinstance(value, str) and value.startswith("$") and value.lstrip("$").isidentifier() else value
    )


# job ids


@pytest.mark.parametrize(
    ("template", "job_id"),
    [
        ("img2vid-basic", "img2vid-basic-20260131-235959-ab12cd"),
        ("my flows/Été & co.json", "t-co-20260131-235959-ab12cd"),
        ("../../.json", "job-20260131-235959-ab12cd"),
        ("x" * 90, f"{'x' * 36}-20260131-235959-ab12cd"),
    ],
)
def test_a_made_job_id_says_template_and_time(template: str, job_id: str) -> None:
    now = datetime(2026, 1, 31, 23, 59, 59, tzinfo=timezone.utc)
    assert job_id_for(template, now=now, token="ab12cd") == job_id
    assert make_spec("t", job_id=job_id).job_id == job_id


def test_fresh_job_ids_differ() -> None:
    assert len({fresh_job_id("t") for _ in range(20)}) == 20


def test_the_name_in_the_first_line_of_a_cell_is_the_job_id() -> None:
    assert cell("", name="mine").job_id == "mine"
    assert cell("job_id: mine", name="mine").job_id == "mine"
    with pytest.raises(JobSpecError, match=r"cell, line 2, job_id: the first line .* says 'mine', this key 'other'"):
        cell("job_id: other", name="mine")
    with pytest.raises(JobSpecError, match=r"cell, line 2, workflow_template: .* says 'img2vid-basic', this key 'x'"):
        cell("workflow_template: x")


def test_a_batch_with_one_job_id_twice_is_refused_with_both_sources(tmp_path: Path) -> None:
    first = read_job_file(file_of(tmp_path, WHOLE, "a.json"))
    second = read_job_file(file_of(tmp_path, WHOLE, "b.json"))
    check_batch([first, make_spec("t"), make_spec("t")])
    with pytest.raises(JobSpecError) as caught:
        check_batch([first, second])
    assert str(caught.value).startswith(
        f"{tmp_path / 'b.json'}, line 2, job_id: the job id 'first-1' is that of another"
    )
    assert str(tmp_path / "a.json") in str(caught.value)


# bad input


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inptus:\n  image: x", "line 2, inptus: there is no key 'inptus'. Did you mean 'inputs'? Known: job_id,"),
        ("\npod_config:\n  gpu_cuont: 1", "line 4, pod_config.gpu_cuont: there is no key 'gpu_cuont'. Did you mean"),
        ('{"params": {},\n "outpts": {}}', "line 3, outpts: there is no key 'outpts'. Did you mean 'outputs'?"),
        ("inputs: [a]", "line 2, inputs: must be a mapping of names to values, not a list."),
        ("params: 5", "params: must be a mapping of names to values, not a number."),
        ("pod_config: cheap", "pod_config: must be a mapping of names to values, not a text."),
        ("inputs: {image: 5}", "inputs.image: must be the path of a file, not a number."),
        ("inputs: {image: null}", "inputs.image: must be the path of a file, not nothing."),
        ("inputs: {image: ''}", "inputs.image: must be the path of a file, not ''."),
        ('inputs: {image: "a\\0b"}', "inputs.image: must be the path of a file, not 'a\\x00b'."),
        ("inputs: {image: ~nobody-of-that-name/x}", "'~nobody-of-that-name/x' cannot be resolved"),
        ("outputs: {video: out/}", "outputs.video: 'out/' names a folder; add a file name."),
        ("outputs: {video: 'a/{seed}.mp4'}", "outputs.video: {seed} cannot be filled; only {job_id} can stand"),
        ("outputs: {video: '{param.seed=1}.mp4'}", "{param.seed=1} cannot be filled"),
        ("outputs: {video: {a: 1}}", "outputs.video: must be the path of a file, not a mapping."),
        ("job_id: 7", "job_id: must be a text, not a number; put it in quotes."),
        ("job_id: ../x", "job_id: '../x' cannot be a job id; use letters, digits"),
        ("job_id: -x", "cannot be a job id"),
        ("job_id: é", "cannot be a job id"),
        ("job_id: ''", "cannot be a job id"),
        ('job_id: "a\\n"', "cannot be a job id"),
        (f"job_id: {'x' * 65}", "job_id: is longer than 64 characters."),
        ("pod_config: {max_cost_usd: 0}", "pod_config.max_cost_usd: must be above 0, not 0."),
        ("pod_config: {max_cost_usd: -0.5}", "must be above 0, not -0.5."),
        ("pod_config: {timeout_minutes: 0.0}", "pod_config.timeout_minutes: must be above 0"),
        ("pod_config: {timeout_minutes: 1e9}", "must be 100000 or less"),
        ("pod_config: {max_cost_usd: .nan}", ".nan is no finite number"),
        ("pod_config: {max_cost_usd: NaN}", "must be a finite number."),
        ("pod_config: {max_cost_usd: cheap}", "must be a number above 0 such as 0.5, not 'cheap'."),
        ("pod_config: {max_cost_usd: true}", "must be a number above 0, not true or false."),
        ("pod_config: {gpu_count: 0}", "pod_config.gpu_count: must be 1 or more, not 0."),
        ("pod_config: {gpu_count: 9}", "must be 8 or less, not 9."),
        ("pod_config: {gpu_count: 1.5}", "must be a whole number, not a number."),
        ("pod_config: {gpu_count: true}", "must be a whole number, not true or false."),
        ("pod_config: {gpu_count: '2'}", "must be a whole number, not a text."),
        ("pod_config: {gpu_type: 4090}", "gpu_type: must be a text, not a number; put it in quotes."),
        ("pod_config: {gpu_type: ''}", "gpu_type: is empty."),
        ("inputs:\n  image: {input.image}", "line 3, inputs.image: {input.image} has no quotes."),
        ("params: {seed: $sede}", "there is no notebook variable 'sede'. Did you mean 'seed'?"),
        ("params: {seed: $thing}", "params.seed: a value of type object cannot be part of a job"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_cell_is_one_line_with_line_key_and_fix(text: str, said: str) -> None:
    """Lines count from the first line of the cell, which the magic itself is on."""
    error = refusal(text, seed=1, thing=object())
    assert str(error).startswith("cell, line ")
    assert said in str(error)
    assert error.key


def test_several_faults_are_named_at_once_in_the_order_of_lines() -> None:
    error = refusal("inptus: {}\njob_id: a/b\npod_config:\n  gpu_count: 0\n  max_cost_usd: -1")
    said = str(error)
    places = ["line 2, inptus: ", "Also line 3, job_id: ", "Also line 5, pod_config.gpu", "Also line 6, pod_config.max"]
    assert [said.find(place) for place in places] == sorted(said.find(place) for place in places)
    assert all(place in said for place in places)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "job.json", "line 1: not JSON"),
        (b"{}", "job.json", "workflow_template: is missing; every job needs it."),
        (b"", "job.yaml", "workflow_template: is missing"),
        (b'{"a": 1,}', "job.json", "line 1: not JSON"),
        (b'{"a":\n "\xff"}', "job.json", "line 2: is not UTF-8 text"),
        (b'{"1": {"class_type": "X", "inputs": {}}}', "job.json", "this is a workflow, not a job"),
        (b'{"workflow_template": "t",\n "params": {"a": "$x"}}', "job.json", "line 2, params.a: $x takes a notebook"),
        (b"workflow_template: t\ninputs: {a: {input.b}}", "job.yaml", "line 2, inputs.a: {input.b} has no quotes"),
    ],
)
def test_what_is_wrong_in_a_job_file_names_the_file_and_the_line(
    tmp_path: Path, content: bytes, name: str, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(JobSpecError) as caught:
        read_job_file(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


def test_a_job_file_may_be_yaml_and_have_a_byte_order_mark(tmp_path: Path) -> None:
    path = file_of(tmp_path, "\ufeffworkflow_template: t\nparams: {a: no, b: $$x}\n", "job.yml")
    assert read_job_file(path).params == {"a": "no", "b": "$x"}


def test_a_job_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    file_of(tmp_path, WHOLE, "first.json")
    with pytest.raises(JobSpecError, match=r"frist\.json: there is no such job file\. Did you mean 'first\.json'\?"):
        read_job_file(tmp_path / "frist.json")
    with pytest.raises(JobSpecError, match="there is no such job file"):
        read_job_file(tmp_path / "nowhere" / "a.json")
    with pytest.raises(JobSpecError, match="cannot be read: Is a directory"):
        read_job_file(tmp_path)
    with pytest.raises(JobSpecError, match="cannot be read"):
        read_job_file(Path("a\0b"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"params": {"a": float("inf")}}, "Python, params.a: inf is no finite number"),
        ({"inputs": {3: "x"}}, "Python, inputs: the key 3 is no text"),
        ({"inputs": 3}, "Python, inputs: must be a mapping"),
        ({"pod_config": {"max_cost_usd": Decimal(-1)}}, "Python, pod_config.max_cost_usd: must be above 0"),
        ({"template": ""}, "Python, workflow_template: is empty."),
        ({"template": 3}, "Python, workflow_template: must be a text"),
    ],
)
def test_what_is_wrong_in_python_names_the_key(words: dict[str, Any], said: str) -> None:
    with pytest.raises(JobSpecError) as caught:
        make_spec(words.pop("template", "t"), **words)
    assert said in str(caught.value)


def test_dollar_means_nothing_in_python() -> None:
    assert make_spec("t", params={"a": "$x", "b": "$$x"}).params == {"a": "$x", "b": "$$x"}


# limits


@given(cents=st.integers(1, 10_000_000))
def test_a_limit_of_money_is_exactly_what_is_written(cents: int) -> None:
    """No noise of binary fractions: 0.1 is 0.1, from JSON, from YAML and from a float."""
    written = f"{cents // 100}.{cents % 100:02}"
    from_json = cell(f'{{"pod_config": {{"max_cost_usd": {written}}}}}').pod_config.max_cost_usd
    from_float = make_spec("t", pod_config={"max_cost_usd": float(written)}).pod_config.max_cost_usd
    assert from_json == from_float == Decimal(written)


def test_options_replace_single_keys_of_pod_config() -> None:
    spec = cell("pod_config: {gpu_type: A40, max_cost_usd: 1}")
    changed = with_pod_config(spec, {"max_cost_usd": "0.5", "timeout_minutes": Decimal(3)})
    assert changed.pod_config == PodConfig(gpu_type="A40", max_cost_usd=Decimal("0.5"), timeout_minutes=Decimal(3))
    with pytest.raises(JobSpecError, match=r"--max-cost, pod_config\.max_cost_usd: must be above 0, not -1\."):
        with_pod_config(spec, {"max_cost_usd": "-1"}, source="--max-cost")
    with pytest.raises(JobSpecError, match=r"there is no key 'max_cost'\. Did you mean 'max_cost_usd'\?"):
        with_pod_config(spec, {"max_cost": 1})
