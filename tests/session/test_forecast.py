"""What jobs are going to cost, against what the limits leave. A minute costs a cent here."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.errors import LimitReached
from autopod_nb.models.job import JobSpec, PodConfig
from autopod_nb.models.money import MoneyKind
from autopod_nb.session.forecast import Budget, forecast_usd, refuse_what_does_not_fit

PRICE = Decimal("0.60")
USUAL = {"clip": 600.0}  # ten cents each


def jobs(count: int, *, template: str = "clip", max_cost: str | None = None) -> list[JobSpec]:
    config = PodConfig(max_cost_usd=None if max_cost is None else Decimal(max_cost))
    return [
        JobSpec(
            job_id=f"j{number}", workflow_template=template, outputs={"video": Path(f"{number}.mp4")}, pod_config=config
        )
        for number in range(count)
    ]


def check(specs: list[JobSpec], *, left: str = "100", limit: str = "100") -> None:
    budget = Budget(name="day", limit_usd=Decimal(limit), left_usd=Decimal(left), option="X")
    refuse_what_does_not_fit(specs, USUAL, price_per_hour_usd=PRICE, kind=MoneyKind.REAL, budgets=[budget])


def test_what_fits_is_let_through_to_the_cent() -> None:
    check(jobs(5), left="0.50")
    with pytest.raises(LimitReached):
        check(jobs(5), left="0.49")


def test_the_refusal_says_what_it_costs_what_is_left_and_what_would_fit() -> None:
    with pytest.raises(LimitReached) as caught:
        check(jobs(5), left="0.25", limit="2")
    assert str(caught.value) == (
        "The 5 jobs are going to cost about $0.5000, and the day's limit of 2 USD leaves $0.2500:"
        " the first 2 would fit. Raise the limit to 2.49 with X, or ask for less."
    )


def test_one_job_over_its_own_limit_is_named_with_a_limit_that_does() -> None:
    check(jobs(1, max_cost="0.10"))
    with pytest.raises(
        LimitReached, match=r"j0 is going to cost about \$0\.1000.*may cost 0\.09 USD: say --max-cost 0\.12"
    ):
        check(jobs(1, max_cost="0.09"))


def test_a_workflow_that_never_ran_there_is_not_refused() -> None:
    check(jobs(5, template="new", max_cost="0.01"), left="0")
    assert forecast_usd(None, PRICE) is None


@given(count=st.integers(1, 40), left=st.decimals(0, 5, places=2))
def test_what_is_said_to_fit_does_and_one_more_does_not(count: int, left: Decimal) -> None:
    fitting = min(count, int(left / Decimal("0.10")))
    check(jobs(fitting), left=str(left))
    if fitting < count:
        words = "none of them fits" if not fitting else f"the first {fitting} would fit"
        with pytest.raises(LimitReached, match=words if count > 1 else "The job is"):
            check(jobs(count), left=str(left))
