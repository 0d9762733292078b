"""Figures: what they say in words and rows, that nobody's markup gets in, and that they stay small."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.money import MoneyKind
from autopod_nb.session.costs import read_costs
from autopod_nb.session.timeline import Activity, PodLane, Segment, pod_lanes, read_timeline, result_costs
from autopod_nb.session.timeline_curve import cost_curve
from autopod_nb.session.timeline_frames import FrameGroup, FrameTime, FrameTimes, frame_times
from autopod_nb.storage.ledger import Ledger
from autopod_nb.widgets import chart_style
from autopod_nb.widgets.chart_costs import cost_chart
from autopod_nb.widgets.chart_frames import frames_chart
from autopod_nb.widgets.chart_gantt import MAX_LANES, MAX_SEGMENTS, gantt_chart
from autopod_nb.widgets.chart_results import result_chart
from autopod_nb.widgets.chart_waste import waste_chart
from autopod_nb.widgets.charts import PLOTLY_TYPE, Chart, Charts
from tests.session.test_timeline import NOW, write_timeline

REAL, SIMULATED = MoneyKind.REAL, MoneyKind.SIMULATED
BEGIN = datetime(2026, 3, 1, tzinfo=timezone.utc)
EVIL = '<a href="javascript:alert(1)">x</a>&$1$'


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / LEDGER_NAME) as opened:
        write_timeline(opened)
        yield opened


def all_charts(ledger: Ledger, limit_usd: Decimal | None = None) -> list[Chart]:
    """One of each."""
    found = read_timeline(ledger)
    charts = [
        cost_chart(cost_curve(found.stretches, name="month 2026-03", limit_usd=limit_usd)),
        result_chart(result_costs(found), when="month 2026-03"),
        waste_chart(read_costs(ledger, now=NOW).in_month, when="month 2026-03"),
        gantt_chart(pod_lanes(found), when="this session"),
        frames_chart(frame_times(found), when="this session"),
    ]
    return [chart for chart in charts if chart is not None]


def strings(value: object) -> Iterator[str]:
    """Every text in the JSON of a figure."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def drawn(chart: Chart) -> dict[str, Any]:
    """What the notebook gets to draw."""
    figure: dict[str, Any] = chart._repr_mimebundle_()[PLOTLY_TYPE]
    return figure


def test_each_figure_says_its_numbers_in_a_sentence(ledger: Ledger) -> None:
    cost, result, waste, gantt, frames = (chart.alt for chart in all_charts(ledger, Decimal("0.6")))
    assert "$0.2500 was spent" in cost
    assert "$0.5730 simulated were spent" in cost
    assert "96 % of the limit" in cost
    assert "The limit is $0.6000 of each kind of money, with a warning at $0.5400." in cost
    assert result == "A result cost, with the jobs that failed on the way: img2vid-wan on A40 × 1 $0.4000 simulated."
    assert "Of $0.2500 0 % went to jobs that are done or not over and 100 % was waste: boot 100 %" in waste
    assert "Of $0.5730 simulated 70 % went to jobs" in waste
    assert "1 pod cost $0.5730 simulated for 1:10: boot 14 %, job done 29 %, job failed 14 %" in gantt
    assert frames == "The median of the seconds for a frame: img2vid-wan on A40 × 1 (simulated) 6.000 s (1 job)."
    assert not any("0.823" in chart for chart in (cost, result, waste, gantt)), "that would be the sum of both kinds"


def test_a_bundle_has_the_figure_the_words_and_the_table(ledger: Ledger) -> None:
    for chart in all_charts(ledger):
        bundle = chart._repr_mimebundle_()
        assert set(bundle) == {PLOTLY_TYPE, "text/plain", "text/html"}
        assert json.loads(json.dumps(bundle)) == bundle
        assert chart.alt in bundle["text/plain"]
        assert all(heading in bundle["text/plain"] for heading in chart.table.headings)
        assert bundle["text/html"].count("<tr>") == len(chart.table.rows) + 1
        assert len(json.dumps(drawn(chart)["layout"]["template"])) < 100, "7 kB of every figure would be plotly's own"


def test_below_each_figure_stand_its_sentence_and_its_folded_table(ledger: Ledger) -> None:
    charts = Charts(tuple(all_charts(ledger)), ("Something <b>could not</b> be drawn.",))
    bundles = charts.bundles()
    assert len(bundles) == 2 * len(charts) + 1
    for figure, said in zip(bundles[:-1:2], bundles[1:-1:2], strict=True):
        assert PLOTLY_TYPE in figure
        assert PLOTLY_TYPE not in said
        assert "<table" not in figure["text/html"], "nbconvert would show it twice"
        assert "<details><summary>Table: " in said["text/html"]
    assert "&lt;b&gt;" in bundles[-1]["text/html"]


