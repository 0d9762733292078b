"""The static forms of what anybody may write: no markup, no formula, no character that steers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from autopod_nb.models.snapshot import Alert, AlertKind, Level
from autopod_nb.widgets import batch, card, log_text, media, render
from autopod_nb.widgets.listing import jobs_table, pods_table
from autopod_nb.widgets.table import table_html, table_text
from tests.browser.hostile_comfy import CODES, EVIL
from tests.widgets.histories import history
from tests.widgets.test_card import Page
from tests.widgets.views import FAILED, POD, RESULT, RUNNING, snapshot

PLANTED = " ".join([*EVIL, CODES])
STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SKIPPED = ("pre", "code")  # where a notebook looks for no formula

assert FAILED.fault is not None
_FAULT = replace(
    FAILED.fault, node_id=PLANTED, node_type=PLANTED, exception_type=PLANTED, message=PLANTED, traceback=(PLANTED,)
)
VIEW = replace(
    FAILED,
    template=PLANTED,
    error=PLANTED,
    fault=_FAULT,
    texts=((PLANTED, PLANTED),),
    results=(replace(RESULT, output=PLANTED, path=Path(f"/{PLANTED}.mp4")),),
    swept=MappingProxyType({PLANTED: PLANTED}),
)
STUCK = replace(
    RUNNING, template=PLANTED, warning=PLANTED, progress=replace(RUNNING.progress, node_title=PLANTED, node_id=PLANTED)
)
EVIL_POD = replace(POD, name=PLANTED, gpu_type=PLANTED, phase=PLANTED, error=PLANTED, where=PLANTED, job_id="portrait")
ALERT = Alert(kind=AlertKind.STUCK, level=Level.WARNING, text=PLANTED, key="k")
ALL = replace(snapshot(VIEW, STUCK, pods=(EVIL_POD,), texts=(PLANTED,)), alerts=(ALERT,))
SWEEP = batch.BatchView(name=PLANTED, views=(VIEW, STUCK))
FRAME = history(12, errors=[PLANTED]).assign(template=PLANTED)

HTML: dict[str, Callable[[], str]] = {
    "a job": lambda: card.job_html(VIEW, EVIL_POD),
    "a running job": lambda: card.job_html(STUCK, EVIL_POD),
    "a session": lambda: card.session_html(ALL),
    "a sweep": lambda: batch.batch_html(SWEEP, gallery=True),
    "jobs": lambda: table_html(jobs_table(ALL)),
    "pods": lambda: table_html(pods_table(ALL, ())),
    "a log": lambda: log_text.page_html(PLANTED, log_text.chosen([PLANTED]), [PLANTED]),
    "a history": FRAME._repr_html_,
    "an answer": lambda: card.message_html(PLANTED, bad=True),
    "a button of a card": lambda: card.again_button(PLANTED, PLANTED),
}
TEXT: dict[str, Callable[[], str]] = {
    "a job": lambda: render.job_text(VIEW, EVIL_POD),
    "a session": lambda: render.session_text(ALL),
    "a sweep": lambda: batch.batch_text(SWEEP),
    "jobs": lambda: table_text(jobs_table(ALL)),
    "a log": lambda: log_text.log_text(log_text.chosen([PLANTED])),
    "a history": FRAME.__repr__,
}


def runs_of_text(html: str) -> Iterator[str]:
    """The texts between two tags, as a notebook looks for formulas in each by itself."""
    for each in _SKIPPED:
        html = re.sub(rf"<{each}\b.*?</{each}>", "", html, flags=re.DOTALL)
    yield from re.split(r"<[^>]*>", html)


@pytest.mark.parametrize("name", HTML)
def test_what_was_planted_is_text_in_every_html_form(name: str) -> None:
    html = HTML[name]()
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "img", "a", "style", "iframe", "object"}
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on") or key in ("src", "href")]
    assert "<script>planted=1</script>" in page.text + str(page.tags)
    assert STEERS.search(html) is None


@pytest.mark.parametrize("name", HTML)
def test_no_formula_begins_in_what_was_planted(name: str) -> None:
    r"""``\(\href{javascript:…}{x}\)`` in a cell's output would be typeset, with a link that runs."""
    found = [text for text in runs_of_text(HTML[name]()) if re.search(r"\\[(\[a-z]|\$.+\$", text)]
    assert found == []


@pytest.mark.parametrize("name", TEXT)
def test_no_text_form_steers_a_terminal(name: str) -> None:
    text = TEXT[name]()
    assert "<script>planted=1</script>" in text
    assert STEERS.search(text) is None


def test_a_text_that_is_a_result_keeps_its_lines_and_nothing_that_steers(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"one\n\ttwo {CODES}\n", newline="")
    html = media.results_html([replace(RESULT, path=path, bytes=path.stat().st_size)])
    assert "one\n\ttwo mirro]8;;" in html
    assert STEERS.search(html) is None


def test_a_prompt_with_a_slash_is_not_taken_for_a_file() -> None:
    view = replace(RUNNING, swept=MappingProxyType({"text": "cat/dog on a wall", "image": "photos/2026/a b.jpg"}))
    assert batch.swept(view) == "text=cat/dog on a wall, image=a b.jpg"
