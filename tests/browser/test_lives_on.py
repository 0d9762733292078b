"""Panels outlive the tab that they were made in, and the kernel: what comes back lives, what cannot says what to do."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.cells import LOAD, sampler_cell, video_cell
from tests.browser.opened import BOTH, Opener
from tests.browser.page import Notebook
from tests.fakes.service import RunpodService

_KILL = re.compile(r"^Kill ")
_CREATE, _DELETE = "POST /v2/pods", "DELETE /v2/pods/{id}"
_ERROR = "Error displaying widget"


def close_tab(page: Notebook) -> None:
    """Save and close the tab as a person does; the kernel runs on."""
    expect(page.page.locator(".autopod-stand-in").locator("visible=true")).to_have_count(0)
    page.save()
    page.page.close()


def assert_says_how_to_reconnect(page: Notebook, at: int) -> None:
    """Where a panel's kernel is gone, it is said what brings it back, and no error of a widget is seen."""
    expect(page.output(at).get_by_text(_ERROR)).to_have_count(1)
    expect(page.output(at).get_by_text(_ERROR)).to_be_hidden()
    expect(page.output(at).get_by_text("`%load_ext autopod_nb`, then `%autopod adopt` takes over")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", BOTH)
def test_saved_closed_and_opened_again_in_mid_job_it_is_live_and_the_result_arrives(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", sampler_cell(nb.template("slow"), "--name one", steps=200))
    for at in range(3):
        assert page.run(at)
    expect(page.output(2)).to_contain_text(re.compile(r"step \d+ of 200"))
    close_tab(page)
    again = nb.again(page.path)
    expect(again.button("Cancel job", 2)).to_be_visible()
    again.watch(2)
    expect(again.output(1).get_by_text("● live")).to_be_visible()
    expect(again.output(2).get_by_text("● done")).to_be_visible()
    assert len(again.bar_widths()) > 5, "it moved in the new tab"
    expect(again.output(2).locator("img:visible")).to_have_js_property("naturalWidth", value=64)
    again.button(_KILL, 1).click()
    expect(again.output(1).get_by_text("● terminated")).to_be_visible()
    assert _ERROR not in again.page.content()
    assert again.errors == []
    close_tab(again)
    nb.lab.shut_down(page.path)
    without = nb.again(page.path)
    for at in (1, 2):
        assert_says_how_to_reconnect(without, at)
    without.shot("panels-without-kernel")


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", BOTH)
def test_a_result_that_was_saved_opens_and_plays_with_its_kernel_and_without(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", video_cell("--name one"))
    for at in range(3):
        assert page.run(at)
    expect(page.output(2).locator("video")).to_be_visible()
    close_tab(page)
    with_kernel = nb.again(page.path)
    with_kernel.plays(with_kernel.output(2).locator("video"))
    expect(with_kernel.output(1).get_by_text("● live")).to_be_visible()
    assert _ERROR not in with_kernel.page.content()
    assert with_kernel.errors == []
    close_tab(with_kernel)
    nb.lab.shut_down(page.path)
    without = nb.again(page.path)
    without.plays(without.output(2).locator("video"))
    expect(without.output(2).get_by_text(_ERROR)).to_have_count(0)
    assert_says_how_to_reconnect(without, 1)
    without.shot("saved-without-kernel")


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", BOTH)
def test_after_a_kernel_restart_adopt_brings_back_pod_job_and_live_panels(nb: Opener, rented: RunpodService) -> None:
    job = sampler_cell(nb.template("slow"), "--name one", steps=300)
    page = nb(LOAD, "%autopod connect", job, LOAD, "%autopod adopt", "%autopod panel")
    for at in range(3):
        assert page.run(at)
    expect(page.output(2)).to_contain_text(re.compile(r"step \d+ of 300"))
    page.restart()
    for at in (1, 2):
        expect(page.output(at)).to_contain_text("⚠ stale: the kernel does not answer.")
        expect(page.output(at)).to_contain_text("`%load_ext autopod_nb`, then `%autopod adopt`")
    page.shot("stale-after-restart")
    assert page.run(3)
    assert "1 pod may bill: `%autopod adopt` takes it over" in page.text(3)
    assert page.run(4)
    assert page.run(5)
    for at in (4, 5):
        expect(page.output(at).get_by_text("● live").first).to_be_visible()
        expect(page.output(at).get_by_text("● running").first).to_be_visible()
    page.shot("adopted", page.output(4))
    _press_what_is_stale(page)
    expect(page.output(4).get_by_text("● done").first).to_be_visible()
    expect(page.output(4).locator("img[src^='data:image/png']")).to_have_js_property("naturalWidth", value=64)
    assert list((nb.folder / "outputs" / "one").glob("*.png"))
    (pod,) = rented.pods()
    assert len(rented.requests(_CREATE)) == 1
    assert rented.requests(_DELETE) == [], "what was pressed in the old panel reached nobody"
    page.button(_KILL, 5).click()
    expect(page.output(5).get_by_text("● terminated")).to_be_visible()
    assert [pod["id"] in each["path"] for each in rented.requests(_DELETE)] == [True]


def _press_what_is_stale(page: Notebook) -> None:
    """Buttons of the old kernel's panels say that nobody takes what they send. A broken link stands in their names."""
    page.button(re.compile("Cancel job"), 2).click()
    expect(page.output(2).get_by_role("status").last).to_contain_text("The kernel does not answer. If it was restarted")
    page.button(re.compile("Kill "), 1).click()
    page.button(re.compile("Kill anyway"), 1).click()
    expect(page.output(1).get_by_role("status").last).to_contain_text("The kernel does not answer. If it was restarted")


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", BOTH)
def test_run_again_in_a_card_of_an_older_kernel_starts_nothing(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", video_cell("--name one"), "%autopod jobs")
    for at in range(3):
        assert page.run(at)
    again = page.button("Run again", 2)
    expect(again).to_be_visible()
    page.save()
    page.restart()
    assert page.run(0)
    assert page.run(1)
    expect(page.output(1).get_by_text("● live")).to_be_visible()
    again.click()
    expect(page.output(2).get_by_role("status")).to_have_text(
        re.compile("The kernel (does not answer|did not take it)")
    )
    assert page.run(3)
    assert page.text(3).startswith("No jobs")
    page.reload()
    expect(page.output(2).locator("video")).to_be_visible()
    expect(page.output(2).locator("button[data-autopod]")).to_be_hidden()
    assert page.run(1)
    expect(page.output(1).get_by_text("● live")).to_be_visible()
    expect(page.output(2).locator("button[data-autopod]")).to_be_hidden()
