"""What a session will have cost when its queue is done, as far as earlier runs and running jobs tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

from autopod_nb.models.job import JobState
from autopod_nb.models.money import EXACT, MoneyKind, cost_usd
from autopod_nb.models.snapshot import JobView
from autopod_nb.session import pod_ending
from autopod_nb.session.state import PodData, SessionState

_ENDS = (JobState.COLLECTING, JobState.DONE, JobState.FAILED, JobState.CANCELLED)  # the GPU is through with it
_Pods = tuple[tuple[str, str, Decimal, MoneyKind], ...]
_Waiting = tuple[Mapping[MoneyKind, Decimal], bool]


class Outlook:
    """Makes forecasts. Used by the session thread only.

    Only jobs are in them: what boots, idle time and storage are going to cost would be a guess. The sum over waiting
    jobs is kept until the queue or the pods change: there may be thousands, and a forecast a second.
    """

    def __init__(self) -> None:
        self._key: tuple[tuple[str, ...], _Pods] | None = None
        self._waiting: _Waiting = {}, True

    def forecast(
        self, state: SessionState, views: Mapping[str, JobView], spent_usd: Mapping[MoneyKind, Decimal]
    ) -> tuple[dict[MoneyKind, Decimal], bool]:
        """What the session will have cost.

        Args:
            state: of the session.
            views: its jobs with their progress.
            spent_usd: money kind → so far.

        Returns:
            Money kind → what is known to come and what is spent; and whether every job that is not over is in it.
        """
        sums = dict(spent_usd)
        waiting, complete = self._of_queue(state)
        for kind, amount in waiting.items():
            sums[kind] = EXACT.add(sums.get(kind, Decimal(0)), amount)
        for pod in state.pods.values():
            for job_id in pod.active:
                view = views[job_id]
                if view.state in _ENDS or state.jobs[job_id].cancel is not None:
                    continue
                left_s = view.progress.left_s
                complete = complete and left_s is not None
                amount = cost_usd(pod.offer.price_per_hour_usd, Decimal(str(left_s or 0.0)))
                sums[pod.offer.kind] = EXACT.add(sums.get(pod.offer.kind, Decimal(0)), amount)
        return sums, complete

    def _of_queue(self, state: SessionState) -> _Waiting:
        pods = tuple(_facts(pod) for pod in state.pods.values() if _serves(pod))
        if self._key is None or self._key[0] is not state.queue or self._key[1] != pods:
            self._key = state.queue, pods
            self._waiting = _waiting(state, pods)
        return self._waiting


def _serves(pod: PodData) -> bool:
    return pod.ending is None and pod.state not in pod_ending.ENDING


def _facts(pod: PodData) -> tuple[str, str, Decimal, MoneyKind]:
    return pod.pod_id, pod.offer.gpu_type, pod.offer.price_per_hour_usd, pod.offer.kind


def _waiting(state: SessionState, pods: _Pods) -> _Waiting:
    """What waiting jobs usually take, on the pod that they are for, else on the oldest that takes jobs."""
    by_id = {facts[0]: facts for facts in pods}
    counts: Counter[tuple[float, Decimal, MoneyKind]] = Counter()
    complete = True
    for job_id in state.queue:
        job = state.jobs[job_id]
        facts = next(iter(pods), None) if job.pod_wish is None else by_id.get(job.pod_wish)
        usual_s = None if facts is None else job.usual_s.get(facts[1])
        if facts is None or usual_s is None:
            complete = False
        else:
            counts[usual_s, facts[2], facts[3]] += 1
    sums: dict[MoneyKind, Decimal] = {}
    for (usual_s, price, kind), number in counts.items():
        amount = EXACT.multiply(cost_usd(price, Decimal(str(usual_s))), Decimal(number))
        sums[kind] = EXACT.add(sums.get(kind, Decimal(0)), amount)
    return sums, complete
