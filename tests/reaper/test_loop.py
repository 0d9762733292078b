"""The loop over a real ledger, on a clock that stands still until the test moves it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from autopod_nb.clock import TestClock
from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.pod import PodState
from autopod_nb.reaper.guard import Guard
from autopod_nb.reaper.loop import LINGER_S, Loop, Outcome
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Role
from autopod_nb.storage.writes import PodChanged
from tests.reaper.rows import a_dead_pid, a_living_pid, write_pod


@dataclass
class Run:
    """A loop in a thread of the test, and what came of it."""

    loop: Loop
    stop: threading.Event = field(default_factory=threading.Event)
    outcome: Outcome | None = None
    orphaned: bool = False
    thread: threading.Thread | None = None

    def start(self) -> None:
        def body() -> None:
            self.outcome = self.loop.run(self.stop, orphaned=lambda: self.orphaned)

        self.thread = threading.Thread(target=body)
        self.thread.start()

    @property
    def is_alive(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def result(self) -> Outcome | None:
        assert self.thread is not None
        self.thread.join(20)
        return self.outcome


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def ledger(home: Path, clock: TestClock) -> Iterator[Ledger]:
    with Ledger(home / LEDGER_NAME, clock=clock) as ledger:
        yield ledger


def look_for(loop: Loop, clock: TestClock, seconds: int) -> None:
    """As the loop does, once a second."""
    for _ in range(seconds):
        loop.look()
        clock.advance(1)


def open_files_of(home: Path) -> list[str]:
    """Below a home, that this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if (target := str(entry.readlink())).startswith(str(home)):
                found.append(target)
    return sorted(found)


def until_gone(loop: Loop, ledger: Ledger) -> None:
    """Look until its sessions have written what became of the pods; they have threads of their own."""
    pause = threading.Event()
    for _ in range(1000):
        if not ledger.pods_that_may_bill():
            break
        loop.look()
        pause.wait(0.02)
    assert not ledger.pods_that_may_bill()
    loop.look()


def test_a_silent_owner_loses_its_pod_within_a_minute(home: Path, clock: TestClock, ledger: Ledger) -> None:
    """Its process is there, but hangs: 40 seconds are its own, and a minute later the pod is gone."""
    loop = Loop(home, clock=clock)
    write_pod(ledger, clock, "p1", pid=a_living_pid())
    look_for(loop, clock, 40)
    (row,) = ledger.pods_that_may_bill()
    assert row.lease is not None
    assert row.lease.owner.role is Role.KERNEL
    until_gone(loop, ledger)


def test_after_a_sleep_the_kernel_has_a_minute(home: Path, clock: TestClock, ledger: Ledger) -> None:
    loop = Loop(home, clock=clock)
    write_pod(ledger, clock, "p1", pid=a_living_pid())
    look_for(loop, clock, 3)
    clock.advance(5 * 3600)
    look_for(loop, clock, 60)
    (row,) = ledger.pods_that_may_bill()
    assert row.lease is not None
    assert row.lease.owner.role is Role.KERNEL
    until_gone(loop, ledger)


def test_pods_of_two_dead_kernels_are_guarded_side_by_side(home: Path, clock: TestClock, ledger: Ledger) -> None:
    """Each dead session has a guard of its own: their jobs may have the same names, and their limits are theirs."""
    loop = Loop(home, clock=clock)
    for pod_id in ("p1", "p2"):
        write_pod(ledger, clock, pod_id, pid=a_dead_pid(), role=Role.REAPER, session_id=f"session-{pod_id}")
    until_gone(loop, ledger)
    assert [row.state for row in ledger.read_pods()] == [PodState.TERMINATED] * 2


def test_a_provider_that_cannot_be_had_is_tried_again_and_the_others_are_not_kept_waiting(
    home: Path, clock: TestClock, ledger: Ledger
) -> None:
    """As with a key that is missing: it can do nothing else, and it must not end."""
    loop = Loop(home, clock=clock)
    write_pod(ledger, clock, "p1", pid=a_dead_pid(), role=Role.REAPER, provider="nowhere")
    write_pod(ledger, clock, "p2", pid=a_dead_pid(), role=Role.REAPER)
    pause = threading.Event()
    for _ in range(1000):
        assert loop.look(), "p1 may bill"
        if [row.pod_id for row in ledger.pods_that_may_bill()] == ["p1"]:
            break
        pause.wait(0.02)
    assert [row.pod_id for row in ledger.pods_that_may_bill()] == ["p1"]
    ledger.write([PodChanged(pod_id="p1", state=PodState.TERMINATED, at=clock.now())])
    loop.look()
    assert not loop.look()


