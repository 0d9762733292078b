"""One made-up day, with the fleet rule and with the rules that people use without one.

**Equal finish time.** Cost can be bought with time, so costs are compared at the same time only. Against the optimum:
the fleet rule gets the deadline of the day, and the optimum is the cheapest way to be done when the rule *was* done,
even if that was late. What the optimum knows before is said at :func:`tests.bench.fleet_bound.optimum_usd`.
Against another rule: that rule plays the day and picks its GPU (and its number of pods) for the deadline of the day;
the fleet rule then gets as its deadline the very moment at which the other was done. If it is later than that, by more
than two per cent, it plays the day again with an earlier deadline, until it is in time: so it is never cheaper for
being later. On a day on which it never is, nothing is compared, and the day is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autopod_nb.pods.fleet import decide
from autopod_nb.pods.fleet_facts import Aim
from tests.bench.fleet_bound import bound_usd, optimum_usd, strict_bound_usd
from tests.bench.fleet_days import Day, batch_day
from tests.bench.fleet_pod import Outcome
from tests.bench.fleet_rules import PodPerJob, one_pod, round_robin
from tests.bench.fleet_world import Rule, World

_EQUAL = 1.02
_EARLIER = (1.0, 0.97, 0.93, 0.88, 0.82, 0.75, 0.65, 0.5)
OTHERS: Mapping[str, Callable[[], Rule]] = {
    "pod_per_job": PodPerJob,
    "one_pod": one_pod,
    "round_robin": round_robin,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The fleet rule beside another rule at an equal finish time.

    Attributes:
        theirs_usd: what the other cost.
        ours_usd: what the fleet rule cost; None if it was never in time.
        tries: how often it played the day until it was.
    """

    theirs_usd: float
    ours_usd: float | None
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A day.

    Attributes:
        seed: of the day.
        cost_usd: what the fleet rule cost.
        bound_usd: the optimum up to eight jobs, above that the stricter bound.
        lucky_usd: the optimum that also foresees the luck of pods that were never rented; no other above eight jobs.
        loose_usd: work at the best price and one boot for each pod that was started.
        late: finish ÷ deadline.
        billed_s: pod seconds; ``idle_s`` of them neither booted nor rendered, ``load_s`` loaded models.
        beside: name of another rule → how it compares.
    """

    seed: int
    cost_usd: float
    bound_usd: float
    lucky_usd: float
    loose_usd: float
    late: float
    billed_s: float
    idle_s: float
    load_s: float
    beside: Mapping[str, Beside]

    @property
    def ratio(self) -> float:
        """Cost ÷ optimum, or ÷ bound."""
        return self.cost_usd / self.bound_usd


def try_day(seed: int, *, small: bool, noise: float, faults: bool, others: bool) -> Trial:
    """Play a day.

    Args:
        seed: of the day.
        small: with at most eight jobs, so that the optimum can be found.
        noise: 1 for boots and jobs that vary, 0 for a day on which everything takes as long as expected.
        faults: pods fail to boot, are slow, or are lost.
        others: compare with the other rules, too.
    """
    day = batch_day(seed, small=small, noise=noise, faults=faults)
    ours = _play(day, decide, day.deadline_s)
    bound = optimum_usd(day, ours.finish_s, ours.worked) if small else strict_bound_usd(day, ours.finish_s)
    lucky = optimum_usd(day, ours.finish_s, ours.worked, foresees_luck=True) if small and noise else bound
    return Trial(
        seed=seed,
        cost_usd=float(ours.cost_usd),
        bound_usd=min(bound, float(ours.cost_usd)),  # no way to be done was found that is cheaper
        lucky_usd=min(lucky, float(ours.cost_usd)),
        loose_usd=bound_usd(day, ours.started),
        late=ours.finish_s / day.deadline_s,
        billed_s=ours.billed_s,
        idle_s=ours.idle_s,
        load_s=ours.load_s,
        beside={name: _beside(day, make()) for name, make in OTHERS.items()} if others else {},
    )


def _play(day: Day, rule: Rule, deadline_s: float) -> Outcome:
    outcome = World(day, rule, aim=Aim.DEADLINE, deadline_s=deadline_s).run()
    assert outcome.done == len(day.jobs), f"day {day.seed}: a job was lost"
    return outcome


def _beside(day: Day, other: Rule) -> Beside:
    theirs = _play(day, other, day.deadline_s)
    for tries, earlier in enumerate(_EARLIER, 1):
        ours = _play(day, decide, theirs.finish_s * earlier)
        if ours.finish_s <= theirs.finish_s * _EQUAL:
            return Beside(theirs_usd=float(theirs.cost_usd), ours_usd=float(ours.cost_usd), tries=tries)
    return Beside(theirs_usd=float(theirs.cost_usd), ours_usd=None, tries=len(_EARLIER))
