"""Panels in light and dark, wide and narrow: all of it can be read, nothing sticks out; names for a screen reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from autopod_nb.clock import SystemClock
from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, Purpose
from autopod_nb.models.pod import PodState
from autopod_nb.storage.ledger import Ledger, LedgerWrite
from autopod_nb.storage.writes import PodChanged
from tests.browser import hostile_comfy
from tests.browser.cells import LOAD, sampler_cell
from tests.browser.looks import tab_to, wrong_looks
from tests.browser.opened import Opener
from tests.session.test_costs import cost, pod
from tests.session.test_timeline import job, write_timeline

pytestmark = pytest.mark.slow
LONG = "a-name-of-sixty-four-letters-which-is-as-long-as-a-job-may-have1"
LONG_TEMPLATE = "a template whose name goes on and on as a person who saves many versions may well come to write it (2)"
LONG_WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
_DAY_LIMIT_USD = Decimal(10)
_EMPTY = {
    "pods": "No pod is known that may bill",
    "panel": "No pod: `%autopod connect` rents one.",
    "history": "No jobs yet.",
    "jobs": "No jobs in this session yet.",
    "costs": "Nothing was booked",
    "costs --plot": "nothing to draw",
}
_HEIGHTS = "area => [...area.querySelectorAll('.js-plotly-plot')].map(each => each.getBoundingClientRect().height)"
_PLOTLY_FITS = "() => new Promise(next => setTimeout(next, 500))"  # it waits for 100 ms without a change
_MORE = re.compile(r"^Wait .* more$")


def book(nb: Opener, records: Iterable[LedgerWrite]) -> None:
    """Write into the ledger of a home that no kernel has opened yet."""
    nb.home.mkdir(mode=0o700, exist_ok=True)
    with Ledger(nb.home / LEDGER_NAME) as ledger:
        ledger.write(list(records))


def test_a_failure_says_its_reason_once_and_folds_its_traceback(nb: Opener) -> None:
    fails = f"%%comfyjob {nb.template('fails')} --name breaks\nparams: {{}}"
    page = nb(LOAD, "%autopod connect", fails, "%autopod panel", "%autopod jobs")
    for at in range(3):
        assert page.run(at)
    card = page.output(2)
    expect(card.get_by_text("● failed")).to_be_visible()
    for at in (3, 4):
        assert page.run(at)
    expect(card.get_by_role("alert")).to_have_text(
        "Divides by zero (VAEEncodeTiled, node 3) raised ZeroDivisionError: division by zero"
    )
    card.get_by_text("Traceback", exact=True).click()
    expect(card.locator("details pre")).to_contain_text("in vae_encode_tiled")
    expect(page.button("Run again", 2)).to_be_visible()
    names = {2: "failure", 3: "failure-dashboard", 4: "failure-jobs"}
    wrong = [wrong_looks(page, at, name) for at, name in names.items()]
    assert not any(wrong), wrong
    assert page.errors == []


def test_a_sweep_has_a_bar_a_job_and_in_the_end_a_contact_sheet(nb: Opener) -> None:
    body = f"%%comfyjob {nb.template('slow')} --name seeds\nparams:\n  steps: 40\nsweep:\n  seed: [1, 2, 3, 4]"
    page = nb(LOAD, "%autopod connect", body)
    for at in range(3):
        assert page.run(at)
    sweep = page.output(2)
    expect(sweep.get_by_text("1 done")).to_be_visible()
    expect(sweep.get_by_role("progressbar", name="Progress of seeds-002")).to_be_visible()
    expect(sweep.get_by_role("list", name="Jobs of seeds").get_by_role("listitem")).to_have_count(4)
    wrong = [wrong_looks(page, 2, "sweep-running")]
    expect(sweep.get_by_text("● all done")).to_be_visible()
    expect(sweep.get_by_role("figure")).to_have_count(4)
    expect(sweep.get_by_role("img", name=re.compile("picture"))).to_have_count(4)
    expect(sweep.locator("figcaption").first).to_have_text("seed=1")
    wrong.append(wrong_looks(page, 2, "sweep-done"))
    assert not any(wrong), wrong
    assert page.errors == []


def test_where_there_is_nothing_yet_it_is_said(nb: Opener) -> None:
    page = nb(LOAD, *(f"%autopod {line}" for line in _EMPTY))
    assert page.run(0)
    wrong = []
    for at, (line, words) in enumerate(_EMPTY.items(), 1):
        assert page.run(at)
        expect(page.output(at)).to_contain_text(words)
        wrong.append(wrong_looks(page, at, f"empty-{line.replace(' --', '-')}"))
    assert not any(wrong), wrong
    assert page.errors == []


def test_help_stands_in_two_columns_or_below_each_other(nb: Opener) -> None:
    page = nb(LOAD, "%autopod help", "%autopod help connect")
    assert page.run(0)
    wrong = []
    for at, name in ((1, "help"), (2, "help-connect")):
        assert page.run(at)
        wrong.append(wrong_looks(page, at, name))
    groups = page.output(1).get_by_role("table")
    expect(groups.first).to_have_accessible_name("Rent a pod")
    expect(groups.first.get_by_role("row").first.get_by_role("rowheader")).to_have_text("%autopod connect")
    assert not any(wrong), wrong
    assert page.errors == []


def test_long_names_wrap_everywhere(nb: Opener) -> None:
    graph = json.loads(nb.template("slow").read_text())
    graph["4"]["_meta"]["title"] = LONG_WORD
    graph["6"]["_meta"]["title"] = f"output.{LONG_WORD}"
    (nb.folder / "templates").mkdir()
    (nb.folder / "templates" / f"{LONG_TEMPLATE}.json").write_text(json.dumps(graph))
    first = f'%%comfyjob "{LONG_TEMPLATE}" --name {LONG}\nparams:\n  steps: 3'
    second = f'%%comfyjob "{LONG_TEMPLATE}" --name {LONG[:50]}\nparams:\n  steps: 150\n'
    second += f'sweep:\n  "{LONG_WORD}.cfg": [1.0, 2.0]'
    listed = ["%autopod panel", "%autopod jobs", "%autopod history", "%autopod templates", "%autopod pods"]
    page = nb(LOAD, "%autopod connect", first, second, *listed)
    for at in range(3):
        assert page.run(at), page.text(at)
    expect(page.output(2).get_by_text("● done")).to_be_visible()
    for at in range(3, 9):
        assert page.run(at), page.text(at)
    expect(page.output(3)).to_contain_text(re.compile(r"step \d+ of 150"))
    names = {2: "card", 3: "sweep", 4: "panel", 5: "jobs", 6: "history", 7: "templates", 8: "pods"}
    wrong = [wrong_looks(page, at, f"long-{name}") for at, name in names.items()]
    assert not any(wrong), wrong
    assert page.errors == []


def test_the_history_can_be_filtered_and_saved(nb: Opener) -> None:
    names = ("portrait", "forest", LONG)
    records = [
        record
        for n in range(30)
        for record in job(
            f"{names[n % 3]}{n}"[-64:],
            "img2vid-wan",
            (JobState.DONE, JobState.FAILED)[n % 2],
            error="CUDA out of memory. Tried to allocate 20 MiB. " * 6 if n % 2 else "",
        )
    ]
    book(nb, [pod("p1", MoneyKind.SIMULATED), *records])
    page = nb(LOAD, "%autopod history")
    assert page.run(0)
    assert page.run(1)
    panel = page.output(1)
    expect(panel.get_by_text("Rows 1–25 of 30, newest first")).to_be_visible()
    panel.get_by_text("CUDA out of memory").first.click()
    wrong = [wrong_looks(page, 1, "history")]
    panel.get_by_label("State").select_option("done")
    panel.get_by_label("Search").fill("forest")
    expect(panel.get_by_role("status").first).to_contain_text("5 of 30 attempts")
    page.button("Make CSV", 1).click()
    link = panel.get_by_role("link", name="Save autopod-history.csv")
    expect(link).to_be_visible()
    wrong.append(wrong_looks(page, 1, "history-filtered"))
    with page.page.expect_download() as saved:
        link.click()
    assert saved.value.suggested_filename == "autopod-history.csv"
    assert len(Path(saved.value.path()).read_text().splitlines()) == 6
    expect(panel.get_by_role("table", name="Attempts").get_by_role("columnheader").first).to_have_text("Job, template")
    assert not any(wrong), wrong
    assert page.errors == []


def test_figures_stay_when_a_window_changes_and_have_their_tables(nb: Opener) -> None:
    nb.home.mkdir(mode=0o700)
    with Ledger(nb.home / LEDGER_NAME) as ledger:
        write_timeline(ledger, name=LONG)
    page = nb(LOAD, "%autopod costs --plot --month 2026-03", "%autopod jobs --all --plot")
    assert page.run(0)
    wrong = []
    for at, name, count in ((1, "costs-plot", 3), (2, "jobs-plot", 2)):
        assert page.run(at)
        expect(page.output(at).locator(".js-plotly-plot svg.main-svg").first).to_be_visible()
        expect(page.output(at).locator(".js-plotly-plot")).to_have_count(count)
        heights = page.output(at).evaluate(_HEIGHTS)
        page.page.set_viewport_size({"width": 1280, "height": 1000})  # the first change of a window
        page.page.evaluate(_PLOTLY_FITS)
        assert page.output(at).evaluate(_HEIGHTS) == heights
        assert all(heights)
        wrong.append(wrong_looks(page, at, name))
        for summary in page.output(at).locator("summary").all():
            summary.click()
        expect(page.output(at).get_by_role("table")).to_have_count(count)
        wrong.append(wrong_looks(page, at, f"{name}-tables"))
    assert not any(wrong), wrong
    assert page.errors == []


def test_warnings_have_the_buttons_that_help(nb: Opener) -> None:
    """A job that does not move, and a day that has reached 90 % of its limit."""
    nb.environ |= hostile_comfy.install(nb.lab.folder / f"comfy-{nb.name}")
    nb.environ |= {"AUTOPOD_STUCK_MINUTES": "0.05", "AUTOPOD_MAX_COST_DAY": str(_DAY_LIMIT_USD)}
    now = SystemClock().now()
    spent = cost("p0", MoneyKind.SIMULATED, "9.5", Purpose.IDLE, now)
    book(nb, [pod("p0", MoneyKind.SIMULATED), spent, PodChanged(pod_id="p0", state=PodState.TERMINATED, at=now)])
    graph = {"1": {"class_type": "Hangs", "inputs": {"text": "x"}, "_meta": {"title": "Waits for ever"}}}
    (nb.folder / "waits.json").write_text(json.dumps(graph))
    page = nb(LOAD, "%autopod connect", "%%comfyjob waits.json --name waits\nparams: {}", "%autopod panel")
    for at in range(4):
        assert page.run(at), page.text(at)
    room = page.output(3)
    expect(page.button(_MORE, 3)).to_be_visible()
    expect(room.get_by_text("The day has reached 90 % of its limit").filter(visible=True)).to_be_visible()
    expect(page.button("Wait on", 2)).to_be_visible()
    wrong = [wrong_looks(page, 3, "warnings"), wrong_looks(page, 2, "warnings-job")]
    page.button(_MORE, 3).click()
    expect(room.get_by_text("Job waits has the same time again.")).to_be_visible()
    assert not any(wrong), wrong
    assert page.errors == []


def test_comfyui_stands_in_a_frame_with_a_name(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", "%autopod gui")
    for at in range(2):
        assert page.run(at)
    expect(page.output(1).get_by_text("● ready").filter(visible=True)).to_be_visible()
    assert page.run(2)
    frame = page.output(2).locator("iframe")
    expect(frame).to_have_attribute("title", re.compile("^ComfyUI of pod "))
    expect(page.output(2).frame_locator("iframe").get_by_text("connected")).to_be_visible()
    wrong = wrong_looks(page, 2, "gui")
    assert wrong == {}
    assert page.errors == []


def test_the_keyboard_reaches_every_button_and_presses_it(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", sampler_cell(nb.template("slow"), "--name one", steps=400))
    for at in range(3):
        assert page.run(at)
    expect(page.output(2)).to_contain_text(re.compile(r"step \d+ of 400"))
    page.start(0)
    for name in ("Open ComfyUI", "Logs", "Keep alive"):
        tab_to(page, page.button(name, 1))
    tab_to(page, page.button("Cancel job", 2))
    page.shot("keyboard-focus", page.output(2))
    page.page.keyboard.press("Enter")
    expect(page.output(2).get_by_text("● cancelled")).to_be_visible()
    assert page.errors == []
