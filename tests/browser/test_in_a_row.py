"""Presses that come fast: two buttons directly one after the other, and one button twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.cells import LOAD, sampler_cell, video_cell
from tests.browser.opened import BOTH, Opener
from tests.browser.page import Notebook
from tests.fakes.service import RunpodService

_DELETE = "DELETE /v2/pods/{id}"
_LOOP = "import time\nend = time.monotonic() + 90\nwhile time.monotonic() < end: sum(range(1000))"
_IDLE = ""
_BUSY = [pytest.param(_IDLE, id="idle"), pytest.param(_LOOP, id="while a cell runs", marks=pytest.mark.slow)]
_KERNELS = [BOTH[0], pytest.param(BOTH[1], marks=pytest.mark.slow)]
_TAKEN = re.compile(r"(\w+) '[^']+': taken")


def in_a_row(*buttons: Locator) -> None:
    """Click one after the other before any answer can come."""
    handles = [button.element_handle() for button in buttons]
    buttons[0].page.evaluate("buttons => buttons.forEach(button => button.click())", handles)


def taken(home: Path) -> list[str]:
    """What the desk has done, by its log."""
    return sorted(_TAKEN.findall((home / "logs" / "autopod.log").read_text()))


def in_work(page: Notebook) -> Locator:
    """Buttons whose press is under way."""
    return page.page.locator("button[aria-busy='true']")


def run_up_to(page: Notebook, last: int, busy: str) -> None:
    """Run the cells, and begin the one after them if it is there to keep the kernel busy."""
    for at in range(last + 1):
        assert page.run(at)
    if busy:
        page.start(last + 1)


def give_back(page: Notebook, at: int, busy: str) -> None:
    """The busy cell ran all the time."""
    if busy:
        page.interrupt()
        assert not page.wait(at)


@pytest.mark.parametrize("busy", _BUSY)
@pytest.mark.parametrize("ipykernel", _KERNELS)
def test_two_different_buttons_pressed_in_a_row_both_act(nb: Opener, busy: str) -> None:
    slow = nb.template("slow")
    jobs = [sampler_cell(slow, f"--name {name}", steps=600) for name in ("one", "two")]
    page = nb(LOAD, "%autopod connect", *jobs, "%autopod panel", busy)
    run_up_to(page, 4, busy)
    room = page.output(4)
    expect(page.button("Cancel", 4)).to_have_count(2)
    expect(room.get_by_text("● live")).to_be_visible()
    in_a_row(page.button("Keep alive", 4), page.button("Cancel", 4).last)
    expect(room.get_by_text("● cancelled")).to_be_visible()
    expect(page.button("Cancel", 4)).to_have_count(1)
    said = room.locator(".autopod-said")
    expect(said).to_contain_text("Job two is being cancelled.")
    expect(said).to_contain_text("its idle countdown begins when it has nothing to do")
    expect(in_work(page)).to_have_count(0)
    assert taken(nb.home) == ["cancel", "keep_alive"], "each once, though each press goes two ways"
    give_back(page, 5, busy)
    assert page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("busy", _BUSY)
@pytest.mark.parametrize("ipykernel", BOTH)
def test_stop_of_one_pod_and_kill_of_another_reach_the_provider_once_each(
    nb: Opener, rented: RunpodService, busy: str
) -> None:
    page = nb(LOAD, "%autopod connect", "%autopod connect", busy)
    run_up_to(page, 2, busy)
    room = page.output(2)
    expect(room.get_by_text("● ready")).to_have_count(2)
    expect(room.get_by_text("● live")).to_be_visible()
    in_a_row(page.button(re.compile("^Stop "), 2).first, page.button(re.compile("^Kill "), 2).last)
    expect(room.get_by_text("● terminated")).to_have_count(2)
    expect(in_work(page)).to_have_count(0)
    assert taken(nb.home) == ["kill", "stop"]
    ends = [each["path"].rpartition("/")[2] for each in rented.requests(_DELETE)]
    assert sorted(ends) == sorted(pod["id"] for pod in rented.pods())
    give_back(page, 3, busy)
    assert page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["a double click", "two clicks"])
@pytest.mark.parametrize("busy", _BUSY)
@pytest.mark.parametrize("ipykernel", BOTH)
def test_kill_pressed_twice_is_one_request_to_the_provider(
    nb: Opener, rented: RunpodService, busy: str, how: str
) -> None:
    page = nb(LOAD, "%autopod connect", busy)
    run_up_to(page, 1, busy)
    expect(page.output(1).get_by_text("● ready")).to_be_visible()
    expect(page.output(1).get_by_text("● live")).to_be_visible()
    kill = page.button(re.compile("^Kill "), 1)
    expect(kill).to_have_count(1)  # a page that is slow may draw the new row before it takes the old one away
    if how == "a double click":
        kill.dblclick()
    else:
        in_a_row(kill, kill)
    expect(page.output(1).get_by_text("● terminated")).to_be_visible()
    assert taken(nb.home) == ["kill"]
    assert len(rented.requests(_DELETE)) == 1
    give_back(page, 2, busy)
    assert page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", BOTH)
def test_a_double_click_on_kill_does_not_lose_results(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", sampler_cell(nb.template("slow"), "--name one", steps=60), "%autopod panel")
    run_up_to(page, 3, _IDLE)
    expect(page.output(3).get_by_text("● live")).to_be_visible()
    expect(page.output(2)).to_contain_text(re.compile(r"step \d+ of 60"))
    page.button(re.compile("^Kill "), 3).dblclick()
    expect(page.button("Kill anyway", 3)).to_be_visible()
    expect(page.output(3)).to_contain_text("press again within 5 s to kill it all the same")
    expect(page.output(2).get_by_text("● done")).to_be_visible()
    expect(page.output(3).get_by_text("● ready")).to_be_visible()
    assert taken(nb.home) == []


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", BOTH)
def test_a_double_click_on_run_again_makes_one_job(nb: Opener) -> None:
    """Its second click comes as slowly as a person's may: the first one is answered by then."""
    page = nb(LOAD, "%autopod connect", video_cell("--name one"), "%autopod panel", "%autopod wait", "%autopod jobs")
    run_up_to(page, 3, _IDLE)
    page.button("Run again", 2).dblclick(delay=150)
    expect(page.output(3).get_by_text("one-2", exact=True)).to_be_visible()
    assert page.run(4)
    assert page.run(5)
    assert taken(nb.home) == ["again"]
    assert "one-3" not in page.text(5)
