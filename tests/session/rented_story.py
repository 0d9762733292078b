"""One story of a rented pod, in which something goes wrong at one step; and what must be true in the end."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from PIL import Image

from autopod_nb.models.job import JobState, job_is_over
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import JobView
from autopod_nb.session.handle import Job
from tests.session.rented_world import Tenant, Trouble

MOST_S = 60.0
"""Service seconds from the moment at which a rule says so until the bill ends."""
_IDLE_MINUTES = "1"
_STEPS = 8
_IN_THE_WAY = "a file where the folder of the results should be"


class Step(Enum):
    """Where in the life of a pod something goes wrong."""

    CREATE = "create"
    BOOT = "boot"
    TUNNEL = "tunnel"
    JOB = "job"
    COLLECT = "collect"
    END = "end"


class Way(Enum):
    """How the pod comes to its end."""

    STOP = "stop"
    KILL = "kill"
    BATCH = "batch"
    IDLE = "idle"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A line of the table.

    Attributes:
        step: when the troubles begin.
        troubles: one or two.
        way: how the pod is ended.
        pods: how many pods are billed, each for an intent of its own.
        usable: whether a pod comes up.
        result: whether there is one: not when the pod was taken away before there could be.
    """

    step: Step
    troubles: tuple[Trouble, ...]
    way: Way
    pods: int = 1
    usable: bool = True
    result: bool = True

    @property
    def spot(self) -> bool:
        """Whether the pod is rented at a bid: only such a one can be outbid."""
        return any(each.name == "evict" for each in self.troubles)

    def __str__(self) -> str:
        return f"{self.step.value}-{'+'.join(map(str, self.troubles))}-{self.way.value}"


def picture_of(path: Path) -> bytes:
    """The pixels of a picture: what was paid for, without the notes that are stored with it."""
    with Image.open(path) as picture:
        pixels: bytes = picture.tobytes()
    return pixels


