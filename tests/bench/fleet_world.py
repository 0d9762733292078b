"""A world for the fleet rule in which a day takes milliseconds: pods boot, fail, load models, render, and are billed.

It asks a rule whenever something happened, as the session does, and does what the rule says. It also checks every rule:
work only for pods that are ready, never too many pods, no job twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from heapq import heappop, heappush

from autopod_nb.models.money import sum_usd
from autopod_nb.pods.fleet_facts import Aim, Decisions, Fleet, Stage
from autopod_nb.pods.limits import LimitLevel, limit_level
from tests.bench.fleet_days import Day, DayJob, Kind
from tests.bench.fleet_pod import Outcome, Pod, Work
from tests.bench.fleet_sight import Sight

Rule = Callable[[Fleet], Decisions]
_LOOK_EVERY_S = 20.0  # when nothing happens but something may be due; the session looks once a second
_IN_VAIN = 60  # looks, until jobs that no pod is started for are left: there is no money for them
_GIVEN_UP = 2.5  # usual boots until one that fails is given up
_MOST_EVENTS = 40_000


class World:
    """One day with one rule.

    Args:
        day: what happens.
        rule: who decides.
        aim: what is wanted most.
        deadline_s: for that aim.
        budget_usd: limit of the session: everything ends when it is reached.
        batch: all jobs are there at the beginning.
        learn_gaps: the rule is told of earlier pauses.
    """

    def __init__(
        self,
        day: Day,
        rule: Rule,
        *,
        aim: Aim = Aim.CHEAPEST,
        deadline_s: float | None = None,
        budget_usd: Decimal | None = None,
        batch: bool = True,
        learn_gaps: bool = True,
    ) -> None:
        self._day, self._rule, self._aim = day, rule, aim
        self._deadline_s, self._budget_usd = deadline_s, budget_usd
        self._batch, self._learn_gaps = batch, learn_gaps
        self._sight = Sight(day)
        self._now_s = 0.0
        self._events: list[tuple[float, int, Callable[[], bool]]] = []
        self._count = 0
        self._waiting: list[DayJob] = []
        self._pods: list[Pod] = []
        self._live: list[Pod] = []
        self._done: dict[str, float] = {}
        self._gaps_s: list[float] = []
        self._empty_since_s: float | None = None
        self._look_s = -1.0
        self._in_vain = 0
        self._most_pods = 0
        self._asked = 0

    def run(self) -> Outcome:
        """Until everything is done and nothing bills."""
        for job in self._day.jobs:
            self._at(job.arrives_s, self._arrival(job))
        for _ in range(_MOST_EVENTS):
            if not self._events:
                break
            due = False
            self._now_s = self._events[0][0]
            while self._events and self._events[0][0] <= self._now_s:
                due |= heappop(self._events)[2]()
            if due:
                self._ask()
        else:
            raise AssertionError(f"day {self._day.seed} does not end")
        assert not self._live, f"day {self._day.seed}: pods are left"
        return self._outcome()

    def _outcome(self) -> Outcome:
        arrivals = {job.job_id: job.arrives_s for job in self._day.jobs}
        return Outcome(
            cost_usd=self._spent_usd(),
            finish_s=max(self._done.values(), default=0.0),
            done=len(self._done),
            most_pods=self._most_pods,
            billed_s=sum(pod.billed_s(self._now_s) for pod in self._pods),
            boot_s=sum(pod.boot_s for pod in self._pods),
            work_s=sum(pod.work_s for pod in self._pods),
            load_s=sum(pod.load_s for pod in self._pods),
            waits_s=tuple(at_s - arrivals[job_id] for job_id, at_s in sorted(self._done.items())),
            started=tuple(pod.kind.gpu for pod in self._pods),
            worked=tuple((pod.kind.gpu, pod.number) for pod in self._pods if pod.ran),
            asked=self._asked,
        )

    def _spent_usd(self) -> Decimal:
        return sum_usd(pod.usd(self._now_s) for pod in self._pods)

    def _at(self, at_s: float, what: Callable[[], bool]) -> None:
        self._count += 1
        heappush(self._events, (at_s, self._count, what))

    # what happens; each says whether the rule is to be asked

    def _arrival(self, job: DayJob) -> Callable[[], bool]:
        def arrive() -> bool:
            if self._empty_since_s is not None:
                self._gaps_s.append(self._now_s - self._empty_since_s)
                self._empty_since_s = None
            self._waiting.append(job)
            return True

        return arrive

    def _start(self, kind: Kind) -> None:
        number = sum(1 for pod in self._pods if pod.kind is kind)
        pod = Pod(
            pod_id=f"pod{len(self._pods)}",
            kind=kind,
            number=number,
            fate=self._day.fate(kind.gpu, number),
            since_s=self._now_s,
            expected_s=self._sight.boot_s(kind),
        )
        self._pods.append(pod)
        self._live.append(pod)
        self._most_pods = max(self._most_pods, len(self._live))
        if pod.fate.fails:
            self._at(self._now_s + _GIVEN_UP * pod.expected_s, lambda: self._lose(pod))
        else:
            self._at(self._now_s + pod.fate.boot_s, lambda: self._ready(pod))

    def _ready(self, pod: Pod) -> bool:
        if pod.gone_s is not None:
            return False
        pod.stage, pod.boot_s, pod.idle_since_s = Stage.READY, pod.fate.boot_s, self._now_s
        self._sight.booted(pod.kind.gpu, pod.boot_s)
        if pod.fate.dies_s < math.inf:
            self._at(pod.since_s + pod.fate.dies_s, lambda: self._lose(pod))
        return True

    def _lose(self, pod: Pod) -> bool:
        """It is gone before its time, and what was on it is to be done again."""
        if pod.gone_s is not None:
            return False
        back = [*(work.job for work in pod.queue), *pod.coming.values()]
        self._waiting = sorted([*self._waiting, *back], key=lambda job: (job.arrives_s, job.job_id))
        if pod.queue and pod.queue[0].since_s <= self._now_s:
            pod.work_s += self._now_s - pod.queue[0].since_s  # it rendered, though in vain
        self._gone(pod)
        return True

    def _gone(self, pod: Pod) -> None:
        pod.gone_s = self._now_s
        if pod.stage is Stage.BOOTING:
            pod.boot_s = self._now_s - pod.since_s
        pod.queue.clear()
        pod.coming.clear()
        self._live.remove(pod)

    def _give(self, pod: Pod, job: DayJob) -> None:
        self._waiting.remove(job)
        work = Work(job)
        pod.queue.append(work)
        pod.idle_since_s = None
        pod.upload_free_s = max(pod.upload_free_s, self._now_s) + job.upload_s

        def uploaded() -> bool:
            work.uploaded = True
            self._render(pod)
            return False

        self._at(pod.upload_free_s, uploaded)

    def _render(self, pod: Pod) -> None:
        """Begin with the first, if it is there and nothing renders."""
        if pod.gone_s is not None or not pod.queue or not pod.queue[0].uploaded or pod.queue[0].since_s < math.inf:
            return
        work = pod.queue[0]
        work.since_s = self._now_s
        work.load_s = 0.0 if work.job.template == pod.model else work.job.load_s
        pod.model = work.job.template
        work_s = work.job.seconds[pod.kind.gpu] * pod.fate.pace
        self._at(self._now_s + work.load_s + work_s, lambda: self._rendered(pod, work, work_s))

    def _rendered(self, pod: Pod, work: Work, work_s: float) -> bool:
        if pod.gone_s is not None:
            return False
        job = work.job
        pod.queue.popleft()
        pod.load_s += work.load_s
        pod.work_s += work_s
        pod.coming[job.job_id] = job
        pod.ran.append((job, work_s))
        self._sight.ran(job, pod.kind.gpu, work_s)
        self._render(pod)
        pod.download_free_s = max(pod.download_free_s, self._now_s) + job.download_s
        self._at(pod.download_free_s, lambda: self._fetched(pod, job))
        return True

    def _fetched(self, pod: Pod, job: DayJob) -> bool:
        if pod.gone_s is not None:
            return False
        del pod.coming[job.job_id]
        assert job.job_id not in self._done, "a job ran twice"
        self._done[job.job_id] = self._now_s
        if pod.has_work:
            return False
        pod.idle_since_s = self._now_s
        if not self._waiting and not any(other.has_work for other in self._live):
            self._empty_since_s = self._now_s
        if pod.stage is Stage.DRAINING:
            self._gone(pod)
        return True

    # what the rule sees, and what is done

    def _ask(self) -> None:
        self._asked += 1
        spent_usd = self._spent_usd()
        if limit_level(spent_usd, self._budget_usd) is LimitLevel.REACHED:
            for pod in list(self._live):
                self._lose(pod)
            self._waiting.clear()
            return
        self._obey(self._rule(self._fleet(spent_usd)))
        assert len(self._live) <= self._day.max_pods, "too many pods"
        if self._must_look() and self._look_s <= self._now_s:
            self._look_s = self._now_s + _LOOK_EVERY_S
            self._at(self._look_s, lambda: True)

    def _fleet(self, spent_usd: Decimal) -> Fleet:
        return Fleet(
            jobs=self._sight.jobs(self._waiting, self._now_s),
            pods=tuple(self._sight.pod(pod, self._now_s) for pod in self._live),
            offers=self._sight.offers(self._now_s),
            max_pods=self._day.max_pods,
            aim=self._aim,
            budget_left_usd=None if self._budget_usd is None else self._budget_usd - spent_usd,
            deadline_left_s=None if self._deadline_s is None else self._deadline_s - self._now_s,
            batch=self._batch,
            gaps_s=tuple(self._gaps_s[-50:]) if self._learn_gaps else (),
        )

    def _obey(self, decisions: Decisions) -> None:
        pods = {pod.pod_id: pod for pod in self._live}
        jobs = {job.job_id: job for job in self._waiting}
        kinds = {kind.gpu: kind for kind in self._day.kinds}
        for given in decisions.assign:
            assert pods[given.pod_id].stage is Stage.READY, "work for a pod that takes none"
            self._give(pods[given.pod_id], jobs[given.job_id])
        for start in decisions.start:
            kind = kinds[start.offer_id]
            if sum(1 for pod in self._live if pod.kind is kind) < kind.stock:
                self._start(kind)
            else:
                self._sight.refused(kind, self._now_s)
                self._at(self._now_s, lambda: True)
        for end in decisions.end:
            self._end(pods[end.pod_id])

    def _must_look(self) -> bool:
        """Whether something may be due though nothing happens: a boot that hangs, a rest that ends, an empty shelf."""
        if not self._live:
            self._in_vain += 1
            return bool(self._waiting) and self._in_vain < _IN_VAIN
        self._in_vain = 0
        return any(pod.stage is Stage.BOOTING or pod.idle_since_s is not None for pod in self._live)

    def _end(self, pod: Pod) -> None:
        if pod.stage is Stage.BOOTING or not pod.has_work:
            self._gone(pod)
        else:
            pod.stage = Stage.DRAINING
