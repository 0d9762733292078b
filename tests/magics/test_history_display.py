"""The history in a real kernel: filters that answer, and a frame like any other where there is nothing to filter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.magics.kernel import Kernel

ROOT = Path(__file__).parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def jobs(kernel: Kernel) -> Kernel:
    """The kernel, with forty attempts in ``jobs``."""
    assert kernel.run(f"import sys; sys.path.insert(0, {str(ROOT)!r})").ok
    assert kernel.run("from tests.widgets.histories import history; jobs = history(40)").ok
    return kernel


def type_into(kernel: Kernel, description: str, text: str) -> None:
    """As a front end sends what a person types."""
    comm_id = kernel.button(description)  # the newest widget of this name
    data = {"method": "update", "state": {"value": text}, "buffer_paths": []}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data}))


def test_an_empty_history_says_so_and_has_no_filters(kernel: Kernel) -> None:
    shown = kernel.run("%autopod history").result
    assert shown["text/plain"] == "No jobs yet."
    assert WIDGET not in shown


def test_a_history_is_shown_with_filters_that_answer_and_with_forms_for_a_saved_notebook(jobs: Kernel) -> None:
    shown = jobs.run("jobs").result
    assert set(shown) == {WIDGET, "text/plain", "text/html"}
    assert "40 attempts: " in shown["text/plain"]
    assert "<table" in shown["text/html"]
    type_into(jobs, "Search", "clip-13.mp4")
    jobs.until(lambda: jobs.shows("1 of 40 attempts: 1 done."))
    jobs.click("Make CSV")
    jobs.until(lambda: jobs.shows("Save autopod-history.csv</a> (1 row, "))
    jobs.click("Clear filters")
    jobs.until(lambda: jobs.shows("Rows 1–25 of 40, newest first"))


@pytest.mark.parametrize("code", ["jobs.drop(columns='state')", "jobs.groupby('gpu').size()", "jobs.describe()"])
def test_what_is_made_of_it_is_shown_as_pandas_shows_it(jobs: Kernel, code: str) -> None:
    shown = jobs.run(code).result
    assert WIDGET not in shown
    assert shown["text/plain"]


def test_a_front_end_without_ipywidgets_gets_the_table(jobs: Kernel) -> None:
    shown = jobs.run(
        "import importlib.util as u; kept = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'ipywidgets' else kept(name, *rest)\njobs"
    ).result
    assert jobs.run("u.find_spec = kept").ok
    assert WIDGET not in shown
    assert "<table" in shown["text/html"]
