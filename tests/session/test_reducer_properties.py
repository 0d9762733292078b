"""What holds after any messages in any order, also those that come late, twice or never."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from autopod_nb.comfyui.monitor_events import Disconnected, PromptVanished
from autopod_nb.models.event import PromptOutcome
from autopod_nb.models.job import JobState, PodConfig, job_is_over
from autopod_nb.models.money import total_usd
from autopod_nb.models.pod import ObservedState, PodState, may_bill
from autopod_nb.pods.meter import running_usd
from autopod_nb.session import commands, events, job_events
from autopod_nb.session.effects import (
    BootPod,
    CreatePod,
    FetchResults,
    StopAtProvider,
    TerminateAtProvider,
)
from autopod_nb.session.events import Moment
from autopod_nb.session.views import Viewer
from tests.session.story import ADDRESS, START, Story

_PODS = st.sampled_from(["p1", "p2", "p3"])
_JOBS = st.sampled_from([f"j{number}" for number in range(6)])


class AnyOrder(RuleBasedStateMachine):
    """A world that answers when, and as often as, it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(limit_usd="500")
        self.paid_s = 0.0
        self.viewer = Viewer()
        self.created: set[str] = set()

    # --- a person ---------------------------------------------------------------------------------------------------

    @rule(pod=_PODS, batch=st.booleans())
    def connect(self, pod: str, batch: bool) -> None:  # noqa: FBT001 - hypothesis hands it in by name
        if pod not in self.story.state.pods:
            self.story.connect(pod, batch=batch, idle_minutes="1")

    @rule(job=_JOBS, pod=st.none() | _PODS, limit=st.none() | st.integers(1, 100))
    def submit(self, job: str, pod: str | None, limit: int | None) -> None:
        if job not in self.story.state.jobs:
            config = PodConfig(max_cost_usd=None if limit is None else Decimal(limit))
            self.story.submit(job, pod_id=pod, config=config)

    @rule(pod=_PODS)
    def resume(self, pod: str) -> None:
        if pod in self.story.state.pods:
            self.story.tell(commands.ResumePod(pod_id=pod))

    @rule(job=_JOBS)
    def cancel(self, job: str) -> None:
        self.story.tell(commands.Cancel(job_id=job))

    @precondition(lambda self: self.story.state.pods)
    @rule(data=st.data(), how=st.sampled_from(["drain", "now", "kill", "detach"]))
    def end(self, data: st.DataObject, how: str) -> None:
        pod = data.draw(st.sampled_from(list(self.story.state.pods)))
        endings: dict[str, events.Message] = {
            "drain": commands.StopPod(pod_id=pod, now=False),
            "now": commands.StopPod(pod_id=pod, now=True),
            "kill": commands.KillPod(pod_id=pod),
            "detach": commands.DetachPod(pod_id=pod),
        }
        self.story.tell(endings[how])

    @rule(pod=_PODS)
    def keep_alive(self, pod: str) -> None:
        self.story.tell(commands.KeepAlive(pod_id=pod))

    # --- the world --------------------------------------------------------------------------------------------------

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        for _ in range(seconds):
            self.paid_s += sum(1 for pod in self.story.state.pods.values() if may_bill(pod.state))
            self.story.pass_time(1)

    @precondition(lambda self: self.story.state.pods)
    @rule(data=st.data(), index=st.integers(0, 11))
    def provider_or_line_says(self, data: st.DataObject, index: int) -> None:
        pod = data.draw(st.sampled_from(list(self.story.state.pods)))
        messages: list[events.Message] = [
            events.PodPhase(pod_id=pod, phase="pulling"),
            events.PodAddressed(pod_id=pod, address=ADDRESS),
            events.PodReady(pod_id=pod, local_port=8188, comfyui_version="x"),
            events.PodReady(pod_id=pod, local_port=8188, comfyui_version="x"),
            events.PodBootFailed(pod_id=pod, why="no"),
            events.LineLost(pod_id=pod, why="cut."),
            events.LineBack(pod_id=pod),
            events.LineBack(pod_id=pod),
            events.PodObserved(pod_id=pod, state=ObservedState.TERMINATED, detail="gone"),
            events.PodObserved(pod_id=pod, state=ObservedState.STOPPED, detail="stopped"),
            events.PodMessage(pod_id=pod, event=Disconnected(reason="x")),
            events.StillBilling(pod_id=pod, why="503"),
        ]
        self.story.tell(messages[index])

    @rule(created=st.booleans())
    def provider_answers_create(self, created: bool) -> None:  # noqa: FBT001 - the same
        for effect in self.story.take(CreatePod):
            self.created.add(effect.pod_id)
            if created:
                self.story.tell(events.PodCreated(pod_id=effect.pod_id, provider_id=f"id-{effect.pod_id}"))
            else:
                self.story.tell(events.PodNotCreated(pod_id=effect.pod_id, why="no capacity"))

    @rule()
    def provider_confirms_ends(self) -> None:
        for stop in self.story.take(StopAtProvider):
            self.story.tell(events.PodStopped(pod_id=stop.pod_id))
        for end in self.story.take(TerminateAtProvider):
            self.story.tell(events.PodTerminated(pod_id=end.pod_id))

    @precondition(lambda self: self.story.state.jobs)
    @rule(data=st.data(), step=st.integers(0, 9), outcome=st.sampled_from(PromptOutcome))
    def comfyui_says(self, data: st.DataObject, step: int, outcome: PromptOutcome) -> None:
        story = self.story
        name = data.draw(st.sampled_from(list(story.state.jobs)))
        job = story.job(name)
        if job.pod_id is None:
            return
        steps: list[Callable[[], object]] = [
            lambda: story.upload(name),
            lambda: story.accept(name),
            lambda: story.start(name, job.pod_id or ""),
            lambda: story.progress(name, pod_id=job.pod_id or ""),
            lambda: story.over(name),
            lambda: story.found(name, outcome),
            lambda: story.fetched(name, outcome),
            lambda: story.hear(PromptVanished(prompt_id=job.prompt_id), job.pod_id or ""),
            lambda: story.tell(job_events.PromptCancelled(job_id=name, attempt=job.attempt, gone=True)),
            lambda: story.tell(job_events.StepFailed(job_id=name, attempt=job.attempt, why="x", line_at_fault=True)),
        ]
        steps[step]()

    # --- ordinary days, so that odd ones happen in the middle of work ---------------------------------------------

    @rule(pod=_PODS, batch=st.booleans())
    def a_pod_comes_up(self, pod: str, batch: bool) -> None:  # noqa: FBT001 - the same
        if pod not in self.story.state.pods:
            self.story.boot(pod, batch=batch, idle_minutes="1")
            self.story.effects = [e for e in self.story.effects if not (isinstance(e, CreatePod) and e.pod_id == pod)]

    @precondition(lambda self: any(job.pod_id for job in self.story.state.jobs.values()))
    @rule(data=st.data(), count=st.integers(1, 5))
    def a_job_gets_on(self, data: st.DataObject, count: int) -> None:
        story = self.story
        name = data.draw(st.sampled_from([name for name, job in story.state.jobs.items() if job.pod_id]))
        pod_id = story.job(name).pod_id or ""
        steps: list[Callable[[], object]] = [
            lambda: story.upload(name),
            lambda: story.accept(name),
            lambda: story.start(name, pod_id),
            lambda: story.over(name),
            lambda: story.fetched(name),
        ]
        for step in steps[:count]:
            step()

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def every_live_job_is_in_one_place(self) -> None:
        state = self.story.state
        for name, job in state.jobs.items():
            places = state.queue.count(name) + sum(pod.active.count(name) for pod in state.pods.values())
            assert places == (0 if job_is_over(job.state) else 1), (name, job.state, places)
            assert (job.state is JobState.QUEUED) == (name in state.queue)

    @invariant()
    def pods_that_ended_hold_no_jobs(self) -> None:
        for pod in self.story.state.pods.values():
            if pod.state in (PodState.TERMINATING, PodState.TERMINATED):
                assert not pod.active, pod
            if pod.state in (PodState.STOPPING, PodState.STOPPED):
                assert {self.story.job(name).state for name in pod.active} <= {JobState.COLLECTING}, pod

    @invariant()
    def money_adds_up(self) -> None:
        """Total = sum of the charges = sum over the pods; and no second that may bill is free or paid twice."""
        story = self.story
        for kind, spent in story.state.spent_usd.items():
            assert spent == total_usd(story.charges, kind)
        pods = story.state.pods.values()
        assert sum((pod.spent_usd for pod in pods), Decimal(0)) == sum(story.state.spent_usd.values(), Decimal(0))
        running = sum((running_usd(pod.meter, story.now_s) for pod in pods if may_bill(pod.state)), Decimal(0))
        storage = sum((c.amount_usd for c in story.charges if c.price_per_hour_usd == 36), Decimal(0))
        paid = sum((pod.spent_usd for pod in pods), Decimal(0)) - storage + running
        assert abs(paid - Decimal(str(self.paid_s))) < Decimal("0.001"), (paid, self.paid_s)

    @invariant()
    def a_snapshot_can_be_made(self) -> None:
        snapshot = self.viewer.snapshot(self.story.state, Moment(START, self.story.now_s))
        assert list(snapshot.jobs) == list(self.story.state.jobs)
        for name, view in snapshot.jobs.items():
            assert view.state is self.story.job(name).state
        for kind, spent in snapshot.cost_usd.items():
            assert snapshot.forecast_usd[kind] >= spent
        keys = [alert.key for alert in snapshot.alerts]
        assert len(set(keys)) == len(keys)
        for alert in snapshot.alerts:
            assert alert.pod_id is None or not snapshot.pods[alert.pod_id].over
            assert alert.job_id is None or not snapshot.jobs[alert.job_id].over

    def teardown(self) -> None:
        """From anywhere, a kill and the provider's word end every pod, and then every job is over."""
        self.story.take(BootPod)
        self.story.take(FetchResults)
        self.provider_answers_create(created=True)
        for pod_id in list(self.story.state.pods):
            self.story.tell(commands.KillPod(pod_id=pod_id))
        for _ in range(3):
            self.provider_confirms_ends()
            self.story.pass_time(6)
        for pod in self.story.state.pods.values():
            assert pod.state is PodState.TERMINATED, pod
        assert not self.story.state.queue, "nobody is left who would take them"
        assert all(job_is_over(job.state) for job in self.story.state.jobs.values())


AnyOrder.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyOrder = AnyOrder.TestCase
