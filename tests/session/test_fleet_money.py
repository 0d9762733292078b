"""With a fleet in it, too, no order of faults, ends, crashes and take-overs costs more than allowed or forgets a pod.

The machine and what must never be are those of ``test_money_machine.py``; only the wish is added.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from autopod_nb.models.pod import PodState, may_bill
from autopod_nb.pods.fleet_facts import Aim
from autopod_nb.session import commands
from autopod_nb.session.fleet_state import FleetPlan
from tests.session.money_world import offer
from tests.session.test_money_machine import _LIMIT_USD, _SETTINGS, Money

_MOST_PODS = 3
_GPUS = ("A40", "RTX A6000", "RTX A5000")
_PRICE = Decimal(360)  # ten cents a second: a boot that nothing is known of is within the limit


class FleetMoney(Money):
    """A person also wishes for a fleet, and drops the wish."""

    @precondition(lambda self: self._spent_usd() < _LIMIT_USD)
    @rule(
        aim=st.sampled_from(Aim),
        max_pods=st.integers(1, _MOST_PODS),
        budget=st.none() | st.integers(20, 300),
        batch=st.booleans(),
        gpus=st.integers(1, 3),
        jobs=st.integers(1, 6),
    )
    def wish(
        self,
        *,
        aim: Aim,
        max_pods: int,
        budget: int | None,
        batch: bool,
        gpus: int,
        jobs: int,
    ) -> None:
        plan = FleetPlan(
            offers=tuple(replace(offer(gpu), price_per_hour_usd=_PRICE) for gpu in _GPUS[:gpus]),
            max_pods=max_pods,
            aim=aim,
            budget_usd=None if budget is None else Decimal(budget),
            within_minutes=Decimal(3) if aim is Aim.DEADLINE else None,
            session_limit_usd=Decimal(_LIMIT_USD),
            idle_minutes=Decimal(2),
        )
        self.world.tell(commands.WishFleet(plan=plan, batch=batch))
        self.submit_a_sweep(jobs)

    @precondition(lambda self: self.world.state.fleet is not None)
    @rule(count=st.integers(1, 5))
    def submit_a_sweep(self, count: int) -> None:
        for _ in range(count):
            self.world.submit()
        self.world.pass_time(2)

    @precondition(lambda self: self.world.state.fleet is not None)
    @rule()
    def drop(self) -> None:
        self.world.tell(commands.DropFleet())

    def _run_out(self) -> None:
        super()._run_out()
        bills = [pod for pod in self.world.state.pods.values() if may_bill(pod.state) or pod.state is PodState.PLANNED]
        assert bills == []


class TestFleetMoney(FleetMoney.TestCase):  # type: ignore[misc, valid-type] # made by hypothesis
    """In the time that a test may take."""

    settings = settings(_SETTINGS, max_examples=40)