def test_figures_are_a_sequence_and_read_as_text(ledger: Ledger) -> None:
    made = all_charts(ledger)
    charts = Charts(tuple(made), ("A note.",))
    assert (charts[0], charts[-1], len(charts)) == (made[0], made[-1], 5)
    text = repr(charts)
    assert all(chart.alt in text for chart in made)
    assert text.endswith("A note.")


def test_both_kinds_of_money_have_a_place_of_their_own_and_every_one_says_which(ledger: Ledger) -> None:
    cost, _, waste, gantt, _ = all_charts(ledger)
    assert [trace["name"] for trace in drawn(cost)["data"]] == [
        "real money: &#36;0.2500", "simulated money: &#36;0.5730"
    ]  # fmt: skip
    assert drawn(cost)["layout"]["yaxis"]["title"]["text"] == "USD, real and simulated"
    for chart in (waste, gantt):
        layout = drawn(chart)["layout"]
        for axis, kind in (("xaxis", "real"), ("xaxis2", "simulated")):
            assert f"{kind} money" in layout[axis]["title"]["text"]
    for chart in (cost, waste, gantt):
        assert {"real", "simulated"} <= {cell.text for row in chart.table.rows for cell in row}


def test_nothing_that_a_figure_shows_is_told_by_colour_alone(ledger: Ledger) -> None:
    """Each activity has its own pattern, and a job that ended badly says so in its bar."""
    gantt = drawn(all_charts(ledger)[3])
    bars = {trace["name"]: trace for trace in gantt["data"]}
    shapes = [bar["marker"]["pattern"]["shape"][0] for bar in bars.values()]
    assert len(set(shapes)) == len(shapes) == 6
    assert bars["job failed"]["text"] == ["failed: forest"]
    assert bars["job cancelled"]["text"] == ["cancelled: voice"]
    assert bars["job failed"]["hovertext"][0].startswith("job failed: forest<br>out of &lt;b&gt;memory&lt;/b&gt;<br>")
    cost = drawn(all_charts(ledger)[0])
    assert len({trace["line"]["dash"] for trace in cost["data"]}) == 2


@pytest.mark.parametrize("make", [lambda: (EVIL, "A40"), lambda: ("a", EVIL)], ids=["job", "GPU"])
def test_markup_in_names_is_shown_as_text(make: Callable[[], tuple[str, str]], tmp_path: Path) -> None:
    name, gpu = make()
    with Ledger(tmp_path / LEDGER_NAME) as ledger:
        write_timeline(ledger, name=name, gpu=gpu)
        charts = all_charts(ledger)
    for chart in charts:
        for text in strings(drawn(chart)):
            assert set(re.findall(r"</?[^>]*>", text)) <= {"<br>", "<b>", "</b>"}, text
            assert "<b>" not in text or text.startswith("<b>"), "only titles of ours are bold"
            assert text.count("$") < 2, "plotly would read it as a formula"
        html = chart._repr_mimebundle_()["text/html"]
        assert "<a " not in html
    assert "&lt;a href" in charts[3]._repr_mimebundle_()["text/html"]


def test_a_secret_in_an_error_is_not_drawn() -> None:
    secret = "rpa_" + "A1b2C3d4" * 5
    chart = gantt_chart([_lane("p1", 1, error=f"refused key {secret}")], when="x")
    assert chart is not None
    assert secret not in json.dumps(chart._repr_mimebundle_())


def _lane(pod_id: str, segments: int, *, start: datetime = BEGIN, error: str = "") -> PodLane:
    return PodLane(
        pod_id=pod_id,
        gpu="A40 × 1",
        provider="local",
        kind=SIMULATED,
        segments=tuple(
            Segment(
                activity=Activity.FAILED if error else Activity.DONE,
                job=f"{pod_id}-job{number}",
                error=error,
                start=start + timedelta(seconds=number * 10),
                end=start + timedelta(seconds=number * 10 + 10),
                seconds=Decimal(10),
                cost_usd=Decimal("0.001"),
            )
            for number in range(segments)
        ),
    )


def _bars(chart: Chart | None) -> list[str]:
    assert chart is not None
    return [text for trace in drawn(chart)["data"] for text in trace["text"]]


