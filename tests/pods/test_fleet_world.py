"""The fleet rule through whole days of the simulation, and the simulation itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from autopod_nb.pods.fleet import decide
from autopod_nb.pods.fleet_facts import Aim
from tests.bench.fleet_bound import optimum_usd, strict_bound_usd
from tests.bench.fleet_days import arrival_day, batch_day
from tests.bench.fleet_rules import PodPerJob, one_pod, round_robin
from tests.bench.fleet_trial import try_day
from tests.bench.fleet_world import Rule, World

_SEEDS = range(500, 508)  # none of those of the benchmark


def _ours() -> Rule:
    return decide


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("make", [_ours, PodPerJob, one_pod, round_robin])
def test_no_rule_is_cheaper_than_the_optimum_and_no_bound_is_above_it(make: Callable[[], Rule], noise: float) -> None:
    """For every rule at the moment at which it is done; the bounds know of usual pods only, so on usual days."""
    for seed in _SEEDS:
        day = batch_day(seed, small=True, noise=noise)
        done = World(day, make(), aim=Aim.DEADLINE, deadline_s=day.deadline_s).run()
        assert done.done == len(day.jobs)
        best = optimum_usd(day, done.finish_s, done.worked)
        assert best <= float(done.cost_usd) * (1 + 1e-4), "bills are rounded to a millionth of a dollar"
        assert noise or strict_bound_usd(day, done.finish_s) <= best * (1 + 1e-6)


def test_the_optimum_knows_nothing_of_the_luck_of_pods_that_were_never_rented() -> None:
    """Without any that were, a varied day costs it what it costs on usual pods; one who foresees luck pays less."""
    usual = lucky = 0.0
    for seed in _SEEDS:
        day = batch_day(seed, small=True)
        least = optimum_usd(day, math.inf, ())
        assert least == pytest.approx(optimum_usd(replace(day, noise=0.0), math.inf, (), foresees_luck=True))
        usual += least
        lucky += optimum_usd(day, math.inf, (), foresees_luck=True)
    assert lucky < usual


def test_it_is_near_the_optimum_at_an_equal_finish_time() -> None:
    trials = [try_day(seed, small=True, noise=0.0, faults=False, others=False) for seed in _SEEDS]
    assert sum(trial.cost_usd for trial in trials) <= 1.15 * sum(trial.bound_usd for trial in trials)


def test_it_is_near_the_optimum_on_days_on_which_boots_and_jobs_vary() -> None:
    """On forty days that neither the benchmark nor anything else here plays."""
    trials = [try_day(seed, small=True, noise=1.0, faults=False, others=False) for seed in range(3000, 3040)]
    assert sum(trial.cost_usd for trial in trials) <= 1.15 * sum(trial.bound_usd for trial in trials)
    assert sum(trial.late > 1.1 for trial in trials) <= len(trials) // 6, "a deadline is kept, or almost"


@pytest.mark.parametrize("small", [True, False])
def test_pods_that_fail_cost_no_job(small: bool) -> None:  # noqa: FBT001 - both kinds of days
    for seed in range(600, 603):
        day = batch_day(seed, small=small, faults=True)
        done = World(day, decide, aim=Aim.CHEAPEST).run()
        assert done.done == len(day.jobs)
        assert done.most_pods <= day.max_pods


def test_a_day_is_the_same_each_time() -> None:
    day = batch_day(700, small=False, faults=True)
    one, other = (World(day, decide, aim=Aim.DEADLINE, deadline_s=day.deadline_s).run() for _ in "ab")
    assert one == other


def test_fastest_keeps_to_its_budget_and_is_no_slower_than_the_cheapest() -> None:
    """On days that go as expected: half as much again as the cheapest way costs, and sooner done for it."""
    sooner = 0
    for seed in _SEEDS:
        day = batch_day(seed, small=True, noise=0.0)
        cheapest = World(day, decide, aim=Aim.CHEAPEST).run()
        budget = (cheapest.cost_usd * Decimal("1.5")).quantize(Decimal("0.000001"))
        fastest = World(day, decide, aim=Aim.FASTEST, budget_usd=budget).run()
        assert fastest.done == len(day.jobs)
        assert fastest.cost_usd <= budget
        assert fastest.finish_s <= cheapest.finish_s * 1.001
        sooner += fastest.finish_s < cheapest.finish_s * 0.9
    assert sooner >= len(_SEEDS) // 2


def test_a_budget_that_is_too_small_is_not_spent_on_what_cannot_be_done() -> None:
    """Whatever is started for it delivers something: no pod boots only to run into the limit."""
    for seed in _SEEDS:
        day = batch_day(seed, small=True, noise=0.0)
        cheapest = World(day, decide, aim=Aim.CHEAPEST).run()
        half = World(day, decide, aim=Aim.CHEAPEST, budget_usd=cheapest.cost_usd / 2).run()
        assert half.cost_usd <= cheapest.cost_usd / 2
        assert half.done or not half.started


def test_what_is_learned_of_pauses_pays() -> None:
    learned, break_even = (
        sum(
            (
                World(arrival_day(seed), decide, batch=False, learn_gaps=learn).run().cost_usd
                for seed in range(800, 804)
            ),
            Decimal(0),
        )
        for learn in (True, False)
    )
    assert learned <= break_even
