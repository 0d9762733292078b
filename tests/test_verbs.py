"""The table of commands: what it promises is what the parsers take."""

from __future__ import annotations

import pytest

from autopod_nb.magics.parser import parse_line, parse_options, split_line
from autopod_nb.verb import Kind, Option, Verb
from autopod_nb.verbs import BY_NAME, CELL, VERBS, help_text, verbs_markdown

EVERY = [*VERBS, CELL]
OPTIONS = [(verb, option) for verb in EVERY for option in verb.options]
IDS = [f"{verb.name} {option.name}" for verb, option in OPTIONS]


def parse(example: str) -> tuple[Verb, object]:
    """Understand an example line, magic included."""
    magic, *words = split_line(example)
    parsed = parse_options(CELL, words) if magic == CELL.command else parse_line(words)
    return parsed.verb, parsed.args


def test_the_verbs_are_there() -> None:
    assert [verb.name for verb in VERBS] == [
        "connect", "gpus", "run", "again", "status", "wait", "cancel", "stop", "kill", "keep", "detach", "disconnect",
        "adopt", "panel", "pods", "jobs", "templates", "logs", "gui", "history", "costs", "reconcile", "export",
        "config", "doctor", "help",
    ]  # fmt: skip
    assert set(BY_NAME) == {verb.name for verb in VERBS}


@pytest.mark.parametrize("verb", EVERY, ids=lambda verb: verb.name)
def test_the_example_of_each_verb_is_a_line_that_parses(verb: Verb) -> None:
    assert parse(verb.example)[0] is verb


@pytest.mark.parametrize(("verb", "option"), OPTIONS, ids=IDS)
def test_the_example_of_each_option_sets_that_option(verb: Verb, option: Option) -> None:
    parsed, args = parse(option.example)
    assert parsed is verb
    assert getattr(args, option.attribute) not in (None, False, [])


@pytest.mark.parametrize("verb", EVERY, ids=lambda verb: verb.name)
def test_help_names_every_option_with_its_explanation(verb: Verb) -> None:
    text = help_text(verb)
    assert verb.summary in text
    assert verb.example in text
    for option in verb.options:
        assert f"{option.label} " in text
        assert option.help in text
    assert max(map(len, text.splitlines()[2:])) <= 100


def test_help_without_a_verb_lists_all() -> None:
    text = help_text()
    assert all(verb.name in text and verb.summary in text for verb in EVERY)


def test_the_markdown_table_has_a_row_with_an_example_for_every_verb_and_option() -> None:
    lines = verbs_markdown().splitlines()
    assert len(lines) == 2 + len(EVERY) + len(OPTIONS)
    assert all(line.count("|") == 4 for line in lines)
    for verb, option in OPTIONS:
        assert f"| `{option.label}` | {option.help} | `{option.example}` |" in lines
        assert any(verb.example in line for line in lines)


def test_flags_and_values_are_told_apart_in_the_usage_line() -> None:
    assert BY_NAME["run"].usage.startswith("%autopod run [--job FILE…] [--jobs GLOB] [--max-cost USD]")
    assert BY_NAME["wait"].usage == "%autopod wait [JOB…] [--timeout S]"
    assert BY_NAME["cancel"].usage == "%autopod cancel JOB…"
    assert BY_NAME["stop"].usage == "%autopod stop [POD] [--all] [--now]"
    assert all(option.metavar for _, option in OPTIONS if not option.positional and option.kind is not Kind.FLAG)
