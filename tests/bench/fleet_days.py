"""Made-up days for the fleet rule: what there is to render, what is to be had, and what befalls each pod.

Everything comes from the seed of the day. Prices and memory are those of the made-up RunPod, which are near the real
ones; how fast the GPUs are beside each other is made up, and different for each workflow.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from autopod_nb.pods.fleet_estimate import Run
from tests.fakes.runpod_facts import GPUS

_SPEEDS = {  # of a RTX 4090
    "RTX A4000": 0.30,
    "RTX A5000": 0.45,
    "RTX 3090": 0.52,
    "A40": 0.48,
    "RTX A6000": 0.55,
    "RTX 4090": 1.0,
    "RTX 5090": 1.4,
    "L40S": 0.95,
    "A100 80GB PCIe": 1.05,
    "H100 PCIe": 1.7,
}
_LARGE = ("A100 80GB PCIe", "H100 PCIe")  # one is always to be had, so that every job can be run somewhere
_NOISE = 0.06  # of a job, whatever its estimate is
_BOOT_NOISE = 0.25
_PACE_NOISE = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of pod. ``boot_s``: the middle of its boots; ``stock``: so many can be had at the same time."""

    gpu: str
    vram_gb: int
    price_per_hour_usd: Decimal
    boot_s: float
    stock: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayJob:
    """A job. ``seconds``: GPU → what it really takes on a usual pod, without loading its model."""

    job_id: str
    template: str
    size: float
    seconds: Mapping[str, float]
    load_s: float
    upload_s: float
    download_s: float
    min_vram_gb: int
    arrives_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What befalls a pod: its boot, how slow its host is, when it is lost. ``fails``: it never comes up."""

    boot_s: float
    pace: float
    dies_s: float
    fails: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day. ``noise``: 0 when all goes as expected, else 1; ``runs`` and ``boots``: known from earlier days."""

    seed: int
    kinds: tuple[Kind, ...]
    jobs: tuple[DayJob, ...]
    deadline_s: float
    max_pods: int
    faults: bool
    noise: float
    runs: tuple[Run, ...]
    boots: Mapping[str, tuple[float, ...]]

    def fate(self, gpu: str, number: int) -> Fate:
        """Of the pod of that GPU that is the *number*-th to be started, whoever starts it."""
        chance = _chance(f"{self.seed} {gpu} {number}")
        kind = next(kind for kind in self.kinds if kind.gpu == gpu)
        boot_s = kind.boot_s * chance.lognormvariate(0, _BOOT_NOISE * self.noise)
        pace = chance.lognormvariate(0, _PACE_NOISE * self.noise)
        slow, fails, dies_s = chance.random() < 0.03, chance.random() < 0.04, chance.expovariate(1 / (12 * 3600))
        if not self.faults:
            return Fate(boot_s=boot_s, pace=pace, dies_s=math.inf, fails=False)
        return Fate(boot_s=boot_s, pace=pace * (2.5 if slow else 1.0), dies_s=boot_s + dies_s, fails=fails)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    name: str
    base_s: float
    growth: float
    min_vram_gb: int
    load_s: float
    upload_s: float
    download_s: float
    speeds: Mapping[str, float]

    def seconds(self, gpu: str, size: float) -> float:
        return self.base_s * float(size**self.growth) / self.speeds[gpu]


def _chance(text: str) -> random.Random:
    return random.Random(text)  # noqa: S311 - days are to be the same each time


def batch_day(seed: int, *, small: bool, faults: bool = False, cold: bool = False, noise: float = 1.0) -> Day:
    """All jobs are known at the beginning: two to eight of them, or up to 120.

    Args:
        seed: of everything.
        small: few enough for the optimum to be found by trying everything.
        faults: pods fail to boot, are lost, and some are slow.
        cold: nothing is known from earlier days.
        noise: 1 for boots, hosts and jobs that vary; 0: everything takes as long as earlier days say.
    """
    chance = _chance(f"{seed} {'small' if small else 'large'}")
    kinds = _kinds(chance)
    templates = _templates(chance, kinds)
    count = chance.randint(2, 8) if small else round(math.exp(chance.uniform(math.log(9), math.log(120))))
    jobs = _jobs(chance, templates, count, noise)
    runs, boots = ((), {}) if cold else _known(chance, templates, kinds, noise)
    max_pods = chance.choice((4, 8, 16))
    return Day(
        seed=seed,
        kinds=kinds,
        jobs=jobs,
        deadline_s=_deadline_s(chance, kinds, jobs, max_pods),
        max_pods=max_pods,
        faults=faults,
        noise=noise,
        runs=runs,
        boots=boots,
    )


def arrival_day(seed: int, *, faults: bool = False) -> Day:
    """Jobs come unannounced, a few hours long: somebody tries things out, goes away, comes back."""
    chance = _chance(f"{seed} arrivals")
    kinds = _kinds(chance)
    templates = _templates(chance, kinds)
    count = chance.randint(15, 60)
    jobs, at_s = [], 0.0
    within_s, between_s = math.exp(chance.uniform(3.0, 5.5)), math.exp(chance.uniform(5.5, 8.5))
    stay = chance.uniform(0.5, 0.95)
    for job in _jobs(chance, templates, count, 1.0):
        at_s += chance.expovariate(1 / (within_s if chance.random() < stay else between_s))
        jobs.append(replace(job, arrives_s=at_s))
    runs, boots = _known(chance, templates, kinds, 1.0)
    return Day(
        seed=seed,
        kinds=kinds,
        jobs=tuple(jobs),
        deadline_s=math.inf,
        max_pods=8,
        faults=faults,
        noise=1.0,
        runs=runs,
        boots=boots,
    )


