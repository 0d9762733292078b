"""How long a pod without work is kept."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.pods.fleet_rest import rest_s

_GAPS = st.lists(st.floats(0, 5000), max_size=40)


def test_who_knows_nothing_keeps_it_for_as_long_as_a_boot_costs() -> None:
    assert rest_s(180.0, ()) == 180.0
    assert rest_s(180.0, (900.0, 900.0)) == 180.0


@pytest.mark.parametrize(
    ("gaps", "kept_s"),
    [
        ((900.0, 2000.0, 700.0, 1500.0), 0.0),  # the next job never came so soon
        ((10.0, 20.0, 15.0, 30.0), 30.0),  # it always came soon
        ((10.0, 20.0, 900.0, 2000.0, 15.0), 20.0),  # soon, or not for long
    ],
)
def test_pauses_are_learned_from(gaps: tuple[float, ...], kept_s: float) -> None:
    assert rest_s(180.0, gaps) == kept_s


def test_only_the_newest_pauses_count() -> None:
    assert rest_s(180.0, (10.0,) * 40 + (2000.0,) * 30) == 0.0


@given(st.floats(1, 1000), _GAPS)
def test_it_is_never_kept_for_longer_than_a_boot_costs(break_even_s: float, gaps: list[float]) -> None:
    assert 0 <= rest_s(break_even_s, gaps) <= break_even_s


@given(st.floats(1, 1000), _GAPS)
def test_over_the_pauses_seen_it_costs_no_more_than_the_break_even_rule(break_even_s: float, gaps: list[float]) -> None:
    gaps = gaps[-30:]
    kept_s = rest_s(break_even_s, gaps)
    assert _cost_s(kept_s, break_even_s, gaps) <= _cost_s(break_even_s, break_even_s, gaps) * (1 + 1e-9)


def _cost_s(kept_s: float, break_even_s: float, gaps: list[float]) -> float:
    return sum(gap if gap <= kept_s else kept_s + break_even_s for gap in gaps)


def test_it_wins_over_pauses_that_it_has_not_seen() -> None:
    """Bursts of jobs with long pauses between, as people work: each pause is decided by those before it only."""
    chance = random.Random(3)  # noqa: S311 - the same each time
    gaps = [chance.expovariate(1 / (30 if chance.random() < 0.7 else 3000)) for _ in range(400)]
    learned = sum(_cost_s(rest_s(180.0, gaps[:number]), 180.0, [gap]) for number, gap in enumerate(gaps))
    assert learned < _cost_s(180.0, 180.0, gaps)
