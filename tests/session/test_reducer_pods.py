"""A pod from the plan to its end, told with plain values."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from autopod_nb.comfyui.monitor_events import Connected, Disconnected
from autopod_nb.models.event import NodeExecuted, PromptOver
from autopod_nb.models.job import JobState, RemoteFile
from autopod_nb.models.money import MoneyKind, Purpose
from autopod_nb.models.pod import ObservedState, PodState
from autopod_nb.models.snapshot import GpuUse
from autopod_nb.session import commands, events, job_events
from autopod_nb.session.effects import (
    BootPod,
    CancelPrompt,
    CreatePod,
    DropLine,
    FetchResults,
    LookAtGpu,
    ReopenLine,
    StopAtProvider,
    TerminateAtProvider,
    UploadInputs,
    WriteLedger,
)
from autopod_nb.session.events import Moment
from autopod_nb.session.reducer import reduce
from autopod_nb.session.views import Viewer
from autopod_nb.storage.leases import LeaseReleased, LeaseRenewed, LeaseTaken
from autopod_nb.storage.writes import PodChanged, PodIntent
from tests.session.story import ADDRESS, START, Story, seconds


def test_create_is_called_only_after_the_intent_is_in_the_ledger() -> None:
    """The reducer itself asks for nothing but the write; the acknowledgement brings the creation."""
    story = Story()
    state = story.state
    message = commands.Connect(
        pod_id="p1",
        pod_name="n",
        plan=_plan(),
        ends_after_batch=False,
    )
    state, effects = reduce(state, message, Moment(START, 0))
    (write,) = effects
    assert isinstance(write, WriteLedger)
    assert [type(record) for record in write.writes] == [PodIntent, LeaseTaken]
    assert state.pods["p1"].state is PodState.PLANNED
    _, effects = reduce(state, write.then[0], Moment(START, 0))
    assert [type(effect) for effect in effects] == [WriteLedger, CreatePod]


def _plan() -> commands.PodPlan:
    story = Story()
    story.connect()
    return commands.PodPlan(
        request=commands.PodRequest(),
        offer=story.pod().offer,
        session_limit_usd=None,
        idle_minutes=Decimal(10),
        needs_yes=False,
    )


def test_an_intent_that_cannot_be_written_makes_no_pod() -> None:
    story = Story()
    story.state, _ = reduce(
        story.state,
        commands.Connect(pod_id="p1", pod_name="n", plan=_plan(), ends_after_batch=False),
        Moment(START, 0),
    )
    story.tell(events.PodNotCreated(pod_id="p1", why="disk full"))
    assert story.pod().state is PodState.TERMINATED
    assert not story.take(CreatePod)
    assert "disk full" in story.notices()


def test_a_pod_comes_up_in_the_order_of_the_table() -> None:
    story = Story()
    story.boot()
    states = [write.state for write in story.writes if isinstance(write, PodChanged)]
    assert states == [PodState.REQUESTED, PodState.BOOTING, PodState.CONNECTING, PodState.READY]
    assert story.pod().local_port == 8188


def test_a_pod_that_was_not_made_fails_the_jobs_that_wait_for_it() -> None:
    story = Story()
    story.connect(batch=True)
    story.submit()
    story.tell(events.PodNotCreated(pod_id="p1", why="no capacity"))
    assert story.pod().state is PodState.TERMINATED
    assert story.job().state is JobState.FAILED
    assert "no capacity" in story.job().error


def test_a_boot_that_fails_is_ended_for_it_bills() -> None:
    story = Story()
    story.connect()
    story.tell(events.PodCreated(pod_id="p1", provider_id="id"))
    story.tell(events.PodBootFailed(pod_id="p1", why="no address"))
    assert story.pod().state is PodState.TERMINATING
    assert [effect.provider_id for effect in story.take(TerminateAtProvider)] == ["id"]


def test_a_kill_before_the_provider_answered_ends_what_it_makes() -> None:
    story = Story()
    story.connect()
    story.tell(commands.KillPod(pod_id="p1"))
    assert not story.take(TerminateAtProvider), "nobody knows its id yet"
    story.tell(events.PodCreated(pod_id="p1", provider_id="id"))
    assert [effect.provider_id for effect in story.take(TerminateAtProvider)] == ["id"]
    assert not story.take(BootPod)
    story.tell(events.PodTerminated(pod_id="p1"))
    assert story.pod().state is PodState.TERMINATED


def test_a_kill_ends_pod_and_jobs_and_releases_the_lease() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.tell(commands.KillPod(pod_id="p1"))
    assert story.take(DropLine)
    assert story.take(TerminateAtProvider)
    assert story.job().state is JobState.CANCELLED
    story.tell(events.PodTerminated(pod_id="p1"))
    assert isinstance(story.writes[-1], LeaseReleased)


def test_a_termination_that_fails_is_tried_until_it_is_sure() -> None:
    story = Story()
    story.boot()
    story.tell(commands.KillPod(pod_id="p1"))
    story.take(TerminateAtProvider)
    for _ in range(3):
        story.tell(events.StillBilling(pod_id="p1", why="503"))
        assert story.pod().state is PodState.TERMINATING
        story.pass_time(6)
        assert len(story.take(TerminateAtProvider)) == 1
    assert story.notices().count("may still bill") == 1


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_end_that_fails_names_our_id_which_is_the_one_to_kill(how: str) -> None:
    story = Story()
    story.boot()
    story.tell(commands.StopPod(pod_id="p1", now=True) if how == "stop" else commands.KillPod(pod_id="p1"))
    story.tell(events.StillBilling(pod_id="p1", why="Pod theirs could not be stopped: RunPod answered 503."))
    assert story.notices().count("Pod p1 may still bill") == 1
    assert story.notices().count("`%autopod kill p1` ends it") == 1
    assert "kill theirs" not in story.notices()
    assert story.pod().end_retry_s is not None, "it is tried again, as the notice says"


def test_time_is_paid_until_the_provider_confirms_the_end() -> None:
    story = Story()
    story.boot()
    story.pass_time(5)
    story.tell(commands.KillPod(pod_id="p1"))
    story.pass_time(3)
    story.tell(events.PodTerminated(pod_id="p1"))
    story.pass_time(60)
    assert seconds(story.charges) == 8
    assert story.pod().spent_usd == 8


def test_stop_finishes_what_runs_fetches_it_and_ends() -> None:
    story = Story(depth=1)
    story.boot()
    story.submit("j1")
    story.submit("j2")
    story.run("j1")
    story.tell(commands.StopPod(pod_id="p1", now=False))
    assert story.pod().state is PodState.DRAINING
    assert story.job("j2").state is JobState.CANCELLED, "no pod will take it any more"
    story.over("j1")
    assert not story.take(TerminateAtProvider), "its result is not here yet"
    story.fetched("j1")
    assert story.job("j1").state is JobState.DONE
    assert story.take(TerminateAtProvider)


def test_stop_now_breaks_off_what_runs() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.tell(commands.StopPod(pod_id="p1", now=True))
    assert len(story.take(CancelPrompt)) == 1
    story.over()
    story.fetched()
    assert story.take(TerminateAtProvider)


def test_a_rule_stops_and_never_terminates_while_results_are_on_the_pod() -> None:
    """Results that were paid for are still on it: stop keeps its volume."""
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    story.tell(commands.CloseSession())
    assert story.take(StopAtProvider)
    assert not story.take(TerminateAtProvider)
    story.tell(events.PodStopped(pod_id="p1"))
    assert story.pod().state is PodState.STOPPED
    assert story.job().state is JobState.COLLECTING, "it is not lost"
    assert "still on it" in story.notices()
    story.pass_time(100)
    storage = [charge for charge in story.charges if charge.purpose is Purpose.STORAGE]
    assert seconds(storage) > 0, "a stopped pod bills its volume"
    assert all(charge.price_per_hour_usd == 36 for charge in storage)


def test_the_next_contact_starts_a_stopped_pod_fetches_what_is_on_it_and_ends_it() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    made = RemoteFile(node_id="2", filename="x.png")
    node = NodeExecuted(prompt_id=story.job().prompt_id, node_id="2", display_node_id="2", files=(made,), texts=())
    story.hear(node)
    story.over()
    story.tell(commands.StopPod(pod_id="p1", now=False))
    story.tell(job_events.FetchFailed(job_id="j1", attempt=1, why="no space", lost=False))
    story.tell(commands.CloseSession())
    story.tell(events.PodStopped(pod_id="p1"))
    story.take(BootPod)
    story.take(FetchResults)
    story.pass_time(100)
    assert not story.take(FetchResults), "there is nobody to ask"
    story.tell(commands.ResumePod(pod_id="p1"))
    (boot,) = story.take(BootPod)
    assert boot.start
    story.tell(events.PodAddressed(pod_id="p1", address=ADDRESS))
    story.tell(events.PodReady(pod_id="p1", local_port=8188, comfyui_version="x"))
    (fetch,) = story.take(FetchResults)
    assert fetch.made == (made,), "the server was started anew and knows nothing of the prompt"
    assert not story.take(TerminateAtProvider)
    story.fetched()
    assert story.job().state is JobState.DONE
    assert story.take(TerminateAtProvider)


def test_a_gpu_is_not_paid_for_while_results_cannot_be_fetched() -> None:
    """A full disk here: after the idle minutes the pod is stopped, with the results on it."""
    story = Story()
    story.boot(idle_minutes="2")
    story.submit()
    story.run()
    story.over()
    for _ in range(20):
        story.pass_time(6)
        if story.take(FetchResults):
            story.tell(job_events.FetchFailed(job_id="j1", attempt=1, why="No space left.", lost=False))
    story.pass_time(2)
    assert story.take(StopAtProvider)
    assert not story.take(TerminateAtProvider)


def test_stop_now_does_not_wait_for_what_cannot_be_fetched() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    story.tell(job_events.FetchFailed(job_id="j1", attempt=1, why="No space left.", lost=False))
    story.tell(commands.StopPod(pod_id="p1", now=True))
    assert story.take(StopAtProvider)


def test_a_stopped_pod_that_cannot_be_started_keeps_its_results() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.over()
    story.tell(commands.CloseSession())
    story.tell(events.PodStopped(pod_id="p1"))
    story.take(StopAtProvider)
    story.tell(commands.ResumePod(pod_id="p1"))
    story.tell(events.PodBootFailed(pod_id="p1", why="no free GPU on its machine"))
    assert story.take(StopAtProvider)
    assert not story.take(TerminateAtProvider)
    story.tell(events.PodStopped(pod_id="p1"))
    assert story.job().state is JobState.COLLECTING


def test_an_idle_pod_ends_after_its_minutes_and_not_before() -> None:
    story = Story()
    story.boot(idle_minutes="2")
    story.pass_time(119)
    assert not story.take(TerminateAtProvider)
    story.pass_time(2)
    assert story.take(TerminateAtProvider)
    assert "nothing to do for 2 minutes" in story.notices()


def test_work_ends_idleness() -> None:
    story = Story()
    story.boot(idle_minutes="2")
    story.pass_time(100)
    story.submit()
    story.run()
    story.pass_time(100)
    story.over()
    story.fetched()
    story.pass_time(100)
    assert not story.take(TerminateAtProvider)
    story.pass_time(21)
    assert story.take(TerminateAtProvider)


def test_a_pod_that_was_rented_for_a_batch_ends_when_its_last_result_is_here() -> None:
    story = Story()
    story.connect(batch=True)
    story.submit("j1")
    story.submit("j2")
    story.tell(events.PodCreated(pod_id="p1", provider_id="id"))
    story.tell(events.PodAddressed(pod_id="p1", address=ADDRESS))
    story.tell(events.PodReady(pod_id="p1", local_port=1, comfyui_version="x"))
    story.finish("j1")
    assert not story.take(TerminateAtProvider)
    story.finish("j2")
    assert story.take(TerminateAtProvider)


def test_the_session_limit_warns_then_ends_everything_that_bills() -> None:
    """100 dollars at one dollar a second: at most the limit, one tick, and the end of what runs."""
    story = Story(limit_usd="100")
    story.boot()
    story.submit()
    story.run()
    story.pass_time(89)
    assert "90 %" not in story.notices()
    story.pass_time(2)
    assert "90 %" in story.notices()
    story.pass_time(9)
    assert "reached its limit" in story.notices()
    assert story.take(CancelPrompt)
    story.over()
    story.fetched()
    assert story.take(TerminateAtProvider)
    story.tell(events.PodTerminated(pod_id="p1"))
    story.pass_time(50)
    assert Decimal(100) <= story.state.spent_usd[MoneyKind.SIMULATED] <= Decimal(101)


def test_a_session_limit_is_not_held_up_by_a_server_that_does_not_answer() -> None:
    story = Story(limit_usd="10")
    story.boot()
    story.submit()
    story.run()
    story.pass_time(10)
    story.pass_time(32)
    assert story.take(TerminateAtProvider)


def test_a_lost_line_still_bills_and_is_opened_again() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    assert story.pod().state is PodState.LOST
    assert len(story.take(ReopenLine)) == 1
    story.pass_time(9)
    story.tell(events.LineBack(pod_id="p1"))
    assert story.pod().state is PodState.BUSY
    assert story.job().state is JobState.RUNNING
    story.found()
    story.fetched()
    assert story.job().state is JobState.DONE
    assert story.job().spent_usd == 9, "silence is never free"


def test_a_line_lost_while_draining_does_not_forget_the_drain() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.tell(commands.StopPod(pod_id="p1", now=False))
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    story.tell(events.LineBack(pod_id="p1"))
    assert story.pod().state is PodState.DRAINING
    story.found()
    story.fetched()
    assert story.take(TerminateAtProvider)


def test_a_pod_that_is_gone_gives_its_jobs_back_or_fails_them() -> None:
    story = Story()
    story.boot("p1")
    story.boot("p2")
    story.submit("j1", pod_id=None)
    taken_by = story.job("j1").pod_id or ""
    other = {"p1": "p2", "p2": "p1"}[taken_by]
    story.run("j1")
    story.tell(events.LineLost(pod_id=taken_by, why="cut."))
    story.tell(events.PodObserved(pod_id=taken_by, state=ObservedState.TERMINATED, detail="gone"))
    assert story.pod(taken_by).state is PodState.TERMINATED
    assert (story.job("j1").attempt, story.job("j1").pod_id) == (2, other)
    story.run("j1")
    story.tell(events.LineLost(pod_id=other, why="cut."))
    story.tell(events.PodObserved(pod_id=other, state=ObservedState.TERMINATED, detail="gone"))
    assert story.job("j1").state is JobState.FAILED


def test_a_pod_that_is_found_at_another_port_while_it_boots_is_sought_there_later() -> None:
    story = Story()
    story.connect()
    story.tell(events.PodCreated(pod_id="p1", provider_id="id-1"))
    story.tell(events.PodAddressed(pod_id="p1", address=replace(ADDRESS, port=1)))
    story.tell(events.PodAddressed(pod_id="p1", address=ADDRESS))
    story.tell(events.PodReady(pod_id="p1", local_port=8188, comfyui_version="0.12.1"))
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    (reopen,) = story.take(ReopenLine)
    assert reopen.address == ADDRESS


def test_a_pod_found_stopped_is_ended_by_the_rule() -> None:
    story = Story()
    story.boot()
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    story.tell(events.PodObserved(pod_id="p1", state=ObservedState.STOPPED, detail="ended by itself"))
    assert story.take(TerminateAtProvider)


def _watched() -> Story:
    """With pods whose watchdogs stop them when their last job is over."""
    story = Story()
    story.state = replace(story.state, rules=replace(story.state.rules, watchdog=True))
    return story


def _asleep(story: Story, detail: str = "by its own key") -> None:
    """A lid was closed: the line is lost, and when somebody looks again the pod is stopped."""
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    story.tell(events.PodObserved(pod_id="p1", state=ObservedState.STOPPED, detail=detail))
    story.tell(events.PodStopped(pod_id="p1"))


@pytest.mark.parametrize("how_far", ["posted", "accepted", "renders"])
def test_a_pod_that_was_stopped_with_a_job_on_it_is_kept_for_what_the_job_may_have_made(how_far: str) -> None:
    story = _watched()
    story.boot()
    story.submit()
    story.upload()
    if how_far != "posted":
        story.accept()
    if how_far == "renders":
        story.start()
    _asleep(story)
    assert not story.take(TerminateAtProvider)
    assert (story.pod().state, story.job().state) == (PodState.STOPPED, JobState.COLLECTING)
    assert "the results of j1 are still on it" in story.notices()
    story.take(FetchResults)
    story.tell(commands.ResumePod(pod_id="p1"))
    story.tell(events.PodAddressed(pod_id="p1", address=ADDRESS))
    story.tell(events.PodReady(pod_id="p1", local_port=8188, comfyui_version="0.12.1"))
    story.pass_time(1)
    (fetch,) = story.take(FetchResults)
    assert (fetch.attempt, fetch.prompt_id) == (1, story.job().prompt_id), "it is not rendered, and paid, twice"
    story.fetched()
    assert story.job().state is JobState.DONE
    assert story.take(TerminateAtProvider)


def test_a_pod_that_was_stopped_before_its_job_was_posted_has_nothing_of_it() -> None:
    story = _watched()
    story.boot()
    story.submit()
    _asleep(story)
    assert story.take(TerminateAtProvider)
    assert story.job().state is JobState.FAILED


def test_a_job_whose_cancelling_was_under_way_does_not_keep_a_stopped_pod() -> None:
    story = _watched()
    story.boot()
    story.submit()
    story.run()
    story.tell(commands.Cancel(job_id="j1"))
    _asleep(story)
    assert story.take(TerminateAtProvider)
    assert story.job().state is JobState.CANCELLED


def test_a_spot_pod_is_taken_away_in_the_middle_of_a_job_and_is_not_kept() -> None:
    story = _watched()
    story.boot()
    story.state = replace(story.state, pods={"p1": replace(story.pod(), offer=replace(story.pod().offer, spot=True))})
    story.submit()
    story.run()
    _asleep(story, "Outbid")
    assert story.take(TerminateAtProvider)
    assert story.job().state is JobState.FAILED


def test_a_pod_without_a_watchdog_that_is_found_stopped_was_stopped_in_the_middle_of_its_job() -> None:
    """As a pod on this machine whose process was killed."""
    story = Story()
    story.boot()
    story.submit()
    story.run()
    _asleep(story, "killed by SIGKILL")
    assert story.take(TerminateAtProvider)
    assert story.job().state is JobState.FAILED


def test_a_pod_that_stays_unreachable_is_ended() -> None:
    story = Story()
    story.boot(idle_minutes="2")
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    story.pass_time(119)
    assert not story.take(TerminateAtProvider)
    story.pass_time(2)
    assert story.take(TerminateAtProvider)


def test_a_detached_pod_survives_the_close_and_another_does_not() -> None:
    story = Story()
    story.boot("p1")
    story.boot("p2")
    story.tell(commands.DetachPod(pod_id="p1"))
    story.tell(commands.CloseSession())
    assert [effect.pod_id for effect in story.take(TerminateAtProvider)] == ["p2"]


def test_the_owner_lease_is_renewed_while_the_pod_may_bill() -> None:
    story = Story()
    story.boot()
    story.pass_time(20)
    renewed = sum(isinstance(write, LeaseRenewed) for write in story.writes)
    assert renewed == 4
    story.tell(commands.KillPod(pod_id="p1"))
    story.tell(events.PodTerminated(pod_id="p1"))
    story.pass_time(20)
    assert sum(isinstance(write, LeaseRenewed) for write in story.writes) == renewed


@pytest.mark.parametrize(
    "late", [events.PodReady(pod_id="p1", local_port=1, comfyui_version="x"), events.LineBack(pod_id="p1")]
)
def test_late_answers_do_not_bring_a_pod_back(late: events.Message) -> None:
    story = Story()
    story.boot()
    story.tell(commands.KillPod(pod_id="p1"))
    story.tell(late)
    assert story.pod().state is PodState.TERMINATING


def test_results_that_went_with_a_pod_are_made_again_where_there_is_another_pod() -> None:
    story = Story()
    story.boot("p1")
    story.boot("p2")
    for job_id, pod_id in (("j1", None), ("j2", "p1")):
        story.submit(job_id, pod_id=pod_id)
        story.run(job_id)
        story.tell(events.PodMessage(pod_id="p1", event=PromptOver(prompt_id=story.job(job_id).prompt_id)))
        assert story.job(job_id).state is JobState.COLLECTING
    story.tell(job_events.FetchFailed(job_id="j1", attempt=1, why="The line is cut.", lost=False))
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    story.tell(events.PodObserved(pod_id="p1", state=ObservedState.TERMINATED, detail="gone"))
    j1, j2 = story.job("j1"), story.job("j2")
    assert (j1.pod_id, j1.attempt, j1.state, j1.retry_s) == ("p2", 2, JobState.UPLOADING, None)
    assert (j2.state, j2.error) == (JobState.FAILED, "Its results are not here: Pod p1 is gone: gone.")


def test_results_that_a_person_gives_up_with_a_pod_are_made_again_by_the_pods_that_stay() -> None:
    story = Story()
    story.boot("p1")
    story.boot("p2")
    story.submit("j1")
    story.run("j1")
    story.tell(events.PodMessage(pod_id="p1", event=PromptOver(prompt_id=story.job("j1").prompt_id)))
    story.tell(commands.KillPod(pod_id="p1"))
    assert (story.job("j1").pod_id, story.job("j1").attempt) == ("p2", 2)
    assert not story.take(StopAtProvider)


@pytest.mark.parametrize("how", ["kill", "stop now"])
def test_what_a_person_ends_gives_its_jobs_to_the_pods_that_stay(how: str) -> None:
    """As often as a person likes: it is no fault of the job's."""
    story = Story()
    for pod_id in ("p1", "p2", "p3"):
        story.boot(pod_id)
    story.submit("j1")
    for left in ("p1", "p2"):
        assert story.job("j1").pod_id == left
        story.run("j1")
        kill = commands.KillPod(pod_id=left) if how == "kill" else commands.StopPod(pod_id=left, now=True)
        story.tell(kill)
        assert [effect.pod_id for effect in story.take(TerminateAtProvider)] == [left]
        story.tell(events.PodTerminated(pod_id=left))
    assert (story.job("j1").pod_id, story.job("j1").attempt) == ("p3", 3)
    story.tell(commands.KillPod(pod_id="p3"))
    assert story.job("j1").state is JobState.CANCELLED


