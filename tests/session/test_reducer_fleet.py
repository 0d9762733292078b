"""What a session does with a wish for a fleet: who gets which job, which pods are started, and which are ended.

A second of a pod costs a dollar, a job takes a minute, a boot twenty seconds, unless a test says otherwise.
"""

from __future__ import annotations

from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.pods.fleet_facts import Aim
from autopod_nb.session import commands, events
from autopod_nb.session.effects import CreatePod, ReadRuns, UploadInputs
from autopod_nb.session.job_events import StepFailed
from tests.session.fleet_story import BOOT_S, FleetStory

# --- starting ---------------------------------------------------------------------------------------------------------


def test_nothing_is_rented_before_a_job_waits() -> None:
    story = FleetStory()
    story.wish(batch=False)
    story.pass_time(60)
    assert not story.state.pods
    assert not story.take(CreatePod)


def test_cheapest_starts_one_pod_for_a_sweep_and_not_one_a_job() -> None:
    """A second pod would cost a second boot and save nothing."""
    story = FleetStory()
    story.wish(3)
    story.queue("j1", "j2", "j3", "j4", "j5")
    (pod,) = story.live()
    assert pod.state is PodState.REQUESTED
    assert story.take(CreatePod)[0].pod_id == pod.pod_id
    assert pod.ends_after_batch
    assert pod.limit_usd == story.state.rules.pod_limit_usd
    assert "is started for 5 jobs" in story.notices()


def test_the_first_jobs_of_a_sweep_wait_for_the_others_before_a_pod_is_chosen() -> None:
    story = FleetStory()
    story.wish(3)
    story.submit("j1")
    story.read()
    story.submit("j2")
    assert not story.state.pods
    story.pass_time(1)
    assert "is started for 2 jobs" in story.notices()


def test_no_pod_is_chosen_before_the_ledger_was_read() -> None:
    story = FleetStory()
    story.wish(3)
    story.submit("j1")
    story.pass_time(5)
    assert not story.state.pods
    assert len(story.take(ReadRuns)) == 1, "it is asked once"
    story.tell(events.RunsSeen(known=None))  # it cannot be read: guesses do
    story.pass_time(1)
    assert len(story.live()) == 1


def test_a_ledger_that_never_answers_is_not_waited_for() -> None:
    story = FleetStory()
    story.wish(3)
    story.submit("j1")
    story.pass_time(15)
    assert len(story.live()) == 1


def test_a_deadline_starts_as_many_pods_as_it_takes() -> None:
    """Four jobs of a minute in two minutes and a half: one pod needs more than four."""
    story = FleetStory()
    story.wish(3, aim=Aim.DEADLINE, minutes="2.5")
    story.queue("j1", "j2", "j3", "j4")
    assert len(story.live()) == 2


def test_never_more_pods_than_allowed_even_if_the_deadline_is_missed() -> None:
    story = FleetStory()
    story.wish(2, aim=Aim.DEADLINE, minutes="1.5")
    story.queue(*(f"j{number}" for number in range(12)))
    for _ in range(5):
        story.wait_a_tick()
    assert len(story.live()) == 2
    assert "the deadline cannot be kept" in story.notices()


def test_fastest_spends_its_budget_and_no_more() -> None:
    story = FleetStory()
    story.wish(3, aim=Aim.FASTEST, budget_usd="260")
    story.queue("j1", "j2", "j3")
    assert len(story.live()) == 3, "180 of work and three boots of 20"
    assert story.fleet.cost_usd <= 260
    frugal = FleetStory()
    frugal.wish(3, aim=Aim.FASTEST, budget_usd="205")
    frugal.queue("j1", "j2", "j3")
    assert len(frugal.live()) == 1


def test_ids_are_made_from_the_session_and_a_number() -> None:
    """The same story gives the same pods: a reducer knows no chance."""
    names = []
    for _ in range(2):
        story = FleetStory()
        story.wish(3, aim=Aim.DEADLINE, minutes="2.5")
        story.queue("j1", "j2", "j3", "j4")
        names.append([(pod.pod_id, pod.name) for pod in story.live()])
    assert names[0] == names[1]
    assert len({name for _, name in names[0]}) == len(names[0]) == 2


def test_pods_that_were_there_before_count_and_get_work() -> None:
    story = FleetStory()
    story.boot("p1")
    story.wish(1)
    story.queue("j1", "j2", "j3")
    assert [pod.pod_id for pod in story.live()] == ["p1"]
    assert story.pod("p1").active == ("j1", "j2")


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_a_pod_that_comes_up_gets_as_many_jobs_as_it_may_have_at_once() -> None:
    story = FleetStory()
    story.wish(1)
    story.queue("j1", "j2", "j3")
    (pod,) = story.live()
    story.come_up(pod.pod_id)
    assert story.pod(pod.pod_id).active == ("j1", "j2")
    assert [effect.spec.job_id for effect in story.take(UploadInputs)] == ["j1", "j2"]
    story.work_off(pod.pod_id)
    assert "j3" in story.pod(pod.pod_id).active, "its place is filled at once"


def test_a_job_that_wishes_for_a_pod_gets_that_pod() -> None:
    story = FleetStory()
    story.boot("p1")
    story.boot("p2")
    story.wish(3)
    story.submit("j1", pod_id="p2")
    story.submit("j2", pod_id="p2")
    story.wait_a_tick()
    assert story.pod("p2").active == ("j1", "j2")
    assert not story.pod("p1").active


def test_a_job_for_a_pod_that_is_gone_fails_and_does_not_wait_for_ever() -> None:
    story = FleetStory()
    story.boot("p1")
    story.tell(commands.KillPod(pod_id="p1"))
    story.wish(3)
    story.submit("j1", pod_id="p1")
    assert story.job("j1").state is JobState.FAILED


