"""The HTML form: well-formed, escaped, without scripts or secrets, readable without colours and in 480 px."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.log import hide
from autopod_nb.models.job import JobState
from autopod_nb.models.snapshot import Progress
from autopod_nb.widgets import card
from tests.widgets.views import DONE, FAILED, POD, RESULT, RUNNING, snapshot

_EMPTY_TAGS = {"img", "br"}


class Page(HTMLParser):
    """Reads HTML and refuses what is not nested well."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _EMPTY_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_running_job_is_said_in_words_with_a_bar_that_has_a_value() -> None:
    page = Page(card.job_html(RUNNING, POD))
    for words in (
        "portrait",
        "img2vid-basic",
        "● running",
        "40 %",
        "frame 12 of 24",
        "8.1 frames/s",
        "0:04 left",
        "1:15",
    ):
        assert words in page.text
    assert "$0.0004 simulated, about $0.0009 simulated at its end, limit $0.50" in page.text
    bars = [attrs for _, attrs in page.tags if attrs.get("role") == "progressbar"]
    assert [(bar["aria-valuenow"], bar["aria-label"]) for bar in bars] == [("40", "Progress of portrait")]
    assert page.tags[0] == ("section", {**page.tags[0][1], "aria-label": "Job portrait"})


def test_unknown_progress_has_a_bar_without_a_value() -> None:
    page = Page(card.job_html(replace(RUNNING, progress=Progress(percent=None))))
    assert [attrs.get("aria-valuenow") for _, attrs in page.tags if attrs.get("role") == "progressbar"] == [None]
    assert "progress unknown" in page.text


def test_a_finished_job_has_paths_sizes_and_its_media_and_no_bar() -> None:
    page = Page(card.job_html(DONE, POD, media="<video></video>"))
    assert "/elsewhere/portrait.mp4 (123.5 kB)" in page.text
    assert "video" in [tag for tag, _ in page.tags]
    assert "progressbar" not in card.job_html(DONE, POD)


def test_a_failed_job_has_node_reason_advice_and_a_folded_traceback() -> None:
    html = card.job_html(FAILED)
    page = Page(html)
    assert "give it a smaller image" in page.text
    assert "Node 5 (ImageCrop): ValueError: x is too large" in page.text
    assert '<div role="alert">' in html
    folded = html[html.index("<details>") : html.index("</details>")]
    assert "File nodes.py, line 1" in folded


def test_a_warning_stands_until_the_job_is_over() -> None:
    stuck = replace(RUNNING, warning="No progress for 5 minutes.")
    assert "Warning: No progress for 5 minutes." in Page(card.job_html(stuck)).text
    assert "Warning" not in card.job_html(replace(stuck, state=JobState.DONE))


def test_two_prices_are_never_taken_for_a_formula() -> None:
    """A notebook typesets what stands between two dollar signs of one run of text."""
    html = card.session_html(snapshot(RUNNING, texts=("$1 and $2",))) + card.job_html(RUNNING, POD)
    assert html.count("$") == html.count("<span>$</span>") > 4


def test_the_session_has_money_pods_jobs_and_notices() -> None:
    page = Page(card.session_html(snapshot(RUNNING, texts=("Careful.",))))
    for words in ("Session: $0.0012 simulated of $10.00 limit", "3fa2c1", "● busy", "portrait", "warning: Careful."):
        assert words in page.text
    assert dict(page.tags)["ul"]["aria-label"] == "Jobs"


def test_what_runs_is_first_then_the_newest_and_only_the_newest_notices_stand() -> None:
    over = [replace(DONE, job_id=name) for name in ("early", "later")]
    page = Page(card.session_html(snapshot(over[0], RUNNING, over[1], texts=tuple("abcdefg"))))
    assert page.text.index("portrait") < page.text.index("later") < page.text.index("early")
    assert "warning: b" not in page.text
    assert "warning: c" in page.text


def test_a_message_is_announced_and_an_empty_one_takes_no_room() -> None:
    assert card.message_html("") == ""
    assert card.message_html("Careful").startswith('<div role="status">')


@given(st.text(min_size=1, max_size=40))
def test_foreign_text_cannot_become_markup(text: str) -> None:
    """Whatever a name or an error holds, the tags are the same as for harmless text."""
    evil = f"<script>alert(1)</script>\"'><img src=x onerror=a>{text}"
    html = card.job_html(replace(FAILED, job_id=evil, template=evil, error=evil, warning=evil), POD)
    tags = Page(html).tags
    assert {tag for tag, _ in tags} <= {"section", "div", "b", "span", "details", "summary", "pre", "code"}
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on") or name == "src"]


def test_results_texts_and_tracebacks_are_escaped_too() -> None:
    evil = "<script>alert(1)</script>"
    result = replace(RESULT, output=evil, path=Path(f"/{evil}.mp4"))
    fault = replace(FAILED.fault, traceback=(evil,), message=evil, node_type=evil) if FAILED.fault else None
    view = replace(FAILED, results=(result,), texts=((evil, evil),), fault=fault)
    assert "<script" not in card.job_html(view, replace(POD, pod_id=evil, gpu_type=evil, phase=evil, error=evil))
    assert "<script" not in card.session_html(
        snapshot(view, pods=(replace(POD, pod_id=evil, phase=evil),), texts=(evil,))
    )


def test_secrets_stand_nowhere() -> None:
    hide("s3cr3t-value-for-card")
    secret = "s3cr3t-value-for-card"
    fault = replace(FAILED.fault, traceback=(f"key={secret}",), message=secret) if FAILED.fault else None
    view = replace(FAILED, error=secret, warning=secret, texts=(("1", secret),), fault=fault)
    html = card.job_html(view, replace(POD, error=secret)) + card.session_html(snapshot(view, texts=(secret,)))
    assert secret not in html
    assert "[redacted]" in html


def test_nothing_has_a_width_that_a_narrow_notebook_cannot_give() -> None:
    html = card.session_html(snapshot(RUNNING)) + card.job_html(FAILED, POD)
    fixed = re.findall(r"(?<!max-)(?<!-)\b(?:min-)?width:\s*(\d+)px", html)
    assert fixed == []
    assert "overflow-wrap:anywhere" in html


def test_every_colour_follows_the_theme() -> None:
    """Each colour is a variable of JupyterLab with a fall-back for other front ends."""
    html = card.session_html(snapshot(RUNNING, FAILED, texts=("x",))) + card.job_html(DONE, POD)
    colours = re.findall(r"(?:color|background|border):[^;\"]*", html)
    assert colours
    assert all("var(--jp-" in colour or colour == "color:inherit" for colour in colours)
