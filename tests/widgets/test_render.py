"""The text form: everything a person needs, on lines."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.log import hide
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.models.rate import Transfer
from autopod_nb.models.snapshot import Level, Notice, Progress
from autopod_nb.widgets import render, words
from tests.widgets.views import DONE, FAILED, NOW, POD, RESULT, RUNNING, snapshot

POD_LINE = (
    "3fa2c1: busy: ComfyUI 0.12.1 · A40 × 1 (local) · $0.40 an hour simulated · $0.0012 simulated so far · "
    "up 0:00 · ComfyUI at http://127.0.0.1:8188"
)


def test_a_running_job_says_state_node_frame_rate_time_and_money() -> None:
    assert render.job_text(RUNNING, POD).splitlines() == [
        "Job portrait (img2vid-basic): running",
        "  [██████████░░░░░░░░░░░░░░] 40 % · frame 12 · frame 12 of 24 · 8.1 frames/s · 0:04 left",
        "  for 1:15 · cost $0.0004 simulated, about $0.0009 simulated at its end, limit $0.50",
        f"  {POD_LINE}",
    ]


def test_a_finished_job_says_where_its_results_lie_and_no_more_that_it_runs() -> None:
    assert render.job_text(DONE, POD).splitlines() == [
        "Job portrait (img2vid-basic): done",
        "  took 1:15 · cost $0.0004 simulated, limit $0.50",
        "  video: /elsewhere/portrait.mp4 (123.5 kB)",
    ]


def test_a_result_below_the_current_folder_has_a_relative_path() -> None:
    result = replace(RESULT, path=Path.cwd() / "outputs" / "a.mp4")
    assert render.result_line(result) == "outputs/a.mp4 (123.5 kB)"


def test_a_failed_job_says_node_reason_and_what_to_do() -> None:
    assert render.job_text(FAILED).splitlines()[2:] == [
        "  error: The workflow failed in node 5: give it a smaller image.",
        "  error: Node 5 (ImageCrop): ValueError: x is too large",
    ]


def test_what_a_node_raised_is_said_once() -> None:
    said = "Crop (ImageCrop, node 5) raised ValueError: x is too large"
    assert render.failure_lines(replace(FAILED, error=said)) == [said]


def test_an_error_that_goes_on_for_pages_is_cut() -> None:
    assert FAILED.fault is not None
    endless = "x y\n" * 10_000
    view = replace(FAILED, error=f"It raised ValueError: {endless}", fault=replace(FAILED.fault, message=endless))
    (line,) = render.failure_lines(view)
    assert len(line) == 2_000
    assert len(render.job_line(view)) < 500
    assert len(render.notice_line(Notice(level=Level.ERROR, text=endless, at=NOW))) < 600


def test_a_known_failure_comes_with_advice() -> None:
    assert FAILED.fault is not None
    fault = replace(FAILED.fault, exception_type="torch.OutOfMemoryError", message="Allocation on device 0")
    *_, last = render.failure_lines(replace(FAILED, fault=fault))
    assert last.startswith("Out of GPU memory: make the picture smaller")


def test_unknown_progress_is_said_and_drawn_as_unknown() -> None:
    view = replace(RUNNING, progress=Progress(percent=None))
    assert "progress unknown" in render.job_line(view)
    assert "%" not in render.job_line(view)
    assert render.bar(None) == "·" * 24


def test_files_on_their_way_say_how_far_how_fast_and_how_long() -> None:
    moved = Transfer(done=12_000_000, size=256_000_000, bytes_per_s=8_100_000.0, left_s=30.1)
    view = replace(RUNNING, state=JobState.UPLOADING, progress=Progress(), transfer=moved)
    line = "portrait: uploading · 12.0 MB of 256.0 MB · 8.1 MB/s · 0:30 left · for 1:15 · $0.0004 simulated"
    assert render.job_line(view) == line
    begins = replace(view, transfer=replace(moved, bytes_per_s=None, left_s=None))
    assert words.doing(begins) == ["12.0 MB of 256.0 MB"]
    silent = replace(view, transfer=replace(moved, bytes_per_s=0.0, left_s=None))
    assert words.doing(silent) == ["12.0 MB of 256.0 MB", "0 bytes/s"]


def test_steps_stand_in_for_frames_where_a_workflow_counts_none() -> None:
    view = replace(RUNNING, progress=Progress(percent=10, node_title="KSampler", step=2, steps=20, rate_per_s=1.5))
    assert "KSampler · step 2 of 20 · 1.50 steps/s" in render.job_line(view)


def test_a_job_without_a_pod_waits_and_costs_nothing() -> None:
    view = replace(RUNNING, state=JobState.QUEUED, pod_id=None, kind=None, progress=Progress(), elapsed_s=0)
    assert render.job_line(view) == "portrait: queued, waits for a pod"
    assert "cost nothing yet, limit $0.50" in render.job_text(view)


def test_the_session_says_pods_jobs_cost_and_notices() -> None:
    assert render.session_text(snapshot(DONE, texts=("No progress for 5 minutes.",))).splitlines() == [
        "Pods",
        f"  {POD_LINE}",
        "Jobs",
        f"  {render.job_line(DONE)}",
        "Cost",
        "  $0.0012 simulated of $10.00 limit · now $0.40 an hour simulated",
        "Notices",
        "  warning: No progress for 5 minutes.",
    ]


def test_of_hundreds_of_jobs_the_list_shows_those_that_matter_and_counts_the_rest() -> None:
    over = [replace(DONE, job_id=f"job-{index}") for index in range(300)]
    failed = replace(FAILED, job_id="old-failure")
    text = render.session_text(snapshot(failed, RUNNING, *over))
    jobs = text.split("Jobs\n")[1].split("\nCost")[0].splitlines()
    assert len(jobs) == 21
    assert jobs[0].startswith("  portrait: running")
    assert jobs[1].startswith("  job-299: done")
    assert jobs[-1] == "  and 282 more: 281 done, 1 failed; `%autopod history` has all"


def test_an_empty_session_says_how_to_begin() -> None:
    text = render.session_text(replace(snapshot(pods=()), cost_usd={}))
    assert "none: `%autopod connect` rents one" in text
    assert "nothing spent yet of $10.00 limit" in text


def test_real_and_simulated_money_stand_on_lines_of_their_own() -> None:
    real = replace(POD, pod_id="beef00", kind=MoneyKind.REAL)
    both = {MoneyKind.SIMULATED: Decimal("0.0012"), MoneyKind.REAL: Decimal("1.5")}
    lines = render.money_lines(replace(snapshot(pods=(POD, real)), cost_usd=both))
    assert lines == [
        "$1.50 of $10.00 limit · now $0.40 an hour",
        "$0.0012 simulated of $10.00 limit · now $0.40 an hour simulated",
    ]


@pytest.mark.parametrize("state", [state for state in PodState if state is not PodState.TERMINATED])
def test_as_long_as_a_pod_is_not_gone_the_line_about_billing_names_it(state: PodState) -> None:
    text = render.still_bills(snapshot(pods=(replace(POD, state=state),)))
    assert "3fa2c1 ($0.40 an hour simulated) may still bill" in text
    assert "`%autopod kill`" in text


def test_when_every_pod_is_gone_nothing_bills() -> None:
    assert render.still_bills(snapshot(pods=(replace(POD, state=PodState.TERMINATED),))) == ""


@pytest.mark.parametrize(
    ("pod", "words_"),
    [
        (replace(POD, state=PodState.READY, idle_left_s=552.4), "ends in 9:12 without work"),
        (replace(POD, ends_after_batch=True), "ends after its jobs"),
        (replace(POD, unsaved=2), "2 jobs with results that are not here yet"),
        (
            replace(POD, state=PodState.TERMINATED, phase="gone", error="never booted"),
            "terminated: gone (never booted)",
        ),
        (replace(POD, detached=True), "detached"),
    ],
)
def test_a_pod_says_what_will_end_it_and_what_is_unsaved(pod: object, words_: str) -> None:
    assert words_ in render.pod_line(pod)  # type: ignore[arg-type]  # parametrize knows no types


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (8.9, "0:08"), (75, "1:15"), (3723, "1:02:03"), (-3, "0:00"), (90000, "25:00:00")],
)
def test_lengths_are_said_in_minutes_and_hours(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (2 * 10**15, "2000.0 TB"),
    ],
)
def test_sizes_are_said_in_thousands(bytes_: int, text: str) -> None:
    assert words.size(bytes_) == text


@given(st.floats(allow_nan=True, allow_infinity=True) | st.none())
def test_a_bar_has_its_length_whatever_the_percentage(percent: float | None) -> None:
    assert len(render.bar(percent)) == 24


@given(st.text())
def test_foreign_text_stays_on_one_line_without_control_characters(text: str) -> None:
    cleaned = words.clean(text)
    assert len(cleaned.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in cleaned)


def test_terminal_colours_and_direction_marks_of_a_server_are_dropped() -> None:
    assert words.clean("a\x1b[31mred\x1b[0m\u202eb\r\nc") == "a red b c"


def test_a_secret_in_an_error_or_a_notice_is_not_shown() -> None:
    hide("s3cr3t-value-for-render")
    failed = replace(FAILED, error="refused: s3cr3t-value-for-render")
    text = render.session_text(snapshot(failed, texts=("key s3cr3t-value-for-render",))) + render.job_text(failed)
    assert "s3cr3t" not in text
    assert "[redacted]" in text
