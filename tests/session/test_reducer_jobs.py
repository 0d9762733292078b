"""A job from the queue to its end, told with plain values."""

from __future__ import annotations

from decimal import Decimal

import pytest

from autopod_nb.comfyui.monitor_events import Disconnected, PromptRunning, PromptVanished
from autopod_nb.models.event import Preview, PromptOutcome, PromptOver
from autopod_nb.models.job import JobState, PodConfig
from autopod_nb.models.money import Purpose
from autopod_nb.models.pod import PodState
from autopod_nb.session import commands, events, job_events
from autopod_nb.session.effects import CancelPrompt, FetchResults, SubmitPrompt, UploadInputs
from autopod_nb.session.events import Moment
from autopod_nb.session.views import Viewer
from autopod_nb.storage.writes import JobChanged, JobRecorded
from tests.session.story import START, Story, seconds


def test_a_job_goes_from_queue_to_done_in_the_order_of_the_table() -> None:
    story = Story()
    story.boot()
    story.submit()
    assert [effect.spec.job_id for effect in story.take(UploadInputs)] == ["j1"]
    story.upload()
    (post,) = story.take(SubmitPrompt)
    assert post.prompt_id == story.job().prompt_id
    story.accept()
    story.start()
    story.over()
    (fetch,) = story.take(FetchResults)
    assert fetch.result is None
    story.fetched()
    states = [write.state for write in story.writes if isinstance(write, JobChanged)]
    assert states == [
        JobState.UPLOADING,
        JobState.SUBMITTED,
        JobState.RUNNING,
        JobState.COLLECTING,
        JobState.DONE,
    ]
    assert story.job().results
    assert story.pod().state is PodState.READY


def test_nothing_is_uploaded_before_the_job_is_in_the_ledger() -> None:
    """The write of the job comes before its upload among the effects."""
    story = Story()
    story.boot()
    story.submit()
    recorded = next(n for n, write in enumerate(story.writes) if isinstance(write, JobRecorded))
    taken = next(n for n, write in enumerate(story.writes) if isinstance(write, JobChanged))
    assert recorded < taken


def test_a_job_of_which_no_socket_tells_is_shown_to_run_when_the_queue_says_so() -> None:
    """How far it is nobody knows then; when a socket tells after all, that is known again."""
    story = Story()
    story.boot()
    story.submit()
    story.upload()
    story.accept()
    story.hear(PromptRunning(prompt_id=story.job().prompt_id))
    story.pass_time(7)
    view = Viewer().snapshot(story.state, Moment(START, story.now_s)).jobs["j1"]
    assert (view.state, view.progress.percent) == (JobState.RUNNING, None)
    story.start()
    story.progress()
    view = Viewer().snapshot(story.state, Moment(START, story.now_s)).jobs["j1"]
    assert view.progress.percent is not None


def test_that_the_queue_says_so_changes_nothing_of_a_job_that_is_over() -> None:
    """An answer of the queue may be older than the news of the end."""
    story = Story()
    story.boot()
    story.submit()
    story.run()
    prompt_id = story.job().prompt_id
    story.over()
    for state, step in [(JobState.COLLECTING, story.fetched), (JobState.DONE, None)]:
        story.hear(PromptRunning(prompt_id=prompt_id))
        assert story.job().state is state
        if step is not None:
            step()


def test_events_that_overtake_the_answer_to_the_post_count() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.upload()
    story.start()  # before the answer
    assert story.job().state is JobState.RUNNING
    story.accept()
    assert story.job().state is JobState.RUNNING
    story.over()
    assert story.job().state is JobState.COLLECTING


def test_a_job_that_ends_before_its_acceptance_is_known_is_collected() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.upload()
    story.over()
    assert story.job().state is JobState.COLLECTING
    story.fetched()
    assert story.job().state is JobState.DONE


