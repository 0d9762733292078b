"""Lines of a log; pure."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.log import hide
from autopod_nb.widgets.log_text import (
    GAP,
    chosen,
    clean_line,
    failure_lines,
    failures_html,
    log_html,
    log_text,
    merge,
    page_html,
)


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        ("  indented\ttext  \n", "  indented\ttext"),
        ("\x1b[31mred\x1b[0m", "red"),
        (" 10%|█   | 1/10\r 20%|██  | 2/10\n", " 20%|██  | 2/10"),
        ("evil\u202etxt\x07", "evil txt"),
        ("x" * 2000, "x" * 999 + "…"),
    ],
)
def test_a_line_keeps_its_blanks_and_loses_what_only_a_terminal_needs(line: str, clean: str) -> None:
    assert clean_line(line) == clean


def test_no_secret_is_shown() -> None:
    hide("hush-hush")
    assert "hush-hush" not in clean_line("the key is hush-hush")
    assert "hush-hush" not in page_html(
        "log", chosen(["hush-hush"]), failure_lines(["No space left on device hush-hush"])
    )


@given(st.lists(st.integers().map(str), unique=True, max_size=40), st.integers(1, 40), st.data())
def test_reading_the_end_again_and_again_gives_each_line_once(
    lines: list[str], window: int, data: st.DataObject
) -> None:
    """As long as no more lines come between two looks than one look sees."""
    known: tuple[str, ...] = ()
    seen = 0
    while seen < len(lines):
        seen = min(len(lines), seen + data.draw(st.integers(1, window)))
        known = merge(known, lines[max(0, seen - window - 1) : seen])
    assert list(known) == lines


def test_a_gap_is_marked() -> None:
    assert merge(["a", "b"], ["d", "e"]) == ("a", "b", GAP, "d", "e")
    assert merge(["a"], []) == ("a",)


def test_lines_are_chosen_by_pattern_and_number() -> None:
    lines = ["one", "two error", "three", "four ERROR"]
    assert chosen(lines, last=2) == ("three", "four ERROR")
    assert chosen(lines, pattern=re.compile("error", re.IGNORECASE), last=1) == ("four ERROR",)


def test_known_failures_are_said_below_the_text_and_above_the_page() -> None:
    failures = failure_lines(["OSError: [Errno 28] No space left on device: 'x'"])
    assert failures[0].startswith("No space left: the pod's disk is full")
    assert log_text(["a"], failures=failures).splitlines()[-1].startswith("Known failure: No space left")
    assert page_html("log", ["a"], failures).index("Known failure") < page_html("log", ["a"], failures).index("<pre")
    assert failures_html([]) == ""


def test_html_is_escaped_and_a_long_log_shows_its_end() -> None:
    html = log_html("<name>", ["<script>", *map(str, range(400))])
    assert "<script>" not in html
    assert "<name>" not in html
    assert "… 101 earlier lines are not shown …" in html
    assert html.endswith("399</pre>")
