"""Time that is handed in: the machine's, a test's, and one that processes share."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.clock import Clock, Deadline, FileClock, SystemClock, TestClock, default_clock

_WITHIN_S = 10.0
_DAY_S = 86400.0


def _move(path: Path, seconds: float) -> None:
    """As a test moves shared time: whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(str(seconds))
    part.replace(path)


def _clock(kind: str, folder: Path) -> Clock:
    clocks: dict[str, Clock] = {"system": SystemClock(), "test": TestClock(), "file": FileClock(folder / "time")}
    return clocks[kind]


class _Wait:
    """A wait in a thread of its own."""

    def __init__(self, clock: Clock, event: threading.Event, timeout_s: float) -> None:
        self._answers: list[bool] = []
        self._thread = threading.Thread(target=lambda: self._answers.append(clock.wait(event, timeout_s)))
        self._thread.start()

    def ends_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def answer(self) -> bool:
        assert self.ends_within(_WITHIN_S), "it still waits"
        return self._answers[0]


@pytest.mark.parametrize("kind", ["system", "test", "file"])
def test_every_clock_tells_aware_utc_and_never_runs_backwards(kind: str, tmp_path: Path) -> None:
    clock = _clock(kind, tmp_path)
    assert clock.now().utcoffset() == timedelta(0)
    first = clock.monotonic()
    assert clock.monotonic() >= first


@pytest.mark.parametrize("kind", ["system", "test", "file"])
def test_every_clock_ends_a_wait_when_the_event_is_set(kind: str, tmp_path: Path) -> None:
    clock = _clock(kind, tmp_path)
    event = threading.Event()
    wait = _Wait(clock, event, _DAY_S)
    assert not wait.ends_within(0.1)
    event.set()
    assert wait.answer() is True
    assert clock.wait(event, 0) is True
    assert clock.wait(threading.Event(), 0) is False
    assert clock.wait(threading.Event(), -1) is False


class TestTestClock:
    def test_it_stands_still_until_it_is_moved(self) -> None:
        start = datetime(2026, 5, 1, tzinfo=timezone.utc)
        clock = TestClock(start)
        assert (clock.now(), clock.monotonic()) == (start, 0.0)
        clock.advance(90)
        assert (clock.now(), clock.monotonic()) == (start + timedelta(seconds=90), 90.0)
        with pytest.raises(ValueError, match="moves on"):
            clock.advance(-1)

    def test_a_wait_of_hours_ends_when_the_clock_is_moved_there(self) -> None:
        clock = TestClock()
        wait = _Wait(clock, threading.Event(), 7200)
        assert not wait.ends_within(0.1)
        while clock.monotonic() < 7200 or not wait.ends_within(0.05):  # it may begin only after the first step
            assert clock.monotonic() < 7200 * 100
            clock.advance(3600)
        assert wait.answer() is False


class TestFileClock:
    def test_two_processes_share_a_time(self, tmp_path: Path) -> None:
        path = tmp_path / "time"
        script = (
            "import sys\nfrom autopod_nb.clock import default_clock\nclock = default_clock()\n"
            "start = clock.monotonic()\nfor line in sys.stdin:\n"
            "    print(clock.now().timestamp(), clock.monotonic() - start, flush=True)\n"
        )
        environ = {**os.environ, "AUTOPOD_TEST_CLOCK": str(path)}
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True, env=environ) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            for seconds in (0.0, 3600.0, 7200.0):
                _move(path, seconds)
                other.stdin.write("\n")
                other.stdin.flush()
                now_s, passed_s = map(float, other.stdout.readline().split())
                assert abs(now_s - FileClock(path).now().timestamp()) < _WITHIN_S
                assert seconds <= passed_s < seconds + _WITHIN_S
            other.stdin.close()

    def test_a_wait_of_a_day_ends_when_the_file_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "time"
        wait = _Wait(FileClock(path), threading.Event(), _DAY_S)
        assert not wait.ends_within(0.1)
        for day in range(1, 100):  # it may begin only after the first
            _move(path, day * _DAY_S)
            if wait.ends_within(0.05):
                break
        assert wait.answer() is False

    @pytest.mark.parametrize("content", ["", "x", None], ids=["empty", "garbage", "missing"])
    def test_while_the_file_is_rewritten_time_does_not_jump_back(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "time"
        _move(path, 3600)
        clock = FileClock(path)
        before = clock.monotonic()
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        assert clock.monotonic() >= before

    def test_the_environment_names_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AUTOPOD_TEST_CLOCK", raising=False)
        assert isinstance(default_clock(), SystemClock)
        monkeypatch.setenv("AUTOPOD_TEST_CLOCK", str(tmp_path / "time"))
        assert isinstance(default_clock(), FileClock)


class TestDeadline:
    @given(st.floats(0, 1e6), st.lists(st.floats(0, 1e5), max_size=5), st.floats(0, 1e4))
    def test_what_is_left_is_never_negative_nor_more_than_asked(
        self, seconds: float, steps: list[float], at_most_s: float
    ) -> None:
        clock = TestClock()
        deadline = Deadline(clock, seconds)
        for step in steps:
            clock.advance(step)
            assert 0 <= deadline.left_s(at_most_s) <= at_most_s
            assert deadline.passed == (clock.monotonic() >= seconds)
            assert (deadline.left_s() == 0) == deadline.passed

    def test_without_a_bound_it_never_passes(self) -> None:
        clock = TestClock()
        deadline = Deadline(clock, None)
        clock.advance(1e9)
        assert not deadline.passed
        assert deadline.left_s(5) == 5

    def test_a_bound_in_the_past_has_passed_at_once(self) -> None:
        assert Deadline(TestClock(), -1).passed
