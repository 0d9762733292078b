"""The control of a session: its server, and what its page is told."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from autopod_nb.errors import UsageError
from autopod_nb.models.action import Action, ActionName
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState, may_bill
from autopod_nb.models.snapshot import Alert, AlertKind, Level, Progress, Snapshot
from autopod_nb.session.actions import News
from autopod_nb.session.control import Control, ControlAddress
from autopod_nb.session.control_state import state_json
from tests.session.live import WITHIN_S, Live
from tests.widgets.views import FAILED, NOW, POD, RUNNING


@pytest.fixture
def control(live: Live) -> Iterator[Control]:
    control = Control(live.session)
    yield control
    control.close()


def ask(address: ControlAddress, method: str, path: str, asked: object = None) -> tuple[int, Any]:
    line = http.client.HTTPConnection("127.0.0.1", address.port, timeout=WITHIN_S)
    try:
        body = None if asked is None else json.dumps(asked)
        line.request(method, path, body, {"X-Autopod-Token": address.token.reveal()})
        got = line.getresponse()
        return got.status, json.loads(got.read())
    finally:
        line.close()


def _threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("autopod-control-")]


def shown(*pods: Any, jobs: tuple[Any, ...] = (), **facts: Any) -> Any:
    """What the page gets of some views."""
    closed, news = facts.pop("closed", False), facts.pop("news", ())
    no_end = facts.pop("no_end", "")
    snapshot = Snapshot(
        number=7,
        at=NOW,
        pods=MappingProxyType({pod.pod_id: pod for pod in pods}),
        jobs=MappingProxyType({job.job_id: job for job in jobs}),
        **facts,
    )
    return json.loads(state_json(snapshot, closed=closed, instance="i", news=news, no_end=no_end))


def test_a_kill_by_http_and_by_message_at_once_acts_once_and_the_page_follows(live: Live, control: Control) -> None:
    """Both roads get one answer; the state says that the pod bills until the provider has confirmed its end."""
    pod_id = live.rent()
    address = control.address()
    status, before = ask(address, "GET", "/state")
    assert (status, before["pods"][0]["pod_id"], before["pods"][0]["can_end"]) == (200, pod_id, True)
    asked = {"id": "both", "action": "kill", "target": pod_id, "yes": False}
    action = Action(action_id="both", name=ActionName.KILL, target=pod_id)
    with ThreadPoolExecutor(2) as pool:
        by_http, by_comm = pool.submit(ask, address, "POST", "/act", asked), pool.submit(control.act, action)
        said = by_http.result(WITHIN_S)[1]
        assert said == {"taken": True, "text": by_comm.result(WITHIN_S).text, "wants_yes": False}
    live.until_pod(pod_id, PodState.TERMINATED)
    assert ask(address, "POST", "/act", asked)[1] == said
    (pod,) = ask(address, "GET", "/state")[1]["pods"]
    assert (pod["over"], pod["bills"], pod["can_end"], pod["state"]) == (True, False, False, "terminated")


def test_the_server_starts_when_it_is_asked_for_and_once(live: Live, control: Control) -> None:
    assert _threads() == []
    with ThreadPoolExecutor(8) as pool:
        addresses = list(pool.map(lambda _: control.address(), range(8)))
    assert len(set(addresses)) == 1
    assert len(_threads()) == 1
    assert ask(addresses[0], "GET", "/ping?nonce=n")[1] == {"autopod": control.instance, "nonce": "n"}
    assert addresses[0].token.reveal() not in repr(addresses[0]) + repr(vars(control)) + control.read_state()


def test_a_closed_control_has_no_server_and_makes_none(live: Live) -> None:
    control = Control(live.session)
    control.address()
    control.close()
    control.close()
    assert _threads() == []
    with pytest.raises(UsageError, match="closed"):
        control.address()


def test_the_page_is_told_when_its_session_has_ended(open_live: Callable[..., Live]) -> None:
    live = open_live()
    control = Control(live.session)
    assert json.loads(control.read_state())["closed"] is False
    live.close()
    assert json.loads(control.read_state())["closed"] is True
    answer = control.act(Action(action_id="x", name=ActionName.KILL, target="y"))
    assert not answer.taken
    control.close()


def test_a_state_is_made_once_for_a_snapshot(live: Live, control: Control) -> None:
    """However many pages ask, and the kernel's threads have other things to do."""
    snapshots: set[int] = set()
    texts: set[str] = set()
    while len(snapshots) < 2:
        number = live.session.snapshot.number
        text = control.read_state()
        if json.loads(text)["number"] == number and control.read_state() is text:
            snapshots.add(number)
            texts.add(text)
    assert len(texts) == 2


