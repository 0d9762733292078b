"""Days on which jobs come unannounced: what a rule that keeps an idle pod for a while is worth.

Here nothing has a deadline; the aim is the cheapest. One pod for all, and round robin over two, stay up from the first
job to the last result. What a person waits is told beside the cost.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from autopod_nb.pods.fleet import decide
from autopod_nb.pods.fleet_facts import Aim
from tests.bench.fleet_days import Day, arrival_day
from tests.bench.fleet_rules import PodPerJob, Shares
from tests.bench.fleet_world import Rule, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A day with one rule: what it cost, and seconds from submission to result."""

    cost_usd: float
    median_s: float
    idle_share: float
    pods: int


def try_arrivals(seed: int) -> tuple[tuple[str, Waiting], ...]:
    """A day with the fleet rule, the break-even rule (the same, but it learns nothing of pauses), and the others."""
    day = arrival_day(seed)
    rules: dict[str, Callable[[], Rule]] = {
        "fleet": lambda: decide,
        "break_even": lambda: decide,
        "pod_per_job": PodPerJob,
        "one_pod": lambda: Shares((1,), stay=True, jobs=len(day.jobs)),
        "round_robin": lambda: Shares((2,), stay=True, jobs=len(day.jobs)),
    }
    return tuple((name, _play(day, make(), learn=name != "break_even")) for name, make in rules.items())


def _play(day: Day, rule: Rule, *, learn: bool) -> Waiting:
    outcome = World(day, rule, aim=Aim.CHEAPEST, batch=False, learn_gaps=learn).run()
    assert outcome.done == len(day.jobs), f"day {day.seed}: a job was lost"
    return Waiting(
        cost_usd=float(outcome.cost_usd),
        median_s=statistics.median(outcome.waits_s),
        idle_share=outcome.idle_s / outcome.billed_s,
        pods=len(outcome.started),
    )