def test_the_next_job_is_on_the_server_while_one_renders_and_no_more() -> None:
    story = Story(depth=2)
    story.boot()
    for name in ("j1", "j2", "j3"):
        story.submit(name)
    assert [effect.spec.job_id for effect in story.take(UploadInputs)] == ["j1", "j2"]
    story.run("j1")
    story.over("j1")  # it is downloaded now, and leaves its place on the server
    assert [effect.spec.job_id for effect in story.take(UploadInputs)] == ["j3"]


def test_an_end_is_told_once_whatever_tells_it() -> None:
    """Socket and history may both tell the end: results are fetched once."""
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    story.found()
    story.over()
    assert len(story.take(FetchResults)) == 1


def test_a_result_that_was_found_in_the_history_is_not_read_again() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.found()
    (fetch,) = story.take(FetchResults)
    assert fetch.result == story.result()


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (PromptOutcome.SUCCESS, JobState.DONE),
        (PromptOutcome.ERROR, JobState.FAILED),
        (PromptOutcome.INTERRUPTED, JobState.FAILED),
    ],
)
def test_the_history_decides_how_a_job_ended(outcome: PromptOutcome, state: JobState) -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    story.fetched(outcome=outcome)
    assert story.job().state is state
    assert story.job().results, "what was made before an error is kept"


def test_a_prompt_that_vanished_is_tried_once_more_under_another_prompt_id() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    first = story.job().prompt_id
    story.hear(PromptVanished(prompt_id=first))
    assert story.job().attempt == 2
    assert story.job().prompt_id != first
    assert story.job().state is JobState.UPLOADING, "it is first in the queue again"
    story.hear(PromptOver(prompt_id=first))
    assert story.job().state is JobState.UPLOADING, "the old attempt has nothing to say any more"
    story.run()
    story.hear(PromptVanished(prompt_id=story.job().prompt_id))
    assert story.job().state is JobState.FAILED
    assert "tried 2 times" in story.job().error


def test_answers_of_an_earlier_attempt_change_nothing() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.hear(PromptVanished(prompt_id=story.job().prompt_id))
    before = story.job()
    story.tell(job_events.PromptAccepted(job_id="j1", attempt=1, complaints=()))
    story.tell(job_events.StepFailed(job_id="j1", attempt=1, why="late", line_at_fault=False))
    assert story.job() == before


def test_a_refused_workflow_fails_and_a_broken_line_is_tried_again() -> None:
    story = Story()
    story.boot()
    story.submit("bad")
    story.submit("cut")
    story.tell(job_events.StepFailed(job_id="bad", attempt=1, why="unknown node class 'Nope'", line_at_fault=False))
    story.tell(job_events.StepFailed(job_id="cut", attempt=1, why="the line broke", line_at_fault=True))
    assert story.job("bad").state is JobState.FAILED
    assert "Nope" in story.job("bad").error
    assert story.job("cut").attempt == 2
    assert story.job("cut").state is JobState.QUEUED, "not at once, over what may be the same dead line"
    story.pass_time(11)
    assert story.job("cut").state is JobState.UPLOADING


def test_a_job_whose_line_broke_is_not_tried_again_before_the_line_is_back() -> None:
    """The failure of a step is often heard of before the loss of the line."""
    story = Story()
    story.boot()
    story.submit()
    story.tell(job_events.StepFailed(job_id="j1", attempt=1, why="the line broke", line_at_fault=True))
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    story.pass_time(20)
    assert (story.job().state, story.job().attempt) == (JobState.QUEUED, 2)
    story.tell(events.LineBack(pod_id="p1"))
    assert story.job().state is JobState.UPLOADING


def test_a_job_whose_line_broke_goes_to_another_pod_at_once() -> None:
    story = Story()
    story.boot("p1")
    story.boot("p2")
    story.submit()
    first = story.job().pod_id
    story.tell(job_events.StepFailed(job_id="j1", attempt=1, why="the line broke", line_at_fault=True))
    assert story.job().state is JobState.UPLOADING
    assert {first, story.job().pod_id} == {"p1", "p2"}