class Story:
    """Tells a case.

    Args:
        tenant: fresh.
        case: what happens.
    """

    def __init__(self, tenant: Tenant, case: Case) -> None:
        self.tenant = tenant
        self.case = case
        self.said_s = 0.0
        """When the rule said so."""
        self._job: Job | None = None
        self._pod_id = ""

    @cached_property
    def template(self) -> str:
        """A job that takes a while where something happens during it."""
        return "slow" if self.case.step in (Step.TUNNEL, Step.JOB, Step.COLLECT) else "noise"

    @property
    def result(self) -> Path:
        return self.tenant.out / "wanted.png"

    def tell(self) -> None:
        """From the first intent to the moment at which a rule says that the pod must go."""
        self._rent()
        if not self.case.usable:
            return
        if self.case.step is Step.TUNNEL:
            self.tenant.begin(*self.case.troubles)
        if self._job is None:
            self._job = self._submit()
        if self.case.step is Step.JOB:
            self.tenant.until_rendering(self._job)
            self.tenant.begin(*self.case.troubles)
        if self.case.step is Step.COLLECT:
            self._trouble_the_collection(self._job)
        if self.case.step is Step.END and self.case.way is Way.BATCH:  # the end comes by itself when it is done
            self.tenant.begin(*self.case.troubles)
        self.tenant.follow(lambda: job_is_over(self._view.state))
        self.said_s = self.tenant.now_s
        if self.case.step is Step.END and self.case.way is not Way.BATCH:
            self.tenant.begin(*self.case.troubles)
        self._end()

    @property
    def _view(self) -> JobView:
        return self.tenant.session.snapshot.jobs["wanted"]

    def _submit(self) -> Job:
        if self.template == "slow":
            return self.tenant.submit("slow", "wanted", steps=_STEPS)
        return self.tenant.submit("noise", "wanted")

    def _rent(self) -> None:
        """Until a pod is ready; or as long as it takes a batch to ask for one."""
        session = self.tenant.session
        if self.case.way is Way.BATCH:
            self._begin_early()
            self._job = self._submit()
            return
        plan = session.plan(replace(self.tenant.request(idle_minutes=_IDLE_MINUTES), spot=self.case.spot))
        self._begin_early()
        self._pod_id = session.connect(plan)
        if self.case.step is Step.BOOT:
            self.tenant.until_pod(self._pod_id, PodState.BOOTING)
            self.tenant.begin(*(each for each in self.case.troubles if each.is_state))
        wanted = PodState.READY if self.case.usable else PodState.TERMINATED
        self.tenant.follow(lambda: self.newest_state is wanted)
        self.said_s = self.tenant.now_s

    def _begin_early(self) -> None:
        """What is armed for a pod that boots is armed before there is one; the rest waits for it."""
        if self.case.step is Step.CREATE:
            self.tenant.begin(*self.case.troubles)
        elif self.case.step is Step.BOOT:
            self.tenant.begin(*(each for each in self.case.troubles if not each.is_state))

    @property
    def newest_state(self) -> PodState:
        """Of the pod, or of the one that came in its place."""
        pod = self.tenant.pod(self._pod_id)
        while pod.successor is not None:
            pod = self.tenant.pod(pod.successor)
        self._pod_id = pod.pod_id
        return pod.state

    def _trouble_the_collection(self, job: Job) -> None:
        """The result cannot be written for a while, and in that time it happens."""
        self.tenant.until_rendering(job)
        self.tenant.out.write_text(_IN_THE_WAY)
        self.tenant.follow(lambda: "cannot be written" in job.view.warning)
        self.tenant.begin(*self.case.troubles)
        self.tenant.out.unlink()

    def _end(self) -> None:
        session = self.tenant.session
        if all(pod.over for pod in session.snapshot.pods.values()):
            return  # it was taken away
        if self.case.way is Way.STOP:
            session.stop()
        elif self.case.way is Way.KILL:
            session.kill(yes=True)
        elif self.case.way is Way.IDLE:
            self.tenant.jump(58)
            self.said_s += 60
        elif self.case.way is Way.CLOSE:
            closing = threading.Thread(target=self.tenant.close)
            closing.start()
            self.tenant.follow(lambda: not closing.is_alive())
            closing.join()

    # --- in the end -------------------------------------------------------------------------------------------------

    def check(self, wanted: bytes) -> None:
        """The bill has ended, in time, for one pod an intent; the result is here or why not; every fault struck.

        Args:
            wanted: the pixels of the result.
        """
        self.tenant.follow(lambda: not self.tenant.is_billed())
        self._check_bill()
        self._check_result(wanted)
        self.tenant.follow(lambda: {row.state for row in self.tenant.ledger().read_pods()} == {PodState.TERMINATED})
        self._check_confirmed()
        left = self.tenant.service.armed()
        assert left == [], f"a fault that did not strike has shown nothing: {left}"

    def _check_bill(self) -> None:
        bills = self.tenant.bills()
        names = [bill["name"] for bill in bills]
        assert len(names) == len(set(names)), f"two pods for one intent: {names}"
        assert len(names) == self.case.pods
        assert set(names) <= {row.name for row in self.tenant.ledger().read_pods()}, "a pod that is in no books"
        latest_s = max(self.said_s, self.tenant.lifted_s) + MOST_S
        late_s = max((bill["billing_ended_at"] - latest_s for bill in bills), default=0.0)
        assert late_s <= 0, f"{late_s:.1f} s too late: {self.tenant.notices}"
        bills.sort(key=lambda bill: bill["created_at"])
        for replaced, successor in pairwise(bills):
            assert replaced["billing_ended_at"] <= successor["created_at"], "two pods were billed at once"

    def _check_result(self, wanted: bytes) -> None:
        jobs = self.tenant.ledger().read_jobs()  # a row an attempt
        if not self.case.usable:
            assert not jobs, "no pod, and so nobody asked for anything"
            return
        last, files = jobs[-1], [path.name for path in self.tenant.out.glob("*")]
        if self.case.result:
            assert (last.state, last.error) == (JobState.DONE, "")
            assert picture_of(self.result) == wanted
            assert files == ["wanted.png"], "once, and no parts"
        else:
            assert job_is_over(last.state)
            assert last.state is not JobState.DONE
            assert last.error != "", "it says why there is nothing"
            assert files == []

    def _check_confirmed(self) -> None:
        """Whatever the books call terminated was not known any more when somebody asked for it."""
        answers = [each for each in self.tenant.service.requests() if each["status"] == 404]
        missed = {each["path"].rpartition("/")[2] for each in answers}
        for row in self.tenant.ledger().read_pods():
            assert row.provider_id is None or row.provider_id in missed, f"{row.pod_id}: nobody asked"
