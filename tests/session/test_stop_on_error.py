"""The rule that one failure ends a batch, with a real pod."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.session.handle import Batch
from autopod_nb.session.stop_on_error import stop_on_error
from tests.session.live import WITHIN_S, Live


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("stop"))
    live.rent()
    yield live
    live.close()


def test_when_one_job_fails_those_of_its_batch_that_are_not_over_are_cancelled_and_no_others(live: Live) -> None:
    done = live.submit("noise", "good", seed=21)
    live.until_over(done)
    specs = [live.spec("fails", "bad"), live.spec("slow", "next"), live.spec("slow", "last")]
    jobs = live.session.submit_all(specs)
    other = live.submit("noise", "other", seed=22)
    watch = stop_on_error(live.session, Batch([done, *jobs]))
    states = [live.until_over(job).state for job in (*jobs, other)]
    assert states == [JobState.FAILED, JobState.CANCELLED, JobState.CANCELLED, JobState.DONE]
    assert done.state is JobState.DONE
    assert watch.join(WITHIN_S)


def test_what_a_person_cancels_stops_nothing_and_the_watch_ends_with_the_batch(live: Live) -> None:
    jobs = [live.submit("slow", "unwanted"), live.submit("noise", "wanted", seed=23)]
    watch = stop_on_error(live.session, Batch(jobs))
    live.until_rendering(jobs[0])
    jobs[0].cancel()
    assert [live.until_over(job).state for job in jobs] == [JobState.CANCELLED, JobState.DONE]
    assert watch.join(WITHIN_S)


def test_the_watch_ends_with_the_session(live: Live) -> None:
    watch = stop_on_error(live.session, Batch([live.submit("slow", "endless")]))
    live.close()
    assert watch.join(WITHIN_S)
