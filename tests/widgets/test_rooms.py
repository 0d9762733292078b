"""The parts of the dashboard, drawn by hand from plain snapshots: rows and cards that follow what they show."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Alert, AlertKind, Level, PodView, Snapshot
from autopod_nb.session.manager import Session
from autopod_nb.widgets.alert_cards import AlertCards
from autopod_nb.widgets.controls import Answer
from autopod_nb.widgets.pod_rows import PodRows
from autopod_nb.widgets.queue_rows import QueueRows
from autopod_nb.widgets.traits import everything
from tests.widgets.views import POD, RUNNING, snapshot

NOBODY = cast("Session", None)  # these parts only keep it for a press
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def answer() -> Answer:
    return Answer(lambda: None)


def shown(root: Any) -> str:
    return " ".join(w.value for w in everything(root) if isinstance(w, W.HTML)).replace("<span>$</span>", "$")


def buttons(root: Any) -> list[str]:
    return [w.description for w in everything(root) if isinstance(w, W.Button) and not w.disabled]


def pods(count: int, state: PodState = PodState.READY) -> dict[str, PodView]:
    return {f"p{n}": replace(POD, pod_id=f"p{n}", state=state, job_id=None) for n in range(count)}


def rows(opened: list[str]) -> PodRows:
    return PodRows(
        NOBODY,
        answer(),
        open_gui=lambda pod_id: opened.append(f"gui {pod_id}"),
        open_logs=lambda _: opened.append("log"),
    )


def test_fifty_pods_come_a_few_rows_at_a_time_and_all_of_them_in_the_end() -> None:
    """Each row is a dozen widgets, and a notebook server drops messages that come too fast."""
    made, there = rows([]), pods(50)
    draws = 1
    while not made.draw(there, {}):
        draws += 1
    assert draws == 10
    assert [f"Kill p{n}" in buttons(made.root) for n in range(50)] == [True] * 50


def test_of_the_pods_that_are_gone_the_last_three_stay_without_buttons() -> None:
    made = rows([])
    there = {**{name: replace(pod, state=PodState.TERMINATED) for name, pod in pods(8).items()}, "live": POD}
    while not made.draw(there, {}):
        pass
    text = shown(made.root)
    assert ["p4</b>" in text, "p5</b>" in text, "p7</b>" in text] == [False, True, True]
    assert "and 5 pods that are gone" in text
    hidden = [w for w in everything(made.root) if isinstance(w, W.HBox) and w.layout.display == "none"]
    assert len(hidden) == 3


def test_a_row_says_what_it_works_on_and_opens_what_is_pressed() -> None:
    opened: list[str] = []
    made = rows(opened)
    made.draw({POD.pod_id: POD}, {"portrait": RUNNING})
    assert "portrait: 40 %" in shown(made.root)
    for each in everything(made.root):
        if isinstance(each, W.Button) and each.description in ("Open ComfyUI", "Logs"):
            each.click()
    assert opened == ["gui 3fa2c1", "log"]


def test_what_ends_still_bills_until_it_is_confirmed() -> None:
    made = rows([])
    made.draw({POD.pod_id: replace(POD, state=PodState.TERMINATING)}, {})
    assert "still billing until the provider confirms" in shown(made.root)
    assert "Kill 3fa2c1" not in buttons(made.root)
    made.draw({POD.pod_id: replace(POD, state=PodState.TERMINATED)}, {})
    assert "still billing" not in shown(made.root)


def alerted(*alerts: Alert) -> Snapshot:
    return replace(snapshot(RUNNING), alerts=alerts)


def test_a_warning_has_the_buttons_that_help_and_goes_with_its_cause() -> None:
    opened: list[str] = []
    made = AlertCards(NOBODY, answer(), opened.append)
    stuck = Alert(
        kind=AlertKind.STUCK,
        level=Level.WARNING,
        text=EVIL,
        key="stuck",
        pod_id=POD.pod_id,
        job_id="portrait",
        grants_minutes=Decimal(7),
    )
    limit = Alert(kind=AlertKind.LIMIT, level=Level.WARNING, text="90 % of the day's limit", key="limit")
    made.draw(alerted(stuck, limit))
    assert buttons(made.root) == ["Wait 7 more", "Kill 3fa2c1", "Open ComfyUI"]
    assert "<script>" not in shown(made.root)
    assert "<img" not in shown(made.root)
    next(w for w in everything(made.root) if isinstance(w, W.Button) and w.description == "Open ComfyUI").click()
    assert opened == ["3fa2c1"]
    made.draw(alerted(limit))
    assert buttons(made.root) == []
    assert "No progress" not in shown(made.root)


def test_many_warnings_are_counted() -> None:
    made = AlertCards(NOBODY, answer(), lambda _: None)
    many = [Alert(kind=AlertKind.LIMIT, level=Level.WARNING, text=f"w{n}", key=f"k{n}") for n in range(9)]
    made.draw(alerted(*many))
    assert "and 3 more warnings" in shown(made.root)


def test_the_queue_has_a_button_for_each_open_job_and_counts_the_rest() -> None:
    made = QueueRows(NOBODY, answer())
    jobs = {f"j{n}": replace(RUNNING, job_id=f"j{n}", state=JobState.QUEUED) for n in range(20)}
    jobs["j0"] = replace(jobs["j0"], state=JobState.DONE, job_id=EVIL)
    while not made.draw(MappingProxyType(jobs)):
        pass
    assert buttons(made.root) == ["Cancel"] * 12
    assert "19 queued" in shown(made.root)
    assert "and 7 more that wait" in shown(made.root)
    assert "<script>" not in shown(made.root)


def test_what_is_no_longer_shown_is_closed_and_not_only_dropped() -> None:
    """A dropped widget lives on in the kernel and in the browser; a session may have thousands of jobs."""
    queue, cards, there = QueueRows(NOBODY, answer()), AlertCards(NOBODY, answer(), lambda _: None), rows([])
    stuck = Alert(kind=AlertKind.STUCK, level=Level.WARNING, text="x", key="stuck", pod_id=POD.pod_id, job_id="j")
    queue.draw({"portrait": RUNNING})
    cards.draw(alerted(stuck))
    gone = {name: replace(pod, state=PodState.TERMINATED) for name, pod in pods(4).items()}
    there.draw(dict(list(gone.items())[:3]), {})
    before = [w for made in (queue, cards, there) for w in everything(made.root)]
    queue.draw({})
    cards.draw(alerted())
    there.draw(gone, {})
    after = [w for made in (queue, cards, there) for w in everything(made.root)]
    dropped = [w for w in before if w not in after]
    assert len(dropped) > 10
    assert all(w.comm is None for w in dropped)