def test_a_pod_whose_line_just_failed_rests() -> None:
    story = FleetStory()
    story.wish(1)
    story.queue("j1", "j2", "j3")
    (pod,) = story.live()
    story.come_up(pod.pod_id)
    story.tell(_line_failed("j1"))
    assert "j1" not in story.pod(pod.pod_id).active
    story.pass_time(1)
    assert "j1" not in story.pod(pod.pod_id).active, "it rests for two seconds"
    story.pass_time(2)
    assert "j1" in story.pod(pod.pod_id).active
    assert story.live()[0].pod_id == pod.pod_id, "nothing is ended for that"


def _line_failed(job_id: str) -> events.Message:
    return StepFailed(job_id=job_id, attempt=1, why="cut.", line_at_fault=True)


# --- ending -----------------------------------------------------------------------------------------------------------


def test_pods_of_a_batch_end_when_nothing_is_left_and_the_wish_is_over_then() -> None:
    story = FleetStory()
    story.wish(1)
    story.queue("j1", "j2")
    (pod,) = story.live()
    story.come_up(pod.pod_id)
    story.work_off(pod.pod_id)
    story.work_off(pod.pod_id)
    assert story.pod(pod.pod_id).state is PodState.TERMINATING
    assert story.job("j2").state is JobState.DONE
    story.confirm_ends()
    story.pass_time(1)
    assert story.state.fleet is None
    assert not story.live()


def test_a_pod_that_boots_for_nothing_is_ended() -> None:
    story = FleetStory()
    story.wish(3)
    story.queue("j1")
    (pod,) = story.live()
    story.tell(events.PodCreated(pod_id=pod.pod_id, provider_id="id"))
    story.tell(commands.Cancel(job_id="j1"))
    story.pass_time(2)
    assert story.pod(pod.pod_id).state is PodState.TERMINATING
    assert "no job needs it any more" in story.notices()


def test_in_interactive_use_a_pod_waits_as_long_as_a_boot_costs() -> None:
    story = FleetStory()
    story.wish(1, batch=False)
    story.queue("j1")
    (pod,) = story.live()
    story.come_up(pod.pod_id)
    story.work_off(pod.pod_id)
    story.pass_time(BOOT_S - 2)
    assert story.pod(pod.pod_id).state is PodState.READY
    story.pass_time(4)
    assert story.pod(pod.pod_id).state in (PodState.DRAINING, PodState.TERMINATING)
    assert story.state.fleet is not None, "the wish stays for what comes"


def test_a_persons_own_pod_is_not_ended_for_want_of_work() -> None:
    story = FleetStory()
    story.boot("p1", idle_minutes="10")
    story.wish(2, batch=False)
    story.queue("j1")
    story.work_off("p1")
    story.pass_time(BOOT_S * 4)
    assert story.pod("p1").state is PodState.READY


def test_who_ends_a_pod_gets_no_other_in_its_place() -> None:
    story = FleetStory()
    story.wish(3, aim=Aim.DEADLINE, minutes="2.5")
    story.queue("j1", "j2", "j3", "j4")
    first, second = story.live()
    story.come_up(first.pod_id)
    story.come_up(second.pod_id)
    story.tell(commands.StopPod(pod_id=first.pod_id, now=True))
    assert story.fleet.plan.max_pods == 1
    assert all(job.state is not JobState.CANCELLED for job in story.state.jobs.values()), "the other takes them"
    story.pass_time(5)
    story.tell(commands.KillPod(pod_id=second.pod_id))
    assert story.state.fleet is None
    story.confirm_ends()
    story.pass_time(5)
    assert not story.live()
    assert all(job.state is JobState.CANCELLED for job in story.state.jobs.values() if not job.results)


def test_who_wants_no_more_pods_lets_those_that_are_there_finish() -> None:
    story = FleetStory()
    story.wish(3)
    story.queue("j1", "j2", "j3")
    (pod,) = story.live()
    story.come_up(pod.pod_id)
    story.tell(commands.DropFleet())
    for _ in range(3):
        story.work_off(pod.pod_id)
    assert [job.state for job in story.state.jobs.values()] == [JobState.DONE] * 3
    assert story.pod(pod.pod_id).state is PodState.TERMINATING, "it was rented for a batch"


def test_without_a_pod_waiting_jobs_end_with_the_wish() -> None:
    story = FleetStory()
    story.wish(3, budget_usd="10")
    story.queue("j1")
    story.tell(commands.DropFleet())
    assert story.job("j1").state is JobState.CANCELLED


def test_closing_the_session_starts_nothing_any_more() -> None:
    story = FleetStory()
    story.wish(3)
    story.queue("j1", "j2", "j3")
    story.tell(commands.CloseSession())
    story.confirm_ends()
    story.pass_time(5)
    assert all(pod.state is PodState.TERMINATING for pod in story.live()), "create was not answered yet"
    assert len(story.state.pods) == 1


# --- wishes -----------------------------------------------------------------------------------------------------------


def test_a_new_wish_takes_the_place_of_the_old_one() -> None:
    story = FleetStory()
    story.wish(3)
    story.queue("j1")
    story.wish(1, budget_usd="500", batch=False)
    assert story.fleet.plan.max_pods == 1
    assert not story.fleet.batch
    story.wish(2)
    assert not story.fleet.batch, "who wanted pods to stay still does"


def test_without_a_wish_jobs_are_handed_out_as_ever() -> None:
    story = FleetStory()
    story.boot("p1")
    story.boot("p2")
    for job_id in ("j1", "j2", "j3", "j4"):
        story.submit(job_id)
    assert story.pod("p1").active == ("j1", "j3")
    assert story.pod("p2").active == ("j2", "j4")
