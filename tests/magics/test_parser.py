"""From words to values: what fits is converted, what does not fit is one line with the fix."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.errors import UsageError
from autopod_nb.magics.parser import parse_line, parse_options, split_line
from autopod_nb.verb import Verb
from autopod_nb.verbs import BY_NAME, CELL


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("conect", "Did you mean 'connect'?"),
        ("frobnicate", "`%autopod help` lists them"),
        ("connect --gup A40", "no option '--gup'. Did you mean '--gpu'?"),
        ("connect --gp A40", "no option '--gp'"),
        ("connect --gup=A40", "Did you mean '--gpu'?"),
        ("connect A40", "'A40' is one word too many"),
        ("connect --gpu", "expected one argument"),
        ("connect --gpu ''", "the value is empty"),
        ("connect --max-cost 0", "--max-cost: '0' is not an amount of dollars above zero"),
        ("connect --max-cost -1", "'-1' is not an amount"),
        ("connect --max-cost nan", "'nan' is not an amount"),
        ("connect --max-cost inf", "'inf' is not an amount"),
        ("connect --max-cost 1e999999", "is not an amount"),
        ("connect --max-cost free", "'free' is not an amount"),
        ("connect --gpu-count 0", "'0' is not a whole number above zero"),
        ("connect --gpu-count 1.5", "'1.5' is not a whole number"),
        ("connect --gpu-count ²", "is not a whole number"),
        ("connect --idle-minutes no", "'no' is not a number of minutes above zero"),
        ("run --job a.json -o 2nd", "'2nd' is not the name of a variable"),
        ("cancel", "required: JOB"),
        ("wait --timeout 0", "'0' is not a number of seconds above zero"),
        ("stop one two", "'two' is one word too many. Usage: %autopod stop [POD] [--all] [--now]"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_line(split_line(line))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_left_out_is_none_or_false() -> None:
    args = parse_line(["connect"]).args
    assert (args.provider, args.gpu, args.gpu_count, args.max_cost, args.idle_minutes) == (None,) * 5
    assert (args.dry_run, args.yes) == (False, False)


@pytest.mark.parametrize(
    ("text", "amount"), [("5", "5"), ("$5", "5"), ("0.50", "0.50"), ("$.5", "0.5"), ("1e-2", "0.01")]
)
def test_dollars_are_exact_with_or_without_the_sign(text: str, amount: str) -> None:
    assert parse_line(["connect", "--max-cost", text]).args.max_cost == Decimal(amount)


def test_several_files_may_follow_one_option_or_each_have_their_own() -> None:
    args = parse_line(["run", "--job", "a.json", "b.json", "--job", "c.yaml", "--wait"]).args
    assert args.job == ["a.json", "b.json", "c.yaml"]
    assert args.wait


def test_a_cell_takes_its_template_anywhere_in_the_line() -> None:
    for line in ("img2vid-basic -o clip --wait", "-o clip img2vid-basic --wait", "--wait -o clip img2vid-basic"):
        args = parse_options(CELL, split_line(line)).args
        assert (args.template, args.variable, args.wait) == ("img2vid-basic", "clip", True)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_no_words_ask_for_help(words: list[str]) -> None:
    parsed = parse_line(words)
    assert parsed.verb is BY_NAME["help"]
    assert not parsed.wants_help
    assert parsed.args.verb is None


def test_help_wins_over_mistakes_beside_it() -> None:
    parsed = parse_line(["run", "--max-cost", "--help"])
    assert parsed.wants_help
    assert parsed.verb is BY_NAME["run"]


def test_a_line_is_split_as_a_shell_would_and_a_last_semicolon_is_dropped() -> None:
    assert split_line(" run --job 'my jobs/a b.json' --max-cost $5 ; ") == [
        "run", "--job", "my jobs/a b.json", "--max-cost", "$5",
    ]  # fmt: skip
    assert split_line("status;") == ["status"]


def test_an_open_quote_is_one_line() -> None:
    with pytest.raises(UsageError, match="no closing quotation"):
        split_line("run --job 'a.json")


def refusal(words: list[str], verb: Verb | None = None) -> str:
    """What the parser says against these words, empty if it takes them."""
    try:
        parse_line(words) if verb is None else parse_options(verb, words)
    except UsageError as error:
        return str(error)
    return ""


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_words_are_understood_or_refused_with_one_line(words: list[str]) -> None:
    """Nothing else than a UsageError leaves the parser, whatever is typed."""
    assert "\n" not in refusal(words)
    assert "\n" not in refusal(words, CELL)


PIECES = ["--gpu", "--job", "x", "--max-cost", "-1", "--", "-o", "--yes", "=", "--wait=1", "", "--timeout=5"]


@given(st.sampled_from(sorted(BY_NAME)), st.lists(st.sampled_from(PIECES), max_size=8))
def test_any_mix_of_options_is_understood_or_refused_with_one_line(verb: str, words: list[str]) -> None:
    assert "\n" not in refusal([verb, *words])
