"""A job's panel: it moves, it outlives a reload, and what is saved of it is the result."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import expect

from autopod_nb.ssh.keys import own_key_path
from tests.browser.cells import LOAD, sampler_cell, video_cell
from tests.browser.lab import Lab
from tests.browser.opened import BOTH, Opener
from tests.session.rented_secrets import private_key_marks

_SECRETS = {
    "HF_TOKEN": "hf_plantedPLANTED0123456789abcdefghij",
    "RUNPOD_API_KEY": "rpa_PLANTEDplanted0123456789ABCDEFGHIJ",
}


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", BOTH)
def test_bar_and_preview_move_until_the_result_stands_there(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", sampler_cell(nb.template("slow"), "--name one", steps=20))
    assert page.run(0)
    assert page.run(1)
    assert page.run(2), "it returns at once, and the panel lives on"
    page.watch(2)
    expect(page.button("Cancel job", 2)).to_be_visible()
    expect(page.output(2)).to_contain_text(re.compile(r"step \d+ of 20"))
    expect(page.output(2).locator("img:visible")).to_be_visible()
    page.shot("job-running", page.output(2))
    expect(page.output(2).get_by_text("● done")).to_be_visible()
    expect(page.output(2).locator("img:visible")).to_have_js_property("naturalWidth", value=64)  # the result's
    widths = page.bar_widths()
    assert len(widths) > 5, widths
    assert all(before <= after for before, after in pairwise(widths)), widths
    assert page.pictures() > 5
    page.shot("job-done", page.output(2))
    assert page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", BOTH)
def test_after_a_reload_in_mid_job_the_panel_lives_on(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", sampler_cell(nb.template("slow"), "--name one", steps=80))
    assert page.run(0)
    assert page.run(1)
    assert page.run(2)
    expect(page.output(2)).to_contain_text(re.compile(r"step \d+ of 80"))
    page.save()
    page.reload()
    expect(page.button("Cancel job", 2)).to_be_visible()
    page.watch(2)
    expect(page.output(2).get_by_text("● done")).to_be_visible()
    assert len(page.bar_widths()) > 5, "it moved after the reload"
    assert page.pictures() > 5
    expect(page.output(2).locator("img:visible")).to_have_js_property("naturalWidth", value=64)
    expect(page.output(1).get_by_text("● ready")).to_be_visible()
    assert page.errors == []


@pytest.fixture
def with_widget_state(lab: Lab) -> Iterator[None]:
    """Notebooks are saved with the state of all widgets: what is hardest on secrets."""
    with lab.setting("@jupyter-widgets/jupyterlab-manager:plugin", saveState=True):
        yield


@pytest.mark.slow
def test_a_saved_notebook_has_the_result_and_no_secret(with_widget_state: None, nb: Opener) -> None:
    nb.environ |= _SECRETS
    page = nb(LOAD, "%autopod connect", video_cell("--name one"), "%autopod status", "%autopod doctor")
    for at in range(4):
        assert page.run(at)
    expect(page.output(2).locator("video")).to_be_visible()
    page.run(4)
    page.save()
    data = page.saved().cells[2].outputs[0]["data"]
    assert data["text/plain"].startswith("Job one (img2vid-basic): done")
    assert "data:video/mp4;base64," in data["text/html"]
    marks = {**_SECRETS, **private_key_marks(own_key_path(nb.home))}
    places = {"the notebook": page.file.read_text(), "the page": page.page.content(), "the log": nb.lab.log.read_text()}
    assert "IPY_MODEL_" in places["the notebook"], "the state of the widgets is in it"
    assert len(marks) > 4
    found = [(name, place) for name, mark in marks.items() for place, text in places.items() if mark in text]
    assert found == []
    assert str(Path(page.file).name) in nb.lab.log.read_text(), "this is the log that was looked through"
