"""Starting the reaper and asking for it, as a kernel does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock, TestClock
from autopod_nb.config import LEDGER_NAME, read_settings
from autopod_nb.models.pod import PodState
from autopod_nb.reaper.lock import ReaperLock, acquire
from autopod_nb.session.guardian import LOCK_NAME, ReaperState, ensure_reaper, reaper_state, take_back
from autopod_nb.storage.leases import LeaseReleased
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Role
from autopod_nb.storage.writes import PodChanged
from tests.leftovers import alive, processes_of
from tests.reaper.rows import a_living_pid, write_pod

NOTHING = ReaperState(running=False)
REAL = SystemClock()


@pytest.fixture
def lock(home: Path) -> Iterator[ReaperLock]:
    lock = acquire(home)
    assert lock is not None
    yield lock
    lock.release()


@pytest.fixture
def pod(home: Path) -> Iterator[Ledger]:
    """A ledger with a pod whose owner lives, so that a reaper stays; it goes with the test."""
    with Ledger(home / LEDGER_NAME) as ledger:
        write_pod(ledger, REAL, "p1", pid=a_living_pid())
        yield ledger
        ledger.write([PodChanged(pod_id="p1", state=PodState.TERMINATED, at=REAL.now())])
    until_ended(home)


def until_ended(home: Path) -> None:
    deadline, pause = Deadline(REAL, 20), threading.Event()
    while processes_of(home):
        assert not deadline.passed, "the reaper did not end"
        pause.wait(0.02)


def until_told(home: Path) -> ReaperState:
    """What the reaper says of itself, once it does."""
    deadline, pause = Deadline(REAL, 20), threading.Event()
    while (state := reaper_state(home)).pid is None:
        assert not deadline.passed, "no reaper has begun"
        pause.wait(0.02)
    return state


def test_where_there_never_was_one_none_runs(home: Path) -> None:
    assert reaper_state(home) == NOTHING
    assert not home.exists(), "asking makes nothing"


def test_it_is_known_who_holds_the_lock_and_since_when(home: Path, lock: ReaperLock) -> None:
    assert reaper_state(home) == ReaperState(running=True), "it has not said yet"
    since = datetime(2026, 1, 1, tzinfo=timezone.utc)
    lock.note(1234567890, since)
    lock.note(42, since)
    assert reaper_state(home) == ReaperState(running=True, pid=42, since=since)
    lock.release()
    assert reaper_state(home) == NOTHING, "what it said of itself is still in the file"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x", "since": "y"}', '{"pid": 1}'])
def test_whatever_is_in_the_file_the_lock_counts(home: Path, lock: ReaperLock, content: str) -> None:
    (home / LOCK_NAME).write_text(content)
    assert reaper_state(home) == ReaperState(running=True)


@pytest.mark.faults
def test_it_starts_one_and_only_one_which_is_nobodys_child(home: Path, pod: Ledger) -> None:
    before = alive()
    began = REAL.now()
    for _ in range(3):
        ensure_reaper(read_settings())
    state = until_told(home)
    ensure_reaper(read_settings())
    assert state.pid is not None
    assert state.since is not None
    assert timedelta(0) <= state.since - began < timedelta(seconds=20)
    assert os.getsid(state.pid) != os.getsid(0), "the end of a terminal does not reach it"
    assert alive().children == before.children
    assert reaper_state(home) == state


@pytest.mark.faults
def test_keys_go_on_in_the_environment_and_never_on_the_command_line(
    home: Path, pod: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNPOD_API_KEY", "made-up-key-of-a-test")
    ensure_reaper(read_settings())
    pid = until_told(home).pid
    proc = Path(f"/proc/{pid}")
    assert b"RUNPOD_API_KEY=made-up-key-of-a-test" in (proc / "environ").read_bytes().split(b"\0")
    assert b"made-up" not in (proc / "cmdline").read_bytes()


@pytest.mark.faults
def test_after_a_kill_the_next_call_starts_another(home: Path, pod: Ledger) -> None:
    ensure_reaper(read_settings())
    first = until_told(home).pid
    for pid in processes_of(home):
        os.kill(pid, signal.SIGSTOP)  # so that none can replace another
    for pid in processes_of(home):
        os.kill(pid, signal.SIGKILL)
    until_ended(home)
    deadline, pause = Deadline(REAL, 20), threading.Event()
    while reaper_state(home).running:  # the system closes the files of a process that is gone a moment later
        assert not deadline.passed
        pause.wait(0.02)
    ensure_reaper(read_settings())
    while until_told(home).pid == first:
        assert not deadline.passed
        pause.wait(0.02)


def test_it_never_raises(home: Path) -> None:
    """A home that is a file: the reaper cannot begin, and the kernel goes on."""
    settings = read_settings()
    home.write_text("in the way")
    ensure_reaper(settings)
    assert reaper_state(home) == NOTHING
    until_ended(home)


def test_without_pods_of_a_reaper_there_is_nothing_to_ask_for(home: Path) -> None:
    ledger = Ledger(home / LEDGER_NAME)
    assert take_back(ledger, clock=REAL) == ()
    with ledger:
        write_pod(ledger, REAL, "p1", pid=a_living_pid())
    assert take_back(ledger, clock=REAL) == (), "a kernel that lives is not asked"
    assert not ledger.poll_commands(["p1"])


def test_the_reaper_is_asked_for_each_of_its_pods_and_waited_for(home: Path) -> None:
    """It lets go of one and hangs with the other: the wait ends by its own clock."""
    clock = TestClock()
    with Ledger(home / LEDGER_NAME, clock=clock) as ledger:
        for pod_id in ("p1", "p2"):
            write_pod(ledger, clock, pod_id, pid=a_living_pid(), role=Role.REAPER)
        got: list[tuple[str, ...]] = []
        asks = threading.Thread(target=lambda: got.append(take_back(ledger, clock=clock)))
        asks.start()
        deadline, pause = Deadline(REAL, 20), threading.Event()
        while len(ledger.poll_commands(["p1", "p2"])) < 2 and not deadline.passed:
            pause.wait(0.02)
        assert [(row.pod_id, row.verb) for row in ledger.poll_commands(["p1", "p2"])] == [
            ("p1", "adopt"),
            ("p2", "adopt"),
        ]
        ledger.write([LeaseReleased(pod_id="p1", owner_id="owner-of-p1")])
        while asks.is_alive() and not deadline.passed:
            clock.advance(1)
            pause.wait(0.05)
        asks.join(5)
    assert got == [("p1",)]