def test_a_session_that_closes_gives_no_job_to_a_pod_that_ends_as_well() -> None:
    story = Story()
    story.boot("p1")
    story.boot("p2")
    story.submit("j1")
    story.run("j1")
    story.tell(commands.CloseSession())
    story.pass_time(40)
    assert story.job("j1").state is JobState.CANCELLED
    assert {effect.pod_id for effect in story.take(TerminateAtProvider)} == {"p1", "p2"}


def test_each_pod_gets_a_job_before_any_has_a_second_one_behind_it() -> None:
    story = Story()
    for pod_id in ("p1", "p2", "p3"):
        story.boot(pod_id)
    for number in range(1, 9):
        story.submit(f"j{number}")
    assert [story.job(f"j{number}").pod_id for number in range(1, 9)] == [*["p1", "p2", "p3"] * 2, None, None]


def test_jobs_that_ask_for_a_pod_run_there_and_nowhere_else() -> None:
    story = Story()
    story.boot("p1")
    story.boot("p2")
    story.submit("j1", pod_id="p2")
    story.submit("j2", pod_id="p2")
    assert {effect.pod_id for effect in story.take(UploadInputs)} == {"p2"}
    assert not story.take(FetchResults)


def test_a_pod_without_gpu_figures_is_asked_once_and_one_with_them_again() -> None:
    story = Story()
    story.boot()
    story.pass_time(5)
    assert len(story.take(LookAtGpu)) == 1
    use = GpuUse(percent=97, memory_used_gb=20.5, memory_total_gb=48)
    story.tell(events.GpuSeen(pod_id="p1", use=use))
    story.pass_time(5)
    assert len(story.take(LookAtGpu)) == 1
    assert Viewer().snapshot(story.state, Moment(START, story.now_s)).pods["p1"].gpu_use == use
    story.tell(events.GpuSeen(pod_id="p1", use=None))
    story.pass_time(30)
    assert not story.take(LookAtGpu)


