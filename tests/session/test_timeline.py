"""What figures show, from ledgers with two kinds of money: exact, and the same sums as the ledger's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.comfyui.workflow import load_template
from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.job import JobSpec, JobState, RemoteFile, ResultFile, Verified
from autopod_nb.models.money import MoneyKind, Purpose, cost_usd
from autopod_nb.models.pod import PodState
from autopod_nb.session.costs import read_costs
from autopod_nb.session.timeline import Activity, pod_lanes, read_month, read_timeline, result_costs
from autopod_nb.session.timeline_curve import MAX_POINTS, cost_curve
from autopod_nb.session.timeline_frames import count_frames, frame_times
from autopod_nb.storage.columns import from_micro_usd
from autopod_nb.storage.ledger import Ledger, LedgerWrite
from autopod_nb.storage.timeline import PaidStretch
from autopod_nb.storage.writes import JobChanged, JobRecorded, PodChanged, ResultRecorded
from tests.session.test_costs import cost, pod

REAL, SIMULATED = MoneyKind.REAL, MoneyKind.SIMULATED
NOW = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)
TEMPLATES = Path(__file__).parents[2] / "templates"


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def job(
    job_id: str, template: str, state: JobState, *, render_s: int = 30, error: str = "", **spec: Any
) -> list[LedgerWrite]:
    """A job on p1 that ComfyUI began with at NOW; done with one result, if it is done."""
    key: dict[str, Any] = {"session_id": "s1", "job_id": job_id, "attempt": 1}
    records: list[LedgerWrite] = [
        JobRecorded(
            session_id="s1",
            spec=JobSpec(job_id=job_id, workflow_template=template, **spec),
            at=NOW,
            template_path=str(TEMPLATES / f"{template}.json"),
        ),
        JobChanged(**key, state=JobState.RUNNING, at=NOW, pod_id="p1"),
    ]
    if state is JobState.DONE:
        source = RemoteFile(node_id="9", filename=f"{job_id}.mp4")
        path = Path(f"outputs/{job_id}.mp4")
        file = ResultFile(output="video", path=path, bytes=3, sha256="ab" * 32, verified=Verified.SHA256, source=source)
        records.append(JobChanged(**key, state=JobState.COLLECTING, at=at(render_s)))
        records.append(ResultRecorded(**key, result=file, at=at(render_s)))
    return [*records, JobChanged(**key, state=state, at=at(render_s + 1), error=error)]


def write_timeline(ledger: Ledger, *, name: str = "portrait", gpu: str = "A40") -> None:
    """A simulated pod with three jobs and a real one that never came up."""
    ledger.write(
        [
            pod("p1", SIMULATED, gpu),
            PodChanged(pod_id="p1", state=PodState.READY, at=NOW),
            pod("p2", REAL, "RTX 4090"),
            PodChanged(pod_id="p2", state=PodState.TERMINATED, at=NOW),
            *job(name, "img2vid-wan", JobState.DONE, params=MappingProxyType({"length": 5})),
            *job("forest", "img2vid-wan", JobState.FAILED, error="out of <b>memory</b>"),
            *job("voice", "still-with-voice", JobState.CANCELLED),
            cost("p1", SIMULATED, "0.1", Purpose.BOOT),
            cost("p1", SIMULATED, "0.3", name, at(10)),
            cost("p1", SIMULATED, "0.1", name, at(20)),
            cost("p1", SIMULATED, "0.02", Purpose.IDLE, at(30)),
            cost("p1", SIMULATED, "0.000001", "forest", at(40)),
            cost("p1", SIMULATED, "0.05", "voice", at(50)),
            cost("p1", SIMULATED, "0.003", Purpose.STORAGE, at(60)),
            cost("p2", REAL, "0.25", Purpose.BOOT, at(15)),
        ]
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / LEDGER_NAME) as opened:
        write_timeline(opened)
        yield opened


def test_a_pod_is_a_lane_with_each_job_as_one_segment_and_how_it_ended(ledger: Ledger) -> None:
    simulated, real = pod_lanes(read_timeline(ledger))
    assert [(each.activity, each.job, (each.start - NOW).seconds, each.cost_usd) for each in simulated.segments] == [
        (Activity.BOOT, "", 0, Decimal("0.1")),
        (Activity.DONE, "portrait", 10, Decimal("0.4")),
        (Activity.IDLE, "", 30, Decimal("0.02")),
        (Activity.FAILED, "forest", 40, Decimal("0.000001")),
        (Activity.CANCELLED, "voice", 50, Decimal("0.05")),
        (Activity.STORAGE, "", 60, Decimal("0.003")),
    ]
    assert simulated.segments[3].error == "out of <b>memory</b>", "to be escaped by whoever shows it"
    assert (simulated.kind, simulated.gpu) == (SIMULATED, "A40 × 1")
    assert (real.kind, [each.activity for each in real.segments]) == (REAL, [Activity.BOOT])


def test_segments_add_up_to_what_costs_say_of_the_month(ledger: Ledger) -> None:
    spent = read_costs(ledger, now=NOW).in_month
    lanes = pod_lanes(read_month(ledger, now=NOW))
    for kind, amounts in spent.items():
        sums = {
            activity: sum(each.cost_usd for lane in lanes if lane.kind is kind for each in lane.segments
                          if each.activity is activity)
            for activity in Activity
        }  # fmt: skip
        assert sums[Activity.BOOT] == amounts.boot_usd + amounts.vain_boot_usd
        assert sums[Activity.DONE] + sums[Activity.OPEN] == amounts.job_usd
        assert sums[Activity.FAILED] + sums[Activity.CANCELLED] == amounts.lost_job_usd
        assert (sums[Activity.IDLE], sums[Activity.STORAGE]) == (amounts.idle_usd, amounts.storage_usd)
    assert read_month(ledger, now=NOW, month="2026-02").stretches == ()


def test_a_result_costs_what_all_jobs_of_its_template_cost(ledger: Ledger) -> None:
    """The failed one, too: it was paid for on the way to the result."""
    wan, voice = result_costs(read_timeline(ledger))
    assert (wan.kind, wan.gpu, wan.template, wan.attempts, wan.results) == (SIMULATED, "A40 × 1", "img2vid-wan", 2, 1)
    assert (wan.job_usd, wan.lost_usd, wan.total_usd) == (Decimal("0.4"), Decimal("0.000001"), Decimal("0.400001"))
    assert (voice.template, voice.results, voice.lost_usd) == ("still-with-voice", 0, Decimal("0.05"))


def test_the_curve_grows_to_the_exact_sum_of_each_kind(ledger: Ledger) -> None:
    curve = cost_curve(read_timeline(ledger).stretches, name="x", limit_usd=Decimal(1))
    assert curve.total_usd(SIMULATED) == Decimal("0.573001")
    assert [((point.at - NOW).seconds, point.total_usd) for point in curve.lines[REAL]] == [
        (15, 0),
        (25, Decimal("0.25")),
    ]
    first, second, *_ = curve.lines[SIMULATED]
    assert (first.total_usd, second.total_usd, (second.at - NOW).seconds) == (Decimal(0), Decimal("0.1"), 10)
    assert cost_curve((), name="x").lines == {}


def test_two_pods_beside_each_other_grow_together() -> None:
    curve = cost_curve([_stretch(0, 10, 100), _stretch(5, 10, 100)], name="x")
    assert [point.total_usd for point in curve.lines[REAL]] == [
        Decimal(0), Decimal("0.000050"), Decimal("0.000150"), Decimal("0.000200")
    ]  # fmt: skip


def _stretch(start_s: int, length_s: int, amount: int, kind: MoneyKind = REAL) -> PaidStretch:
    return PaidStretch(
        pod_id="p1",
        kind=kind,
        purpose=Purpose.IDLE,
        attempt_key=None,
        start_us=start_s * 1_000_000,
        end_us=(start_s + length_s) * 1_000_000,
        paid_us=length_s * 1_000_000,
        amount_micro_usd=amount,
    )


_STRETCHES = st.lists(
    st.builds(_stretch, st.integers(0, 50), st.integers(0, 30), st.integers(0, 10**9), st.sampled_from(MoneyKind))
)


@given(stretches=_STRETCHES)
def test_a_curve_never_falls_and_ends_at_the_sum_of_its_kind(stretches: list[PaidStretch]) -> None:
    curve = cost_curve(stretches, name="x")
    for kind in MoneyKind:
        booked = sum(each.amount_micro_usd for each in stretches if each.kind is kind)
        assert curve.total_usd(kind) == from_micro_usd(booked)
        totals = [point.total_usd for point in curve.lines.get(kind, ())]
        assert all(before <= after for before, after in itertools.pairwise(totals))


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    many = [_stretch(start * 10, 5, 7) for start in range(MAX_POINTS)]
    line = cost_curve(many, name="x").lines[REAL]
    assert len(line) == MAX_POINTS
    assert (line[0].total_usd, line[-1].total_usd) == (Decimal(0), from_micro_usd(7 * MAX_POINTS))


def test_seconds_a_frame_are_those_of_rendering_and_of_jobs_that_are_done(ledger: Ledger) -> None:
    found = frame_times(read_timeline(ledger))
    (group,) = found.groups
    (time,) = group.times
    assert (group.kind, group.gpu, group.template) == (SIMULATED, "A40 × 1", "img2vid-wan")
    assert (time.job, time.frames, time.seconds, time.seconds_per_frame) == ("portrait", 5, Decimal(30), Decimal(6))
    assert found.left_out == 0


def test_a_job_whose_frames_nobody_knows_is_counted_as_left_out(ledger: Ledger) -> None:
    ledger.write([*job("mute", "still-with-voice", JobState.DONE), cost("p1", SIMULATED, "1", "mute", at(80))])
    ledger.write([*job("gone", "no-such-template", JobState.DONE), cost("p1", SIMULATED, "1", "gone", at(90))])
    found = frame_times(read_timeline(ledger))
    assert (len(found.groups), found.left_out) == (1, 2)


@pytest.mark.parametrize(
    ("template", "params", "frames"),
    [
        ("img2vid-wan", {}, 33),
        ("img2vid-wan", {"length": 81}, 81),
        ("img2vid-wan", {"length": -3}, 0),
        ("img2vid-wan", {"no such placeholder": 1}, 0),
        ("still-with-voice", {}, 0),
    ],
)
def test_frames_are_what_the_workflow_says_with_the_values_of_the_job(
    template: str, params: dict[str, Any], frames: int
) -> None:
    spec = JobSpec(job_id="a", workflow_template=template, params=MappingProxyType(params))
    assert count_frames(load_template(TEMPLATES / f"{template}.json"), spec) == frames


def test_a_workflow_with_a_node_a_frame_says_how_many_by_itself() -> None:
    template = load_template(TEMPLATES / "img2vid-basic.json")
    spec = JobSpec(job_id="a", workflow_template=template.name)
    assert count_frames(template, spec) == len(template.frame_nodes) > 10


@given(amounts=st.lists(st.tuples(st.sampled_from(Activity), st.integers(1, 500)), max_size=8))
@settings(max_examples=20)
def test_lanes_lose_nothing_of_what_is_booked(
    amounts: list[tuple[Activity, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By kind of money and by what it was for."""
    states = {Activity.DONE: JobState.DONE, Activity.OPEN: JobState.RUNNING, Activity.FAILED: JobState.FAILED,
              Activity.CANCELLED: JobState.CANCELLED}  # fmt: skip
    purposes = {Activity.BOOT: Purpose.BOOT, Activity.IDLE: Purpose.IDLE, Activity.STORAGE: Purpose.STORAGE}
    with Ledger(tmp_path_factory.mktemp("lanes") / LEDGER_NAME) as ledger:
        ledger.write([pod("p1", SIMULATED)])
        for number, (activity, seconds) in enumerate(amounts):
            name = f"job{number}"
            made = job(name, "img2vid-wan", states[activity]) if activity in states else []
            amount = str(cost_usd(Decimal("0.4"), Decimal(seconds)))
            ledger.write([*made, cost("p1", SIMULATED, amount, purposes.get(activity, name), at(number * 20))])
        lanes = pod_lanes(read_timeline(ledger))
    for activity in Activity:
        booked = [cost_usd(Decimal("0.4"), Decimal(seconds)) for each, seconds in amounts if each is activity]
        found = [each.cost_usd for lane in lanes for each in lane.segments if each.activity is activity]
        assert sum(found) == sum(booked)
