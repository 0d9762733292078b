"""Limits of a pod, a day and a month, on the test's clock: a second costs a dollar."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, Spent
from autopod_nb.models.pod import PodState
from autopod_nb.session import events
from autopod_nb.session.effects import ReadSpent, StopAtProvider, TerminateAtProvider
from tests.session.story import Story

LIMITS = ("pod_limit_usd", "day_limit_usd", "month_limit_usd")


def limited(**limits: str) -> Story:
    story = Story()
    rules = replace(story.state.rules, **{name: Decimal(amount) for name, amount in limits.items()})  # type: ignore[arg-type] # all of them are amounts
    story.state = replace(story.state, rules=rules)
    return story


def seen(story: Story, *, day: str = "0", month: str = "0") -> None:
    """The ledger was read."""
    ours = story.state.spent_usd.get(MoneyKind.SIMULATED, Decimal(0))
    spent = Spent(day_usd=Decimal(day) + ours, month_usd=Decimal(month) + ours, ours_usd=ours)
    story.tell(events.SpentSeen(spent={MoneyKind.SIMULATED: spent}))


def ended_after(story: Story, within_s: int) -> int:
    """Seconds until the end of the pod is asked of the provider."""
    for second in range(1, within_s + 1):
        story.pass_time(1)
        terminates, stops = story.take(TerminateAtProvider), story.take(StopAtProvider)
        if terminates or stops:
            return second
    raise AssertionError("it was not ended")


@pytest.mark.parametrize("limit", LIMITS)
def test_it_is_warned_of_at_ninety_percent_and_ends_everything_at_a_hundred(limit: str) -> None:
    story = limited(**{limit: "100"})
    story.boot()
    story.submit()
    story.run()
    story.pass_time(89)
    assert "90 %" not in story.notices()
    story.pass_time(2)
    assert story.notices().count("90 % of its limit of 100 USD") == 1
    assert 9 <= ended_after(story, 20) <= 11, "at most two seconds over"
    assert story.job().state is JobState.FAILED
    assert "limit of 100 USD" in story.job().error
    assert story.pod().state is PodState.TERMINATING


@pytest.mark.parametrize(("limit", "spent"), [("day_limit_usd", {"day": "60"}), ("month_limit_usd", {"month": "60"})])
def test_what_other_sessions_spent_counts(limit: str, spent: dict[str, str]) -> None:
    story = limited(**{limit: "100"})
    story.boot()
    story.pass_time(10)
    seen(story, **spent)
    assert 29 <= ended_after(story, 60) <= 32, "sixty of others, ten of ours before, thirty since"


def test_money_of_a_day_and_of_a_month_is_not_mixed_up() -> None:
    story = limited(day_limit_usd="100")
    story.boot()
    seen(story, month="5000")
    story.pass_time(50)
    assert story.pod().state is PodState.READY


def test_the_ledger_is_read_every_ten_seconds_while_a_pod_may_bill_and_else_once_a_minute() -> None:
    """What others spend today is shown, and nothing here depends on it as long as nothing bills."""
    story = limited()
    story.pass_time(120)
    assert len(story.take(ReadSpent)) == 2
    story.boot()
    story.pass_time(30)
    assert len(story.take(ReadSpent)) == 3


def test_results_that_are_being_fetched_at_the_limit_get_a_second_and_are_kept_after_that() -> None:
    """The rule stops the pod and never terminates it, at most two seconds after the limit."""
    story = limited(pod_limit_usd="100")
    story.boot()
    story.submit()
    story.run()
    story.over()
    assert story.job().state is JobState.COLLECTING
    assert 100 <= ended_after(story, 110) <= 102
    assert story.pod().state is PodState.STOPPING
    assert story.job().state is JobState.COLLECTING


def test_a_pod_that_is_replaced_takes_its_limit_along() -> None:
    story = limited(pod_limit_usd="100")
    story.connect()
    assert story.pod().limit_usd == 100


def test_a_pod_that_comes_when_a_limit_is_reached_is_ended_at_once() -> None:
    """As by a plan that was made before, or when it is taken over: the limit acts as long as it stands."""
    story = limited(day_limit_usd="100")
    story.boot()
    assert 100 <= ended_after(story, 110) <= 102
    story.tell(events.PodTerminated(pod_id="p1"))
    story.connect("p2")
    story.tell(events.PodCreated(pod_id="p2", provider_id="id-2"))
    assert 1 <= ended_after(story, 5) <= 2
    assert story.pod("p2").state is PodState.TERMINATING
    assert story.notices().count("has reached its limit") == 1
