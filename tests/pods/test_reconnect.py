"""A line that was lost: it is back as soon as it can be, whatever the provider does, and given up with the pod only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.comfyui.monitor_events import Connected, MonitorEvent
from autopod_nb.errors import Gone, ProviderError, SshError
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import ObservedState, PodAddress
from autopod_nb.pods import launch, reconnect
from autopod_nb.pods.launch import PodLink
from autopod_nb.pods.old_line import LineName
from autopod_nb.pods.reconnect import End, Reconnection
from autopod_nb.providers.base import PodOrder, Provider
from autopod_nb.providers.local import LocalProvider
from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from tests.fakes.relay import Relay
from tests.leftovers import left_of
from tests.pods.scripted import Answer, ScriptedProvider, record

pytestmark = pytest.mark.faults

_CLOCK = SystemClock()
_WITHIN_S = 30.0


@dataclass
class Pod:
    """A pod that works, whose line goes through a relay."""

    home: Path
    relay: Relay
    link: PodLink
    address: PodAddress
    events: list[MonitorEvent]
    told: list[str] = field(default_factory=list)

    def running(self, port: int | None = None) -> Answer:
        return record(ObservedState.RUNNING, address=replace(self.address, port=port or self.relay.port))

    def cut(self) -> None:
        """Lose the line; nobody comes in."""
        self.relay.refuse()
        self.relay.cut()

    def way_back(self, provider: Provider) -> Reconnection:
        key = load_key(own_key_path(self.home))
        return Reconnection(provider, self.link, key, provider_id="id-1", clock=_CLOCK, tell=self.told.append)


@pytest.fixture
def pod(home: Path) -> Iterator[Pod]:
    provider = LocalProvider(home / "pods", clock=_CLOCK)
    key = load_key(own_key_path(home))
    deadline, link = Deadline(_CLOCK, _WITHIN_S), PodLink(name=LineName(pod_id="p1", owner="a"))
    wanted = PodOrder(name="autopod-test", offer=provider.offers(OfferQuery())[0], public_key=public_line(key))
    events: list[MonitorEvent] = []
    try:
        launch.create(provider, wanted, clock=_CLOCK, abort=link.abort)
        address = launch.wait_address(provider, "autopod-test", deadline=deadline, clock=_CLOCK, abort=link.abort)
        with Relay(address.port) as relay:
            address = replace(address, port=relay.port)
            launch.open_line(link, address, key, deadline=deadline, clock=_CLOCK)
            launch.open_comfyui(
                link, wanted_port=0, on_lost=lambda: None, on_event=events.append, deadline=deadline, clock=_CLOCK
            )
            yield Pod(home, relay, link, address, events)
            link.close()
    finally:
        link.close()
        provider.terminate("autopod-test")
        provider.close()
    assert not left_of(home, 5.0)


def later(seconds: float, action: Callable[[], object]) -> threading.Timer:
    """Do something while the test waits."""
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def test_a_provider_that_does_not_answer_keeps_no_line_closed(pod: Pod) -> None:
    """As when the network of this machine was down, and its question hangs in a connection that died."""
    answered, asked = threading.Event(), threading.Event()

    def hang() -> None:
        asked.set()
        answered.wait(_WITHIN_S)

    way_back = pod.way_back(ScriptedProvider(describes=[ProviderError("no answer")], before_describe=hang))
    pod.cut()
    timer = later(1.0, pod.relay.admit)
    assert way_back.run() is None
    assert asked.is_set()
    assert not answered.is_set()
    assert pod.link.connection is not None
    assert pod.link.connection.run("echo on", _WITHIN_S).stdout == b"on\n"
    answered.set()
    timer.join()


def test_the_port_stays_and_the_socket_is_back_without_waiting_for_its_turn(pod: Pod) -> None:
    """The monitor is told, and would try seldom by then."""
    assert pod.link.tunnel is not None
    assert pod.link.monitor is not None
    port = pod.link.tunnel.port
    pod.cut()
    timer = later(3.0, pod.relay.admit)
    assert pod.way_back(ScriptedProvider(describes=[pod.running()])).run() is None
    timer.join()
    assert pod.link.tunnel.port == port
    pod.link.monitor.wait_connected(Deadline(_CLOCK, 5.0))
    assert len([event for event in pod.events if isinstance(event, Connected)]) == 2


def test_a_pod_is_found_where_its_provider_says_it_is_now(pod: Pod) -> None:
    old = pod.relay.port
    answers: list[Answer] = [pod.running(), ProviderError("502"), pod.running(old)]
    provider = ScriptedProvider(describes=answers)
    pod.cut()

    def move() -> None:
        pod.relay.move()
        pod.relay.admit()
        answers[-1] = pod.running()
        provider._describes[-1] = answers[-1]

    timer = later(1.5, move)
    assert pod.way_back(provider).run() is None
    timer.join()
    assert pod.link.address is not None
    assert pod.link.address.port == pod.relay.port != old
    assert pod.link.address.comfyui_dir == pod.address.comfyui_dir, "what was found out about it stays"
    assert "502" in pod.told


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (
            record(ObservedState.TERMINATED, detail="spot price"),
            End(state=ObservedState.TERMINATED, detail="spot price"),
        ),
        (record(ObservedState.STOPPED, detail="by hand"), End(state=ObservedState.STOPPED, detail="by hand")),
        (Gone("no such pod"), End(state=ObservedState.TERMINATED, detail="no such pod")),
    ],
)
def test_a_pod_that_has_ended_is_not_waited_for(pod: Pod, answer: Answer, end: End) -> None:
    pod.cut()
    assert pod.way_back(ScriptedProvider(describes=[answer])).run() == end


def test_a_pod_that_is_said_to_have_stopped_once_is_not_given_up(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "CERTAIN_S", 0.2)
    stopped, running = record(ObservedState.STOPPED), pod.running()
    provider = ScriptedProvider(describes=[stopped, running, stopped, running])
    pod.cut()
    timer = later(1.0, pod.relay.admit)
    assert pod.way_back(provider).run() is None
    timer.join()
    assert provider.describes_seen >= 2


def test_a_pod_that_another_process_has_is_left_to_it_and_one_that_is_taken_back_is_not(pod: Pod) -> None:
    """Two that both believe to own it must not end each other's lines for ever; whoever lost it learns that soon."""
    key = load_key(own_key_path(pod.home))
    pod.cut()
    pod.relay.admit()
    with ExitStack() as undo:
        theirs = PodLink(name=LineName(pod_id="p1", owner="b"))
        undo.callback(theirs.close)
        launch.open_line(theirs, pod.address, key, deadline=Deadline(_CLOCK, _WITHIN_S), clock=_CLOCK, first=False)
        wishes = {"deadline": Deadline(_CLOCK, _WITHIN_S), "clock": _CLOCK}
        with pytest.raises(SshError, match="taken it over"):
            reconnect.reopen_line(pod.link, key, take=False, **wishes)  # type: ignore[arg-type] # as written above
        assert theirs.connection is not None
        assert theirs.connection.run("echo on", _WITHIN_S).stdout == b"on\n"
        reconnect.reopen_line(pod.link, key, take=True, **wishes)  # type: ignore[arg-type] # as written above
        assert pod.link.connection is not None
        assert pod.link.connection.run("echo on", _WITHIN_S).stdout == b"on\n"


def test_who_ends_the_pod_ends_the_way_back(pod: Pod) -> None:
    pod.cut()
    timer = later(0.5, pod.link.abort.set)
    assert pod.way_back(ScriptedProvider(describes=[pod.running()])).run() is None
    timer.join()
    assert pod.link.connection is not None
    assert not pod.link.connection.alive
