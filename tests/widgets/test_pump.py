"""The pump: one thread, fixed rates, the last draw is the final one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import ipywidgets as W  # noqa: N812 - as its own documentation does
import pytest

from autopod_nb.clock import Deadline, SystemClock, TestClock
from autopod_nb.widgets.pump import FAST_INTERVAL_S, MESSAGES_PER_S, Beat, Pump, Rhythm
from autopod_nb.widgets.traits import assign, count_sent

_LONG_S = 10.0


class Counting:
    """A panel that lives for so many draws."""

    def __init__(self, lives_for: int) -> None:
        self.draws: list[Beat] = []
        self.threads: set[str] = set()
        self.drawn = threading.Condition()
        self.over = threading.Event()
        self._lives_for = lives_for

    def draw(self, beat: Beat) -> bool:
        with self.drawn:
            self.draws.append(beat)
            self.threads.add(threading.current_thread().name)
            self.drawn.notify_all()
        lives = len(self.draws) < self._lives_for
        if not lives:
            self.over.set()
        return lives

    def wait_for(self, draws: int) -> bool:
        with self.drawn:
            return self.drawn.wait_for(lambda: len(self.draws) >= draws, _LONG_S)


@pytest.fixture
def pump() -> Iterator[Pump]:
    pump = Pump()
    yield pump
    assert pump.close(_LONG_S)


def wait_until_idle(pump: Pump) -> None:
    """Wait until the pump's thread has ended by itself."""
    deadline = Deadline(SystemClock(), _LONG_S)
    pause = threading.Event()
    while pump.alive:
        assert not deadline.passed
        pause.wait(0.01)


def test_a_pump_has_no_thread_before_its_first_panel_and_none_after_its_last(pump: Pump) -> None:
    before = pump.alive
    panel = Counting(2)
    pump.add(panel)
    assert (before, pump.alive) == (False, True)
    assert panel.over.wait(_LONG_S)
    wait_until_idle(pump)
    assert "autopod-pump" not in {thread.name for thread in threading.enumerate()}
    assert panel.threads == {"autopod-pump"}


def test_a_panel_that_is_over_is_never_drawn_again(pump: Pump) -> None:
    short, long = Counting(1), Counting(4)
    pump.add(short)
    pump.add(long)
    assert long.over.wait(_LONG_S)
    assert len(short.draws) == 1


def test_ten_bars_five_pieces_of_html_and_two_tables_a_second_and_a_heal_in_ten() -> None:
    clock = TestClock()
    rhythm, beats = Rhythm(clock.monotonic), []
    for _ in range(200):
        beats.append(rhythm.beat())
        clock.advance(FAST_INTERVAL_S)
    assert beats[0] == Beat(html=True, table=True, heal=False)
    assert sum(beat.html for beat in beats) == 100
    assert sum(beat.table for beat in beats) == 40
    assert sum(beat.heal for beat in beats) == 1


def test_a_round_with_many_messages_is_followed_by_a_longer_rest(pump: Pump) -> None:
    """However much a panel has to say, all of them together keep below the rate at which a server drops messages."""

    class Chatty(Counting):
        def draw(self, beat: Beat) -> bool:
            for label in labels:
                assign(label, value=f"{len(self.draws)}")
            return super().draw(beat)

    labels = [W.HTML() for _ in range(MESSAGES_PER_S // 2)]
    panel = Chatty(3)
    before_s = time.monotonic()
    pump.add(panel)
    assert panel.over.wait(_LONG_S)
    assert time.monotonic() - before_s >= 2 * 0.5  # two rests, each of half a second's messages


def test_what_is_the_same_is_sent_again_only_to_heal() -> None:
    class Heard(W.FloatProgress):  # type: ignore[misc]  # ipywidgets ships no types
        sent: ClassVar[list[Any]] = []

        def send_state(self, key: Any = None) -> None:
            self.sent.append(key)

    bar = Heard()
    Heard.sent.clear()
    count_sent()
    assign(bar, value=0.0)
    assert (Heard.sent, count_sent()) == ([], 0)
    assign(bar, value=0.0, heal=True)
    assert (Heard.sent, count_sent()) == ([["value"]], 1)


def test_a_panel_added_twice_is_drawn_once_a_round(pump: Pump) -> None:
    panel, other = Counting(10**6), Counting(5)
    for _ in range(3):
        pump.add(panel)
    pump.add(other)
    assert other.over.wait(_LONG_S)
    pump.remove(panel)
    assert len(panel.draws) <= len(other.draws) + 1


def test_a_panel_that_fails_is_left_alone_and_the_others_go_on(pump: Pump, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        calls = 0

        def draw(self, beat: Beat) -> bool:  # noqa: ARG002 - the port's
            self.calls += 1
            raise ValueError("broken on purpose")

    logging.getLogger("autopod_nb.widgets.pump").addHandler(caplog.handler)  # a session stops propagation
    broken, panel = Broken(), Counting(3)
    pump.add(broken)
    pump.add(panel)
    assert panel.over.wait(_LONG_S)
    assert broken.calls == 1
    assert "broken on purpose" in caplog.text


def test_after_remove_returns_the_panel_is_not_drawn(pump: Pump) -> None:
    panel, other = Counting(10**6), Counting(10**6)
    pump.add(panel)
    pump.add(other)
    assert panel.wait_for(2)
    pump.remove(panel)
    drawn = len(panel.draws)
    assert other.wait_for(len(other.draws) + 3)
    assert len(panel.draws) == drawn


def test_a_panel_that_ended_can_be_woken_to_show_an_answer(pump: Pump) -> None:
    panel = Counting(1)
    pump.add(panel)
    assert panel.over.wait(_LONG_S)
    wait_until_idle(pump)
    pump.add(panel)
    assert panel.wait_for(2)


def test_a_panel_that_is_woken_during_its_last_draw_is_drawn_once_more(pump: Pump) -> None:
    """The answer to a press that comes in the very moment of the end is not lost."""

    class Woken(Counting):
        def draw(self, beat: Beat) -> bool:
            if not self.draws:
                pump.add(self)
            return super().draw(beat)

    panel = Woken(1)
    pump.add(panel)
    assert panel.wait_for(2)


def test_many_threads_may_add_and_remove_at_once(pump: Pump) -> None:
    panels = [Counting(3) for _ in range(40)]
    threads = [threading.Thread(target=pump.add, args=(panel,)) for panel in panels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_LONG_S)
    assert all(panel.over.wait(_LONG_S) for panel in panels)
    wait_until_idle(pump)
