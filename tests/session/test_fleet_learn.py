"""What is learned from the ledger: how long jobs take by template, GPU and size, and how long boots take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autopod_nb.clock import SystemClock
from autopod_nb.comfyui.placeholders import Kind, Placeholder
from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.errors import LedgerError
from autopod_nb.models.event import PromptOutcome
from autopod_nb.models.job import JobState, JsonValue
from autopod_nb.session.effects import ReadRuns
from autopod_nb.session.events import Message, RunsSeen
from autopod_nb.session.fleet_learn import learn
from autopod_nb.session.fleet_size import guess_s, job_size
from autopod_nb.session.fleet_work import FleetWork
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.ran import RanRow, booted, ran
from tests.session.fleet_story import FleetStory
from tests.session.story import TEMPLATE


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite3", clock=SystemClock()).open()
    yield opened
    opened.close()


def _template(**defaults: str | int) -> WorkflowTemplate:
    placeholders = tuple(Placeholder(kind=Kind.PARAM, name=name, default=value) for name, value in defaults.items())
    return WorkflowTemplate(name="t", path=Path("t.json"), graph={}, placeholders=placeholders, outputs={})


def _row(seconds: float, *, gpu: str = "A40", cold: bool = False, **params: JsonValue) -> RanRow:
    return RanRow(template="t", gpu_type=gpu, params=params, seconds=seconds, up_s=1.0, down_s=2.0, cold=cold)


# --- from the ledger --------------------------------------------------------------------------------------------------


def test_what_a_session_writes_is_what_the_next_one_learns(ledger: Ledger) -> None:
    """Boots of twenty seconds and jobs of forty, as the reducer's own records have them."""
    story = FleetStory()
    story.wish(1)
    story.queue("j1", "j2", "j3")
    (pod,) = story.live()
    story.pass_time(20)
    story.come_up(pod.pod_id)
    story.work_off(pod.pod_id, seconds=55)
    story.work_off(pod.pod_id, seconds=40)
    story.work_off(pod.pod_id, seconds=42)
    ledger.write(story.writes)
    rows = ran(ledger, "tiny")
    assert [(round(row.seconds), row.cold, row.gpu_type) for row in rows] == [
        (55, True, "A40"),
        (40, False, "A40"),
        (42, False, "A40"),
    ]
    assert ran(ledger, "another") == ()
    assert booted(ledger, "local")["A40"] == pytest.approx((20,))
    assert not booted(ledger, "runpod")
    told: list[Message] = []
    FleetWork(ledger, "local", told.append).read(ReadRuns(templates={"tiny": TEMPLATE}))
    (seen,) = told
    assert isinstance(seen, RunsSeen)
    assert seen.known is not None
    assert seen.known.estimates.expected_s("tiny", "A40") == pytest.approx(41)
    assert seen.known.loads["tiny"] == pytest.approx(14)


def test_jobs_that_failed_teach_nothing(ledger: Ledger) -> None:
    story = FleetStory()
    story.boot("p1")
    story.submit("j1")
    story.run("j1")
    story.pass_time(500)
    story.over("j1")
    story.fetched("j1", outcome=PromptOutcome.ERROR)
    assert story.job("j1").state is JobState.FAILED
    ledger.write(story.writes)
    assert ran(ledger, "tiny") == ()


def test_a_ledger_that_cannot_be_read_holds_nobody_up(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    (tmp_path / "ledger.sqlite3").write_bytes(b"no ledger at all" * 100)
    told: list[Message] = []
    FleetWork(ledger, "local", told.append).read(ReadRuns(templates={"tiny": TEMPLATE}))
    assert told == [RunsSeen(known=None)]
    with pytest.raises(LedgerError):
        ran(ledger, "tiny")


# --- to estimates -----------------------------------------------------------------------------------------------------


def test_time_grows_with_size() -> None:
    template = _template(width=512, height=512)
    rows = [_row(10 * scale, width=512 * scale) for scale in (1, 2, 4, 1, 2, 4)]
    known = learn({"t": template}, rows, {})
    assert known.estimates.expected_s("t", "A40", job_size(template, {"width": 1536})) == pytest.approx(30)


def test_a_run_that_loaded_its_models_says_what_loading_costs_and_not_what_the_next_run_takes() -> None:
    rows = [_row(70.0, cold=True), _row(20.0), _row(20.0)]
    known = learn({"t": _template()}, rows, {})
    assert known.estimates.expected_s("t", "A40") == pytest.approx(20)
    assert known.loads["t"] == pytest.approx(50)


def test_where_every_run_loaded_its_models_that_is_what_is_expected() -> None:
    known = learn({"t": _template()}, [_row(70.0, cold=True)], {})
    assert known.estimates.expected_s("t", "A40") == pytest.approx(70)
    assert "t" not in known.loads


def test_the_way_up_and_down_is_learned() -> None:
    assert learn({"t": _template()}, [_row(5.0)], {}).ways["t"] == (1.0, 2.0)


# --- a first guess ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({}, 512 * 512 * 20),
        ({"width": 1024}, 1024 * 512 * 20),
        ({"steps": "40"}, 512 * 512 * 40),
        ({"5.steps": 40}, 512 * 512 * 40),
        ({"Sampler.steps": 10, "seed": 7}, 512 * 512 * 10),
        ({"width": "wide"}, 512 * 512 * 20),
        ({"length": 16}, 512 * 512 * 20 * 16),
        ({"batch_size": 4, "steps": True}, 512 * 512 * 20 * 4),
    ],
)
def test_the_size_is_pixels_times_frames_times_steps(params: dict[str, JsonValue], size: float) -> None:
    assert job_size(_template(width=512, height=512, steps=20), params) == size


def test_a_template_without_names_for_its_size_has_none() -> None:
    assert job_size(_template(prompt="a harbour"), {"seed": 5}) == 1


def test_the_first_guess_is_longer_for_what_is_larger() -> None:
    template = _template(width=512, height=512, steps=20)
    small, large = guess_s(template, {}), guess_s(template, {"width": 1024, "height": 1024})
    film = guess_s(template, {"frames": 81})
    assert 1 < small < large < film < 3600