def _kinds(chance: random.Random) -> tuple[Kind, ...]:
    by_name = {gpu.name: gpu for gpu in GPUS.values()}
    names = {chance.choice(_LARGE), *chance.sample(sorted(set(_SPEEDS) - set(_LARGE)), chance.randint(2, 4))}
    boot_s = math.exp(chance.uniform(math.log(60), math.log(360)))
    kinds = []
    for name in sorted(names):
        gpu = by_name[name]
        price = min(each for each in (gpu.community, gpu.secure) if each)
        price = (price * Decimal(str(round(chance.uniform(0.85, 1.15), 3)))).quantize(Decimal("0.01"))
        kinds.append(
            Kind(
                gpu=name,
                vram_gb=gpu.memory_gb,
                price_per_hour_usd=price,
                boot_s=boot_s * chance.uniform(0.8, 1.25),
                stock=chance.choice((2, 5, 99, 99)) if name not in _LARGE else 99,
            )
        )
    return tuple(kinds)


def _templates(chance: random.Random, kinds: tuple[Kind, ...]) -> list[_Template]:
    return [
        _Template(
            name=f"template{number}",
            base_s=math.exp(chance.uniform(math.log(15), math.log(240))),
            growth=chance.uniform(0.8, 1.2),
            min_vram_gb=chance.choice((8, 16, 16, 24, 24, 32, 48, 80)),
            load_s=chance.uniform(10, 90),
            upload_s=chance.uniform(0.2, 3),
            download_s=chance.uniform(0.5, 6),
            speeds={kind.gpu: _SPEEDS[kind.gpu] * chance.lognormvariate(0, 0.12) for kind in kinds},
        )
        for number in range(chance.randint(1, 4))
    ]


def _jobs(chance: random.Random, templates: list[_Template], count: int, noise: float) -> tuple[DayJob, ...]:
    """Of one sweep after the other, or mixed."""
    order = [chance.choice(templates) for _ in range(count)]
    if chance.random() < 0.5:
        order.sort(key=lambda template: template.name)
    jobs = []
    for number, template in enumerate(order):
        size = math.exp(chance.uniform(-0.7, 0.7)) if chance.random() < 0.6 else 1.0
        factor = chance.lognormvariate(0, _NOISE * noise)
        jobs.append(
            DayJob(
                job_id=f"job{number:03}",
                template=template.name,
                size=size,
                seconds={gpu: template.seconds(gpu, size) * factor for gpu in template.speeds},
                load_s=template.load_s,
                upload_s=template.upload_s,
                download_s=template.download_s,
                min_vram_gb=template.min_vram_gb,
            )
        )
    return tuple(jobs)


def _known(
    chance: random.Random, templates: list[_Template], kinds: tuple[Kind, ...], noise: float
) -> tuple[tuple[Run, ...], dict[str, tuple[float, ...]]]:
    """Each template ran on some of the GPUs, a few times; another template on all of them."""
    runs = []
    for template in templates:
        first = chance.choice(kinds).gpu
        for kind in kinds:
            if kind.gpu == first or chance.random() < 0.6 or noise == 0:
                count = 9 if noise == 0 else chance.randint(1, 5)
                runs += [_run(chance, template.name, kind.gpu, template.seconds, noise) for _ in range(count)]
    runs += [
        _run(chance, "another", kind.gpu, lambda gpu, size: 100 * size / _SPEEDS[gpu], noise)
        for kind in kinds
        for _ in "ab"
    ]
    boots = {
        kind.gpu: tuple(
            kind.boot_s * chance.lognormvariate(0, _BOOT_NOISE * noise) for _ in range(chance.randint(1, 5))
        )
        for kind in kinds
    }
    return tuple(runs), boots


def _run(
    chance: random.Random, template: str, gpu: str, seconds_of: Callable[[str, float], float], noise: float
) -> Run:
    size = math.exp(chance.uniform(-0.7, 0.7))
    seconds = seconds_of(gpu, size) * chance.lognormvariate(0, _NOISE * noise)
    return Run(template=template, gpu=gpu, size=size, seconds=seconds)


def _deadline_s(chance: random.Random, kinds: tuple[Kind, ...], jobs: tuple[DayJob, ...], max_pods: int) -> float:
    """Anywhere between what as many pods as allowed can do and what one cheap pod does in peace."""
    able = [kind for kind in kinds if all(kind.vram_gb >= job.min_vram_gb for job in jobs)]
    alone_s = min(kind.boot_s + sum(job.seconds[kind.gpu] for job in jobs) + jobs[0].load_s for kind in able)
    together_s = min(kind.boot_s + sum(job.seconds[kind.gpu] + job.load_s for job in jobs) / max_pods for kind in able)
    longest_s = max(
        min(kind.boot_s + job.seconds[kind.gpu] + job.load_s for kind in kinds if kind.vram_gb >= job.min_vram_gb)
        for job in jobs
    )
    low_s = max(longest_s, together_s) * 1.25
    return math.exp(chance.uniform(math.log(low_s), math.log(max(alone_s, low_s) * 1.2)))
