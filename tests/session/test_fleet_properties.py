"""With a fleet, whatever the world does: no job is lost, never too many pods bill, and no plan is beyond the budget."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from autopod_nb.models.job import JobState, job_is_over
from autopod_nb.models.pod import ObservedState, PodState
from autopod_nb.pods.fleet_facts import Aim
from autopod_nb.session import commands, events, job_events
from autopod_nb.session.effects import CreatePod, WriteLedger
from autopod_nb.session.events import Moment
from autopod_nb.session.fleet_sight import left_usd
from autopod_nb.session.step import Step
from autopod_nb.session.views import Viewer
from autopod_nb.storage.writes import PodIntent
from tests.session.fleet_story import FleetStory, other_offer
from tests.session.story import START, offer

_OFFERS = (offer(), other_offer("RTX A6000", "5000"), other_offer("RTX A5000", "2500"))
_MOST_JOBS = 12


class AnyDay(RuleBasedStateMachine):
    """A person, a provider that has capacity or not, pods that come up, work, get lost or slow."""

    @initialize(
        aim=st.sampled_from(Aim),
        max_pods=st.integers(1, 4),
        budget=st.none() | st.integers(50, 3000),
        batch=st.booleans(),
        spare=st.integers(1, 3),
    )
    def begin(self, aim: Aim, max_pods: int, budget: int | None, batch: bool, spare: int) -> None:  # noqa: FBT001
        self.story = FleetStory(limit_usd="4000")
        self.max_pods = max_pods
        self.numbers = 0
        self.lost = 0
        self.viewer = Viewer()
        self.seen_intents = 0
        self.story.wish(
            max_pods,
            aim=aim,
            budget_usd=None if budget is None else str(budget),
            minutes="10" if aim is Aim.DEADLINE else None,
            offers=_OFFERS[:spare],
            batch=batch,
        )

    # --- a person -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.numbers < _MOST_JOBS)
    @rule(count=st.integers(1, 4))
    def submit(self, count: int) -> None:
        for _ in range(count):
            self.numbers += 1
            self.story.submit(f"j{self.numbers}")

    @rule(number=st.integers(1, _MOST_JOBS))
    def cancel(self, number: int) -> None:
        self.story.tell(commands.Cancel(job_id=f"j{number}"))

    @precondition(lambda self: self.story.live())
    @rule(data=st.data(), now=st.booleans())
    def stop(self, data: st.DataObject, now: bool) -> None:  # noqa: FBT001 - hypothesis hands it in by name
        pod = data.draw(st.sampled_from(self.story.live()))
        self.story.tell(commands.StopPod(pod_id=pod.pod_id, now=now))

    # --- the world ----------------------------------------------------------------------------------------------------

    @rule(seconds=st.integers(1, 30))
    def time_passes(self, seconds: int) -> None:
        self.story.wait_a_tick(seconds)

    @rule(there=st.integers(0, 9))
    def provider_answers(self, there: int) -> None:
        for effect in self.story.take(CreatePod):
            if there == 0:
                why = events.PodNotCreated(pod_id=effect.pod_id, why="no capacity", another_may_do=True)
                self.story.tell(why)
            else:
                self.story.tell(events.PodCreated(pod_id=effect.pod_id, provider_id=f"id-{effect.pod_id}"))
        self.story.confirm_ends()

    @precondition(lambda self: any(pod.state is PodState.BOOTING for pod in self.story.live()))
    @rule(works=st.integers(0, 9))
    def a_pod_comes_up(self, works: int) -> None:
        pod = next(pod for pod in self.story.live() if pod.state is PodState.BOOTING)
        if works == 0:
            self.story.tell(events.PodBootFailed(pod_id=pod.pod_id, why="no"))
        else:
            self.story.come_up_quietly(pod.pod_id)

    @precondition(lambda self: any(pod.active for pod in self.story.live()))
    @rule(data=st.data(), steps=st.integers(1, 5), seconds=st.integers(0, 150))
    def a_job_gets_on(self, data: st.DataObject, steps: int, seconds: int) -> None:
        self.get_on(data.draw(st.sampled_from([pod for pod in self.story.live() if pod.active])).pod_id, steps, seconds)

    def get_on(self, pod_id: str, steps: int, seconds: int) -> None:
        story = self.story
        name = story.pod(pod_id).active[0]
        does: list[Callable[[], object]] = [
            lambda: story.upload(name),
            lambda: story.accept(name),
            lambda: story.start(name, pod_id),
            lambda: story.over(name),
            lambda: story.fetched(name),
        ]
        for number, do in enumerate(does[:steps]):
            if number == 3:
                story.pass_time(seconds)
            if story.job(name).pod_id == pod_id:
                do()

    @precondition(lambda self: any(pod.local_port for pod in self.story.live()) and self.lost < 3)
    @rule(data=st.data(), back=st.booleans())
    def a_pod_is_lost(self, data: st.DataObject, back: bool) -> None:  # noqa: FBT001 - as above
        pod = data.draw(st.sampled_from([pod for pod in self.story.live() if pod.local_port]))
        self.lost += 1
        self.story.tell(events.LineLost(pod_id=pod.pod_id, why="cut."))
        self.story.pass_time(2)
        if back:
            self.story.tell(events.LineBack(pod_id=pod.pod_id))
        else:
            gone = events.PodObserved(pod_id=pod.pod_id, state=ObservedState.TERMINATED, detail="outbid")
            self.story.tell(gone)

    @precondition(lambda self: any(pod.active for pod in self.story.live()))
    @rule(data=st.data())
    def a_line_fails(self, data: st.DataObject) -> None:
        pod = data.draw(st.sampled_from([pod for pod in self.story.live() if pod.active]))
        job = self.story.job(pod.active[0])
        failed = job_events.StepFailed(job_id=job.job_id, attempt=job.attempt, why="cut.", line_at_fault=True)
        if job.state is JobState.UPLOADING:
            self.story.tell(failed)

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def every_job_that_is_not_over_is_in_one_place(self) -> None:
        state = self.story.state
        for name, job in state.jobs.items():
            places = state.queue.count(name) + sum(pod.active.count(name) for pod in state.pods.values())
            assert places == (0 if job_is_over(job.state) else 1), (name, job.state)

    @invariant()
    def no_more_pods_bill_than_are_allowed(self) -> None:
        assert len(self.story.live()) <= self.max_pods

    @invariant()
    def nothing_is_started_beyond_the_budget(self) -> None:
        """At the moment of each start, all that is planned is within what is left."""
        story = self.story
        intents = sum(isinstance(write, PodIntent) for write in story.writes)
        if intents > self.seen_intents and story.state.fleet is not None:
            step = Step(story.state, Moment(START, story.now_s))
            left = left_usd(step, story.state.fleet)
            if story.fleet.asked_s == story.now_s and left is not None:
                assert story.fleet.cost_usd <= left + Decimal("0.001")
        self.seen_intents = intents

    @invariant()
    def a_snapshot_can_be_made(self) -> None:
        self.viewer.snapshot(self.story.state, Moment(START, self.story.now_s))

    @invariant()
    def no_job_fails_by_the_rule(self) -> None:
        """A job fails when its pods died under it too often, at a limit, or when nobody can or shall start a pod."""
        for job in self.story.state.jobs.values():
            if job.state is JobState.FAILED:
                known = ("tried", "limit", "There is no pod for it", "results are not here")
                assert any(words in job.error for words in known), job.error

    def teardown(self) -> None:
        """When the world is well again every job comes to its end, and what a batch rented ends by itself."""
        if not hasattr(self, "story"):
            return
        story = self.story
        for _ in range(200):
            self.provider_answers(9)
            for pod in story.live():
                if pod.state is PodState.BOOTING:
                    story.come_up_quietly(pod.pod_id)
                elif pod.state is PodState.LOST:
                    story.tell(events.LineBack(pod_id=pod.pod_id))
                elif pod.active:
                    self.get_on(pod.pod_id, 5, 20)
            story.wait_a_tick(15)
            story.effects = [effect for effect in story.effects if not isinstance(effect, WriteLedger)]
            if not story.live() and not (story.state.queue and not self._stranded()):
                break
        assert not story.live(), [(pod.pod_id, pod.state, pod.phase) for pod in story.live()]
        waiting = set(story.state.queue)
        assert waiting <= self._stranded(), "only what the budget is not enough for may wait"
        assert all(job_is_over(job.state) for name, job in story.state.jobs.items() if name not in waiting)

    def _stranded(self) -> set[str]:
        fleet = self.story.state.fleet
        return set() if fleet is None else {name for each in fleet.stranded for name in each.job_ids}


AnyDay.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyDay = AnyDay.TestCase
