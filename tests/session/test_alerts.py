"""Warnings: each comes with its cause, names it, and goes by itself with it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from autopod_nb.models.job import PodConfig
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Alert, AlertKind, Level
from autopod_nb.session import commands, events
from autopod_nb.session.alerts import alerts
from autopod_nb.session.effects import CheckAccount
from tests.session.story import ADDRESS, Story
from tests.session.test_reducer_guard import guarded_story


def told(story: Story, kind: AlertKind | None = None) -> list[Alert]:
    return [alert for alert in alerts(story.state, story.now_s) if kind in (None, alert.kind)]


def limited(**limits: str) -> Story:
    story = Story()
    rules = replace(story.state.rules, **{name: Decimal(limit) for name, limit in limits.items()})  # type: ignore[arg-type] # of Rules
    story.state = replace(story.state, rules=rules)
    return story


class TestStuck:
    def stuck(self) -> Story:
        story = Story()
        story.boot()
        story.submit()
        story.run()
        story.pass_time(301)
        return story

    def test_a_job_that_does_not_move_is_named_with_what_it_costs_and_what_to_do(self) -> None:
        (alert,) = told(self.stuck())
        assert (alert.kind, alert.job_id, alert.pod_id, alert.key) == (AlertKind.STUCK, "j1", "p1", "stuck:job:j1")
        assert "no progress for 5 minutes" in alert.text
        assert "$3600.00 simulated an hour" in alert.text
        assert "`%autopod cancel j1`" in alert.text

    def test_its_text_stands_still_within_a_minute(self) -> None:
        """It is read out whenever it changes."""
        story = self.stuck()
        (before,) = told(story)
        story.pass_time(50)
        assert told(story) == [before]
        story.pass_time(20)
        assert "6 minutes" in told(story)[0].text

    @pytest.mark.parametrize("news", ["progress", "patience", "end", "cancel"])
    def test_it_goes_with_any_news_and_with_the_persons_patience(self, news: str) -> None:
        story = self.stuck()
        if news == "progress":
            story.progress()
        elif news == "patience":
            story.tell(commands.KeepWaiting(job_id="j1"))
        elif news == "end":
            story.over()
        else:
            story.tell(commands.Cancel(job_id="j1"))
            story.pass_time(40)
        assert not told(story, AlertKind.STUCK)

    def test_it_comes_back_when_the_patience_is_used_up(self) -> None:
        story = self.stuck()
        story.tell(commands.KeepWaiting(job_id="j1"))
        story.pass_time(299)
        assert not told(story, AlertKind.STUCK)
        story.pass_time(2)
        assert [alert.key for alert in told(story, AlertKind.STUCK)] == ["stuck:job:j1"]

    def test_a_job_that_waits_behind_another_is_not_stuck(self) -> None:
        story = Story()
        story.boot()
        story.submit("j1")
        story.run("j1")
        story.submit("j2")
        story.upload("j2")
        story.accept("j2")
        for _ in range(3):
            story.pass_time(200)
            story.progress("j1")
        assert not told(story)


class TestLimits:
    def test_that_of_a_job_comes_at_nine_tenths_and_goes_with_the_job(self) -> None:
        story = Story()
        story.boot()
        story.submit(config=PodConfig(max_cost_usd=Decimal(100)))
        story.run()
        story.pass_time(89)
        assert not told(story)
        story.pass_time(2)
        (alert,) = told(story)
        assert (alert.kind, alert.level, alert.job_id) == (AlertKind.LIMIT, Level.WARNING, "j1")
        assert "90 % of its limit of $100.00 simulated" in alert.text
        story.over()
        story.fetched()
        assert not told(story)

    def test_that_of_a_pod_comes_at_nine_tenths_and_goes_with_the_pod(self) -> None:
        story = limited(pod_limit_usd="100")
        story.boot()
        story.pass_time(91)
        (alert,) = told(story)
        assert (alert.kind, alert.pod_id, alert.level) == (AlertKind.LIMIT, "p1", Level.WARNING)
        story.tell(commands.KillPod(pod_id="p1"))
        story.tell(events.PodTerminated(pod_id="p1"))
        assert not told(story)

    @pytest.mark.parametrize("name", ["session", "day", "month"])
    def test_those_of_all_pods_come_at_nine_tenths_and_are_errors_when_they_are_reached(self, name: str) -> None:
        story = Story(limit_usd="100") if name == "session" else limited(**{f"{name}_limit_usd": "100"})
        story.boot()
        story.pass_time(91)
        (near,) = told(story)
        assert (near.level, near.key) == (Level.WARNING, f"limit:{name}:simulated")
        story.pass_time(10)
        (reached,) = told(story, AlertKind.LIMIT)
        assert (reached.level, reached.key) == (Level.ERROR, near.key)

    def test_each_kind_of_money_has_its_own(self) -> None:
        story = Story(limit_usd="100")
        story.boot("p1")
        story.boot("p2")
        pod = story.pod("p2")
        real = replace(pod, offer=replace(pod.offer, kind=MoneyKind.REAL))
        story.state = replace(story.state, pods={**story.state.pods, "p2": real})
        story.pass_time(91)
        assert {alert.key for alert in told(story)} == {"limit:session:simulated", "limit:session:real"}
        assert any("$100.00," in alert.text for alert in told(story)), "real money is said without a word"


class TestBoots:
    def test_one_that_takes_more_than_half_of_the_time_allowed_is_told_until_the_pod_is_up(self) -> None:
        story = Story()
        story.connect()
        story.tell(events.PodCreated(pod_id="p1", provider_id="id-p1"))
        story.pass_time(450)
        assert not told(story)
        story.tell(events.PodPhase(pod_id="p1", phase="pulling its image"))
        story.pass_time(1)
        (alert,) = told(story)
        assert (alert.kind, alert.key, alert.pod_id) == (AlertKind.BOOT_LONG, "boot_long:pod:p1", "p1")
        assert "for 7 minutes (pulling its image)" in alert.text
        assert "given up after 15 minutes" in alert.text
        story.tell(events.PodAddressed(pod_id="p1", address=ADDRESS))
        assert told(story)
        story.tell(events.PodReady(pod_id="p1", local_port=1, comfyui_version="x"))
        assert not told(story)

    def test_a_pod_that_is_started_again_boots_from_then_on(self) -> None:
        story = stopped_with_results()
        story.pass_time(3600)
        story.tell(commands.ResumePod(pod_id="p1"))
        assert not told(story, AlertKind.BOOT_LONG)
        story.pass_time(451)
        assert told(story, AlertKind.BOOT_LONG)


class TestWatchdogs:
    def test_a_pod_whose_watchdog_can_do_nothing_is_told_until_it_can(self) -> None:
        story = guarded_story()
        story.boot()
        assert not told(story), "nothing is known of it yet"
        story.tell(events.PodGuarded(pod_id="p1", armed=True, can_act=False, words="its key is refused."))
        (alert,) = told(story)
        assert (alert.kind, alert.key) == (AlertKind.UNARMED, "unarmed:pod:p1")
        assert "its key is refused." in alert.text
        story.tell(events.PodGuarded(pod_id="p1", armed=True, can_act=True, words="it runs"))
        assert not told(story)

    def test_one_that_is_gone_needs_none(self) -> None:
        story = guarded_story()
        story.boot()
        story.tell(events.PodGuarded(pod_id="p1", armed=False, can_act=None, words="no."))
        story.tell(commands.KillPod(pod_id="p1"))
        assert told(story), "it bills until that is sure"
        story.tell(events.PodTerminated(pod_id="p1"))
        assert not told(story)


class TestStrangePods:
    def seen(self, *names: str) -> events.AccountSeen:
        return events.AccountSeen(balance_usd=None, spend_per_hour_usd=None, strangers=names)

    def test_they_are_told_until_the_account_has_none(self) -> None:
        story = guarded_story()
        story.boot()
        story.tell(self.seen("theirs", "x"))
        (alert,) = told(story)
        assert (alert.kind, alert.key, alert.pod_id) == (AlertKind.STRANGER, "stranger", None)
        assert "theirs, x." in alert.text
        story.tell(self.seen())
        assert not told(story)

    def test_the_account_is_asked_on_though_no_pod_of_ours_bills_or_the_warning_would_stay_for_ever(self) -> None:
        story = guarded_story()
        story.tell(self.seen("theirs"))
        story.pass_time(603)
        assert story.take(CheckAccount)
        story.tell(self.seen())
        story.pass_time(1300)
        assert not story.take(CheckAccount)

    def test_it_is_asked_at_once_when_one_of_them_was_ended(self) -> None:
        story = guarded_story()
        story.tell(self.seen("theirs"))
        story.tell(events.StrangerEnded(provider_id="theirs", why="it says 503"))
        assert not story.take(CheckAccount)
        story.tell(events.StrangerEnded(provider_id="theirs", why=""))
        assert story.take(CheckAccount)


def stopped_with_results() -> Story:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    story.tell(commands.CloseSession())
    story.tell(events.PodStopped(pod_id="p1"))
    assert story.pod().state is PodState.STOPPED
    return story


class TestUnsavedResults:
    def test_a_stopped_pod_with_results_is_told_with_what_its_storage_costs(self) -> None:
        (alert,) = told(stopped_with_results())
        assert (alert.kind, alert.key, alert.pod_id) == (AlertKind.UNSAVED, "unsaved:pod:p1", "p1")
        assert "the results of j1" in alert.text
        assert "$36.00 simulated an hour" in alert.text
        assert "`%autopod adopt`" in alert.text

    def test_it_goes_when_the_pod_is_started_again_and_when_it_is_given_up(self) -> None:
        story = stopped_with_results()
        story.tell(commands.ResumePod(pod_id="p1"))
        assert not told(story)
        story = stopped_with_results()
        story.tell(commands.KillPod(pod_id="p1"))
        assert not told(story)


def test_errors_come_first_then_what_costs_most_to_leave() -> None:
    story = guarded_story()
    story.boot("p1")
    story.submit("j1")
    story.run("j1")
    for pod_id in ("p2", "p3"):
        story.connect(pod_id)
        story.tell(events.PodCreated(pod_id=pod_id, provider_id=f"id-{pod_id}"))
    story.tell(events.PodGuarded(pod_id="p1", armed=False, can_act=None, words="no."))
    story.tell(events.AccountSeen(balance_usd=None, spend_per_hour_usd=None, strangers=("x",)))
    story.now_s += 460  # without a tick, so that nothing ends
    kinds = [(alert.kind, alert.pod_id) for alert in told(story)]
    assert kinds == [
        (AlertKind.STUCK, "p1"),
        (AlertKind.BOOT_LONG, "p3"),
        (AlertKind.BOOT_LONG, "p2"),
        (AlertKind.UNARMED, "p1"),
        (AlertKind.STRANGER, None),
    ]
    story.pass_time(1)
    assert told(story)[0].level is Level.ERROR, "the limit of the session is reached by now"


def test_every_kind_has_a_heading_of_its_own() -> None:
    assert len({kind.title for kind in AlertKind}) == len(AlertKind)
