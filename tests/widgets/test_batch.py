"""Several jobs as one: how far all are, which rows are shown, the gallery; pure but for the pictures' files."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.snapshot import JobView, Progress
from autopod_nb.widgets.batch import (
    BatchView,
    batch_html,
    batch_text,
    batch_view,
    gallery_html,
    left_s,
    rows_html,
    shown_rows,
    summary_parts,
    swept,
)
from tests.widgets.views import DONE, FAILED, RESULT, RUNNING, snapshot

QUEUED = replace(RUNNING, state=JobState.QUEUED, progress=Progress(), kind=None, cost_usd=Decimal(0), elapsed_s=0.0)


def job(view: JobView, number: int, **values: object) -> JobView:
    return replace(view, job_id=f"sweep-{number:03}", swept=MappingProxyType(values))  # type: ignore[arg-type]  # plain


def batch(*views: JobView) -> BatchView:
    return BatchView(name="sweep", views=views)


SWEEP = batch(job(DONE, 1, seed=1), job(RUNNING, 2, seed=2), job(QUEUED, 3, seed=3), job(QUEUED, 4, seed=4))


def test_the_bar_is_the_mean_and_a_job_that_is_over_counts_as_whole() -> None:
    assert SWEEP.percent == pytest.approx((100 + 40.4) / 4)
    assert batch(DONE, FAILED).percent == 100
    assert batch(replace(RUNNING, progress=Progress(percent=None))).percent == 0


def test_the_text_has_a_row_for_each_job_with_what_sets_it_apart() -> None:
    lines = batch_text(SWEEP).splitlines()
    assert lines[0] == "sweep: 4 jobs · 1 done · 1 running · 2 queued · $0.0008 simulated"
    assert lines[1].endswith("] 35 %")
    assert lines[2].startswith("  sweep-001: done · seed=1 · ")
    assert "40 %" in lines[3]
    assert lines[4] == "  sweep-003: queued · seed=3"


def test_what_sets_a_job_apart_is_short_and_on_one_line() -> None:
    view = job(RUNNING, 1, image="photos/2026/a.jpg", prompt="a\nb" + "x" * 100, size=[1, 2], on=True)
    text = swept(view)
    assert text.startswith("image=a.jpg, prompt=a bxxx")
    assert text.endswith("…, size=[1, 2], on=true")
    assert swept(RUNNING) == ""


def test_no_total_adds_real_and_simulated_money() -> None:
    real = replace(DONE, kind=MoneyKind.REAL, cost_usd=Decimal(2))
    assert summary_parts(batch(DONE, real))[-2:] == ["$0.0004 simulated", "$2.00"]


def test_the_time_left_is_said_while_it_can_be_told() -> None:
    assert left_s(50, 30) == 30
    assert left_s(25, 30) == 90
    assert left_s(1, 30) is None
    assert left_s(100, 30) is None
    assert summary_parts(SWEEP, left=90)[-1] == "about 1:30 left"
    assert "left" not in " ".join(summary_parts(batch(DONE), left=5))


def test_a_long_batch_shows_what_failed_and_runs_before_what_waits_and_is_done() -> None:
    views = (
        [job(DONE, n) for n in range(40)]
        + [job(RUNNING, 41), job(FAILED, 42)]
        + [job(QUEUED, n) for n in range(43, 90)]
    )
    rows, rest = shown_rows(batch(*views))
    assert [view.state for view in rows[:2]] == [JobState.RUNNING, JobState.FAILED]
    assert {view.state for view in rows[2:]} == {JobState.QUEUED}
    assert len(rows) == 30
    assert rest == "and 59 more; `%autopod jobs` has all"


@given(st.lists(st.sampled_from([DONE, RUNNING, QUEUED, FAILED]), max_size=60))
def test_rows_are_in_order_and_the_rest_is_counted(kinds: list[JobView]) -> None:
    views = [job(view, number) for number, view in enumerate(kinds)]
    rows, rest = shown_rows(batch(*views))
    assert [view.job_id for view in rows] == sorted(view.job_id for view in rows)
    assert len(rows) + int(rest.split()[1] if rest else 0) == len(views)


def test_html_is_escaped_names_every_bar_and_says_why_a_job_failed() -> None:
    html = batch_html(batch(job(RUNNING, 1, prompt="<b>$1 $2"), job(FAILED, 2)))
    assert "<b>$" not in html
    assert "&lt;b&gt;" in html
    assert "$1" not in html
    assert html.count('role="progressbar"') == 2
    assert "Node 5 (ImageCrop): ValueError: x is too large" in html
    assert "○ queued" in rows_html(batch(QUEUED))


def test_the_gallery_shows_each_picture_with_what_sets_it_apart(tmp_path: Path) -> None:
    views = []
    for number in range(30):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"\x89PNG")
        views.append(replace(job(DONE, number, seed=number), results=(replace(RESULT, path=path, bytes=4),)))
    html = gallery_html(batch(*views))
    assert html.count("<img") == 24
    assert ">seed=23</figcaption>" in html
    assert "6 more results not shown here." in html
    assert gallery_html(batch(RUNNING)) == ""
    assert "<img" in batch_html(batch(*views), gallery=True)
    assert "<img" not in batch_html(batch(*views))


def test_jobs_that_the_session_does_not_have_yet_are_left_out() -> None:
    assert batch_view("b", ["portrait", "later"], snapshot(RUNNING)).views == (RUNNING,)
