"""What is to come: the forecast, the money of the day, the range of the time left, and what still bills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.money import MoneyKind, Spent
from autopod_nb.models.snapshot import PodView, Snapshot
from autopod_nb.session import commands, events
from autopod_nb.session.events import Moment
from autopod_nb.session.progress import left_range
from autopod_nb.session.state import JobData
from autopod_nb.session.views import Viewer
from tests.session.story import ADDRESS, START, Story
from tests.session.test_alerts import stopped_with_results

SIMULATED, REAL = MoneyKind.SIMULATED, MoneyKind.REAL
USUAL = {"A40": 20.0}


def seen(story: Story, viewer: Viewer | None = None) -> Snapshot:
    return (viewer or Viewer()).snapshot(story.state, Moment(START + timedelta(seconds=story.now_s), story.now_s))


class TestForecast:
    """A second costs a dollar here."""

    def test_it_is_what_is_spent_and_what_running_and_waiting_jobs_still_take(self) -> None:
        story = Story()
        story.boot()
        for name in ("j1", "j2", "j3", "j4"):
            story.submit(name, usual_s=USUAL)
        story.run("j1")
        story.pass_time(5)
        snapshot = seen(story)
        assert snapshot.cost_usd == {SIMULATED: 5}
        assert snapshot.forecast_usd == {SIMULATED: 5 + 15 + 20 + 20 + 20}, "the second waits on the pod"
        assert snapshot.forecast_complete

    def test_a_job_that_never_ran_makes_it_incomplete_and_nothing_is_guessed(self) -> None:
        story = Story()
        story.boot()
        story.submit("j1", usual_s=USUAL)
        story.submit("j2", usual_s={"H100": 3.0})
        story.submit("j3")
        snapshot = seen(story)
        assert snapshot.forecast_usd == {SIMULATED: 20}
        assert not snapshot.forecast_complete

    def test_without_work_it_is_what_is_spent(self) -> None:
        story = Story()
        story.boot()
        story.submit()
        story.finish()
        story.pass_time(7)
        snapshot = seen(story)
        assert snapshot.forecast_usd == snapshot.cost_usd == {SIMULATED: 7}
        assert snapshot.forecast_complete

    def test_a_job_that_is_only_fetched_or_ended_early_needs_no_more(self) -> None:
        story = Story()
        story.boot()
        story.submit("j1", usual_s=USUAL)
        story.submit("j2", usual_s=USUAL)
        story.run("j1")
        story.over("j1")
        story.run("j2")
        story.tell(commands.Cancel(job_id="j2"))
        snapshot = seen(story)
        assert snapshot.forecast_usd == {SIMULATED: 0}
        assert snapshot.forecast_complete

    def test_a_job_for_one_pod_is_priced_on_that_pod_and_others_on_the_oldest_that_takes_jobs(self) -> None:
        story = Story()
        for pod_id, price in (("p1", "3600"), ("p2", "7200"), ("p3", "36000")):
            story.connect(pod_id, price=price)
        story.submit("j1", usual_s=USUAL)
        story.submit("j2", usual_s=USUAL, pod_id="p3")
        assert seen(story).forecast_usd == {SIMULATED: 20 + 200}
        story.tell(commands.KillPod(pod_id="p1"))
        assert seen(story).forecast_usd == {SIMULATED: 40 + 200}

    def test_the_kinds_of_money_are_never_added(self) -> None:
        story = Story()
        story.connect("p1")
        story.connect("p2")
        pod = story.pod("p2")
        real = replace(pod, offer=replace(pod.offer, kind=REAL))
        story.state = replace(story.state, pods=MappingProxyType({**story.state.pods, "p2": real}))
        story.submit("j1", usual_s=USUAL, pod_id="p1")
        story.submit("j2", usual_s={"A40": 3.0}, pod_id="p2")
        assert seen(story).forecast_usd == {SIMULATED: 20, REAL: 3}

    def test_a_viewer_that_keeps_its_sum_says_the_same_as_a_new_one(self) -> None:
        story, viewer = Story(), Viewer()
        story.boot()
        for number in range(6):
            story.submit(f"j{number}", usual_s={"A40": 1.0 + number})
            assert seen(story, viewer).forecast_usd == seen(story).forecast_usd
        for number in range(6):
            story.finish(f"j{number}")
            story.pass_time(1)
            assert seen(story, viewer).forecast_usd == seen(story).forecast_usd
        story.submit("late", usual_s=USUAL)
        story.tell(commands.StopPod(pod_id="p1", now=False))
        assert seen(story, viewer).forecast_usd == seen(story).forecast_usd

    def test_thousands_of_waiting_jobs_are_looked_at_once_and_not_at_each_tick(self) -> None:
        story, viewer = Story(), Viewer()
        story.boot()
        for number in range(20):
            story.submit(f"j{number}", usual_s=USUAL)
        first = seen(story, viewer)
        unread = _Unread(story.state.jobs, allowed=story.pod().active)
        story.state = replace(story.state, jobs=unread)
        viewer._jobs_of = unread  # the mapping is new, its jobs are not
        assert seen(story, viewer).forecast_usd == first.forecast_usd


class _Unread(dict[str, JobData]):
    """Jobs, of which only those on a pod may be looked at."""

    def __init__(self, jobs: object, *, allowed: tuple[str, ...]) -> None:
        super().__init__(jobs)  # type: ignore[call-overload] # a mapping of jobs
        self._allowed = allowed

    def __getitem__(self, job_id: str) -> JobData:
        assert job_id in self._allowed, f"{job_id} waits and was looked at"
        return super().__getitem__(job_id)


class TestToday:
    def test_it_is_what_the_ledger_says_and_what_was_booked_and_runs_since(self) -> None:
        story = Story()
        story.boot()
        story.pass_time(10)
        spent = Spent(day_usd=Decimal(100), month_usd=Decimal(300), ours_usd=Decimal(4))
        story.tell(
            events.SpentSeen(spent={SIMULATED: spent, REAL: replace(spent, day_usd=Decimal(2), ours_usd=Decimal(0))})
        )
        story.pass_time(5)
        assert seen(story).today_usd == {SIMULATED: 100 + 15 - 4, REAL: 2}

    def test_before_the_ledger_was_read_it_is_what_this_session_spent(self) -> None:
        story = Story()
        assert seen(story).today_usd == {}
        story.boot()
        story.pass_time(3)
        assert seen(story).today_usd == {SIMULATED: 3}

    def test_its_limit_is_that_of_the_rules(self) -> None:
        story = Story()
        assert seen(story).day_limit_usd is None
        story.state = replace(story.state, rules=replace(story.state.rules, day_limit_usd=Decimal(5)))
        assert seen(story).day_limit_usd == 5


_SECONDS = st.floats(0, 1e6)
_DONE = st.floats(0, 1)
_PACES = st.none() | st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)).map(lambda pair: (min(pair), max(pair)))


class TestRanges:
    @given(left_s=_SECONDS, done=_DONE, paces=_PACES, usual_left_s=st.none() | _SECONDS, usual_s=_SECONDS)
    def test_the_estimate_is_always_within(
        self,
        left_s: float,
        done: float,
        paces: tuple[float, float] | None,
        usual_left_s: float | None,
        usual_s: float,
    ) -> None:
        low_s, high_s = left_range(left_s, done, paces=paces, usual_left_s=usual_left_s, usual_s=usual_s)
        assert low_s is not None
        assert high_s is not None
        assert 0 <= low_s <= left_s <= high_s

    @given(left_s=_SECONDS, dones=st.tuples(_DONE, _DONE), paces=_PACES, usual_left_s=st.none() | _SECONDS)
    def test_it_narrows_with_the_work_that_is_done(
        self,
        left_s: float,
        dones: tuple[float, float],
        paces: tuple[float, float] | None,
        usual_left_s: float | None,
    ) -> None:
        wide, narrow = (
            left_range(left_s, done, paces=paces, usual_left_s=usual_left_s, usual_s=60.0) for done in sorted(dones)
        )
        rounding = 1e-9 * (left_s + (usual_left_s or 0.0))
        assert wide[0] is not None and wide[1] is not None and narrow[0] is not None and narrow[1] is not None  # noqa: PT018 - for the type checker
        assert wide[0] <= narrow[0] + rounding
        assert narrow[1] <= wide[1] + rounding

    def test_at_the_end_nothing_is_in_doubt_and_without_an_estimate_there_is_none(self) -> None:
        assert left_range(3.0, 1.0, paces=(1.0, 9.0), usual_left_s=40.0, usual_s=60.0) == (3.0, 3.0)
        assert left_range(None, 0.5) == (None, None)

    def test_an_uneven_run_is_more_in_doubt_than_an_even_one(self) -> None:
        even, uneven = left_range(10.0, 0.5, paces=(1.0, 1.0)), left_range(10.0, 0.5, paces=(1.0, 4.0))
        assert uneven[0] < even[0]  # type: ignore[operator] # there is an estimate
        assert uneven[1] > even[1]  # type: ignore[operator] # the same

    def test_a_job_has_one_from_earlier_runs_then_from_its_own_pace_and_none_is_left_when_it_is_done(self) -> None:
        story = Story()
        story.boot()
        story.submit(usual_s=USUAL)
        story.run()
        story.pass_time(5)
        early = seen(story).jobs["j1"].progress
        assert (early.left_low_s, early.left_s, early.left_high_s) == (15 / 1.3, 15, 15 + 20 * 0.3)
        story.progress(value=0.5)
        story.pass_time(1)
        own = seen(story).jobs["j1"].progress
        assert own.left_s == 18
        assert own.left_low_s < 18 < own.left_high_s  # type: ignore[operator] # there is an estimate
        story.over()
        story.fetched()
        done = seen(story).jobs["j1"].progress
        assert (done.left_low_s, done.left_s, done.left_high_s) == (0, 0, 0)

    def test_a_job_that_takes_longer_than_usual_may_still_take_a_while(self) -> None:
        story = Story()
        story.boot()
        story.submit(usual_s=USUAL)
        story.run()
        story.pass_time(30)
        late = seen(story).jobs["j1"].progress
        assert (late.left_low_s, late.left_s) == (0, 0)
        assert late.left_high_s == 6

    def test_a_job_that_waits_behind_another_has_all_of_its_time_ahead(self) -> None:
        story = Story()
        story.boot()
        story.submit("j1", usual_s=USUAL)
        story.submit("j2", usual_s=USUAL)
        story.run("j1")
        story.upload("j2")
        story.accept("j2")
        story.pass_time(12)
        views = seen(story).jobs
        assert (views["j1"].progress.left_s, views["j2"].progress.left_s) == (8, 20)

    def test_slow_and_quick_work_of_one_run_is_measured_and_what_was_cached_is_not(self) -> None:
        story = Story()
        story.boot()
        story.submit()
        story.run()
        story.pass_time(1)
        story.progress(value=0.5)
        story.pass_time(4)
        story.progress(value=1)
        assert story.job().track.paces == (2.0, 8.0)


class TestPods:
    def pod(self, story: Story) -> PodView:
        return seen(story).pods["p1"]

    def test_one_boots_until_it_is_up(self) -> None:
        story = Story()
        story.connect()
        story.tell(events.PodCreated(pod_id="p1", provider_id="id-p1"))
        story.pass_time(40)
        assert self.pod(story).boot_s == 40
        story.tell(events.PodAddressed(pod_id="p1", address=ADDRESS))
        story.pass_time(2)
        assert self.pod(story).boot_s == 42
        story.tell(events.PodReady(pod_id="p1", local_port=1, comfyui_version="x"))
        assert self.pod(story).boot_s is None

    def test_one_that_is_ended_bills_until_the_provider_was_asked_again(self) -> None:
        story = Story()
        story.boot()
        assert (self.pod(story).ending, self.pod(story).bills) == (False, True)
        story.tell(commands.KillPod(pod_id="p1"))
        assert (self.pod(story).ending, self.pod(story).bills) == (True, True)
        story.tell(events.StillBilling(pod_id="p1", why="the provider says running."))
        assert (self.pod(story).ending, self.pod(story).bills) == (True, True)
        story.tell(events.PodTerminated(pod_id="p1"))
        assert (self.pod(story).ending, self.pod(story).bills) == (False, False)

    def test_one_that_drains_is_ending(self) -> None:
        story = Story()
        story.boot()
        story.submit()
        story.run()
        story.tell(commands.StopPod(pod_id="p1", now=False))
        assert (self.pod(story).ending, self.pod(story).bills) == (True, True)

    def test_one_that_stands_still_bills_its_storage_only(self) -> None:
        pod = self.pod(stopped_with_results())
        assert (pod.ending, pod.bills, pod.storage_only) == (False, True, True)

    def test_a_machine_that_costs_nothing_never_bills(self) -> None:
        story = Story()
        story.boot(price="0")
        assert not self.pod(story).bills

    def test_one_that_was_never_made_never_billed(self) -> None:
        story = Story()
        story.connect()
        story.tell(events.PodNotCreated(pod_id="p1", why="no capacity"))
        assert not self.pod(story).bills