def test_of_many_pods_and_jobs_the_newest_are_drawn_and_it_says_so() -> None:
    lanes = [_lane(f"p{number}", 1, start=BEGIN + timedelta(minutes=number)) for number in range(MAX_LANES + 5)]
    chart = gantt_chart(lanes, when="x")
    assert _bars(chart) == [f"p{number}-job0" for number in range(5, MAX_LANES + 5)]
    assert chart is not None
    assert chart.alt.startswith(f"{MAX_LANES + 5} pods cost $0.0450 simulated")
    assert chart.alt.endswith(f"Drawn are the newest {MAX_LANES} pods.")
    many = _bars(gantt_chart([_lane("p", MAX_SEGMENTS + 3)], when="x"))
    assert (len(many), many[0]) == (MAX_SEGMENTS, "p-job3")


def test_pods_days_apart_begin_at_the_same_place_or_nothing_could_be_seen() -> None:
    near = gantt_chart([_lane("a", 1), _lane("b", 1, start=BEGIN + timedelta(seconds=30))], when="x")
    far = gantt_chart([_lane("a", 1), _lane("b", 1, start=BEGIN + timedelta(days=3))], when="x")
    assert near is not None
    assert far is not None
    assert drawn(near)["layout"]["xaxis"]["title"]["text"].startswith("time (UTC)")
    (bars,) = drawn(far)["data"]
    assert (bars["base"], bars["y"][1]) == ([0.0, 0.0], "b, 2026-03-04 00:00<br>A40 × 1")
    assert drawn(far)["layout"]["xaxis"]["title"]["text"].startswith("minutes since")


def test_a_limit_that_is_far_away_is_said_and_not_drawn(ledger: Ledger) -> None:
    near, far = all_charts(ledger, Decimal(1))[0], all_charts(ledger, Decimal(100))[0]
    assert [note["text"] for note in drawn(near)["layout"]["annotations"]] == ["limit &#36;1.00", "90 %: &#36;0.9000"]
    assert "annotations" not in drawn(far)["layout"]
    assert far.alt.endswith("both lie far above what is drawn.")
    assert all_charts(ledger)[0].alt.endswith("No limit is set for it.")


def test_figures_stay_small() -> None:
    times = tuple(FrameTime(job=f"j{n}", frames=10, seconds=Decimal(n + 1)) for n in range(5000))
    group = FrameGroup(kind=REAL, gpu="A40 × 1", template="t", times=times)
    chart = frames_chart(FrameTimes(groups=(group,), left_out=2), when="x")
    assert chart is not None
    points = drawn(chart)["data"][0]["x"]
    assert (len(points), points[0], points[-1]) == (2000, 0.1, 500.0)
    assert any("cannot be told of 2 jobs that are done" in note for note in chart.table.notes)


def test_small_sums_are_written_out_on_every_axis(ledger: Ledger) -> None:
    """Plotly writes $100µ for a hundredth of a cent if it may."""
    for chart in all_charts(ledger):
        axes = {name: axis for name, axis in drawn(chart)["layout"].items() if re.match(r"[xy]axis", name)}
        assert axes
        assert {axis["exponentformat"] for axis in axes.values()} == {"none"}


def test_no_button_sends_a_figure_away(ledger: Ledger) -> None:
    """Plotly's own default is one that uploads it."""
    for chart in all_charts(ledger):
        config = drawn(chart)["config"]
        assert "sendChartToCloud" in config["modeBarButtonsToRemove"]
        assert (config["plotlyServerURL"], config["showSendToCloud"]) == ("", False)


def test_where_nothing_was_spent_there_is_no_figure() -> None:
    assert cost_chart(cost_curve((), name="x")) is None
    assert result_chart((), when="x") is None
    assert waste_chart({}, when="x") is None
    assert gantt_chart((), when="x") is None
    assert frames_chart(FrameTimes(groups=(), left_out=3), when="x") is None


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ink", [chart_style.INK, chart_style.QUIET_INK, chart_style.WARN_INK, chart_style.LIMIT_INK])
def test_texts_can_be_read_on_their_ground_in_every_theme(ink: str, ledger: Ledger) -> None:
    ground = chart_style.GROUND
    assert (_luminance(ground) + 0.05) / (_luminance(ink) + 0.05) >= 4.5
    assert all(drawn(chart)["layout"]["paper_bgcolor"] == ground for chart in all_charts(ledger))


def test_a_long_name_is_cut_in_the_middle_and_whole_when_pointed_at() -> None:
    long = "a-name-" + "x" * 40 + "-7"
    lane = _lane(long, 1)
    (bars,) = drawn_of(gantt_chart([lane], when="x"))
    assert bars["y"][0].startswith("a-name-xxxxxxxx…")
    assert bars["y"][0].partition("<br>")[0].endswith("-7")
    assert long in bars["hovertext"][0]


def drawn_of(chart: Chart | None) -> list[dict[str, Any]]:
    assert chart is not None
    data: list[dict[str, Any]] = drawn(chart)["data"]
    return data
