"""Logs of a pod, and several jobs as one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from autopod_nb.errors import JobFailed, UsageError
from autopod_nb.models.job import JobState
from autopod_nb.session.handle import Batch
from autopod_nb.storage.ledger import Ledger
from tests.session.live import Live


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("logs"))
    live.rent()
    yield live
    live.close()


def test_the_log_of_comfyui_comes_through_the_tunnel_and_is_cut_to_its_last_lines(live: Live) -> None:
    live.until_over(live.submit("noise", "logged"))
    lines = live.session.logs()
    assert any("got prompt" in line for line in lines)
    assert live.session.logs(lines=1) == lines[-1:]


def test_the_log_is_read_by_ssh_when_comfyui_does_not_answer(live: Live, tmp_path: Path) -> None:
    other = Live(tmp_path)
    try:
        pod_id = other.rent()
        other.until_over(other.submit("noise", "before"))

        os.kill(other.process(pod_id, ".engine_main"), signal.SIGKILL)
        assert any("got prompt" in line for line in other.session.logs())
    finally:
        other.close()


def test_the_providers_log_of_the_pod_can_be_read(live: Live) -> None:
    assert live.session.pod_logs(lines=5)


def test_the_log_of_no_pod_is_a_mistake_in_one_line(live: Live) -> None:
    with pytest.raises(UsageError, match="No pod 'nope'"):
        live.session.logs("nope")


def test_a_batch_waits_for_all_and_names_those_that_failed(live: Live) -> None:
    """One failure does not stop the rest, nor hide them."""
    jobs = [live.submit("noise", "b1", seed=11), live.submit("fails", "b2"), live.submit("noise", "b3", seed=12)]
    batch = Batch(jobs)
    with pytest.raises(JobFailed, match=r"1 of 3 jobs: b2 failed"):
        batch.wait(60)
    assert batch.over
    assert batch.states == {"b1": JobState.DONE, "b2": JobState.FAILED, "b3": JobState.DONE}
    assert [len(files["picture"]) for name, files in batch.outputs.items() if files] == [1, 1]
    assert batch.cost_usd == sum(job.cost_usd for job in jobs)
    assert repr(batch) == "3 jobs: 2 done, 1 failed"


def test_the_ledger_can_be_waited_for(live: Live) -> None:
    """The snapshot is ahead of the books: who reads the books after a job waits for them."""
    for number in range(5):
        live.until_over(live.submit("noise", f"written{number}", seed=100 + number))
        assert live.session.wait_written()
        newest = Ledger(live.session.ledger_path).read_jobs()[-1]
        assert (newest.job_id, newest.state) == (f"written{number}", JobState.DONE)
