"""The tree of errors: as drawn, one line each, and never silent about what may bill."""

from __future__ import annotations

import inspect
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autopod_nb import errors
from autopod_nb.errors import AutopodError, JobSpecError, PodError, PromptRefused, nearest


def _drawn() -> dict[str, str]:
    """Class → its base, as the picture on top of the module has it."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)(?:  |$)", line)
        if match:
            depth = len(match[1]) // 4
            del above[depth:]
            found[match[2]] = above[-1] if above else "Exception"
            above.append(match[2])
    return found


def test_the_picture_on_top_is_the_tree() -> None:
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, AutopodError)]
    assert _drawn() == {each.__name__: each.__base__.__name__ for each in classes if each.__base__ is not None}
    assert len(classes) > 20


@given(st.text(), st.one_of(st.none(), st.from_regex(r"[0-9a-f]{6}", fullmatch=True)))
def test_a_message_is_one_line_whatever_is_in_it(text: str, pod_id: str | None) -> None:
    assert len(str(PodError(text, pod_id=pod_id)).splitlines()) <= 1


@given(st.text(alphabet="abcdef0123456789 .", max_size=40), st.from_regex(r"[0-9a-f]{6}", fullmatch=True))
@example("Pod a1b2c3 does not answer.", "a1b2c3")
def test_an_error_that_leaves_a_pod_names_it_and_says_how_to_end_it(text: str, pod_id: str) -> None:
    error = PodError(text, pod_id=pod_id)
    assert error.pod_id == pod_id
    assert f"`%autopod kill {pod_id}`" in str(error)


def test_what_a_message_already_says_is_not_said_twice() -> None:
    said = "It may still bill: `%autopod kill a1b2c3` ends it."
    assert str(PodError(said, pod_id="a1b2c3")) == said


def test_an_error_without_a_pod_says_nothing_about_one() -> None:
    assert str(PodError("No.")) == "No."
    assert PodError("No.").pod_id is None


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, "wrong"),
        ({"source": "cell"}, "cell: wrong"),
        ({"source": "job.yaml", "line": 3}, "job.yaml, line 3: wrong"),
        ({"source": "job.yaml", "line": 3, "key": "inputs.image"}, "job.yaml, line 3, inputs.image: wrong"),
        ({"key": "params.seed"}, "params.seed: wrong"),
    ],
)
def test_a_fault_in_a_job_says_where_it_is(where: dict[str, str | int], text: str) -> None:
    error = JobSpecError("wrong", **where)  # type: ignore[arg-type] # as the table has it
    assert str(error) == text
    assert (error.source, error.line, error.key) == (where.get("source"), where.get("line"), where.get("key"))


def test_a_refusal_keeps_its_own_copy_of_the_nodes() -> None:
    nodes = {"3": "no such class"}
    error = PromptRefused("refused", error_type="missing_node_type", node_errors=nodes)
    nodes.clear()
    assert error.node_errors == {"3": "no such class"}


@pytest.mark.parametrize(
    ("word", "hint"),
    [("conect", " Did you mean 'connect'?"), ("connect", " Did you mean 'connect'?"), ("zzz", ""), ("", "")],
)
def test_a_misspelt_word_gets_the_nearest_one(word: str, hint: str) -> None:
    assert nearest(word, ["connect", "stop"]) == hint