def test_a_download_that_fails_is_tried_again_for_it_is_paid_for() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    story.take(FetchResults)
    story.tell(job_events.FetchFailed(job_id="j1", attempt=1, why="No space left for x.png.", lost=False))
    assert story.job().state is JobState.COLLECTING
    assert "No space left" in story.notices()
    story.pass_time(3)
    assert len(story.take(FetchResults)) == 1
    story.fetched()
    assert story.job().state is JobState.DONE


def test_a_result_that_is_lost_fails_the_job() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    story.tell(job_events.FetchFailed(job_id="j1", attempt=1, why="ComfyUI does not know it.", lost=True))
    assert story.job().state is JobState.FAILED


def test_cancelling_a_waiting_job_ends_it_at_once_and_no_other() -> None:
    story = Story(depth=1)
    story.boot()
    story.submit("j1")
    story.submit("j2")
    story.tell(commands.Cancel(job_id="j2"))
    assert story.job("j2").state is JobState.CANCELLED
    assert story.job("j1").state is JobState.UPLOADING
    assert not story.take(CancelPrompt)


def test_cancelling_a_running_job_names_its_prompt_and_waits_for_its_end() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.tell(commands.Cancel(job_id="j1"))
    (effect,) = story.take(CancelPrompt)
    assert effect.prompt_id == story.job().prompt_id
    story.tell(job_events.PromptCancelled(job_id="j1", attempt=1, gone=False))
    assert story.job().state is JobState.RUNNING
    story.over()
    story.fetched(outcome=PromptOutcome.INTERRUPTED)
    assert story.job().state is JobState.CANCELLED


def test_a_job_that_was_done_before_the_cancellation_reached_it_is_kept() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.tell(commands.Cancel(job_id="j1"))
    story.over()
    story.fetched(outcome=PromptOutcome.SUCCESS)
    assert story.job().state is JobState.DONE


def test_a_job_deleted_from_the_servers_queue_is_over_though_it_leaves_no_history() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.upload()
    story.accept()
    story.tell(commands.Cancel(job_id="j1"))
    story.tell(job_events.PromptCancelled(job_id="j1", attempt=1, gone=True))
    assert story.job().state is JobState.CANCELLED


def test_a_job_cancelled_while_it_is_posted_is_taken_back() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.upload()
    story.tell(commands.Cancel(job_id="j1"))
    assert not story.take(CancelPrompt), "nobody knows yet whether it is there"
    story.accept()
    assert len(story.take(CancelPrompt)) == 1


def test_a_server_that_never_confirms_a_cancellation_is_not_waited_for() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.tell(commands.Cancel(job_id="j1"))
    story.pass_time(32)
    assert story.job().state is JobState.CANCELLED


def test_the_limit_of_a_job_warns_at_90_percent_and_ends_it_at_100() -> None:
    """At one dollar a second and ten dollars: never more than the limit and one tick."""
    story = Story()
    story.boot()
    story.submit(config=PodConfig(max_cost_usd=Decimal(10)))
    story.run()
    story.pass_time(8)
    assert "90 %" not in story.notices()
    story.pass_time(1)
    assert "90 %" in story.notices()
    assert not story.take(CancelPrompt)
    story.pass_time(1)
    assert len(story.take(CancelPrompt)) == 1
    story.over()
    story.fetched(outcome=PromptOutcome.INTERRUPTED)
    assert story.job().state is JobState.FAILED
    assert "limit of 10 USD" in story.job().error
    assert story.job().spent_usd <= Decimal(11)


def test_the_time_out_of_a_job_ends_it() -> None:
    story = Story()
    story.boot()
    story.submit(config=PodConfig(timeout_minutes=Decimal(1)))
    story.run()
    story.pass_time(59)
    assert not story.take(CancelPrompt)
    story.pass_time(2)
    assert len(story.take(CancelPrompt)) == 1
    story.over()
    story.fetched(outcome=PromptOutcome.INTERRUPTED)
    assert story.job().state is JobState.FAILED
    assert "timeout_minutes" in story.job().error


