"""The life of a job as one table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from autopod_nb.errors import IllegalTransition
from autopod_nb.models.job import JOB_TABLE, JobEvent, JobState, job_is_over, next_job_state
from tests.models.machine import exits, moves, reachable

S, E = JobState, JobEvent
_OVER = {S.DONE, S.FAILED, S.CANCELLED}


@given(st.sampled_from(S), st.sampled_from(E))
def test_a_pair_is_in_the_table_or_raises_and_names_both(state: JobState, event: JobEvent) -> None:
    if (state, event) in JOB_TABLE:
        assert next_job_state(state, event) is JOB_TABLE[state, event]
        return
    before = dict(JOB_TABLE)
    with pytest.raises(IllegalTransition, match=f"'{state.value}' cannot take '{event.value}'"):
        next_job_state(state, event)
    assert before == JOB_TABLE


class AJob(RuleBasedStateMachine):
    """Any events in any order: what is refused changes nothing, an end is final, results come before done."""

    def __init__(self) -> None:
        super().__init__()
        self.state = S.QUEUED
        self.seen = [S.QUEUED]

    @rule(event=st.sampled_from(E))
    def happens(self, event: JobEvent) -> None:
        before = self.state
        try:
            self.state = next_job_state(self.state, event)
        except IllegalTransition:
            assert self.state is before
            return
        assert not job_is_over(before), f"{event} after the end"
        self.seen.append(self.state)
        if self.state is S.DONE:
            assert self.seen[-2] is S.COLLECTING
            assert self.seen.count(S.COLLECTING) == 1


TestAnyEventsInAnyOrder = AJob.TestCase


def test_every_state_can_be_reached_and_every_one_can_come_to_each_end() -> None:
    assert reachable(JOB_TABLE, S.QUEUED) == set(S)
    for state in set(S) - _OVER:
        assert reachable(JOB_TABLE, state) >= _OVER


def test_an_end_has_no_way_out() -> None:
    assert {state for state in S if job_is_over(state)} == _OVER
    assert all(exits(JOB_TABLE, state) == set() for state in _OVER)


def test_whatever_is_not_over_can_fail_and_be_cancelled() -> None:
    active = set(S) - _OVER
    assert moves(JOB_TABLE, S, E.FAIL) == dict.fromkeys(active, S.FAILED)
    assert moves(JOB_TABLE, S, E.CANCEL) == dict.fromkeys(active, S.CANCELLED)


def test_a_pod_that_is_gone_gives_back_what_is_not_here() -> None:
    """What is being collected, too: of a pod that is gone no volume is left."""
    taken = (S.UPLOADING, S.SUBMITTED, S.RUNNING, S.COLLECTING)
    assert moves(JOB_TABLE, S, E.POD_LOST) == dict.fromkeys(taken, S.QUEUED)


def test_a_job_that_was_cached_or_ended_unseen_is_collected_without_having_run() -> None:
    assert moves(JOB_TABLE, S, E.ENDED) == dict.fromkeys((S.SUBMITTED, S.RUNNING), S.COLLECTING)
