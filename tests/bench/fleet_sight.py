"""What a rule sees of the simulated world: no more than a session would know."""

from __future__ import annotations

import math
from collections.abc import Iterable

from autopod_nb.pods.fleet_estimate import Estimates, Run, health, left_s, pace, usual_s
from autopod_nb.pods.fleet_facts import FleetJob, FleetOffer, FleetPod, Stage
from tests.bench.fleet_days import Day, DayJob, Kind
from tests.bench.fleet_pod import Pod

_GUESS_S = 60.0
_BOOT_GUESS_S = 180.0
_REFUSED_S = 600.0  # nothing of a kind is looked for after it was not to be had


class Sight:
    """Learns from jobs that end and pods that come up.

    Args:
        day: its earlier runs and boots are known; its jobs only by their workflow and size.
    """

    def __init__(self, day: Day) -> None:
        self._kinds = day.kinds
        self._runs = list(day.runs)
        self._boots = {gpu: list(found) for gpu, found in day.boots.items()}
        self._estimates = Estimates(self._runs)
        self._seconds: dict[str, dict[str, float]] = {}
        self._refused_s: dict[str, float] = {}

    def ran(self, job: DayJob, gpu: str, seconds: float) -> None:
        """A job has ended."""
        self._runs.append(Run(template=job.template, gpu=gpu, size=job.size, seconds=seconds))
        self._estimates = Estimates(self._runs)
        self._seconds.clear()

    def booted(self, gpu: str, seconds: float) -> None:
        """A pod has come up."""
        self._boots.setdefault(gpu, []).append(seconds)

    def refused(self, kind: Kind, now_s: float) -> None:
        """Nothing of it was to be had."""
        self._refused_s[kind.gpu] = now_s

    def boot_s(self, kind: Kind) -> float:
        """What a boot usually takes."""
        return usual_s(self._boots.get(kind.gpu, ()), _BOOT_GUESS_S)

    def expected_s(self, job: DayJob) -> dict[str, float]:
        """GPU → what the job is expected to take there."""
        found = self._seconds.get(job.job_id)
        if found is None:
            found = self._seconds[job.job_id] = {kind.gpu: self._of(job, kind.gpu) for kind in self._kinds}
        return found

    def _of(self, job: DayJob, gpu: str) -> float:
        return self._estimates.expected_s(job.template, gpu, job.size, guess_s=_GUESS_S)

    def jobs(self, waiting: Iterable[DayJob], now_s: float) -> tuple[FleetJob, ...]:
        """Those that wait."""
        return tuple(
            FleetJob(
                job_id=job.job_id,
                seconds=self.expected_s(job),
                model=job.template,
                load_s=job.load_s,
                upload_s=job.upload_s,
                download_s=job.download_s,
                min_vram_gb=job.min_vram_gb,
                waited_s=now_s - job.arrives_s,
            )
            for job in waiting
        )

    def offers(self, now_s: float) -> tuple[FleetOffer, ...]:
        """What could be started."""
        return tuple(
            FleetOffer(
                offer_id=kind.gpu,
                gpu=kind.gpu,
                vram_gb=kind.vram_gb,
                price_per_hour_usd=kind.price_per_hour_usd,
                boot_s=self.boot_s(kind),
                available=now_s - self._refused_s.get(kind.gpu, -math.inf) >= _REFUSED_S,
            )
            for kind in self._kinds
        )

    def pod(self, pod: Pod, now_s: float) -> FleetPod:
        """A pod that bills."""
        ratios = [seconds / self._of(job, pod.kind.gpu) for job, seconds in pod.ran]
        booting = pod.stage is Stage.BOOTING
        slow = pace(ratios)
        return FleetPod(
            pod_id=pod.pod_id,
            gpu=pod.kind.gpu,
            vram_gb=pod.kind.vram_gb,
            price_per_hour_usd=pod.kind.price_per_hour_usd,
            stage=pod.stage,
            ready_in_s=left_s(pod.expected_s, now_s - pod.since_s) if booting else 0.0,
            given=len(pod.queue),
            work_left_s=self._left_s(pod, slow, now_s),
            model=pod.queue[-1].job.template if pod.queue else pod.model,
            idle_s=0.0 if pod.idle_since_s is None else now_s - pod.idle_since_s,
            pace=slow,
            health=health(ratios),
        )

    def _left_s(self, pod: Pod, slow: float, now_s: float) -> float:
        left, model = 0.0, pod.model
        for work in pod.queue:
            expected_s = self.expected_s(work.job)[pod.kind.gpu] * slow
            if work.since_s < math.inf:
                left += left_s(expected_s + work.load_s, now_s - work.since_s)
            else:
                left += expected_s + (work.job.load_s if work.job.template != model else 0.0)
            model = work.job.template
        return left
