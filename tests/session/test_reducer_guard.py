"""Who ends a pod when this process is gone, as steps."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from autopod_nb.pods.guard import GuardWish
from autopod_nb.session import commands, events
from autopod_nb.session.effects import (
    ArmWatchdog,
    BeatWatchdog,
    CheckAccount,
    CreatePod,
    KeepReaper,
    TerminateAtProvider,
)
from tests.session.story import Story


def guarded_story(**rules: object) -> Story:
    story = Story(limit_usd="1000")
    story.state = replace(story.state, rules=replace(story.state.rules, outlives=True, watchdog=True, **rules))  # type: ignore[arg-type] # of Rules
    return story


def test_the_reaper_is_seen_to_before_a_pod_is_made_and_as_long_as_one_may_bill() -> None:
    story = guarded_story()
    story.connect()
    kinds = [type(effect) for effect in story.effects if isinstance(effect, (KeepReaper, CreatePod))]
    assert kinds == [KeepReaper, CreatePod]
    story.take(KeepReaper)
    story.tell(events.PodCreated(pod_id="p1", provider_id="id-1"))
    story.pass_time(90)
    assert len(story.take(KeepReaper)) == 3
    story.tell(events.PodTerminated(pod_id="p1"))
    story.pass_time(90)
    assert not story.take(KeepReaper)


def test_a_provider_whose_pods_end_with_us_needs_neither() -> None:
    story = Story()
    story.boot()
    story.tell(events.SshOpened(pod_id="p1"))
    story.pass_time(120)
    assert not story.take(KeepReaper)
    assert not story.take(ArmWatchdog)
    assert not story.take(BeatWatchdog)


def test_the_watchdog_is_armed_with_the_line_and_told_every_minute_what_is_left() -> None:
    """A second costs a dollar here; the session may cost a thousand."""
    story = guarded_story()
    story.boot()
    story.tell(events.SshOpened(pod_id="p1"))
    wishes = [effect.wish for effect in story.take(ArmWatchdog)]
    assert wishes == [
        GuardWish(quiet_minutes=Decimal(15), left_usd=Decimal(1000), price_per_hour_usd=Decimal(3600), terminate=False)
    ] * len(wishes)
    assert wishes
    story.tell(events.PodGuarded(pod_id="p1", armed=True, can_act=True, words="it runs"))
    assert story.pod().armed is True
    (beat,) = story.take(BeatWatchdog)
    assert beat.wish.terminate, "nothing is on it, and a stopped pod would cost money for its disk"
    story.pass_time(60)
    (beat,) = story.take(BeatWatchdog)
    assert (beat.wish.left_usd, beat.wish.terminate) == (Decimal(940), True), "nothing is on it"
    story.submit()
    story.run()
    story.pass_time(60)
    beat = story.take(BeatWatchdog)[-1]
    assert (beat.wish.left_usd, beat.wish.terminate) == (Decimal(880), False), "results may be on it"


def test_the_watchdog_of_a_pod_that_begins_to_work_is_told_at_once_to_terminate_nothing() -> None:
    """Or a lid that is closed within the minute would cost the result."""
    story = guarded_story()
    story.boot()
    story.tell(events.SshOpened(pod_id="p1"))
    assert all(not effect.wish.terminate for effect in story.take(ArmWatchdog)), "the job may come while it is armed"
    story.pass_time(60)
    assert [effect.wish.terminate for effect in story.take(BeatWatchdog)] == [True]
    story.submit()
    assert [effect.wish.terminate for effect in story.take(BeatWatchdog)] == [False]
    story.run()
    story.submit("j2")
    assert not story.take(BeatWatchdog), "it knows already"


def test_the_watchdog_of_a_pod_whose_last_result_was_fetched_may_terminate_it_at_once() -> None:
    story = guarded_story()
    story.boot()
    story.tell(events.SshOpened(pod_id="p1"))
    story.submit()
    story.run()
    story.take(BeatWatchdog)
    story.finish()
    assert [effect.wish.terminate for effect in story.take(BeatWatchdog)] == [True]


def test_the_watchdog_of_a_pod_that_is_kept_alive_hears_of_it_at_once() -> None:
    story = guarded_story()
    story.boot()
    story.take(BeatWatchdog)
    story.tell(commands.KeepAlive(pod_id="p1"))
    assert [effect.wish.terminate for effect in story.take(BeatWatchdog)] == [True]
    story.tell(commands.StopPod(pod_id="p1", now=False))
    story.take(BeatWatchdog)
    story.tell(commands.KeepAlive(pod_id="p1"))
    assert not story.take(BeatWatchdog)


def test_a_watchdog_that_was_armed_while_a_job_came_is_not_told_to_terminate() -> None:
    story = guarded_story()
    story.boot()
    story.tell(events.SshOpened(pod_id="p1"))
    story.submit()
    story.take(BeatWatchdog)
    story.tell(events.PodGuarded(pod_id="p1", armed=True, can_act=True, words="it runs"))
    assert [effect.wish.terminate for effect in story.take(BeatWatchdog)] == [False]


def test_one_that_can_do_nothing_is_told_once() -> None:
    story = guarded_story()
    story.boot()
    for _ in range(2):
        story.tell(events.PodGuarded(pod_id="p1", armed=True, can_act=False, words="its key is refused."))
    assert story.pod().armed is False
    assert story.notices().count("no watchdog that could end it: its key is refused.") == 1


def test_the_account_is_looked_at_with_the_first_pod_and_now_and_then() -> None:
    story = guarded_story()
    story.connect()
    assert len(story.take(CheckAccount)) == 1
    story.tell(events.PodCreated(pod_id="p1", provider_id="id-1"))
    story.pass_time(700)
    assert len(story.take(CheckAccount)) == 2


def test_strange_pods_and_a_low_balance_are_told_once_and_nothing_is_done_to_them() -> None:
    """An hour costs 3600 dollars here."""
    story = guarded_story()
    story.boot()
    story.take(TerminateAtProvider)
    for _ in range(2):
        story.tell(
            events.AccountSeen(balance_usd=Decimal(100), spend_per_hour_usd=Decimal(0), strangers=("mine-not", "x"))
        )
    assert story.notices().count("bill that this ledger does not know: mine-not, x.") == 1
    assert story.notices().count("has 100.00 USD left, less than an hour's worth") == 1
    assert not story.take(TerminateAtProvider)


def test_an_account_that_is_well_is_not_worth_a_word() -> None:
    story = guarded_story()
    story.boot()
    story.tell(events.AccountSeen(balance_usd=Decimal(5000), spend_per_hour_usd=None, strangers=()))
    story.tell(events.AccountSeen(balance_usd=None, spend_per_hour_usd=None, strangers=()))
    assert story.notices() == ""


def test_a_reaper_that_does_not_come_up_is_told_and_one_that_starts_is_not() -> None:
    story = guarded_story()
    story.tell(events.ReaperSeen(running=False))
    story.tell(events.ReaperSeen(running=True))
    assert story.notices() == ""
    for _ in range(3):
        story.tell(events.ReaperSeen(running=False))
    assert story.notices().count("The reaper does not run") == 1