def test_a_pod_whose_comfyui_stays_silent_is_ended_and_its_job_says_why() -> None:
    """SSH stands, so it is not lost; but nothing can render there, and it bills."""
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.hear(Disconnected(reason="reset"))
    story.pass_time(14)
    assert "does not answer" not in story.notices()
    story.pass_time(2)
    assert story.notices().count("does not answer, though SSH does") == 1
    story.pass_time(283)
    assert not story.take(TerminateAtProvider)
    story.pass_time(2)
    assert story.take(TerminateAtProvider)
    assert story.job().state is JobState.FAILED
    assert "ComfyUI on pod p1 did not answer for 5 minutes" in story.job().error


def test_a_comfyui_that_comes_back_keeps_its_pod() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.hear(Disconnected(reason="reset"))
    story.pass_time(200)
    story.hear(Connected(client_id="new"))
    assert "ComfyUI on pod p1 answers again." in story.notices()
    story.pass_time(200)
    assert not story.take(TerminateAtProvider)
    assert story.job().state is JobState.RUNNING


def test_a_pod_that_is_to_end_now_does_not_wait_for_a_silent_comfyui() -> None:
    story = Story()
    story.boot()
    story.submit()
    story.run()
    story.hear(Disconnected(reason="reset"))
    story.tell(commands.StopPod(pod_id="p1", now=True))
    story.pass_time(35)
    assert story.take(TerminateAtProvider)
    assert story.job().state is JobState.CANCELLED


