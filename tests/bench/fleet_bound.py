"""What a batch day costs at least if everything is here by a given moment, for somebody who knows all of it before.

Up to eight jobs every way to share them out is tried. Above, two bounds: work at the best price and one boot for each
pod that was started; and a stricter one, that does not depend on what was started.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from tests.bench.fleet_days import Day, DayJob, Kind

_MOST = 8


def optimum_usd(day: Day, finish_s: float, worked: Sequence[tuple[str, int]], *, foresees_luck: bool = False) -> float:
    """The cheapest way to have everything by *finish_s*; infinite if there is none.

    The optimum knows how long each job takes and each boot usually does, which the rule has to guess from a few, and
    takes as many pods as it wants. It has no more luck than others: of each GPU it is given first the pods that the
    rule worked with, whose luck it knows before, and then usual ones, as the bounds below are. For nobody can know
    that a pod which is never rented would have booted in half of its time, and the best of all that might have been
    is always lucky. None of its pods fails or is lost. On a pod each model is loaded once, the first upload and the
    last download are waited for, and the pod ends with them. What the rule did is one of the ways that are tried.

    Args:
        day: with its fates.
        finish_s: when everything is to be here.
        worked: (GPU, number) of the pods with which the rule worked.
        foresees_luck: it may pick among the pods that were not rented, too, those that would have been lucky; they
            are given out in order, and one that fails is passed over for nothing.
    """
    count = len(day.jobs)
    assert count <= _MOST
    best = [math.inf] * (1 << count)
    best[0] = 0.0
    for kind in day.kinds:
        layer = best
        for boot_s, pace in _pods(day, kind, min(count, day.max_pods, kind.stock), worked, foresees_luck):
            layer = _with_one_more(layer, _costs(day.jobs, kind, boot_s, pace, finish_s))
            best = [min(pair) for pair in zip(best, layer, strict=True)]
    return best[-1]


def _pods(
    day: Day,
    kind: Kind,
    count: int,
    worked: Sequence[tuple[str, int]],
    foresees_luck: bool,  # noqa: FBT001 - a mode
) -> Iterator[tuple[float, float]]:
    """(boot seconds, pace) of the pods of a kind, in the order in which they are handed out."""
    first = [number for gpu, number in worked if gpu == kind.gpu][:count]
    yield from ((fate.boot_s, fate.pace) for fate in (day.fate(kind.gpu, number) for number in first))
    if foresees_luck:
        others = (day.fate(kind.gpu, number) for number in itertools.count() if number not in first)
        well = (fate for fate in others if not fate.fails)
        yield from ((fate.boot_s, fate.pace) for fate in itertools.islice(well, count - len(first)))
    else:
        yield from itertools.repeat((kind.boot_s, 1.0), count - len(first))


def _with_one_more(layer: Sequence[float], costs: Sequence[float]) -> list[float]:
    """For each set of jobs the least cost with one pod more, which does some of them."""
    out = [math.inf] * len(layer)
    for jobs in range(1, len(layer)):
        part, least = jobs, math.inf
        while part:
            usd = layer[jobs ^ part] + costs[part]
            least = min(usd, least)
            part = (part - 1) & jobs
        out[jobs] = least
    return out


def _costs(jobs: Sequence[DayJob], kind: Kind, boot_s: float, pace: float, finish_s: float) -> list[float]:
    """For each set of jobs what they cost on that pod; infinite if they are not done in time."""
    usd_s = float(kind.price_per_hour_usd) / 3600
    out = [math.inf] * (1 << len(jobs))
    for chosen in range(1, len(out)):
        some = [job for place, job in enumerate(jobs) if chosen >> place & 1]
        if any(job.min_vram_gb > kind.vram_gb for job in some):
            continue
        seconds = boot_s + min(job.upload_s for job in some) + min(job.download_s for job in some)
        seconds += sum(job.seconds[kind.gpu] for job in some) * pace
        seconds += sum({job.template: job.load_s for job in some}.values())
        if seconds <= finish_s * (1 + 1e-9):
            out[chosen] = seconds * usd_s
    return out


def bound_usd(day: Day, pods: Sequence[str]) -> float:
    """What the issue names: work at the best price, each model loaded once, and one boot for each pod in *pods*.

    The best price of a job is that of the GPU on which it costs least, on a usual host; a boot that of its GPU.
    """
    prices = {kind.gpu: float(kind.price_per_hour_usd) / 3600 for kind in day.kinds}
    boots = {kind.gpu: prices[kind.gpu] * kind.boot_s for kind in day.kinds}
    return _work_usd(day, {kind.gpu: prices[kind.gpu] for kind in day.kinds}) + sum(boots[gpu] for gpu in pods)


def _work_usd(day: Day, usd_s: dict[str, float]) -> float:
    able = {job.job_id: [kind.gpu for kind in day.kinds if kind.vram_gb >= job.min_vram_gb] for job in day.jobs}
    work = sum(min(job.seconds[gpu] * usd_s[gpu] for gpu in able[job.job_id]) for job in day.jobs)
    loads = {job.template: min(job.load_s * usd_s[gpu] for gpu in able[job.job_id]) for job in day.jobs}
    return work + sum(loads.values())


def strict_bound_usd(day: Day, finish_s: float, rounds: int = 120) -> float:
    """No way to be done by *finish_s* costs less, on usual hosts with usual boots: the largest of some relaxations.

    Pods may be cut into pieces, so that a second of work carries its share of a boot, a first upload and a last
    download; jobs go only where they are done in time; and there are no more pods than allowed and in stock, for which
    the multipliers of these limits are raised as long as that raises the bound (any multipliers give a bound). Models
    are counted once each, or once on each pod, whichever is more. The other relaxation gives each job its best price
    and counts whole pods.
    """
    whole = _whole_usd(day, finish_s)
    return max(whole, *(_cut_usd(day, finish_s, each, rounds) for each in (False, True)))


def _whole_usd(day: Day, finish_s: float) -> float:
    quickest_s = sum(min(job.seconds[kind.gpu] for kind in _able(day, job)) for job in day.jobs)
    first_s = min(kind.boot_s for kind in day.kinds)
    pods = max(1, math.ceil(quickest_s / max(1e-9, finish_s - first_s) - 1e-9))
    boot = min(float(kind.price_per_hour_usd) / 3600 * kind.boot_s for kind in day.kinds)
    return _work_usd(day, {kind.gpu: float(kind.price_per_hour_usd) / 3600 for kind in day.kinds}) + pods * boot


def _able(day: Day, job: DayJob) -> list[Kind]:
    return [kind for kind in day.kinds if kind.vram_gb >= job.min_vram_gb]


def _cut_usd(day: Day, finish_s: float, load_on_each: bool, rounds: int) -> float:  # noqa: FBT001 - a mode
    jobs = day.jobs
    around_s = min(job.upload_s for job in jobs) + min(job.download_s for job in jobs)
    around_s += min(job.load_s for job in jobs) if load_on_each else 0.0
    spaces = {kind.gpu: finish_s - kind.boot_s - around_s for kind in day.kinds}
    prices = {kind.gpu: float(kind.price_per_hour_usd) / 3600 for kind in day.kinds}
    stock = {kind.gpu: kind.stock for kind in day.kinds}
    times = [{kind.gpu: job.seconds[kind.gpu] for kind in _able(day, job)} for job in jobs]
    if not load_on_each:
        loads = {job.template: {kind.gpu: job.load_s for kind in _able(day, job)} for job in jobs}
        times += list(loads.values())
    times = [{gpu: time for gpu, time in each.items() if time <= spaces[gpu] * (1 + 1e-9)} for each in times]
    if not all(times):
        return 0.0  # nobody can be done by then on usual hosts: luck is compared with nothing
    of_all, of_each, best = 0.0, dict.fromkeys(prices, 0.0), 0.0
    step = max(prices.values()) * finish_s / 20
    for number in range(rounds):
        rates = {
            gpu: (prices[gpu] * finish_s + of_all + of_each[gpu]) / spaces[gpu] for gpu in prices if spaces[gpu] > 0
        }
        usd, pods = 0.0, dict.fromkeys(prices, 0.0)
        for each in times:
            least, gpu = min((time * rates[gpu], gpu) for gpu, time in each.items())
            usd += least
            pods[gpu] += each[gpu] / spaces[gpu]
        usd -= of_all * day.max_pods + sum(of_each[gpu] * stock[gpu] for gpu in prices)
        best = max(best, usd)
        change = step / (1 + number / 4) / max(1.0, sum(pods.values()))
        of_all = max(0.0, of_all + change * (sum(pods.values()) - day.max_pods))
        of_each = {gpu: max(0.0, of_each[gpu] + change * (pods[gpu] - stock[gpu])) for gpu in prices}
    return best
