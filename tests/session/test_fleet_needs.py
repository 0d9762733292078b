"""A GPU that was too small for a job: the next ones like it go to a larger one, and nothing is rendered for nothing.

A job takes a minute; the A40 of the stories has 48 GB.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from autopod_nb.models.event import PromptFault, PromptOutcome, PromptResult
from autopod_nb.models.job import JobState, PodConfig
from autopod_nb.models.offer import Offer
from autopod_nb.session import job_events
from autopod_nb.session.effects import FetchResults
from autopod_nb.session.fleet_needs import needed_gb
from autopod_nb.session.fleet_state import Outgrown
from tests.session.fleet_story import JOB_S, FleetStory, other_offer
from tests.session.story import offer

_OOM = "CUDA out of memory. Tried to allocate 2.25 GiB."
_SMALL, _LARGE = offer(), other_offer("A100", "7200", vram_gb=80)


def _fleet(*offers: Offer, max_pods: int = 2) -> FleetStory:
    """A wish with one pod up, and its first job at work."""
    story = FleetStory()
    story.wish(max_pods, offers=offers)
    return story


def _fails(story: FleetStory, job_id: str, message: str = _OOM, exception: str = "torch.OutOfMemoryError") -> None:
    """It renders for a while, and ends in an error."""
    story.run(job_id)
    story.pass_time(5)
    story.over(job_id)
    story.take(FetchResults)
    job = story.job(job_id)
    fault = PromptFault(node_id="1", node_type="KSampler", exception_type=exception, message=message)
    result = PromptResult(prompt_id=job.prompt_id, outcome=PromptOutcome.ERROR, files=(), fault=fault)
    story.tell(job_events.PromptFetched(job_id=job_id, attempt=job.attempt, result=result, files=()))
    story.wait_a_tick()


def _first_pod(story: FleetStory) -> str:
    (pod,) = story.live()
    assert pod.offer.gpu_type == "A40", "it is the cheaper one"
    story.come_up(pod.pod_id)
    return pod.pod_id


def test_a_job_that_a_gpu_was_too_small_for_is_rendered_on_a_larger_one() -> None:
    story = _fleet(_SMALL, _LARGE)
    story.queue("j1", "j2")
    _first_pod(story)
    _fails(story, "j1")
    assert story.job("j1").state is JobState.QUEUED
    assert "48 GB of its A40" in "".join(notice.text for notice in story.state.notices)
    story.pass_time(2)
    (larger,) = (pod for pod in story.live() if pod.offer.gpu_type == "A100")
    story.come_up(larger.pod_id)
    story.wait_a_tick()
    assert story.job("j1").pod_id == larger.pod_id
    story.work_off(larger.pod_id)
    assert (story.job("j1").state, story.job("j1").attempt) == (JobState.DONE, 2)


def test_its_like_is_not_tried_on_the_small_one_and_that_ends() -> None:
    """Of ten such jobs at most those that the pod had already cost something for nothing."""
    story = _fleet(_SMALL, _LARGE)
    names = [f"j{number}" for number in range(10)]
    story.queue(*names)
    small = _first_pod(story)
    failed = 0
    while story.pod(small).active:
        _fails(story, story.pod(small).active[0])
        failed += 1
    for _ in range(60):
        story.confirm_ends()
        for pod in story.live():
            if pod.pod_id != small and pod.local_port is None and pod.ending is None:
                story.come_up(pod.pod_id)
            elif pod.active:
                story.work_off(pod.pod_id)
        story.wait_a_tick()
    assert {story.job(name).state for name in names} == {JobState.DONE}
    assert {story.pod(story.job(name).pod_id or "").offer.gpu_type for name in names} == {"A100"}
    assert sum(story.job(name).attempt - 1 for name in names) == failed
    assert 0 < failed <= 1 + story.state.rules.depth
    assert small not in [pod.pod_id for pod in story.live()], "nothing is left that it could do"


@pytest.mark.parametrize(
    ("offers", "config"),
    [
        ([_SMALL], PodConfig()),
        ([_SMALL, other_offer("RTX A6000", "7200")], PodConfig()),
        ([_SMALL, _LARGE], PodConfig(gpu_type="A40")),
    ],
    ids=["no other is offered", "the other is no larger", "it wants that GPU"],
)
def test_without_a_larger_one_it_fails_with_the_words_of_the_node(offers: list[Offer], config: PodConfig) -> None:
    story = _fleet(*offers)
    story.submit("j1", config=config)
    story.wait_a_tick()
    _first_pod(story)
    _fails(story, "j1")
    assert (story.job("j1").state, story.job("j1").attempt) == (JobState.FAILED, 1)
    assert _OOM in story.job("j1").error


def test_another_error_is_no_matter_of_the_gpu() -> None:
    story = _fleet(_SMALL, _LARGE)
    story.queue("j1")
    _first_pod(story)
    _fails(story, "j1", "shapes cannot be multiplied", "RuntimeError")
    assert story.job("j1").state is JobState.FAILED


def test_where_its_like_was_rendered_the_gpu_is_large_enough() -> None:
    """Then something else had the memory, and dearer pods for all the others would be money for nothing."""
    story = _fleet(_SMALL, _LARGE, max_pods=1)
    story.queue("j1", "j2")
    pod_id = _first_pod(story)
    story.work_off(pod_id, seconds=JOB_S)
    _fails(story, "j2")
    assert [story.job(name).state for name in ("j1", "j2")] == [JobState.DONE, JobState.FAILED]


def test_only_jobs_of_the_template_that_are_as_large_need_more() -> None:
    story = _fleet(_SMALL, _LARGE)
    fleet = replace(story.fleet, outgrown=(Outgrown("tiny", 2.0, 24), Outgrown("tiny", 4.0, 48)))
    needs = [needed_gb(fleet, "tiny", size) for size in (1.0, 2.0, 3.0, 4.0, 9.0)]
    assert needs == [0, 25, 25, 49, 49]
    assert needed_gb(fleet, "other", 9.0) == 0
