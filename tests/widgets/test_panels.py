"""Panels on a real session with a pod on this machine, pressed as a front end would press them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import ipywidgets as W  # noqa: N812 - as its own documentation does
import pytest

from autopod_nb.clock import Deadline, SystemClock, TestClock
from autopod_nb.config import Settings
from autopod_nb.jobs.spec import make_spec
from autopod_nb.log import close_log
from autopod_nb.models.job import JobState
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.session.build import build_session
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.manager import Session
from autopod_nb.widgets.batch_panel import BatchPanel
from autopod_nb.widgets.controls import Answer
from autopod_nb.widgets.dashboard import Dashboard
from autopod_nb.widgets.job_panel import JobPanel
from autopod_nb.widgets.pod_buttons import PodButtons
from autopod_nb.widgets.pump import Beat, Pump
from autopod_nb.widgets.traits import everything

PORTRAIT = Path(__file__).parents[2] / "jobs" / "inputs" / "portrait.jpg"
_LONG_S = 30.0


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session with one pod."""
    session = build_session(Settings(home=tmp_path_factory.mktemp("home"), idle_minutes=Decimal(5)))
    session.connect(session.plan(PodRequest()))
    yield session
    session.close()
    close_log()


@pytest.fixture
def pump() -> Iterator[Pump]:
    pump = Pump()
    yield pump
    assert pump.close(_LONG_S)


def until(session: Session, condition: Callable[[Snapshot], bool]) -> Snapshot:
    """Wait until a snapshot fulfils something, or something outside does."""
    deadline = Deadline(SystemClock(), _LONG_S)
    snapshot = session.snapshot
    while not condition(snapshot):
        assert not deadline.passed, snapshot
        snapshot = session.wait_newer(snapshot.number, 0.1)
    return snapshot


def submit(session: Session, name: str, tmp_path: Path, *, size: int = 64) -> None:
    """Queue a video of so many pixels."""
    session.submit(
        make_spec(
            "img2vid-basic",
            job_id=name,
            inputs={"image": PORTRAIT},
            params={"width": size, "height": size},
            outputs={"video": tmp_path / f"{name}.mp4"},
        )
    )


def button(root: Any, description: str) -> Any:
    return next(w for w in everything(root) if isinstance(w, W.Button) and w.description == description)


def shown(root: Any) -> str:
    """All HTML of a panel."""
    return " ".join(w.value for w in everything(root) if isinstance(w, W.HTML)).replace("<span>$</span>", "$")


def test_a_job_panel_follows_to_the_end_and_then_shows_the_video(session: Session, pump: Pump, tmp_path: Path) -> None:
    ended: list[str] = []
    submit(session, "one", tmp_path)
    panel = JobPanel(session, "one", on_end=lambda: ended.append("once"), pump=pump)
    root = panel.show()
    assert "one" in shown(root)  # before the pump has drawn anything
    until(session, lambda _: bool(ended))
    assert ended == ["once"]
    assert "● done" in shown(root)
    assert "one.mp4" in shown(root)
    bar = next(w for w in everything(root) if isinstance(w, W.FloatProgress))
    assert (bar.value, bar.bar_style) == (100.0, "success")
    video = next(w for w in everything(root) if isinstance(w, W.Video))
    assert bytes(video.value) == (tmp_path / "one.mp4").read_bytes()
    assert video.controls
    until(session, lambda _: not pump.alive)
    panel.close()
    assert all(w.comm is None for w in everything(root))


def test_a_preview_is_shown_while_the_job_runs_and_hidden_after(session: Session, pump: Pump) -> None:
    """The workflow that ships sends no previews, so this one is handed in."""
    panel = JobPanel(session, "one", pump=pump)
    image = next(w for w in everything(panel.root) if isinstance(w, W.Image))
    assert image.layout.display == "none"
    running = replace(
        session.snapshot.jobs["one"], state=JobState.RUNNING, preview=b"\xff\xd8", preview_type="image/jpeg"
    )
    panel._draw_fast(running)
    assert (bytes(image.value), image.format, image.layout.display) == (b"\xff\xd8", "jpeg", None)
    assert not panel.draw(Beat(html=False, table=False))
    assert image.layout.display == "none"


def test_a_panel_has_text_and_html_for_those_who_cannot_show_it(session: Session, pump: Pump) -> None:
    bundle = JobPanel(session, "one", pump=pump).root._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Job one (img2vid-basic): done")
    assert bundle["text/html"].startswith("<section")
    bundle = Dashboard(session, pump=pump).root._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Pods")
    assert bundle["text/html"].startswith("<section")


