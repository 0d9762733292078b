"""No order of faults, ends, crashes and take-overs makes a second pod, a forgotten one, or a limit that is not kept.

A second costs a dollar. The world and what is real in it: ``money_world.py``.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState, is_over, may_bill
from autopod_nb.session import commands
from autopod_nb.session.costs_now import session_cost
from tests.session.money_world import World

_LIMIT_USD = 300
_OVERSHOOT_S = 2  # at most, times the price of everything that runs
_MOST_PODS = 4  # three, and one that takes the place of another
_FAULT_S = 6  # until what failed is tried again
_FAULTS = {
    "create": ["lost", "after:lost", "capacity"],
    "describe": ["error"],
    "list": ["error"],
    "stop": ["error", "after:error"],
    "terminate": ["error", "after:error"],
}
_ANY_FAULT = st.sampled_from([(method, fault) for method, faults in _FAULTS.items() for fault in faults])


class Money(RuleBasedStateMachine):
    """What a person does, what the world does to it, and what must never be."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(limit_usd=str(_LIMIT_USD))
        self.excused_s = 0.0  # how long pods may have billed with nobody who could have ended them

    def _some(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(list(self.world.state.pods)))

    # --- a person -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self._spent_usd() < _LIMIT_USD)  # as the session's door refuses it
    @precondition(lambda self: sum(not is_over(pod.state) for pod in self.world.state.pods.values()) < 3)
    @rule(batch=st.booleans())
    def connect(self, batch: bool) -> None:  # noqa: FBT001 - hypothesis hands it in by name
        self.world.connect(batch=batch)

    @rule(limit=st.none() | st.integers(1, 200))
    def submit(self, limit: int | None) -> None:
        self.world.submit(limit_usd=limit)

    @precondition(lambda self: self.world.state.pods)
    @rule(data=st.data(), how=st.sampled_from(["drain", "now", "kill"]))
    def end(self, data: st.DataObject, how: str) -> None:
        pod_id = self._some(data)
        if how == "kill":
            self.world.tell(commands.KillPod(pod_id=pod_id))
        else:
            self.world.tell(commands.StopPod(pod_id=pod_id, now=how == "now"))

    # --- the world ----------------------------------------------------------------------------------------------------

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    @rule(fault=_ANY_FAULT, times=st.integers(1, 3))
    def plan_a_fault(self, fault: tuple[str, str], times: int) -> None:
        method, what = fault
        self.world.provider.plans.setdefault(method, []).extend([what] * times)
        self.excused_s += times * _FAULT_S

    @rule(boots=st.booleans(), lag_s=st.sampled_from([0.0, 5.0, 30.0]))
    def the_next_pod(self, boots: bool, lag_s: float) -> None:  # noqa: FBT001 - as above
        self.world.provider.next_boots, self.world.provider.next_lag_s = boots, lag_s
        self.excused_s += lag_s

    @precondition(lambda self: self.world.provider.bills())
    @rule(data=st.data())
    def a_pod_vanishes(self, data: st.DataObject) -> None:
        living = [name for name, pod in self.world.provider.pods.items() if pod.ended_s is None]
        self.world.vanish(data.draw(st.sampled_from(living)))

    @precondition(lambda self: any(pod.local_port for pod in self.world.state.pods.values()))
    @rule(data=st.data(), mends=st.booleans())
    def a_line_is_cut(self, data: st.DataObject, mends: bool) -> None:  # noqa: FBT001 - as above
        pods = [pod.pod_id for pod in self.world.state.pods.values() if pod.local_port]
        self.world.cut(data.draw(st.sampled_from(pods)))
        if mends:
            self.world.mend()

    @rule(after_s=st.integers(21, 50))
    def the_process_dies_and_another_takes_over(self, after_s: int) -> None:
        self.world.crash_and_adopt(after_s)
        self.excused_s += after_s

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def one_intent_has_one_pod(self) -> None:
        names = [pod.name for pod in self.world.provider.pods.values()]
        assert len(names) == len(set(names))

    @invariant()
    def what_is_called_over_bills_nothing(self) -> None:
        """Neither the session nor the ledger says so of a pod that is still paid for."""
        bills = set(self.world.provider.bills())
        over = {pod.name for pod in self.world.state.pods.values() if pod.state is PodState.TERMINATED}
        written = {row.name for row in self.world.ledger.read_pods() if row.state is PodState.TERMINATED}
        assert not bills & (over | written)

    @invariant()
    def what_bills_is_in_the_ledger(self) -> None:
        known = {row.name for row in self.world.ledger.pods_that_may_bill()}
        assert set(self.world.provider.bills()) <= known

    @invariant()
    def the_limit_of_a_session_is_kept(self) -> None:
        """But for the time in which no process was there, or the provider did not do what it was asked for."""
        assert self._spent_usd() <= _LIMIT_USD + _MOST_PODS * (_OVERSHOOT_S + self.excused_s)

    @invariant()
    def a_job_that_is_done_has_its_result(self) -> None:
        for job in self.world.state.jobs.values():
            assert (job.state is JobState.DONE) <= bool(job.results), job

    def teardown(self) -> None:
        """However it stands: when the world is well again, the rules end every bill, and nobody need ask for it."""
        try:
            self._run_out()
        finally:
            self.world.close()

    def _run_out(self) -> None:
        world = self.world
        world.provider.plans.clear()
        world.mend()
        for _ in range(12):  # idle rules of two minutes, boots of three, jobs of half a minute, fall-backs
            world.pass_time(100)
            if not (world.provider.bills() or self._believed()):
                break
        assert world.provider.bills() == (), [(pod.name, pod.state, pod.phase) for pod in world.state.pods.values()]
        assert self._believed() == []
        self.the_limit_of_a_session_is_kept()

    def _spent_usd(self) -> Decimal:
        """By the session's books; a second costs a dollar."""
        state = self.world.state
        return session_cost(
            state.spent_usd.get(MoneyKind.REAL, Decimal(0)), state.pods.values(), MoneyKind.REAL, self.world.clock.s
        )

    def _believed(self) -> list[str]:
        """Pods that may be paid for, as the session sees it."""
        return [
            f"{pod.name} {pod.state.value} {pod.phase}" for pod in self.world.state.pods.values() if may_bill(pod.state)
        ]


_SETTINGS = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


class TestMoney(Money.TestCase):  # type: ignore[misc, valid-type] # made by hypothesis
    """In the time that a test may take."""

    settings = _SETTINGS


@pytest.mark.slow
class TestMoneyForLong(Money.TestCase):  # type: ignore[misc, valid-type] # the same
    """Five hundred times."""

    settings = settings(_SETTINGS, max_examples=500)
