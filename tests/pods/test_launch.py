"""From a rented pod to one that can work: never two creates, every wait bounded, everything closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock, TestClock
from autopod_nb.errors import AuthFailed, BootFailed, Gone, NoCapacity, ProviderError, SshError, Uncertain
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import ObservedState
from autopod_nb.pods import launch, reconnect
from autopod_nb.pods.launch import PodLink
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.local import LocalProvider
from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from tests.leftovers import left_of
from tests.pods.scripted import ADDRESS, Answer, ScriptedProvider, order, record

_WITHIN_S = 30.0


@pytest.fixture
def moving() -> Iterator[TestClock]:
    """A clock on which hours pass while somebody waits."""
    clock, stop = TestClock(), threading.Event()

    def move() -> None:
        while not stop.wait(0.002):
            clock.advance(3)

    thread = threading.Thread(target=move, name="time")
    thread.start()
    yield clock
    stop.set()
    thread.join(_WITHIN_S)


class TestCreate:
    def test_a_pod_is_asked_for_once(self) -> None:
        provider = ScriptedProvider()
        made = launch.create(provider, order(), clock=TestClock(), abort=threading.Event())
        assert (made.name, provider.creates_seen, provider.lists_seen) == ("autopod-test-1", 1, 0)

    def test_when_the_answer_is_lost_the_pod_is_found_by_its_name(self) -> None:
        provider = ScriptedProvider(answer=Uncertain("cut line"))
        provider.pods.append(replace(record(ObservedState.RUNNING), name="somebody else's", provider_id="other"))
        made = launch.create(provider, order(), clock=TestClock(), abort=threading.Event())
        assert made.provider_id == "id-1"
        assert provider.creates_seen == 1
        assert len(provider.pods) == 2

    def test_a_list_that_cannot_be_read_is_asked_again(self, moving: TestClock) -> None:
        provider = ScriptedProvider(answer=Uncertain("cut line"), lists=[ProviderError("502"), ProviderError("502")])
        made = launch.create(provider, order(), clock=moving, abort=threading.Event())
        assert (made.provider_id, provider.creates_seen, provider.lists_seen) == ("id-1", 1, 3)

    def test_when_none_was_made_it_stays_uncertain_and_is_not_tried_again(self, moving: TestClock) -> None:
        provider = ScriptedProvider(creates=False, answer=Uncertain("cut line"))
        with pytest.raises(Uncertain, match=r"cut line.*autopod-test-1.*console") as caught:
            launch.create(provider, order(), clock=moving, abort=threading.Event())
        assert provider.creates_seen == 1
        assert provider.pods == []
        assert provider.lists_seen > 1
        assert isinstance(caught.value.__cause__, Uncertain)

    def test_who_does_not_want_it_any_more_still_gets_one_look(self) -> None:
        """Else a pod that was made would run on unseen."""
        abort = threading.Event()
        abort.set()
        provider = ScriptedProvider(answer=Uncertain("cut line"))
        assert launch.create(provider, order(), clock=TestClock(), abort=abort).provider_id == "id-1"
        none = ScriptedProvider(creates=False, answer=Uncertain("cut line"))
        with pytest.raises(Uncertain):
            launch.create(none, order(), clock=TestClock(), abort=abort)
        assert none.lists_seen == 1

    @pytest.mark.parametrize("refusal", [NoCapacity("none left"), AuthFailed("no key"), ProviderError("quota")])
    def test_a_refusal_is_passed_on_and_nothing_is_looked_for(self, refusal: ProviderError) -> None:
        provider = ScriptedProvider(creates=False, answer=refusal)
        with pytest.raises(ProviderError) as caught:
            launch.create(provider, order(), clock=TestClock(), abort=threading.Event())
        assert caught.value is refusal
        assert (provider.creates_seen, provider.lists_seen) == (1, 0)


class TestFind:
    def test_a_pod_is_found_by_id_and_else_by_name(self) -> None:
        provider = ScriptedProvider(describes=[record(ObservedState.RUNNING)])
        provider.create(order("a"))
        assert launch.find(provider, "id-1", "a").state is ObservedState.RUNNING
        assert launch.find(provider, None, "a").state is ObservedState.PENDING
        with pytest.raises(Gone, match="b"):
            launch.find(provider, None, "b")

    def test_a_list_that_cannot_be_read_is_not_a_pod_that_is_gone(self) -> None:
        provider = ScriptedProvider(lists=[ProviderError("502")])
        with pytest.raises(ProviderError) as caught:
            launch.find(provider, None, "a")
        assert not isinstance(caught.value, Gone)


class TestWaitAddress:
    def _wait(self, provider: ScriptedProvider, clock: TestClock, abort: threading.Event | None = None) -> object:
        return launch.wait_address(
            provider, "id-1", deadline=Deadline(clock, 600), clock=clock, abort=abort or threading.Event()
        )

    def test_it_waits_through_silence_until_there_is_an_address(self, moving: TestClock) -> None:
        pending, ready = record(ObservedState.PENDING), record(ObservedState.RUNNING, address=ADDRESS)
        answers: list[Answer] = [pending, ProviderError("502"), record(ObservedState.UNKNOWN), pending, ready]
        assert self._wait(ScriptedProvider(describes=answers), moving) == ADDRESS

    @pytest.mark.parametrize("state", [ObservedState.STOPPED, ObservedState.TERMINATED])
    def test_a_pod_that_ended_while_it_booted_says_why(self, state: ObservedState, moving: TestClock) -> None:
        provider = ScriptedProvider(describes=[record(state, detail="no space left on device")])
        with pytest.raises(BootFailed, match="ended while it booted: no space left on device"):
            self._wait(provider, moving)
        assert (provider.describes_seen == 1) is (state is ObservedState.TERMINATED)

    def test_that_it_has_stopped_is_believed_when_it_is_said_for_a_while(self, moving: TestClock) -> None:
        pending, stopped = record(ObservedState.PENDING), record(ObservedState.STOPPED)
        answers: list[Answer] = [stopped, pending, stopped, pending, record(ObservedState.RUNNING, address=ADDRESS)]
        assert self._wait(ScriptedProvider(describes=answers), moving) == ADDRESS

    def test_a_pod_that_is_gone_is_given_up_at_once(self) -> None:
        provider = ScriptedProvider(describes=[Gone("no such pod")])
        with pytest.raises(BootFailed, match="does not know it any more"):
            self._wait(provider, TestClock())

    @pytest.mark.parametrize("answer", [record(ObservedState.PENDING, detail="pulling"), ProviderError("pulling")])
    def test_when_the_time_is_over_the_last_word_is_told(self, moving: TestClock, answer: Answer) -> None:
        provider = ScriptedProvider(describes=[answer])
        with pytest.raises(BootFailed, match=r"no address after the time allowed.*pulling"):
            self._wait(provider, moving)
        assert moving.monotonic() >= 600

    def test_who_ends_the_pod_ends_the_wait(self) -> None:
        """On a clock that stands still only the event can end it."""
        abort = threading.Event()
        provider = ScriptedProvider(describes=[record(ObservedState.PENDING)], before_describe=abort.set)
        with pytest.raises(BootFailed, match="being ended"):
            self._wait(provider, TestClock(), abort)


class TestLines:
    def test_without_a_line_there_is_nothing_to_open_or_to_open_again(self, home: Path) -> None:
        clock = SystemClock()
        link = PodLink()
        with pytest.raises(BootFailed):
            launch.open_comfyui(
                link,
                wanted_port=0,
                on_lost=lambda: None,
                on_event=lambda _: None,
                deadline=Deadline(clock, 1),
                clock=clock,
            )
        with pytest.raises(BootFailed):
            reconnect.reopen_line(link, load_key(own_key_path(home)), deadline=Deadline(clock, 1), clock=clock)
        link.close()
        link.close()

    def test_a_pod_that_is_being_ended_is_not_dialled_for_long(self, home: Path) -> None:
        clock = SystemClock()
        link = PodLink()
        link.abort.set()
        key = load_key(own_key_path(home))
        begin = clock.monotonic()
        with pytest.raises(SshError):
            launch.open_line(link, replace(ADDRESS, port=1), key, deadline=Deadline(clock, 60), clock=clock)
        assert clock.monotonic() - begin < 10
        link.close()

    def test_a_pod_comes_up_and_its_line_can_be_opened_again_on_the_same_port(self, home: Path) -> None:
        clock = SystemClock()
        provider = LocalProvider(home / "pods", clock=clock)
        key = load_key(own_key_path(home))
        link, lost = PodLink(), threading.Event()
        deadline = Deadline(clock, 60)
        try:
            wanted = PodOrder(name="autopod-test", offer=provider.offers(OfferQuery())[0], public_key=public_line(key))
            made = launch.create(provider, wanted, clock=clock, abort=link.abort)
            address = launch.wait_address(provider, made.provider_id, deadline=deadline, clock=clock, abort=link.abort)
            told = iter([None, replace(address, port=1)])
            launch.open_line(
                link, replace(address, port=1), key, deadline=deadline, clock=clock, look=lambda: next(told, address)
            )
            assert link.address == address, "the port that was told first was that of before"
            launch.open_comfyui(
                link, wanted_port=0, on_lost=lost.set, on_event=lambda _: None, deadline=deadline, clock=clock
            )
            assert link.comfyui_version
            assert link.tunnel is not None
            assert link.client is not None
            port = link.tunnel.port
            reconnect.reopen_line(link, key, deadline=deadline, clock=clock)
            assert link.tunnel.port == port
            assert link.client.wait_ready(deadline).version == link.comfyui_version
            assert not lost.is_set(), "a line that was replaced is not lost"
        finally:
            link.close()
            link.close()
            provider.terminate("autopod-test")
            provider.close()
        assert not left_of(home, 5.0)