def test_a_stuck_job_is_reported_with_its_cost_once_and_news_ends_the_warning() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.pass_time(299)
    assert not story.job().warning
    story.pass_time(2)
    assert "no progress for 5 minutes" in story.job().warning
    assert "$300" in story.job().warning
    assert "an hour" in story.job().warning
    story.pass_time(100)
    assert story.notices().count("no progress") == 1
    story.progress()
    assert not story.job().warning


def test_a_person_may_wait_on_for_a_stuck_job() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.pass_time(301)
    story.tell(commands.KeepWaiting(job_id="j1"))
    assert not story.job().warning
    story.pass_time(299)
    assert not story.job().warning
    story.pass_time(2)
    assert story.job().warning


def test_a_job_pays_only_for_the_time_in_which_it_has_the_gpu() -> None:
    """Two jobs on the pod: the one that renders pays, the one that waits does not."""
    story = Story()
    story.boot()
    story.submit("j1")
    story.submit("j2")
    story.run("j1")
    story.upload("j2")
    story.accept("j2")
    story.pass_time(7)
    story.over("j1")
    story.start("j2")
    story.pass_time(5)
    story.over("j2")
    story.fetched("j1")
    story.fetched("j2")
    assert (story.job("j1").spent_usd, story.job("j2").spent_usd) == (Decimal(7), Decimal(5))
    assert {charge.purpose for charge in story.charges if charge.job_id} == {Purpose.JOB}
    assert seconds(story.charges) == 12


def test_a_preview_without_a_name_belongs_to_the_job_that_renders() -> None:
    story = Story()
    story.boot()
    story.submit("j1")
    story.submit("j2")
    story.run("j1")
    story.upload("j2")
    story.hear(Preview(prompt_id="", node_id="", media_type="image/jpeg", data=b"x"))
    assert story.job("j1").preview == b"x"
    assert not story.job("j2").preview
    story.hear(Preview(prompt_id="a stranger's", node_id="1", media_type="image/jpeg", data=b"y"))
    assert story.job("j1").preview == b"x"


def test_progress_after_a_cut_is_unknown_and_never_invented() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.progress()
    viewer, now = Viewer(), Moment(START, 0)
    assert viewer.snapshot(story.state, now).jobs["j1"].progress.percent == 25.0
    story.hear(Disconnected(reason="cut"))
    assert viewer.snapshot(story.state, now).jobs["j1"].progress.percent is None


def test_jobs_run_in_order_of_submission() -> None:
    story = Story(depth=1)
    story.boot()
    names = [f"j{number}" for number in range(8)]
    for name in names:
        story.submit(name)
    done = []
    while uploads := story.take(UploadInputs):
        (effect,) = uploads
        done.append(effect.spec.job_id)
        story.finish(effect.spec.job_id)
    assert done == names


def test_before_this_run_can_tell_earlier_runs_estimate_its_end_and_cost() -> None:
    """At one dollar a second: twenty seconds on this GPU, five of them over."""
    story = Story()
    story.boot()
    story.submit(usual_s={"A40": 20.0, "H100": 1.0})
    story.run()
    story.pass_time(5)
    view = Viewer().snapshot(story.state, Moment(START, story.now_s)).jobs["j1"]
    assert view.progress.left_s == 15
    assert view.expected_cost_usd == 20
    story.progress(value=1)  # half of the nodes in five seconds: this run knows better now
    view = Viewer().snapshot(story.state, Moment(START, story.now_s)).jobs["j1"]
    assert view.progress.left_s == 5
    assert view.expected_cost_usd == 10


def test_without_earlier_runs_nothing_is_invented() -> None:
    story = Story()
    story.boot()
    story.submit(usual_s={"H100": 1.0})
    story.run()
    view = Viewer().snapshot(story.state, Moment(START, story.now_s)).jobs["j1"]
    assert view.progress.left_s is None
    assert view.expected_cost_usd is None
