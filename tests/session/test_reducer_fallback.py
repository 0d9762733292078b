"""The next choice, when a pod is not to be had or does not come up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.models.money import Purpose
from autopod_nb.models.pod import PodState
from autopod_nb.session import commands, events
from autopod_nb.session.commands import PodPlan, PodRequest
from autopod_nb.session.effects import CreatePod, TerminateAtProvider
from autopod_nb.storage.writes import PodIntent
from tests.session.story import ADDRESS, Story, offer


@pytest.fixture
def story() -> Story:
    """A pod that was asked for, with two more to try, and a job that wants it."""
    story = Story()
    first = offer()
    plan = PodPlan(
        request=PodRequest(),
        offer=first,
        fallbacks=(replace(first, gpu_type="RTX A6000"), replace(first, gpu_type="RTX A5000")),
        session_limit_usd=None,
        idle_minutes=Decimal(10),
        needs_yes=False,
    )
    story.tell(commands.Connect(pod_id="p1", pod_name="n-p1", plan=plan, ends_after_batch=True))
    story.submit(pod_id="p1")
    return story


def no_capacity(story: Story, pod_id: str) -> None:
    story.tell(events.PodNotCreated(pod_id=pod_id, why="none left", another_may_do=True))


def test_without_capacity_the_next_is_asked_for_under_a_name_of_its_own(story: Story) -> None:
    no_capacity(story, "p1")
    assert story.pod("p1").state is PodState.TERMINATED
    assert story.pod("p1").successor == "p1-2"
    assert [(each.pod_id, each.name, each.offer.gpu_type) for each in story.take(CreatePod)] == [
        ("p1", "n-p1", "A40"),
        ("p1-2", "n-p1-2", "RTX A6000"),
    ]
    intents = [write.pod_id for write in story.writes if isinstance(write, PodIntent)]
    assert intents == ["p1", "p1-2"], "the intent is written before each"
    assert story.job().pod_wish == "p1-2"


def test_each_is_tried_once_and_then_the_job_fails_with_the_last_reason(story: Story) -> None:
    for pod_id in ("p1", "p1-2", "p1-3"):
        assert story.job().state is JobState.QUEUED
        no_capacity(story, pod_id)
    assert list(story.state.pods) == ["p1", "p1-2", "p1-3"]
    assert story.job().state is JobState.FAILED
    assert "none left" in story.job().error


def test_another_refusal_than_capacity_is_the_end(story: Story) -> None:
    story.tell(events.PodNotCreated(pod_id="p1", why="the key is refused"))
    assert list(story.state.pods) == ["p1"]
    assert story.job().state is JobState.FAILED


def test_a_pod_that_does_not_come_up_is_gone_before_the_next_is_asked_for(story: Story) -> None:
    """Its minutes are booked as boot of a pod that never worked, and its job goes to the next."""
    story.tell(events.PodCreated(pod_id="p1", provider_id="id-1"))
    story.take(CreatePod)
    story.pass_time(120)
    story.tell(events.PodBootFailed(pod_id="p1", why="no address"))
    assert [each.provider_id for each in story.take(TerminateAtProvider)] == ["id-1"]
    assert story.job().state is JobState.QUEUED
    assert not story.take(CreatePod), "it may still bill"
    story.pass_time(3)
    story.tell(events.PodTerminated(pod_id="p1"))
    assert [each.pod_id for each in story.take(CreatePod)] == ["p1-2"]
    assert {charge.purpose for charge in story.charges} == {Purpose.BOOT}
    assert sum(charge.seconds for charge in story.charges) == 123
    story.tell(events.PodCreated(pod_id="p1-2", provider_id="id-2"))
    story.tell(events.PodAddressed(pod_id="p1-2", address=ADDRESS))
    story.tell(events.PodReady(pod_id="p1-2", local_port=8188, comfyui_version="0.12.1"))
    story.finish()
    assert story.job().state is JobState.DONE
    story.tell(events.PodTerminated(pod_id="p1-2"))
    assert story.pod("p1-2").state is PodState.TERMINATED


@pytest.mark.parametrize(
    "command",
    [commands.KillPod(pod_id="p1"), commands.StopPod(pod_id="p1", now=False), commands.CloseSession()],
    ids=["kill", "stop", "close"],
)
def test_who_ends_a_pod_while_it_fails_gets_no_other_in_its_place(story: Story, command: events.Message) -> None:
    story.tell(events.PodCreated(pod_id="p1", provider_id="id-1"))
    story.take(CreatePod)
    story.tell(events.PodBootFailed(pod_id="p1", why="no address"))
    story.tell(command)
    story.tell(events.PodTerminated(pod_id="p1"))
    assert not story.take(CreatePod)
    assert list(story.state.pods) == ["p1"]
    assert story.job().state in (JobState.FAILED, JobState.CANCELLED)


def test_a_pod_that_came_up_and_is_lost_later_has_no_successor(story: Story) -> None:
    story.tell(events.PodCreated(pod_id="p1", provider_id="id-1"))
    story.tell(events.PodAddressed(pod_id="p1", address=ADDRESS))
    story.tell(events.PodReady(pod_id="p1", local_port=8188, comfyui_version="0.12.1"))
    story.finish()
    story.tell(events.PodTerminated(pod_id="p1"))
    assert list(story.state.pods) == ["p1"]


def test_the_meter_goes_by_the_price_that_the_provider_says(story: Story) -> None:
    """Planned were 3600 USD an hour, a dollar a second."""
    dearer = Decimal(7200)
    story.tell(events.PodCreated(pod_id="p1", provider_id="id-1", price_per_hour_usd=dearer))
    assert "costs 7200.000 USD an hour, and 3600.000 were planned" in story.notices()
    story.pass_time(30)
    assert {charge.price_per_hour_usd for charge in story.charges} == {dearer}
    story.tell(events.PodPriced(pod_id="p1", price_per_hour_usd=Decimal(1800)))
    story.charges.clear()
    story.pass_time(30)
    assert {charge.price_per_hour_usd for charge in story.charges[1:]} == {Decimal(1800)}