def test_kinds_of_money_stand_each_by_itself() -> None:
    real = replace(POD, pod_id="b", kind=MoneyKind.REAL)
    cost = MappingProxyType({MoneyKind.REAL: Decimal("1.5"), MoneyKind.SIMULATED: Decimal("0.0012")})
    state = shown(POD, real, cost_usd=cost, limit_usd=Decimal(10))
    assert state["money"] == [
        {"kind": "real", "per_hour": "$0.40 an hour", "spent": "$1.50", "limit": "limit $10.00"},
        {
            "kind": "simulated",
            "per_hour": "$0.40 an hour simulated",
            "spent": "$0.0012 simulated",
            "limit": "limit $10.00",
        },
    ]
    assert shown()["money"] == []


@pytest.mark.parametrize("state", list(PodState))
def test_nothing_is_said_to_have_ended_before_the_provider_confirms(state: PodState) -> None:
    (pod,) = shown(replace(POD, state=state))["pods"]
    assert pod["bills"] is may_bill(state)
    unconfirmed = state in (PodState.TERMINATING, PodState.STOPPING, PodState.LOST)
    assert ("still billing until the provider confirms" in pod["state"]) is unconfirmed
    assert pod["over"] is (state is PodState.TERMINATED)
    assert pod["can_end"] is (state not in (PodState.TERMINATING, PodState.TERMINATED))
    assert pod["can_stop"] <= pod["can_end"]


def test_a_machine_that_nobody_can_end_has_no_buttons() -> None:
    (pod,) = shown(POD, no_end="It is your own machine.")["pods"]
    assert (pod["can_end"], pod["can_stop"]) == (False, False)


def test_texts_from_pods_and_providers_hold_no_secret_and_no_control_character() -> None:
    evil = "token=abcdef123 \x1b[31mred\u202e <script>" + "x" * 1000
    state = shown(
        replace(POD, phase=evil, error=evil, gpu_type=evil),
        jobs=(replace(FAILED, error=evil, template=evil),),
        alerts=(Alert(kind=AlertKind.STUCK, level=Level.ERROR, text=evil, key="k"),),
        news=(News(number=1, action_id="a", text=evil),),
    )
    (pod,), (job,), (alert,), (news,) = state["pods"], state["jobs"], state["alerts"], state["news"]
    for text in (pod["phase"], pod["gpu"], job["error"], job["template"], alert["text"], news["text"]):
        assert text.startswith("token=[redacted] red <script>x")
        assert len(text) <= 500
    assert "abcdef123" not in json.dumps(state)
    assert (alert["level"], alert["title"], news["number"], news["bad"]) == ("error", "No progress", 1, False)


@pytest.mark.parametrize(
    ("percent", "told"), [(None, None), (40.44, 40.4), (float("nan"), None), (1e9, None), (-1, None)]
)
def test_a_percentage_is_one_or_nothing(percent: float | None, told: float | None) -> None:
    state = shown(POD, jobs=(replace(RUNNING, progress=Progress(percent=percent)),))
    assert (state["jobs"][0]["percent"], state["pods"][0]["percent"]) == (told, told)


def test_a_session_of_thousands_makes_a_page_of_a_hundred() -> None:
    pods = [replace(POD, pod_id=f"p{number}") for number in range(150)]
    gone = [replace(POD, pod_id=f"g{number}", state=PodState.TERMINATED) for number in range(150)]
    jobs = tuple(replace(RUNNING, job_id=f"j{number}") for number in range(3000))
    over = tuple(replace(FAILED, job_id=f"o{number}") for number in range(3000))
    state = shown(*pods, *gone, jobs=jobs + over)
    assert (len(state["pods"]), state["more_pods"], len(state["jobs"]), state["more_jobs"]) == (103, 197, 105, 5895)
    assert [pod["pod_id"] for pod in state["pods"][-3:]] == ["g147", "g148", "g149"]
    assert [job["job_id"] for job in state["jobs"][-5:]] == [f"o{number}" for number in range(2995, 3000)]
