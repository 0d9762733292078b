"""How pods end: by a person, while they boot, while they work, and with the session. Nothing is left alive."""

from __future__ import annotations

import threading

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import InternalError, JobFailed, UsageError
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.session.commands import PodRequest
from autopod_nb.storage.ledger import Ledger
from tests.leftovers import left_of
from tests.session.live import Live, threads_of_ours


def test_kill_is_refused_while_results_are_not_here_and_yes_gives_them_up(live: Live) -> None:
    pod_id = live.rent()
    job = live.submit("slow", "unsaved")
    live.until_rendering(job)
    with pytest.raises(UsageError, match=rf"Pod {pod_id} has 1 job.*kill {pod_id} --yes.*stop {pod_id}"):
        live.session.kill(pod_id)
    assert job.state is JobState.RUNNING
    live.session.kill(pod_id, yes=True)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert live.until_over(job).state is JobState.CANCELLED
    assert not left_of(live.home, 5.0)


@pytest.mark.parametrize("state", [PodState.BOOTING, PodState.CONNECTING], ids=lambda state: state.value)
def test_a_pod_that_boots_can_be_killed_and_its_jobs_end(live: Live, state: PodState) -> None:
    pod_id = live.session.connect(live.session.plan(PodRequest()))
    job = live.submit("noise", "early")
    live.until_pod(pod_id, state)
    live.session.kill(pod_id)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert live.until_over(job).state is JobState.CANCELLED
    assert not left_of(live.home, 5.0)
    assert not list((live.home / "pods").glob("autopod-*"))


def test_a_pod_can_be_killed_the_moment_it_was_asked_for(live: Live) -> None:
    pod_id = live.session.connect(live.session.plan(PodRequest()))
    live.session.kill(pod_id)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert not left_of(live.home, 5.0)


def test_stop_delivers_what_runs_and_takes_no_more(live: Live) -> None:
    pod_id = live.rent()
    running = live.submit("slow", "runs", steps=12)
    taken = live.submit("noise", "taken")
    left = live.submit("noise", "left", seed=2)
    live.until_rendering(running)
    assert left.state is JobState.QUEUED
    live.session.stop(pod_id)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert [job.state for job in (running, taken, left)] == [JobState.DONE, JobState.DONE, JobState.CANCELLED]
    assert (live.out / "runs.png").exists()
    assert f"pod {pod_id} takes no more work" in left.error


def test_stop_now_breaks_off_what_runs(live: Live) -> None:
    pod_id = live.rent()
    job = live.submit("slow", "broken-off")
    live.until_rendering(job)
    live.session.stop(pod_id, now=True)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert job.state is JobState.CANCELLED
    assert job.error == f"pod {pod_id} was stopped"


def test_closing_with_a_running_job_leaves_no_process_no_thread_and_true_books(live: Live) -> None:
    pod_id = live.rent()
    job = live.submit("slow", "open-end")
    live.until_rendering(job)
    failures: list[str] = []
    waiter = threading.Thread(target=_wait, args=(live, failures))
    waiter.start()
    live.close()
    waiter.join(10)
    assert not waiter.is_alive()
    assert failures == [f"open-end cancelled: its pod {pod_id} was terminated"]
    assert not left_of(live.home, 5.0)
    assert threads_of_ours() == []
    ledger = Ledger(live.home / LEDGER_NAME)
    assert [pod.state for pod in ledger.read_pods()] == [PodState.TERMINATED]
    assert [row.state for row in ledger.read_jobs()] == [JobState.CANCELLED]
    assert not ledger.pods_that_may_bill()
    assert not list((live.home / "pods").glob(f"*{pod_id}*"))


def _wait(live: Live, failures: list[str]) -> None:
    try:
        live.session.job("open-end").wait(60)
    except JobFailed as error:
        failures.append(str(error))


def test_closing_while_a_pod_boots_leaves_nothing(live: Live) -> None:
    live.session.connect(live.session.plan(PodRequest()))
    live.close()
    assert not left_of(live.home, 5.0)
    assert [pod.state for pod in Ledger(live.home / LEDGER_NAME).read_pods()] == [PodState.TERMINATED]


def test_a_closed_session_says_so(live: Live) -> None:
    live.close()
    live.close()
    with pytest.raises(InternalError, match="This session is closed"):
        live.session.plan(PodRequest())
