"""The commands as HTML: every one of them, in its group, with its options and their examples."""

from __future__ import annotations

import re

import pytest

from autopod_nb.verb import Option, Verb
from autopod_nb.verbs import CELL, VERBS
from autopod_nb.widgets.help_html import GROUPS, help_html, verb_html
from tests.widgets.test_card import Page

EVERY = [CELL, *VERBS]


def test_every_command_is_in_one_group_and_only_there() -> None:
    grouped = [name for _, names in GROUPS for name in names]
    assert sorted(grouped) == sorted(verb.name for verb in EVERY)


def test_the_list_has_each_group_and_each_command_with_its_summary() -> None:
    page = Page(help_html())
    for title, _ in GROUPS:
        assert title in page.text
    for verb in EVERY:
        assert verb.command in page.text
        assert verb.summary in page.text
    assert sum(tag == "h4" for tag, _ in page.tags) == len(GROUPS), "no group for what was forgotten"


def test_the_list_has_every_option_folded_with_its_example() -> None:
    page = Page(help_html())
    for verb in EVERY:
        for option in verb.options:
            assert option.help in page.text
            assert option.example in page.text
    folded = [attrs for tag, attrs in page.tags if tag == "details"]
    assert len(folded) == sum(bool(verb.options) for verb in EVERY)
    assert not any("open" in attrs for attrs in folded)


@pytest.mark.parametrize("verb", EVERY, ids=lambda verb: verb.name)
def test_a_command_has_usage_summary_options_and_examples_in_code(verb: Verb) -> None:
    html = verb_html(verb)
    page, codes = Page(html), code(html)
    assert verb.usage in codes
    assert verb.summary in page.text
    assert verb.example in codes
    for option in verb.options:
        assert {option.label, option.example} <= set(codes)
        assert option.help in page.text


def code(html: str) -> list[str]:
    """What stands between code tags."""
    return [Page(each).text for each in re.findall(r"<code[^>]*>.*?</code>", html)]


def test_what_a_table_of_commands_says_is_text_and_two_prices_are_no_formula() -> None:
    option = Option("--cost", "from $1 to $2 <b>or</b> more", metavar="<i>USD</i>", example="%autopod x --cost '<b>$5'")
    html = verb_html(Verb(name="x", summary="a < b & $3", options=(option,), example="%autopod x"))
    assert "from $1 to $2 <b>or</b> more" in Page(html).text
    assert "%autopod x --cost '<b>$5'" in Page(html).text
    assert "<i>" not in html
    assert "<b>or" not in html
    assert html.count("$") == html.count("<span>$</span>") == 4


def test_screen_readers_get_names_and_row_headings() -> None:
    tags = Page(help_html()).tags
    assert all(attrs.get("aria-label") for tag, attrs in tags if tag in ("table", "section", "ol"))
    assert all(attrs.get("scope") == "row" for tag, attrs in tags if tag == "th")
