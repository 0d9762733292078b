from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.comfyui.workflow import load_template
from autopod_nb.errors import JobSpecError, TemplateError
from autopod_nb.jobs.preflight import check_files, preflight
from autopod_nb.jobs.spec import make_jobs, make_spec, parse_cell, parse_cell_jobs, read_job_file, read_jobs
from autopod_nb.jobs.sweep import MOST_JOBS
from autopod_nb.models.job import JobSpec

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "tests" / "recordings" / "workflows" / "text_and_seed.json"
GRAPH = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "{input.image}", "mask": "{input.both}"}},
    "2": {
        "class_type": "KSampler",
        "_meta": {"title": "Sampler"},
        "inputs": {"seed": "{param.seed=1}", "cfg": "{param.cfg=1.5}", "zip": "{param.zip=0}", "b": "{param.both=0}"},
    },
    "3": {"class_type": "SaveImage", "_meta": {"title": "output.still"}, "inputs": {"images": ["2", 0], "steps": 4}},
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a template `mine` and three photographs."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "mine.json").write_text(json.dumps(GRAPH))
    (tmp_path / "photos").mkdir()
    for name in ("b.jpg", "a.jpg", "c[1].jpg", ".hidden.jpg", "note.txt"):
        (tmp_path / "photos" / name).write_bytes(b"x")
    (tmp_path / "photos" / "folder.jpg").mkdir()
    return tmp_path


def jobs(here: Path, sweep: object, **words: Any) -> tuple[JobSpec, ...]:
    return make_jobs("mine", sweep=sweep, cwd=here, **({"job_id": "x"} | words))  # type: ignore[arg-type] # also what is no mapping


