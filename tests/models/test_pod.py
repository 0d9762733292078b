"""The life of a pod as one table: what it may do, what it may not, and that it can always be ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from autopod_nb.errors import IllegalTransition
from autopod_nb.models.pod import POD_TABLE, PodEvent, PodState, is_over, may_bill, next_pod_state
from tests.models.machine import exits, moves, reachable

S, E = PodState, PodEvent
_BILLING = [state for state in S if may_bill(state)]


@given(st.sampled_from(S), st.sampled_from(E))
def test_a_pair_is_in_the_table_or_raises_and_names_both(state: PodState, event: PodEvent) -> None:
    if (state, event) in POD_TABLE:
        assert next_pod_state(state, event) is POD_TABLE[state, event]
        return
    before = dict(POD_TABLE)
    with pytest.raises(IllegalTransition, match=f"'{state.value}' cannot take '{event.value}'"):
        next_pod_state(state, event)
    assert before == POD_TABLE


class APod(RuleBasedStateMachine):
    """Any events in any order: what is refused changes nothing, and the end is final."""

    def __init__(self) -> None:
        super().__init__()
        self.state = S.PLANNED
        self.was_over = False

    @rule(event=st.sampled_from(E))
    def happens(self, event: PodEvent) -> None:
        before = self.state
        try:
            self.state = next_pod_state(self.state, event)
        except IllegalTransition:
            assert self.state is before
        else:
            assert not self.was_over, f"{event} after the end"
        self.was_over = is_over(self.state)

    @invariant()
    def can_be_ended(self) -> None:
        """At most two events from anywhere: ask for the end, hear of it."""
        state = self.state
        if not is_over(state):
            state = state if state is S.TERMINATING else next_pod_state(state, E.TERMINATE)
            assert next_pod_state(state, E.TERMINATED) is S.TERMINATED

    @invariant()
    def silence_is_billing(self) -> None:
        if may_bill(self.state) and self.state not in (S.TERMINATING, S.LOST):
            assert may_bill(next_pod_state(self.state, E.CONTACT_LOST))


TestAnyEventsInAnyOrder = APod.TestCase


def test_every_state_can_be_reached_and_none_is_a_trap() -> None:
    assert reachable(POD_TABLE, S.PLANNED) == set(S)
    assert all(S.TERMINATED in reachable(POD_TABLE, state) for state in S)


def test_what_may_bill_can_be_terminated() -> None:
    asked = moves(POD_TABLE, S, E.TERMINATE)
    assert set(asked.values()) == {S.TERMINATING}
    assert set(_BILLING) <= {*asked, S.TERMINATING}
    assert set(asked) == set(S) - {S.TERMINATING, S.TERMINATED}


def test_only_a_pod_that_was_never_asked_for_is_stopped_or_gone_bills_nothing() -> None:
    assert set(S) - set(_BILLING) == {S.PLANNED, S.STOPPED, S.TERMINATED}


def test_the_end_has_no_way_out_and_a_stop_only_back_to_life_or_to_the_end() -> None:
    assert exits(POD_TABLE, S.TERMINATED) == set()
    assert exits(POD_TABLE, S.STOPPED) == {S.BOOTING, S.TERMINATING}
    assert [state for state in S if is_over(state)] == [S.TERMINATED]


def test_silence_makes_a_billing_pod_lost_and_never_stopped() -> None:
    lost = moves(POD_TABLE, S, E.CONTACT_LOST)
    assert set(lost.values()) == {S.LOST}
    assert set(lost) == set(_BILLING) - {S.TERMINATING, S.LOST}, "one that is being terminated is asked again anyway"
    assert exits(POD_TABLE, S.LOST) == {S.READY, S.STOPPING, S.TERMINATING, S.TERMINATED}


def test_only_a_pod_that_is_ready_gets_work() -> None:
    assert moves(POD_TABLE, S, E.WORK) == {S.READY: S.BUSY}


def test_a_pod_is_stopped_only_when_it_was_asked_to_stop() -> None:
    assert moves(POD_TABLE, S, E.STOPPED) == {S.STOPPING: S.STOPPED}
    assert S.STOPPING not in {after for (_, event), after in POD_TABLE.items() if event is not E.STOP}


def test_the_way_of_a_pod_that_does_a_job_and_ends() -> None:
    state = S.PLANNED
    for event, after in [
        (E.INTENT_WRITTEN, S.REQUESTED),
        (E.CREATED, S.BOOTING),
        (E.SSH_ADDRESS, S.CONNECTING),
        (E.COMFY_READY, S.READY),
        (E.WORK, S.BUSY),
        (E.WORK_DONE, S.READY),
        (E.DRAIN, S.DRAINING),
        (E.STOP, S.STOPPING),
        (E.STOPPED, S.STOPPED),
        (E.START, S.BOOTING),
        (E.TERMINATE, S.TERMINATING),
        (E.TERMINATED, S.TERMINATED),
    ]:
        state = next_pod_state(state, event)
        assert state is after