def test_cancel_ends_the_job_and_the_answer_is_shown(session: Session, pump: Pump, tmp_path: Path) -> None:
    submit(session, "two", tmp_path, size=1024)
    root = JobPanel(session, "two", pump=pump).show()
    button(root, "Cancel job").click()
    until(session, lambda _: "Job two is being cancelled." in shown(root))
    until(session, lambda snapshot: snapshot.jobs["two"].over)
    until(session, lambda _: "● cancelled" in shown(root))


def test_what_a_press_cannot_do_is_shown_in_the_panel(session: Session, pump: Pump) -> None:
    root = JobPanel(session, "never-queued", pump=pump).root
    answer = Answer(lambda: None)
    answer.to(lambda: session.stop("nowhere"))
    assert "No pod &#x27;nowhere&#x27;" in answer.html
    answer.to(lambda: str(1 // 0))
    assert "That failed: ZeroDivisionError. The log says more." in answer.html
    assert "never-queued" in root._repr_mimebundle_()["text/plain"]


def test_a_batch_panel_has_one_bar_a_row_for_each_job_and_shows_all_results(
    session: Session, pump: Pump, tmp_path: Path
) -> None:
    names = ["b1", "b2"]
    for name in names:
        submit(session, name, tmp_path)
    panel = BatchPanel(session, "pair", names, pump=pump)
    root = panel.show()
    assert "2 jobs" in shown(root)  # before the pump has drawn anything
    until(session, lambda _: "● all done" in shown(root))
    bar = next(w for w in everything(root) if isinstance(w, W.FloatProgress))
    until(session, lambda _: not pump.alive)
    assert (bar.value, bar.bar_style) == (100.0, "success")
    assert shown(root).count("<video controls") == 2
    assert root._repr_mimebundle_()["text/plain"].startswith("pair: 2 jobs · 2 done")
    panel.close()
    assert all(w.comm is None for w in everything(root))


def test_cancel_all_ends_what_is_not_over(session: Session, pump: Pump, tmp_path: Path) -> None:
    names = ["c1", "c2"]
    for name in names:
        submit(session, name, tmp_path, size=2048)  # not over before its cancel has arrived
    ended: list[str] = []
    root = BatchPanel(session, "pair", ["b1", *names], on_end=lambda: ended.append("once"), pump=pump).show()
    button(root, "Cancel all").click()
    until(session, lambda _: "2 jobs are being cancelled." in shown(root))
    until(session, lambda _: bool(ended))
    assert ended == ["once"]
    assert "● 2 of 3 not done" in shown(root)
    bar = next(w for w in everything(root) if isinstance(w, W.FloatProgress))
    assert bar.bar_style == "warning"
    assert shown(root).count("<video controls") == 1


def test_kill_with_unsaved_results_wants_a_second_press_within_five_seconds(session: Session, tmp_path: Path) -> None:
    """The story of one pair of buttons, with a clock of its own; drawn by hand instead of by the pump."""
    submit(session, "three", tmp_path, size=1024)
    snapshot = until(session, lambda now: any(pod.unsaved for pod in now.pods.values()))
    pod = next(pod for pod in snapshot.pods.values() if not pod.over)
    clock, answer = TestClock(), Answer(lambda: None)
    buttons = PodButtons(session, answer, clock)
    buttons.draw(pod)
    buttons.kill.click()
    buttons.draw(pod)
    assert "Press again within 5 s" in answer.html
    assert buttons.kill.description == "Kill anyway"
    clock.advance(5.1)
    buttons.draw(pod)
    assert (buttons.kill.description, answer.html) == ("Kill pod", "")
    buttons.kill.click()
    assert "Press again within 5 s" in answer.html
    assert not session.snapshot.pods[pod.pod_id].over
    clock.advance(4.9)
    buttons.kill.click()
    assert "is being terminated" in answer.html
    gone = until(session, lambda now: now.pods[pod.pod_id].over).pods[pod.pod_id]
    buttons.draw(gone)
    assert (buttons.kill.disabled, buttons.kill.layout.display, answer.html) == (True, "none", "")


def test_a_dashboard_gains_a_row_with_each_pod_and_ends_with_the_last(session: Session, pump: Pump) -> None:
    dashboard = Dashboard(session, pump=pump)
    pod_id = session.connect(session.plan(PodRequest()))
    root = dashboard.show()
    until(session, lambda _: pod_id in shown(root))
    until(session, lambda _: "● ready" in shown(root))
    stops = [
        w for w in everything(root) if isinstance(w, W.Button) and w.description == f"Stop {pod_id}" and not w.disabled
    ]
    assert len(stops) == 1
    stops[0].click()
    until(session, lambda now: now.pods[pod_id].over)
    until(session, lambda _: not pump.alive)
    assert shown(root).count("● terminated") == 2
    assert "nothing runs" in shown(root)
