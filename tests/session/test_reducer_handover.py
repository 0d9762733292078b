"""A pod changes hands: what the next owner must know, and what the one before must not do any more."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.clock import TestClock
from autopod_nb.comfyui.workflow import WorkflowTemplate, load_template
from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.event import PromptOutcome, PromptResult
from autopod_nb.models.job import JobState, RemoteFile
from autopod_nb.models.pod import ObservedState, PodState
from autopod_nb.session import adoption, commands, events, job_events
from autopod_nb.session.commands import Adopt
from autopod_nb.session.effects import CancelPrompt, DropLine, FetchResults, TerminateAtProvider
from autopod_nb.storage.leases import LeaseTaken
from autopod_nb.storage.ledger import Ledger
from tests.session.money_world import World
from tests.session.story import START, TEMPLATE, Story

MADE = (RemoteFile(node_id="2", filename="x.png"), RemoteFile(node_id="2", filename="y.png", subfolder="s"))


@pytest.fixture
def template(tmp_path: Path) -> WorkflowTemplate:
    path = tmp_path / "deep" / "tiny.json"
    path.parent.mkdir()
    path.write_text(json.dumps(TEMPLATE.graph))
    return load_template(path)


def left_behind(story: Story, tmp_path: Path, *, ends_after_batch: bool = False) -> Adopt:
    """What the next process finds in the ledger, a minute after this one died."""
    with Ledger(tmp_path / LEDGER_NAME, clock=TestClock(START)) as ledger:
        ledger.write(story.writes)
        now = START + timedelta(seconds=story.now_s + 60)
        (orphan,) = adoption.look(
            ledger, ours=(), idle_minutes=Decimal(2), now=now, ends_after_batch=ends_after_batch
        ).orphans
    return orphan


def test_a_session_whose_lease_was_taken_lets_go_of_the_pod_and_writes_nothing_of_it() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.writes.clear()
    story.take(DropLine)
    story.tell(events.LeaseLost(pod_id="p1", taken=True))
    assert (story.pod().state, story.pod().phase) == (PodState.TERMINATED, "taken over by another process")
    assert story.take(DropLine)
    assert not story.take(TerminateAtProvider)
    assert not story.take(CancelPrompt)
    assert story.job().state is JobState.CANCELLED, "who waits for it here need not wait any more"
    story.pass_time(30)
    assert not [write for write in story.writes if getattr(write, "pod_id", "p1") == "p1"]
    assert "was taken over by another process" in story.notices()


def test_a_lease_that_nobody_has_is_taken_again_and_the_pod_goes_on() -> None:
    """As in a ledger that was rebuilt from a copy without it."""
    story = Story()
    story.boot()
    story.writes.clear()
    story.tell(events.LeaseLost(pod_id="p1", taken=False))
    assert [type(write) for write in story.writes] == [LeaseTaken]
    assert story.pod().state is PodState.READY


def test_which_files_a_job_made_is_in_the_ledger_before_they_are_fetched(
    tmp_path: Path, template: WorkflowTemplate
) -> None:
    """So that they can be had of a server that was started anew, and by another process."""
    story = Story()
    story.boot()
    story.submit(template=template)
    story.run()
    story.over()
    story.tell(job_events.PromptRead(job_id="j1", attempt=1, files=MADE))
    orphan = left_behind(story, tmp_path)
    assert [job.row.made for job in orphan.jobs] == [MADE]
    following = Story()
    following.tell(events.PodOwned(pod=orphan.pod, jobs=orphan.jobs))
    assert following.job().made == MADE
    result = PromptResult(prompt_id="x", outcome=PromptOutcome.SUCCESS, files=MADE)
    assert result.files == following.job().made
    assert not following.take(FetchResults), "there is no line yet"


def test_a_job_is_followed_by_the_file_of_its_template_wherever_the_next_process_is(
    tmp_path: Path, template: WorkflowTemplate
) -> None:
    story = Story()
    story.boot()
    story.submit(template=template)  # its name leads nowhere from here
    story.run()
    (job,) = left_behind(story, tmp_path).jobs
    assert job.template.path == template.path


def test_jobs_that_waited_go_along_with_a_person_and_not_with_the_reaper(
    tmp_path: Path, template: WorkflowTemplate
) -> None:
    story = Story(depth=1)
    story.boot()
    for job_id in ("j1", "j2"):
        story.submit(job_id, template=template)
    story.run()
    assert story.job("j2").state is JobState.QUEUED
    assert [job.row.job_id for job in left_behind(story, tmp_path).jobs] == ["j1", "j2"]
    reaped = left_behind(Story(), tmp_path, ends_after_batch=True)
    assert [job.row.job_id for job in reaped.jobs] == ["j1"]


@pytest.mark.parametrize("detached", [False, True])
def test_a_pod_that_a_person_detached_ends_by_its_idle_rule_and_not_at_once(
    tmp_path: Path,
    detached: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    story = Story()
    story.boot()
    if detached:
        story.tell(commands.DetachPod(pod_id="p1"))
    assert left_behind(story, tmp_path, ends_after_batch=True).pod.ends_after_batch is not detached


def test_a_limit_goes_along_with_what_is_left_of_it(tmp_path: Path) -> None:
    story = Story(limit_usd="1000")
    story.boot()
    story.pass_time(100)
    limit = left_behind(story, tmp_path).pod.limit_usd
    assert limit == 1000, "what the session and what the pod have spent are the same here"


def test_a_pod_without_an_answer_is_ended_by_its_name() -> None:
    """Its owner died between the intent and the answer; whoever takes over ends what is found."""
    world = World()
    try:
        pod_id = world.connect()
        world.crash_and_adopt(30)
        pod = replace(world.state.pods[pod_id], provider_id=None)
        world.state = replace(world.state, pods={pod_id: pod})
        world.tell(commands.KillPod(pod_id=pod_id))
        assert world.provider.bills() == ()
        assert world.state.pods[pod_id].state is PodState.TERMINATED
        assert len(world.provider.pods) == 1
        assert world.provider.pods["id-0"].state is ObservedState.TERMINATED
    finally:
        world.close()
