"""When waiting ends, and which lines it prints: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autopod_nb.magics.waiting import News, is_settled
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Progress
from tests.widgets.views import DONE, POD, RUNNING, snapshot

READY = replace(POD, state=PodState.READY)


@pytest.mark.parametrize("state", [PodState.READY, PodState.TERMINATED, PodState.STOPPED, PodState.LOST])
def test_without_work_a_pod_that_stays_needs_no_waiting(state: PodState) -> None:
    assert is_settled(snapshot(DONE, pods=(replace(POD, state=state),)))


@pytest.mark.parametrize(
    "state",
    [
        PodState.PLANNED,
        PodState.REQUESTED,
        PodState.BOOTING,
        PodState.CONNECTING,
        PodState.DRAINING,
        PodState.STOPPING,
        PodState.TERMINATING,
    ],
)
def test_a_pod_that_boots_or_ends_is_waited_for(state: PodState) -> None:
    assert not is_settled(snapshot(DONE, pods=(replace(POD, state=state),)))


def test_a_pod_that_ends_after_its_jobs_is_waited_for_until_it_is_gone() -> None:
    pod = replace(READY, ends_after_batch=True)
    assert not is_settled(snapshot(DONE, pods=(pod,)))
    assert is_settled(snapshot(DONE, pods=(replace(pod, state=PodState.TERMINATED),)))


def test_named_jobs_are_waited_for_and_no_others() -> None:
    other = replace(RUNNING, job_id="other")
    now = snapshot(DONE, other, pods=(replace(POD, state=PodState.BOOTING),))
    assert is_settled(now, ["portrait"])
    assert not is_settled(now, ["portrait", "other"])
    assert not is_settled(now, ["not-there-yet"])


def lines(news: News, percent: float | None) -> list[str]:
    view = replace(RUNNING, progress=Progress(percent=percent, node_title="frame"))
    return news.lines(snapshot(view, pods=(READY,)))


def test_a_line_comes_with_every_ten_percent_and_not_in_between() -> None:
    news = News(snapshot(pods=(READY,)))
    told = [bool(lines(news, percent)) for percent in (0, 3, 9.9, 10, 15, 19.9, 47, 100, 100)]
    assert told == [True, False, False, True, False, False, True, True, False]


def test_what_was_there_before_is_not_told_again_and_what_ends_is() -> None:
    news = News(snapshot(DONE, RUNNING, pods=(READY,), texts=("old",)))
    assert [line.split(":")[0] for line in news.lines(snapshot(RUNNING, pods=(READY,), texts=("old",)))] == ["portrait"]
    assert "done" in news.lines(snapshot(DONE, pods=(READY,), texts=("old",)))[0]


def test_ready_and_busy_are_the_same_to_one_who_waits_for_jobs() -> None:
    news = News(snapshot(pods=(READY,)))
    assert news.lines(snapshot(pods=(POD,))) == []
    assert "terminating" in news.lines(snapshot(pods=(replace(POD, state=PodState.TERMINATING),)))[0]


def test_new_warnings_are_told_once() -> None:
    news = News(snapshot(pods=(READY,)))
    assert news.lines(snapshot(pods=(READY,), texts=("No progress.",))) == ["warning: No progress."]
    assert news.lines(snapshot(pods=(READY,), texts=("No progress.",))) == []


def test_other_jobs_are_not_told_when_some_are_named() -> None:
    news = News(snapshot(pods=(READY,)), ["mine"])
    mine = replace(RUNNING, job_id="mine", state=JobState.UPLOADING)
    assert [line.split(":")[0] for line in news.lines(snapshot(RUNNING, mine, pods=(READY,)))] == ["mine"]
