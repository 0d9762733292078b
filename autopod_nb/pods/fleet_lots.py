"""What there is to do, in lots: one job, or some small ones that load the same, for planning must be quick. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autopod_nb.pods.fleet_facts import FleetJob

_MOST_LOTS = 96  # of many small jobs some are taken together; one lot matters little then


@dataclass(frozen=True, slots=True)
class Lot:
    """Jobs that stay together: one, or some small ones that load the same.

    Attributes:
        jobs: the jobs, in order.
        seconds: GPU → seconds there, transfers that take longer than rendering included.
        size: seconds where it is quickest.
        model: what they load, and ``load_s``, how long that takes.
        upload_s: of the first of them.
        download_s: of the last.
    """

    jobs: tuple[FleetJob, ...]
    seconds: Mapping[str, float]
    size: float
    model: str
    load_s: float
    upload_s: float
    download_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to do.

    Attributes:
        lots: the largest first.
        rest: for each of them, GPU → seconds from it on.
        alike: the same of those that load the same.
    """

    lots: tuple[Lot, ...]
    rest: tuple[Mapping[str, float], ...]
    alike: tuple[Mapping[str, float], ...]


def make_load(lots: Sequence[Lot]) -> Load:
    """Bring lots into order."""
    ordered = sorted(lots, key=lambda lot: -lot.size)
    sums: dict[str, dict[str, float]] = {}
    rest: list[Mapping[str, float]] = []
    alike: list[Mapping[str, float]] = []
    for lot in reversed(ordered):
        rest.append(_plus(rest[-1] if rest else {}, lot.seconds))
        sums[lot.model] = _plus(sums.get(lot.model, {}), lot.seconds)
        alike.append(sums[lot.model])
    return Load(tuple(ordered), tuple(reversed(rest)), tuple(reversed(alike)))


def _plus(sums: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    return {**sums, **{gpu: sums.get(gpu, 0.0) + seconds for gpu, seconds in more.items()}}


def make_lots(jobs: Sequence[FleetJob], vram_gb: Mapping[str, int]) -> tuple[list[Lot], list[FleetJob]]:
    """Jobs in lots.

    Args:
        jobs: those that wait, in order.
        vram_gb: GPU → its memory, of all that are there or to be had.

    Returns:
        The lots, and the jobs that run on none of those GPUs.
    """
    kinds: dict[tuple[object, ...], list[FleetJob]] = {}
    for job in jobs:
        key = job.model, job.load_s, job.min_vram_gb, job.gpus, tuple(job.seconds)
        kinds.setdefault(key, []).append(job)
    lots, stranded = [], []
    share = max(1.0, len(jobs) / _MOST_LOTS)
    for kind in kinds.values():
        gpus = [gpu for gpu in kind[0].seconds if can_run(kind[0], gpu, vram_gb.get(gpu, -1))]
        if not gpus:
            stranded += kind
        elif len(jobs) <= _MOST_LOTS:
            lots += [_lot((job,), gpus) for job in kind]
        else:
            lots += _join(kind, gpus, share)
    return lots, stranded


def can_run(job: FleetJob, gpu: str, vram_gb: int) -> bool:
    """Whether a job may run on a GPU with so much memory."""
    return gpu in job.seconds and vram_gb >= job.min_vram_gb and (job.gpus is None or gpu in job.gpus)


def _join(jobs: Sequence[FleetJob], gpus: Sequence[str], share: float) -> Iterator[Lot]:
    """Jobs of about the same length together, so many that a lot takes as long as *share* of them on average."""
    first = gpus[0]
    ordered = sorted(jobs, key=lambda job: -job.seconds[first])
    enough_s = sum(job.seconds[first] for job in ordered) / len(ordered) * share
    waiting: list[FleetJob] = []
    sum_s = 0.0
    for job in ordered:
        waiting.append(job)
        sum_s += job.seconds[first]
        if sum_s >= enough_s:
            yield _lot(tuple(waiting), gpus)
            waiting, sum_s = [], 0.0
    if waiting:
        yield _lot(tuple(waiting), gpus)


def _lot(jobs: tuple[FleetJob, ...], gpus: Sequence[str]) -> Lot:
    """On one pod they take as long as rendering, or as the way up or down if that is longer: all go on at once."""
    ways_s = max(sum([job.upload_s for job in jobs]), sum([job.download_s for job in jobs]))
    seconds = {gpu: max(ways_s, sum([job.seconds[gpu] for job in jobs])) for gpu in gpus}
    first = jobs[0]
    size = min(seconds.values())
    return Lot(jobs, seconds, size, first.model, first.load_s, first.upload_s, jobs[-1].download_s)