def refusal(here: Path, sweep: object, **words: Any) -> str:
    with pytest.raises(JobSpecError) as caught:
        jobs(here, sweep, **words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# order and names


def test_every_combination_becomes_a_job_and_the_first_name_changes_slowest(here: Path) -> None:
    made = jobs(here, {"seed": [7, 8], "cfg": (1.5, 2, 2.5)})
    assert [job.job_id for job in made] == ["x-001", "x-002", "x-003", "x-004", "x-005", "x-006"]
    assert [(job.params["seed"], job.params["cfg"]) for job in made] == [
        (7, 1.5), (7, 2), (7, 2.5), (8, 1.5), (8, 2), (8, 2.5),
    ]  # fmt: skip
    assert all(job.batch == "x" and job.swept == job.params for job in made)
    assert jobs(here, {"seed": [7, 8], "cfg": (1.5, 2, 2.5)}) == made


def test_zip_pairs_the_values(here: Path) -> None:
    made = jobs(here, {"seed": range(3), "zip": True, "cfg": [1.5, 1.5, 3.0]})
    assert [dict(job.swept) for job in made] == [
        {"seed": 0, "cfg": 1.5}, {"seed": 1, "cfg": 1.5}, {"seed": 2, "cfg": 3.0},
    ]  # fmt: skip
    assert len(jobs(here, {"zip": False, "seed": [1, 2], "cfg": [1, 2]})) == 4


def test_a_parameter_may_be_called_zip(here: Path) -> None:
    assert [job.params for job in jobs(here, {"zip": [1, 2]})] == [{"zip": 1}, {"zip": 2}]
    made = jobs(here, {"zip": True, "param.zip": [1, 2], "seed": [3, 4]})
    assert [job.params for job in made] == [{"zip": 1, "seed": 3}, {"zip": 2, "seed": 4}]


def test_a_swept_value_takes_the_place_of_the_one_in_params_or_inputs(here: Path) -> None:
    made = jobs(
        here,
        {"seed": [7], "image": ["photos/a.jpg"]},
        params={"seed": 1, "cfg": 2.0},
        inputs={"image": "z.jpg", "both": "m.png"},
    )
    (only,) = made
    assert only.params == {"seed": 7, "cfg": 2.0}
    assert only.inputs == {"image": here / "photos/a.jpg", "both": here / "m.png"}
    assert (only.job_id, only.batch) == ("x-001", "x")


def test_a_nodes_input_is_swept_by_id_or_title(here: Path) -> None:
    made = jobs(here, {"3.steps": [1, 2], "Sampler.cfg": [3.0]})
    assert [job.params for job in made] == [{"3.steps": 1, "Sampler.cfg": 3.0}, {"3.steps": 2, "Sampler.cfg": 3.0}]


def test_what_is_an_input_and_a_parameter_wants_a_prefix(here: Path) -> None:
    said = refusal(here, {"both": [1, 2]})
    assert said == (
        "Python, sweep.both: is an input and a parameter of the template; write 'input.both' or 'param.both'."
    )
    (job,) = jobs(here, {"param.both": [1], "input.both": ["photos/a.jpg"]})
    assert (job.params, job.inputs) == ({"both": 1}, {"both": here / "photos/a.jpg"})
    assert job.swept == {"param.both": 1, "input.both": "photos/a.jpg"}


def test_without_a_sweep_a_job_is_alone(here: Path) -> None:
    (job,) = jobs(here, {})
    assert (job.job_id, job.batch, job.swept) == ("x", "", {})
    assert job == make_spec("mine", job_id="x", cwd=here)


def test_numbers_of_a_large_sweep_have_one_width_and_ids_stay_valid(here: Path) -> None:
    made = jobs(here, {"seed": range(1000)}, job_id="j" * 59)
    assert (made[0].job_id, made[-1].job_id) == ("j" * 59 + "-0001", "j" * 59 + "-1000")
    assert "is longer than 59 characters, which leaves no room for -0001" in refusal(
        here, {"seed": range(1000)}, job_id="j" * 60
    )


def test_a_made_job_id_leaves_room_for_the_number(here: Path) -> None:
    (here / "templates" / f"{'t' * 90}.json").write_text(json.dumps(GRAPH))
    made = make_jobs("t" * 90, sweep={"seed": range(1000)}, cwd=here)
    assert len(made[-1].job_id) == 64


# files


def test_a_pattern_becomes_its_files_in_order_without_folders_and_hidden_ones(here: Path) -> None:
    made = jobs(here, {"image": ["photos/*.jpg"]})
    assert [job.inputs["image"].name for job in made] == ["a.jpg", "b.jpg", "c[1].jpg"]
    assert [job.swept["image"] for job in made] == ["photos/a.jpg", "photos/b.jpg", "photos/c[1].jpg"]
    assert jobs(here, {"image": "photos/*.jpg"}) == made
    assert [job.inputs["image"].name for job in jobs(here, {"image": str(here / "**" / "?.jpg")})] == ["a.jpg", "b.jpg"]


def test_a_file_with_brackets_in_its_name_is_no_pattern(here: Path) -> None:
    (job,) = jobs(here, {"image": ["photos/c[1].jpg"]})
    assert job.inputs["image"] == here / "photos" / "c[1].jpg"


def test_files_pair_with_values(here: Path) -> None:
    made = jobs(here, {"zip": True, "image": ["photos/b.jpg", "photos/a.jpg"], "seed": [1, 2]})
    assert [(job.inputs["image"].name, job.params["seed"]) for job in made] == [("b.jpg", 1), ("a.jpg", 2)]


# results


def test_each_job_has_results_of_its_own(here: Path) -> None:
    outputs = {"still": "out/a.tar.gz", "3": "{job_id}/b", "2": ".png"}
    made = jobs(here, {"seed": [1, 2]}, outputs=outputs)
    assert made[0].outputs == {
        "still": here / "out/a.tar-001.gz", "3": here / "x-001/b", "2": here / ".png-001",
    }  # fmt: skip
    assert made[1].outputs["still"] == here / "out/a.tar-002.gz"


NAMES = st.text(st.characters(exclude_characters="/\0{}", exclude_categories=["Cs"]), min_size=1, max_size=20)
FOLDERS = st.lists(NAMES | st.just("{job_id}") | st.just(".."), max_size=2)
PATHS = st.tuples(FOLDERS, NAMES.filter(lambda name: name not in {".", ".."})).map(lambda it: "/".join([*it[0], it[1]]))


@settings(max_examples=500)
@given(paths=st.lists(PATHS, min_size=1, max_size=3, unique=True), count=st.integers(1, 4))
def test_no_two_jobs_of_a_sweep_write_one_path_and_none_leaves_the_folder_that_was_named(
    paths: list[str], count: int
) -> None:
    outputs = {str(number): f"out/{path}" for number, path in enumerate(paths)}
    made = make_jobs(str(SMALL), sweep={"seed": range(count)}, outputs=outputs, job_id="x", cwd=ROOT)
    for name, path in outputs.items():
        found = [job.outputs[name] for job in made]
        assert len(set(found)) == count
        for job, result in zip(made, found, strict=True):
            assert result.parent == ROOT / Path(path.replace("{job_id}", job.job_id)).parent
            assert result.name.startswith(Path(path).stem.replace("{job_id}", job.job_id))


def test_what_is_no_file_name_is_left_to_the_check_of_the_outputs(here: Path) -> None:
    (job,) = jobs(here, {"seed": [1]}, outputs={"still": "out/..", "3": "."})
    assert job.outputs == {"still": here / "out/..", "3": here}
    assert all("is a folder" in fault.message for fault in check_files(job))


# faults


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ({"seed": []}, "Python, sweep.seed: has no values; write at least one."),
        ({"seed": 5}, "sweep.seed: must be a list of values, such as [1, 2], not a number."),
        ({"seed": {"a": 1}}, "not a mapping."),
        ({"seed": None}, "not nothing."),
        ({"seed": "1, 2"}, "sweep.seed: must be a list of values, such as [1, 2]."),
        ({"seed": True}, "sweep.seed: must be a list of values"),
        ({"zip": "yes", "seed": [1]}, "sweep.zip: must be true or false, or a list of values"),
        ({"zip": True}, "sweep: names nothing to sweep over"),
        ([1], "sweep: must be a mapping of names to values, not a list."),
        ({"zip": True, "seed": [1, 2], "cfg": [1]}, "sweep.zip: `zip: true` pairs lists of one length; seed has 2"),
        ({"seed": range(50), "cfg": range(50)}, f"sweep: makes 2500 jobs, and one sweep can make {MOST_JOBS}"),
        ({"seed": range(10**9)}, "a value of type range cannot be part of a job"),
        ({"seed": [1, 2, 1]}, "sweep.seed[2]: jobs 1 and 3 of the sweep would be the same"),
        ({"zip": True, "seed": [1, 1], "cfg": [2, 2]}, "sweep.cfg[1]: jobs 1 and 2 of the sweep would be the same"),
        ({"seed": [1], "param.seed": [2]}, "sweep.param.seed: sets the same as 'seed'; keep one of them."),
        ({"image": ["photos/*.png"]}, "sweep.image[0]: no file matches 'photos/*.png'"),
        ({"image": [5]}, "sweep.image[0]: must be the path of a file, not a number."),
        ({"image": ["a\0*"]}, "must be the path of a file, not 'a\\x00*'."),
        ({"image": ["x" * 5000 + "*"]}, "cannot be looked for: File name too long"),
        ({"": [1]}, "is empty."),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_sweep_is_said_with_its_key_and_the_fix(here: Path, sweep: object, said: str) -> None:
    assert said in refusal(here, sweep)


def test_one_and_true_are_different_values(here: Path) -> None:
    assert len(jobs(here, {"seed": [1, 1.0, True, "1"]})) == 4


def test_a_sweep_needs_its_template(here: Path) -> None:
    with pytest.raises(TemplateError, match=r"no workflow template 'mnie'\. Did you mean 'mine'"):
        make_jobs("mnie", sweep={"seed": [1]}, cwd=here)


def test_faults_name_the_line_also_later_on(here: Path) -> None:
    text = "inputs: {image: photos/a.jpg, both: photos/a.jpg}\nsweep:\n  seed:\n    - 1\n    - x\n  sede: [1]\n"
    made = parse_cell_jobs(text, template="mine", name="x", namespace={}, cwd=here)
    template = load_template(here / "templates" / "mine.json")
    faults = [fault for job in made for fault in preflight(job, template)]
    assert [(fault.line, fault.key) for fault in faults] == [
        (7, "params.sede"), (7, "params.sede"), (6, "params.seed"),
    ]  # fmt: skip


# files and cells


def test_a_file_a_cell_and_python_make_the_same_jobs(here: Path) -> None:
    words: dict[str, Any] = {"job_id": "x", "inputs": {"image": "photos/a.jpg"}, "sweep": {"seed": [1, 2], "zip": True}}
    path = here / "job.json"
    path.write_text(json.dumps({"workflow_template": "mine"} | words))
    from_file = read_jobs(path, cwd=here)
    from_cell = parse_cell_jobs(
        "inputs: {image: photos/a.jpg}\nsweep: {seed: $seeds, zip: true}",
        template="mine", name="x", namespace={"seeds": range(1, 3)}, cwd=here,
    )  # fmt: skip
    from_python = make_jobs("mine", cwd=here, **words)
    assert len(from_file) == 2
    for made in (from_cell, from_python):
        assert [(job.job_id, job.inputs, job.params, job.batch, job.swept) for job in made] == [
            (job.job_id, job.inputs, job.params, job.batch, job.swept) for job in from_file
        ]


def test_where_one_job_is_wanted_a_sweep_is_refused_with_its_number(here: Path) -> None:
    path = here / "job.yaml"
    path.write_text("workflow_template: mine\nsweep: {seed: [1, 2]}\n")
    with pytest.raises(JobSpecError, match=r"line 2, sweep: the sweep makes 2 jobs; .* read_jobs reads them all"):
        read_job_file(path, cwd=here)
    with pytest.raises(JobSpecError, match="parse_cell_jobs reads them all"):
        parse_cell("sweep: {seed: [1]}", template="mine", namespace={}, cwd=here)


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_a_sweep_is_the_product_of_its_lists(sizes: list[int]) -> None:
    names = ["seed", "grain", "fps"][: len(sizes)]
    lists = {name: list(range(size)) for name, size in zip(names, sizes, strict=True)}
    made = make_jobs(str(SMALL), sweep=lists, job_id="x", cwd=ROOT)
    assert [tuple(job.swept.values()) for job in made] == list(itertools.product(*lists.values()))
    assert len({job.job_id for job in made}) == len(made)
