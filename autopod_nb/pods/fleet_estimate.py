"""What jobs, boots and pods are going to take, learned from those before. Pure.

Nothing is known of a GPU but what was measured on it: how fast it is beside another comes from templates that ran on
both, and without any the two count as equally fast.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from autopod_nb.pods.fleet_facts import Health

_NEWEST = 12  # runs of one template on one GPU; older ones say little of today's; a guess
_APART = 1.4  # sizes that differ less say nothing about how time grows with size; a guess
_LEAST_PAIRS = 3
_MOST_GROWTH = 2.0  # time grows at most with the square of the size: attention over all pixels
_BOOTS = 20
_USUAL_RUNS = 2  # a pod counts as usual as long as it has not run more than this; a guess
_SLOW = 1.7  # times as long as usual: it is worth a boot to leave it; a guess
_LEAST_RUNS = 2
_NEVER_LESS = 0.1  # of its time so far, something that may end any moment is expected to take still; a guess
_OVERDUE = 0.5  # and of what it is late; a guess
_HANGS = 3  # times as long as usual, when that counts in full: what is only a little late is soon over; a guess


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A job that ended well.

    Attributes:
        template: its workflow template.
        gpu: where it ran.
        size: how large it was, in any unit that is the same for a template: frames × pixels × steps; 1 if unknown.
        seconds: how long it took, without loading its models if that is known.
    """

    template: str
    gpu: str
    size: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Law:
    """Seconds are ``unit_s × (size ÷ middle) ** growth``."""

    unit_s: float
    middle: float
    growth: float

    def seconds(self, size: float) -> float:
        return self.unit_s * math.pow(max(size, 1e-9) / self.middle, self.growth)


class Estimates:
    """What jobs take.

    Args:
        runs: earlier jobs, oldest first.
    """

    def __init__(self, runs: Iterable[Run]) -> None:
        by_place: dict[tuple[str, str], list[Run]] = {}
        for run in runs:
            if run.seconds > 0 and run.size > 0:
                by_place.setdefault((run.template, run.gpu), []).append(run)
        newest = {place: found[-_NEWEST:] for place, found in by_place.items()}
        growths = {template: _growth(newest, template) for template, _ in newest}
        self._laws = {place: _law(found, growths[place[0]]) for place, found in newest.items()}
        self._templates: dict[str, list[str]] = {}
        for template, gpu in self._laws:
            self._templates.setdefault(template, []).append(gpu)
        self._ratios: dict[tuple[str, str], float | None] = {}

    def expected_s(self, template: str, gpu: str, size: float = 1.0, *, guess_s: float = 60.0) -> float:
        """Seconds that a job is going to take.

        Args:
            template: its workflow template.
            gpu: where.
            size: in the unit of the runs.
            guess_s: for a template that never ran anywhere.
        """
        law = self._laws.get((template, gpu))
        if law is not None:
            return law.seconds(size)
        others = self._templates.get(template, [])
        known = [
            self._laws[template, other].seconds(size) * ratio
            for other in others
            if (ratio := self.ratio(gpu, other)) is not None
        ]
        known = known or [self._laws[template, other].seconds(size) for other in others]
        return statistics.median(known) if known else guess_s

    def ratio(self, gpu: str, other: str) -> float | None:
        """Seconds on *gpu* for each second on *other*, from templates that ran on both; None without any.

        Two that share none are compared by way of a third.
        """
        if gpu == other:
            return 1.0
        if (gpu, other) not in self._ratios:
            self._ratios[gpu, other] = self._direct(gpu, other) or self._by_third(gpu, other)
        return self._ratios[gpu, other]

    def _direct(self, gpu: str, other: str) -> float | None:
        shared = [
            self._laws[template, gpu].seconds(self._laws[template, other].middle) / self._laws[template, other].unit_s
            for template, gpus in self._templates.items()
            if gpu in gpus and other in gpus
        ]
        return statistics.geometric_mean(shared) if shared else None

    def _by_third(self, gpu: str, other: str) -> float | None:
        thirds = sorted({third for _, third in self._laws} - {gpu, other})
        found = [
            there * back
            for third in thirds
            if (there := self._direct(gpu, third)) is not None and (back := self._direct(third, other)) is not None
        ]
        return statistics.median(found) if found else None


def _growth(runs: Mapping[tuple[str, str], Sequence[Run]], template: str) -> float:
    """How time grows with size: the median slope between runs of clearly different size on one GPU; else 1."""
    slopes = [
        math.log(one.seconds / other.seconds) / math.log(one.size / other.size)
        for (name, _), found in runs.items()
        if name == template
        for one, other in combinations(found, 2)
        if max(one.size, other.size) >= _APART * min(one.size, other.size)
    ]
    if len(slopes) < _LEAST_PAIRS:
        return 1.0
    return min(_MOST_GROWTH, max(0.0, statistics.median(slopes)))


def _law(runs: Sequence[Run], growth: float) -> _Law:
    middle = statistics.median(run.size for run in runs)
    unit_s = statistics.median(run.seconds / math.pow(run.size / middle, growth) for run in runs)
    return _Law(unit_s=unit_s, middle=middle, growth=growth)


def usual_s(seconds: Sequence[float], guess_s: float) -> float:
    """What boots or loads of one kind usually take: the median of the newest, oldest first; *guess_s* without any."""
    return statistics.median(seconds[-_BOOTS:]) if seconds else guess_s


def left_s(usual: float, elapsed_s: float) -> float:
    """Expected seconds until a boot or a job is over; one that is late is expected to be later still.

    A little late says little, for all times vary; the later it is, the more likely it hangs.
    """
    late_s = max(0.0, elapsed_s - usual)
    hangs = min(1.0, late_s / ((_HANGS - 1) * usual)) if usual > 0 else 1.0
    return max(usual - elapsed_s, elapsed_s * _NEVER_LESS) + late_s * _OVERDUE * hangs


def pace(ratios: Sequence[float]) -> float:
    """How slow a pod is: the median of seconds ÷ expected seconds of what ran on it, the nearer to 1 the fewer ran."""
    if not ratios:
        return 1.0
    weight = len(ratios) / (len(ratios) + _USUAL_RUNS)
    return math.pow(statistics.median(ratios), weight)


def health(ratios: Sequence[float]) -> Health:
    """Whether a pod is so slow that it is left: after two runs at the earliest."""
    slow = len(ratios) >= _LEAST_RUNS and statistics.median(ratios) >= _SLOW
    return Health.SLOW if slow else Health.WELL