def test_a_silent_comfyui_gets_no_new_work() -> None:
    story = Story()
    story.boot()
    story.hear(Disconnected(reason="reset"))
    story.submit()
    assert not story.take(UploadInputs)
    story.hear(Connected(client_id="new"))
    assert [effect.spec.job_id for effect in story.take(UploadInputs)] == ["j1"]


def test_the_time_without_a_line_is_not_counted_as_silence_of_comfyui() -> None:
    story = Story()
    story.boot(idle_minutes="60")
    story.hear(Disconnected(reason="reset"))
    story.tell(events.LineLost(pod_id="p1", why="cut."))
    story.pass_time(400)
    story.tell(events.LineBack(pod_id="p1"))
    story.pass_time(10)
    assert not story.take(TerminateAtProvider)
    assert "does not answer" not in story.notices()


def test_a_machine_that_cannot_be_stopped_is_kept_with_its_results_until_the_session_ends() -> None:
    story = Story()
    story.state = replace(story.state, rules=replace(story.state.rules, can_stop=False))
    story.boot(idle_minutes="1")
    story.submit()
    story.run()
    story.over()
    for _ in range(30):
        story.tell(job_events.FetchFailed(job_id="j1", attempt=1, why="No space left.", lost=False))
        story.pass_time(30)
    assert not story.take(StopAtProvider)
    assert not story.take(TerminateAtProvider)
    assert story.job().state is JobState.COLLECTING
    story.tell(commands.CloseSession())
    assert story.take(TerminateAtProvider)


