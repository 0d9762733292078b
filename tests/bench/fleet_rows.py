"""The rows of the fleet rule: made-up days, see :mod:`tests.bench.fleet_days` and :mod:`tests.bench.fleet_trial`.

``python -m tests.bench.fleet_rows [--days N] [--first-seed N]`` prints all of it for more days, or for others.
"""

from __future__ import annotations

import argparse
import functools
import math
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.bench.fleet_arrivals import Waiting, try_arrivals
from tests.bench.fleet_trial import OTHERS, Trial, try_day
from tests.bench.run import Row, row

_DAYS = 60  # with the other rules, which play each of them up to nine times
_DAYS_ALONE = 200  # one dear day is to decide nothing: of 20 small days one may be a tenth of all the money
_LARGE_EVERY = 3  # of three days one is large
_AIM_COST = 1.15
_AIM_IDLE = 5.0
_WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Batch days of one size. ``known``: as expected, ``varied``: boots and jobs vary, ``faulty``: pods fail, too."""

    known: tuple[Trial, ...]
    varied: tuple[Trial, ...]
    faulty: tuple[Trial, ...]


@functools.cache
def alone(days: int = _DAYS_ALONE, first_seed: int = 0) -> tuple[Batch, Batch]:
    """Small and large days with the fleet rule alone; each is played as expected, varied, and with faults."""
    with _workers() as pool:
        found = [
            Batch(
                known=tuple(pool.map(_known(small), some)),
                varied=tuple(pool.map(_varied(small, others=False), some)),
                faulty=tuple(pool.map(_faulty(small, others=False), some)),
            )
            for small, some in zip((True, False), _by_size(days, first_seed), strict=True)
        ]
    return found[0], found[1]


@functools.cache
def with_others(days: int = _DAYS, first_seed: int = 0) -> tuple[Trial, ...]:
    """Small and large days with the other rules, too; every other one is varied, and the rest have faults."""
    found: list[Trial] = []
    with _workers() as pool:
        for small, some in zip((True, False), _by_size(days, first_seed), strict=True):
            found += pool.map(_varied(small, others=True), [seed for seed in some if seed % 2 == 0])
            found += pool.map(_faulty(small, others=True), [seed for seed in some if seed % 2])
    return tuple(found)


def _by_size(days: int, first_seed: int) -> tuple[list[int], list[int]]:
    seeds = range(first_seed, first_seed + days)
    return [seed for seed in seeds if seed % _LARGE_EVERY], [seed for seed in seeds if seed % _LARGE_EVERY == 0]


def _workers() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(_WORKERS, mp_context=multiprocessing.get_context("spawn"))


def _known(small: bool) -> Callable[[int], Trial]:  # noqa: FBT001 - of a day
    return functools.partial(try_day, small=small, noise=0.0, faults=False, others=False)


def _varied(small: bool, *, others: bool) -> Callable[[int], Trial]:  # noqa: FBT001
    return functools.partial(try_day, small=small, noise=1.0, faults=False, others=others)


def _faulty(small: bool, *, others: bool) -> Callable[[int], Trial]:  # noqa: FBT001
    return functools.partial(try_day, small=small, noise=1.0, faults=True, others=others)


def _total(trials: Sequence[Trial]) -> float:
    return sum(trial.cost_usd for trial in trials) / sum(trial.bound_usd for trial in trials)


def _spread(values: Sequence[float]) -> str:
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, math.ceil(0.95 * len(ordered)) - 1)]
    return f"median {statistics.median(ordered):.2f}, p95 {high:.2f}, worst {ordered[-1]:.2f}"


def cost_vs_bound(days: int = _DAYS_ALONE, first_seed: int = 0) -> Row:
    """Cost ÷ optimum at an equal finish time, of all days together: the worst of four kinds of days without faults."""
    small, large = alone(days, first_seed)
    kinds = {
        "small": small.known,
        "large": large.known,
        "small, varied": small.varied,
        "large, varied": large.varied,
    }
    worst = max(kinds, key=lambda name: _total(kinds[name]))
    texts = [
        f"{name} {_total(trials):.3f} ({_spread([each.ratio for each in trials])})" for name, trials in kinds.items()
    ]
    faulty = f"with failing pods, which the optimum is spared: {_total(small.faulty):.2f}, {_total(large.faulty):.2f}"
    lucky = sum(trial.cost_usd for trial in small.varied) / sum(trial.lucky_usd for trial in small.varied)
    luck = f"small, varied beside one who foresees the luck of pods never rented: {lucky:.3f}"
    note = f"{days} days, a third of them large; worst kind of days: {worst}; {'; '.join(texts)}; {faulty}; {luck}"
    return row("fleet_cost_vs_bound", _total(kinds[worst]), "×", _AIM_COST, note)


def idle_share(days: int = _DAYS, first_seed: int = 0) -> Row:
    """Billed time that neither renders nor boots, in per cent, of all days on which things vary or fail."""
    trials = with_others(days, first_seed)
    share = 100 * sum(trial.idle_s for trial in trials) / sum(trial.billed_s for trial in trials)
    worst = max(100 * trial.idle_s / trial.billed_s for trial in trials)
    loads = 100 * sum(trial.load_s for trial in trials) / sum(trial.billed_s for trial in trials)
    note = (
        f"{len(trials)} days, worst day {worst:.2f}; loading models is part of a job, as in ComfyUI: {loads:.1f} more"
    )
    return row("idle_billed_share", share, "%", _AIM_IDLE, note)


def beside(name: str, days: int = _DAYS, first_seed: int = 0) -> Row:
    """Cost ÷ that of another rule at an equal finish time, of all days on which things vary or fail."""
    trials = with_others(days, first_seed)
    found = [trial.beside[name] for trial in trials]
    pairs = [(each.ours_usd, each.theirs_usd) for each in found if each.ours_usd is not None]
    ratios = [ours / theirs for ours, theirs in pairs]
    cheaper = 100 * sum(1 for ratio in ratios if ratio < 0.999) / len(ratios)
    dearer = 100 * sum(1 for ratio in ratios if ratio > 1.01) / len(ratios)
    again = sum(1 for each in found if each.tries > 1 and each.ours_usd is not None)
    note = (
        f"{len(found)} days: {_spread(ratios)}; cheaper on {cheaper:.0f} %, dearer by more than 1 % on {dearer:.0f} %;"
        f" in time only with an earlier deadline on {again}, never on {len(found) - len(pairs)}"
    )
    total = sum(ours for ours, _ in pairs) / sum(theirs for _, theirs in pairs)
    return row(f"fleet_vs_{name}", total, "×", 1.0, note)


def vs_pod_per_job() -> Row:
    """Beside a pod for each job."""
    return beside("pod_per_job")


def vs_one_pod() -> Row:
    """Beside one pod for all."""
    return beside("one_pod")


def vs_round_robin() -> Row:
    """Beside round robin over a fixed fleet."""
    return beside("round_robin")


@functools.cache
def arrivals(days: int = _DAYS, first_seed: int = 0) -> tuple[tuple[tuple[str, Waiting], ...], ...]:
    """Arrival days, each with all rules."""
    with _workers() as pool:
        return tuple(pool.map(try_arrivals, range(first_seed, first_seed + days)))


def arrivals_vs_break_even(days: int = _DAYS, first_seed: int = 0) -> Row:
    """Cost ÷ that of keeping an idle pod for as long as a boot costs, of all days on which jobs come unannounced."""
    found = [dict(day) for day in arrivals(days, first_seed)]
    totals = {name: sum(day[name].cost_usd for day in found) for name in found[0]}
    ratios = [day["fleet"].cost_usd / day["break_even"].cost_usd for day in found]
    waits = {name: statistics.median(day[name].median_s for day in found) for name in found[0]}
    others = ", ".join(
        f"{name} {total / totals['break_even']:.2f} ({waits[name]:.0f} s)" for name, total in totals.items()
    )
    note = f"{len(found)} days: {_spread(ratios)}; beside it, with the median time from submission to result: {others}"
    return row("fleet_arrivals_vs_break_even", totals["fleet"] / totals["break_even"], "×", 1.0, note)


def main() -> None:
    """Print every row."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    given = parser.parse_args()
    where = {"days": given.days, "first_seed": given.first_seed}
    for done in (
        cost_vs_bound(**where),
        idle_share(**where),
        *(beside(name, **where) for name in OTHERS),
        arrivals_vs_break_even(**where),
    ):
        verdict = "ok" if done.ok else "MISSED"
        print(f"{done.name:28} {done.value:8.4g} {done.unit} aim {done.sense} {done.aim:<5g} {verdict:7} {done.note}")
    small, large = alone(**where)
    for name, batch in (("small", small), ("large", large)):
        for kind, trials in (("as expected", batch.known), ("varied", batch.varied), ("with faults", batch.faulty)):
            loose = sum(trial.cost_usd for trial in trials) / sum(trial.loose_usd for trial in trials)
            late = 100 * sum(1 for trial in trials if trial.late > 1.02) / len(trials)
            print(
                f"{name} days {kind}: {len(trials)}; cost ÷ optimum or bound {_total(trials):.3f}"
                f" ({_spread([trial.ratio for trial in trials])}); ÷ work at the best price and a boot a pod"
                f" {loose:.3f}; more than 2 % late {late:.0f} % (worst {max(trial.late for trial in trials):.2f})"
            )


if __name__ == "__main__":
    main()
