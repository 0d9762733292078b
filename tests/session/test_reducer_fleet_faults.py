"""What a fleet does when something goes wrong, what its limits are, and what a person sees of it.

A second of a pod costs a dollar, a job takes a minute, a boot twenty seconds, unless a test says otherwise.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.models.pod import ObservedState, PodState
from autopod_nb.models.snapshot import AlertKind, Snapshot
from autopod_nb.pods.fleet_facts import Aim
from autopod_nb.session import commands, events
from autopod_nb.session.effects import CreatePod
from autopod_nb.session.events import Moment
from autopod_nb.session.views import Viewer
from tests.session.fleet_story import BOOT_S, JOB_S, FleetStory, other_offer
from tests.session.story import START, offer


def _snapshot(story: FleetStory) -> Snapshot:
    return Viewer().snapshot(story.state, Moment(START, story.now_s))


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_lost_pod_gives_its_jobs_back_and_another_is_started() -> None:
    """As spot pods are lost every day."""
    story = FleetStory()
    story.wish(1)
    story.queue("j1", "j2", "j3")
    (pod,) = story.live()
    story.come_up(pod.pod_id)
    story.tell(events.LineLost(pod_id=pod.pod_id, why="cut."))
    story.pass_time(1)
    assert len(story.live()) == 1, "it is not known yet what became of it"
    story.tell(events.PodObserved(pod_id=pod.pod_id, state=ObservedState.TERMINATED, detail="outbid"))
    assert len(story.state.queue) == 3
    story.wait_a_tick()
    (successor,) = story.live()
    story.come_up(successor.pod_id)
    for _ in range(3):
        story.work_off(successor.pod_id)
    assert [job.state for job in story.state.jobs.values()] == [JobState.DONE] * 3


def test_spot_pods_may_be_lost_more_often_than_a_job_is_tried() -> None:
    """Who is outbid three times has done nothing wrong."""
    story = FleetStory()
    story.wish(1, offers=[other_offer("A40", "3600", spot=True)])
    story.queue("j1")
    for _ in range(3):
        (pod,) = story.live()
        story.come_up(pod.pod_id)
        story.run("j1")
        story.tell(events.LineLost(pod_id=pod.pod_id, why="cut."))
        story.tell(events.PodObserved(pod_id=pod.pod_id, state=ObservedState.TERMINATED, detail="outbid"))
        story.wait_a_tick()
    (pod,) = story.live()
    story.come_up(pod.pod_id)
    story.work_off(pod.pod_id)
    assert story.job("j1").state is JobState.DONE
    assert story.job("j1").attempt == 4


@pytest.mark.parametrize("told", ["3600", "9000"])
def test_what_a_pod_turned_out_to_cost_counts_for_the_next(told: str) -> None:
    """A plan may be hours old, and its prices with it; a new wish has prices of its own."""
    story, offers = FleetStory(), [offer("3600"), other_offer("RTX A6000", "5000")]
    gpus = []
    for number in range(3):
        if number != 1:
            story.wish(1, offers=offers, batch=False)
        story.queue(f"j{number}")
        (pod,) = story.live()
        gpus.append(pod.offer.gpu_type)
        story.take(CreatePod)
        price = Decimal(told) if number == 0 else None
        story.tell(events.PodCreated(pod_id=pod.pod_id, provider_id="id", price_per_hour_usd=price))
        story.come_up_quietly(pod.pod_id)
        story.wait_a_tick()
        story.work_off(pod.pod_id)
        story.pass_time(200)  # it waits for more as long as a boot costs
        story.confirm_ends()
    assert gpus == ["A40", "A40" if told == "3600" else "RTX A6000", "A40"]


def test_what_is_not_to_be_had_is_left_alone_for_a_while() -> None:
    story = FleetStory()
    story.wish(1, offers=[offer(), other_offer("RTX A6000", "5000")])
    story.queue("j1")
    (pod,) = story.live()
    assert pod.offer.gpu_type == "A40"
    story.tell(events.PodNotCreated(pod_id=pod.pod_id, why="no capacity", another_may_do=True))
    story.pass_time(1)
    (second,) = story.live()
    assert second.offer.gpu_type == "RTX A6000"
    assert story.job("j1").state is JobState.QUEUED


def test_the_jobs_fail_when_nothing_can_be_started() -> None:
    """As they do without a fleet; but what is only out of stock is asked for again first."""
    story = FleetStory()
    story.wish(1)
    story.queue("j1")
    asked = 0
    for _ in range(600):
        for effect in story.take(CreatePod):
            asked += 1
            story.tell(events.PodNotCreated(pod_id=effect.pod_id, why="no capacity", another_may_do=True))
        if story.job("j1").state is not JobState.QUEUED:
            break
        assert _snapshot(story).alerts or story.live() or story.now_s < 3, "a person sees why nothing goes on"
        story.wait_a_tick()
    assert story.job("j1").state is JobState.FAILED
    assert 2 <= asked <= 5
    assert story.state.fleet is None
    assert "no other is tried" in story.notices()


def test_a_provider_that_refuses_is_not_asked_again() -> None:
    story = FleetStory()
    story.wish(1)
    story.queue("j1")
    story.tell(events.PodNotCreated(pod_id=story.live()[0].pod_id, why="the key is wrong"))
    assert story.job("j1").state is JobState.FAILED
    story.pass_time(100)
    assert not story.live()


def test_a_pod_that_is_slow_is_left_and_another_takes_the_rest() -> None:
    story = FleetStory()
    story.wish(1)
    story.queue(*(f"j{number}" for number in range(8)))
    (pod,) = story.live()
    story.come_up(pod.pod_id)
    story.work_off(pod.pod_id, seconds=JOB_S * 3)
    story.work_off(pod.pod_id, seconds=JOB_S * 3)
    story.pass_time(1)
    assert story.pod(pod.pod_id).state is PodState.DRAINING
    assert "it is slow and gets no more work" in story.notices()
    while story.pod(pod.pod_id).active:
        story.work_off(pod.pod_id)
    story.confirm_ends()
    story.wait_a_tick()
    (successor,) = story.live()
    assert successor.pod_id != pod.pod_id


# --- limits -----------------------------------------------------------------------------------------------------------


def test_the_limit_of_the_session_is_a_budget_too() -> None:
    """Jobs of a minute at a dollar a second: 100 dollars are enough for one."""
    story = FleetStory(limit_usd="100")
    story.wish(3)
    story.queue("j1", "j2", "j3")
    (pod,) = story.live()
    assert story.fleet.cost_usd <= 100
    assert sum(len(each.job_ids) for each in story.fleet.stranded) == 2
    story.come_up(pod.pod_id)
    assert len(story.pod(pod.pod_id).active) == 1


def test_nothing_is_started_for_a_budget_that_is_enough_for_nothing() -> None:
    story = FleetStory()
    story.wish(3, budget_usd="30")
    story.queue("j1")
    story.pass_time(30)
    assert not story.state.pods
    assert story.job("j1").state is JobState.QUEUED


def test_jobs_without_a_pod_are_told_of_once_and_as_long_as_it_lasts() -> None:
    story = FleetStory()
    story.wish(3, budget_usd="30")
    story.queue("j1", "j2")
    (alert,) = _snapshot(story).alerts
    assert alert.kind is AlertKind.NO_POD
    assert "j1, j2" in alert.text
    notices = len(story.state.notices)
    story.pass_time(30)
    assert _snapshot(story).alerts == (alert,), "nothing new is said as long as nothing changes"
    assert len(story.state.notices) == notices
    story.tell(commands.Cancel(job_id="j1"))
    story.tell(commands.Cancel(job_id="j2"))
    assert not _snapshot(story).alerts


def test_a_limit_that_is_reached_ends_everything_and_starts_nothing() -> None:
    story = FleetStory(limit_usd="130")
    story.wish(3)
    story.queue("j1", "j2")
    (pod,) = story.live()
    story.come_up(pod.pod_id)
    story.run("j1")
    for _ in range(200):
        story.pass_time(1)
        story.confirm_ends()
    assert story.state.fleet is None
    assert {job.state for job in story.state.jobs.values()} == {JobState.FAILED}, "also what was still waiting"
    story.submit("late")
    story.wait_a_tick(10)
    assert not story.live()
    assert story.state.spent_usd[pod.offer.kind] <= Decimal(133)


# --- what a person sees -----------------------------------------------------------------------------------------------


def test_the_snapshot_says_what_is_wanted_and_what_is_expected() -> None:
    story = FleetStory()
    story.wish(3, aim=Aim.DEADLINE, minutes="10", budget_usd="900")
    story.queue("j1", "j2")
    view = _snapshot(story).fleet
    assert view is not None
    assert (view.aim, view.max_pods, view.budget_usd) == (Aim.DEADLINE.value, 3, Decimal(900))
    assert view.coming_usd == pytest.approx(Decimal(140), abs=Decimal(5))
    assert view.done_in_s == pytest.approx(2 * JOB_S + BOOT_S, rel=0.1)
    assert view.ends_in_s == pytest.approx(599, abs=2)