class TestKeepAlive:
    def test_a_pod_that_rests_gets_its_idle_minutes_again(self) -> None:
        story = Story()
        story.boot(idle_minutes="1")
        story.pass_time(50)
        story.tell(commands.KeepAlive(pod_id="p1"))
        story.pass_time(50)
        assert story.pod().state is PodState.READY
        story.pass_time(11)
        assert story.pod().state is PodState.TERMINATING

    def test_one_that_works_or_ends_goes_on_as_before(self) -> None:
        story = Story()
        story.boot()
        story.submit()
        story.run()
        story.tell(commands.KeepAlive(pod_id="p1"))
        assert story.pod().idle_since_s is None
        story.tell(commands.KillPod(pod_id="p1"))
        before = story.state
        story.tell(commands.KeepAlive(pod_id="p1"))
        story.tell(commands.KeepAlive(pod_id="nobody"))
        assert story.state == before

    def test_limits_stay_in_force(self) -> None:
        story = Story(limit_usd="30")
        story.boot()
        for _ in range(40):
            story.pass_time(1)
            story.tell(commands.KeepAlive(pod_id="p1"))
        assert story.pod().state is PodState.TERMINATING


def test_a_create_that_is_refused_after_its_pod_has_ended_changes_nothing() -> None:
    story = Story()
    story.connect()
    story.tell(commands.KillPod(pod_id="p1"))
    story.tell(events.PodTerminated(pod_id="p1"))
    before = story.state
    story.tell(events.PodNotCreated(pod_id="p1", why="no capacity"))
    assert story.state == before
