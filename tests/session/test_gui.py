"""Where the ComfyUI of each pod is, for a session whose pods come and go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

import pytest
import requests

from autopod_nb.clock import Deadline, SystemClock, TestClock
from autopod_nb.errors import UsageError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import PodView, Snapshot
from autopod_nb.session.gui import GuiPlace, GuiPlaces
from tests.web.gui_pods import PATIENCE_S, RecordingPod, plain

_PAGE = "http://localhost:8888"


class Pods:
    """A session of which only the pods are of interest."""

    def __init__(self, port: int) -> None:
        self._pods: dict[str, PodView] = {}
        for pod_id in ("p1", "p2"):
            self.put(PodView(
                pod_id=pod_id, name=f"autopod-{pod_id}", provider="local", gpu_type="A40", gpu_count=1,
                state=PodState.READY, phase="", kind=MoneyKind.SIMULATED, price_per_hour_usd=Decimal(1),
                cost_usd=Decimal(0), local_port=port,
            ))  # fmt: skip

    def put(self, pod: PodView) -> None:
        self._pods[pod.pod_id] = pod

    def change(self, pod_id: str, **changes: object) -> None:
        self.put(replace(self._pods[pod_id], **changes))  # type: ignore[arg-type] # each test gives what fits

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(number=1, at=TestClock().now(), pods=MappingProxyType(dict(self._pods)))


@pytest.fixture
def comfyui() -> Iterator[RecordingPod]:
    pod = RecordingPod(lambda _: plain(b"page"))
    yield pod
    pod.close()


@pytest.fixture
def pods(comfyui: RecordingPod) -> Pods:
    return Pods(comfyui.port)


@pytest.fixture
def places(pods: Pods) -> Iterator[GuiPlaces]:
    places = GuiPlaces(pods)
    yield places
    places.close()


def _get(place: GuiPlace, path: str = "", **headers: str) -> requests.Response:
    url = f"http://127.0.0.1:{place.port}{place.prefix}{path}"
    return requests.get(url, headers={**headers, "Connection": "close"}, timeout=PATIENCE_S)


def _answers(place: GuiPlace) -> bool:
    try:
        return _get(place).text == "page"
    except requests.ConnectionError:
        return False


def test_a_pod_has_one_place_and_two_pods_have_two(places: GuiPlaces) -> None:
    one, again, other = places.open("p1"), places.open("p1"), places.open("p2")
    assert one == again
    assert (one.port, one.prefix) != (other.port, other.prefix)
    assert one.prefix not in repr(one)
    assert _get(one).text == "page"


def test_the_page_that_asks_may_frame_and_find_it(places: GuiPlaces) -> None:
    place = places.open("p1", origin=_PAGE)
    assert _get(place, ".autopod/ping?nonce=1", Origin=_PAGE).headers["Access-Control-Allow-Origin"] == _PAGE
    assert places.open("p1", origin="null") == place
    assert _get(place, ".autopod/ping?nonce=1", Origin="null").status_code == 403


@pytest.mark.parametrize(
    ("pod_id", "changes", "said"),
    [("p1", {"local_port": None, "state": PodState.BOOTING}, "no tunnel yet"), ("p9", {}, "No pod 'p9'"),
     ("p1", {"state": PodState.TERMINATED}, "is gone")],
)  # fmt: skip
def test_where_there_is_no_comfyui_one_line_says_why(
    pod_id: str, changes: dict[str, object], said: str, pods: Pods, places: GuiPlaces
) -> None:
    pods.change("p1", **changes)
    with pytest.raises(UsageError, match=said) as error:
        places.open(pod_id)
    assert "\n" not in str(error.value)


def test_the_place_of_a_pod_that_is_over_is_closed_and_no_other(pods: Pods, places: GuiPlaces) -> None:
    over, stays = places.open("p1"), places.open("p2")
    places.sweep(pods.snapshot)
    assert _get(over).text == "page"
    pods.change("p1", state=PodState.TERMINATED)
    places.sweep(pods.snapshot)
    with pytest.raises(requests.ConnectionError):
        _get(over)
    assert _get(stays).text == "page"


def test_a_pod_whose_tunnel_has_another_port_gets_another_place(pods: Pods, places: GuiPlaces) -> None:
    second = RecordingPod(lambda _: plain(b"second"))
    try:
        old = places.open("p1")
        pods.change("p1", local_port=second.port)
        new = places.open("p1")
        assert new != old
        assert _get(new).text == "second"
        with pytest.raises(requests.ConnectionError):
            _get(old)
        places.close()
    finally:
        second.close()


def test_after_the_close_there_is_no_place(places: GuiPlaces) -> None:
    place = places.open("p1")
    places.close()
    places.close()
    with pytest.raises(requests.ConnectionError):
        _get(place)
    with pytest.raises(UsageError, match="closed"):
        places.open("p1")


def test_a_frame_whose_pod_is_gone_has_its_place_closed_without_waiting_for_it(pods: Pods, places: GuiPlaces) -> None:
    place = places.open("p1")
    pods.change("p1", state=PodState.TERMINATED)
    places.sweep_later()
    deadline = Deadline(SystemClock(), 10.0)
    while _answers(place):
        assert not deadline.passed
