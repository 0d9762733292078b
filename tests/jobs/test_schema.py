from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autopod_nb.errors import JobSpecError
from autopod_nb.jobs.fault import Places
from autopod_nb.jobs.schema import check_job, job_schema

JOBS = Path(__file__).parents[2] / "jobs"
SCHEMA_FILE = JOBS / "job.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(job_schema())

NAMES = st.text(min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
FILES = st.text(st.characters(exclude_characters="\0{}~"), min_size=1, max_size=10)
LIMITS = st.none() | st.decimals(min_value="0.01", max_value=100_000, places=2).map(float) | st.integers(1, 100_000)
GOOD = st.fixed_dictionaries(
    {"workflow_template": NAMES},
    optional={
        "job_id": st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
        "inputs": st.none() | st.dictionaries(NAMES, FILES, max_size=3),
        "params": st.none() | st.dictionaries(NAMES, JSON, max_size=3),
        "outputs": st.none()
        | st.dictionaries(
            NAMES, (FILES | st.just("a/{job_id}.mp4")).filter(lambda it: not it.endswith("/")), max_size=3
        ),
        "pod_config": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "gpu_type": st.none() | NAMES,
                "gpu_count": st.integers(1, 8),
                "max_cost_usd": LIMITS | st.just("0.5"),
                "timeout_minutes": LIMITS,
            },
        ),
        "sweep": st.none() | st.dictionaries(NAMES, st.lists(JSON, min_size=1, max_size=3) | NAMES, max_size=3),
    },
)
PLACES = st.sampled_from(
    [
        ("job_id",),
        ("inputs",),
        ("params",),
        ("outputs",),
        ("pod_config",),
        ("sweep",),
        ("workflow_template",),
        ("oops",),
    ]
) | st.tuples(
    st.sampled_from(["inputs", "outputs", "pod_config", "sweep"]),
    st.sampled_from(["", "image", "gpu_type", "gpu_count", "max_cost_usd", "zip"]),
)


def is_taken(job: object) -> bool:
    try:
        check_job(job, Places("test"))  # type: ignore[arg-type] # also what is no job
    except JobSpecError:
        return False
    return True


def test_the_schema_file_is_that_of_the_models() -> None:
    wanted = json.dumps(job_schema(), indent=2, ensure_ascii=False) + "\n"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == wanted, "write json.dumps(job_schema(), indent=2, …) into it"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(job_schema())


def job_files() -> list[Path]:
    return sorted(path for path in JOBS.glob("*.json") if path != SCHEMA_FILE)


@pytest.mark.parametrize("path", job_files(), ids=lambda path: path.name)
def test_a_shipped_job_file_is_valid(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(json.loads(path.read_text(encoding="utf-8")))] == []


@settings(max_examples=500)
@given(job=GOOD)
@example(job={"workflow_template": "t", "sweep": {"zip": True, "seed": [1]}})
@example(job={"workflow_template": "t", "outputs": {"a": "open{/x"}})
def test_a_good_job_is_good_for_the_reader_and_for_the_schema(job: dict[str, Any]) -> None:
    """An editor shows no error where there is none."""
    assert is_taken(job)
    VALIDATOR.validate(job)


@settings(max_examples=500)
@given(place=PLACES, value=JSON | NAMES | LIMITS)
def test_what_the_reader_takes_the_schema_takes_too(place: tuple[str, ...], value: object) -> None:
    """One value of any kind in any place: whatever the reader takes is valid."""
    key, *inner = place
    job = {"workflow_template": "t", key: {inner[0]: value} if inner else value}
    if is_taken(job):
        VALIDATOR.validate(job)


@pytest.mark.parametrize(
    "change",
    [
        {"parms": {}},
        {"workflow_template": ""},
        {"job_id": "a b"},
        {"job_id": "x" * 65},
        {"inputs": {"image": 5}},
        {"inputs": []},
        {"inputs": {"image": ""}},
        {"outputs": {"video": "out/"}},
        {"outputs": {"video": "{seed}.mp4"}},
        {"outputs": {"video": "{job_id}{a}.mp4"}},
        {"pod_config": {"max_cost_usd": 0}},
        {"pod_config": {"max_cost_usd": True}},
        {"pod_config": {"gpu_count": 1.5}},
        {"pod_config": {"gpu_cuont": 1}},
        {"sweep": {"seed": []}},
        {"sweep": {"seed": 5}},
        {"sweep": {"seed": True}},
        {"sweep": [1]},
    ],
)
def test_an_editor_shows_the_usual_mistakes(change: dict[str, Any]) -> None:
    job = {"workflow_template": "t"} | change
    assert not is_taken(job)
    assert not VALIDATOR.is_valid(job)
