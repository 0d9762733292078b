"""What a line that fails must not do to a job: let it run twice, lose it, or let it wait once the line is good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autopod_nb.comfyui.monitor_events import PromptVanished
from autopod_nb.models.event import Preview, PromptOver, StepProgress
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.session import commands, events, job_events
from autopod_nb.session.effects import (
    AdoptPod,
    CancelPrompt,
    EndForeignPod,
    FetchResults,
    ReopenLine,
    SubmitPrompt,
    UploadInputs,
)
from autopod_nb.session.lanes import lane_of
from autopod_nb.storage.leases import CommandPosted
from tests.session.story import ADDRESS, Story
from tests.session.test_reducer_handover import left_behind, template

__all__ = ["template"]


def the_next_owner(before: Story, tmp_path: Path) -> Story:
    """A session that takes over what *before* had, up to its line."""
    orphan = left_behind(before, tmp_path)
    story = Story()
    story.tell(events.PodOwned(pod=orphan.pod, jobs=orphan.jobs))
    story.tell(
        events.PodAdopted(pod_id="p1", provider_id="id-p1", address=ADDRESS, local_port=8188, comfyui_version="0.12.1")
    )
    return story


@pytest.fixture
def died_while_it_posted(tmp_path: Path, template: object) -> Story:
    """The owner died after it had posted a job, and before that was in the ledger."""
    story = Story()
    story.boot()
    story.submit(template=template)  # type: ignore[arg-type] # the fixture's
    story.upload()
    assert story.take(SubmitPrompt)
    return the_next_owner(story, tmp_path)


def test_a_job_that_may_have_been_posted_is_looked_for_and_not_posted_again(died_while_it_posted: Story) -> None:
    story = died_while_it_posted
    (adopt,) = story.take(AdoptPod)
    assert adopt.prompt_ids == (story.job().prompt_id,)
    story.pass_time(5)
    assert not story.take(UploadInputs)
    story.hear(PromptOver(prompt_id=story.job().prompt_id))
    assert len(story.take(FetchResults)) == 1
    assert (story.job().attempt, story.job().posted) == (1, True)


def test_a_job_that_turns_out_not_to_be_on_the_pod_is_brought_there(died_while_it_posted: Story) -> None:
    story = died_while_it_posted
    story.hear(PromptVanished(prompt_id=story.job().prompt_id))
    assert len(story.take(UploadInputs)) == 1
    story.upload()
    story.accept()
    story.hear(PromptVanished(prompt_id=story.job().prompt_id))
    assert story.job().state is JobState.UPLOADING, (
        "what it is given for the death of its server is not used up by that"
    )
    story.run()
    story.hear(PromptVanished(prompt_id=story.job().prompt_id))
    assert story.job().state is JobState.FAILED


def test_a_post_that_never_arrived_does_not_use_up_an_attempt() -> None:
    """As when the line is down for long: the answer is lost, and later the server has never heard of the prompt."""
    story = Story()
    story.boot()
    story.submit()
    for attempt in (1, 2, 3):
        story.upload()
        story.accept()
        assert (story.job().state, story.job().attempt) == (JobState.SUBMITTED, attempt)
        story.hear(PromptVanished(prompt_id=story.job().prompt_id, may_have_run=False))
    story.run()
    story.hear(PromptVanished(prompt_id=story.job().prompt_id))
    assert (story.job().state, story.job().attempt) == (JobState.UPLOADING, 5), "a server may still die once"
    story.run()
    story.hear(PromptVanished(prompt_id=story.job().prompt_id))
    assert story.job().state is JobState.FAILED


def test_a_prompt_that_ran_counts_whatever_is_said_of_its_post() -> None:
    story = Story(attempts=1)
    story.boot()
    story.submit()
    story.run()
    story.hear(PromptVanished(prompt_id=story.job().prompt_id, may_have_run=False))
    assert story.job().state is JobState.FAILED


def test_what_hangs_in_the_line_of_one_pod_is_not_in_the_way_of_another() -> None:
    """Nor do a pod's own results, which may be many, hold up the inputs of what it renders next."""
    story = Story()
    lanes = set()
    for number in (1, 2):
        story.boot(f"p{number}")
        story.submit(f"j{number}", pod_id=f"p{number}")
        (upload,) = story.take(UploadInputs)
        lanes.add(lane_of(upload))
        story.run(f"j{number}")
        story.over(f"j{number}")
        (fetch,) = story.take(FetchResults)
        assert lane_of(fetch) != lane_of(upload)
    assert len(lanes) == 2