def test_settings_that_cannot_be_read_any_more_leave_no_pod_without_a_guard(
    home: Path, clock: TestClock, ledger: Ledger
) -> None:
    """A slip of the pen in the file while a pod runs: it is guarded by what stood there before."""
    loop = Loop(home, clock=clock)
    write_pod(ledger, clock, "p1", pid=a_living_pid())
    loop.look()
    (home / "config.json").write_text('{"defaults": {"idle_minutes": "soon"}')
    (home / "config.json").chmod(0o600)
    look_for(loop, clock, 61)
    until_gone(loop, ledger)
    assert [row.state for row in ledger.read_pods()] == [PodState.TERMINATED]


def test_a_guard_that_fails_does_not_keep_the_others_waiting(
    home: Path, clock: TestClock, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(home, clock=clock)
    for pod_id in ("p1", "p2"):
        write_pod(ledger, clock, pod_id, pid=a_dead_pid(), role=Role.REAPER, session_id=f"session-{pod_id}")
    tended = []

    def tend(guard: Guard) -> None:
        tended.append(guard.key.session_id)
        if len(set(tended)) == 1:
            raise ZeroDivisionError

    monkeypatch.setattr(Guard, "tend", tend)
    look_for(loop, clock, 3)
    assert set(tended) == {"session-p1", "session-p2"}
    monkeypatch.undo()
    until_gone(loop, ledger)


def test_a_guard_that_cannot_be_opened_leaves_nothing_open(home: Path, clock: TestClock, ledger: Ledger) -> None:
    loop = Loop(home, clock=clock)
    write_pod(ledger, clock, "p1", pid=a_dead_pid(), role=Role.REAPER, provider="nowhere")
    look_for(loop, clock, 20)
    before = open_files_of(home)
    look_for(loop, clock, 80)
    assert open_files_of(home) == before


def test_it_ends_when_nothing_may_bill_for_the_time_it_lingers(home: Path, clock: TestClock, ledger: Ledger) -> None:
    run = Run(Loop(home, clock=clock))
    write_pod(ledger, clock, "p1", pid=a_living_pid())
    run.start()
    for _ in range(10):
        clock.advance(1)
    assert run.outcome is None
    ledger.write([PodChanged(pod_id="p1", state=PodState.TERMINATED, at=clock.now())])
    pause = threading.Event()
    ended_s = clock.monotonic()
    while run.is_alive and clock.monotonic() < ended_s + 100:
        clock.advance(0.5)
        pause.wait(0.05)
    assert run.result() is Outcome.NOTHING_LEFT
    assert clock.monotonic() >= ended_s + LINGER_S


def test_a_ledger_that_cannot_be_read_never_means_that_nothing_bills(home: Path, clock: TestClock) -> None:
    home.mkdir()
    (home / LEDGER_NAME).write_bytes(b"this is no ledger" * 1000)
    run = Run(Loop(home, clock=clock, linger_s=1))
    run.start()
    pause = threading.Event()
    for _ in range(20):
        clock.advance(1)
        pause.wait(0.03)
    assert run.outcome is None
    run.stop.set()
    assert run.result() is Outcome.STOPPED


def test_it_stops_when_its_supervisor_is_gone(home: Path, clock: TestClock, ledger: Ledger) -> None:
    run = Run(Loop(home, clock=clock), orphaned=True)
    run.start()
    assert run.result() is Outcome.ORPHANED


def test_once_does_not_wait_for_the_pods_of_others(home: Path, clock: TestClock, ledger: Ledger) -> None:
    write_pod(ledger, clock, "p1", pid=a_living_pid())
    run = Run(Loop(home, clock=clock, linger_s=0, once=True))
    run.start()
    assert run.result() is Outcome.NOTHING_LEFT