def test_lines_that_break_while_inputs_are_on_their_way_do_not_use_up_the_attempts() -> None:
    story = Story()
    story.boot()
    story.submit()
    for attempt in (1, 2, 3):
        story.tell(job_events.StepFailed(job_id="j1", attempt=attempt, why="the line broke", line_at_fault=True))
        story.tell(events.LineLost(pod_id="p1", why="cut."))
        story.tell(events.LineBack(pod_id="p1"))
    assert (story.job().state, story.job().attempt) == (JobState.UPLOADING, 4)
    story.run()
    story.hear(PromptVanished(prompt_id=story.job().prompt_id))
    assert (story.job().state, story.job().attempt) == (JobState.UPLOADING, 5), "a server may still die once"
    story.run()
    story.hear(PromptVanished(prompt_id=story.job().prompt_id))
    assert story.job().state is JobState.FAILED


def test_an_upload_that_never_works_ends_all_the_same() -> None:
    story = Story()
    story.boot()
    story.submit()
    for _ in range(20):
        attempt = story.job().attempt
        story.tell(job_events.StepFailed(job_id="j1", attempt=attempt, why="no SFTP", line_at_fault=True))
        story.pass_time(5)
    assert story.job().state is JobState.FAILED
    assert "no SFTP" in story.job().error


def test_a_result_is_fetched_as_soon_as_the_line_is_back() -> None:
    """However long the pause after so many failures would be."""
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    for _ in range(6):
        story.tell(job_events.FetchFailed(job_id="j1", attempt=1, why="the line broke", lost=False))
        story.pass_time(60)
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    story.tell(job_events.FetchFailed(job_id="j1", attempt=1, why="the line broke", lost=False))
    story.take(FetchResults)
    story.tell(events.LineBack(pod_id="p1"))
    assert len(story.take(FetchResults)) == 1
    story.fetched()
    assert story.job().state is JobState.DONE


@pytest.mark.parametrize(("verb", "now"), [("stop", False), ("stop", True), ("kill", True)])
def test_what_a_pod_of_another_process_renders_is_lost_only_if_it_is_to_end_now(verb: str, *, now: bool) -> None:
    story = Story()
    story.tell(commands.EndForeign(pod_id="p9", provider_id="id-p9", verb=verb, now=now))
    assert [(write.pod_id, write.verb) for write in story.writes if isinstance(write, CommandPosted)] == [("p9", verb)]
    told = [(effect.provider_id, effect.stop) for effect in story.take(EndForeignPod)]
    assert told == ([("id-p9", verb == "stop")] if now else [])
    assert ("was asked to finish" in story.notices()) is not now


def test_what_hangs_on_a_dead_line_is_not_in_the_way_of_the_new_one() -> None:
    """A post and a cancellation may wait for an answer for half a minute."""
    story = Story()
    story.boot()
    story.submit()
    story.upload()
    story.accept()
    (post,) = story.take(SubmitPrompt)
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    (reopen,) = story.take(ReopenLine)
    cancel = CancelPrompt(pod_id="p1", job_id="j1", attempt=1, prompt_id=story.job().prompt_id)
    assert lane_of(post) == lane_of(cancel) != lane_of(reopen)


def test_what_comes_many_times_a_second_makes_nobody_look_at_all_the_pods() -> None:
    """Progress is taken; that a pod is to move, which cannot come of it, waits for the next message of another kind."""
    story = Story()
    story.boot()
    story.submit()
    story.run()
    ready = replace(story.pod(), state=PodState.READY)
    story.state = replace(story.state, pods={"p1": ready})
    prompt_id = story.job().prompt_id
    for event in (
        StepProgress(prompt_id=prompt_id, node_id="1", value=1, maximum=4),
        Preview(prompt_id=prompt_id, node_id="1", media_type="image/jpeg", data=b"seen"),
    ):
        story.hear(event)
        assert story.pod() is ready
    assert story.job().preview == b"seen"
    story.pass_time(1)
    assert story.pod().state is PodState.BUSY


def test_a_fetch_that_hung_in_the_line_before_is_made_again_at_once() -> None:
    """It fails when the next line stands already, which is nothing to wait for; should it fail again, that is."""
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    story.take(FetchResults)
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    story.tell(events.LineBack(pod_id="p1"))
    assert not story.take(FetchResults)
    failed = job_events.FetchFailed(job_id="j1", attempt=1, why="the line broke", lost=False)
    story.tell(failed)
    assert len(story.take(FetchResults)) == 1
    story.tell(failed)
    assert not story.take(FetchResults)
    story.pass_time(3)
    assert len(story.take(FetchResults)) == 1
