"""Dead, late, asleep or about to come back: when an owner loses its pods. Pure; processes are only asked for."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.reaper.watch import AFTER_JUMP_S, RESTART_S, SILENT_S, OwnerWatch
from autopod_nb.storage.rows import Lease, Owner, PodRow, Role

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
WITHIN_S = 60  # a dead owner loses its pods by then


@pytest.fixture(scope="module")
def dead_pid() -> int:
    """Of a process that has been and is gone."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def a_row(pid: int, *, role: Role = Role.KERNEL, state: PodState = PodState.READY, host: str = "") -> PodRow:
    owner = Owner(owner_id="owner", role=role, host=host or platform.node(), pid=pid)
    return PodRow(
        pod_id="p1",
        name="autopod-p1-x",
        session_id="s1",
        provider="local",
        provider_id="autopod-p1-x",
        gpu_type="A40",
        gpu_count=1,
        price_per_hour_usd=Decimal(1),
        stopped_price_per_hour_usd=Decimal(0),
        kind=MoneyKind.SIMULATED,
        state=state,
        error="",
        created=START,
        updated=START,
        lease=Lease(owner=owner, renewed=START),
    )


class Story:
    """Looks at one pod, a second apart unless the machine sleeps. Both clocks run on while it does."""

    def __init__(self, row: PodRow, *, at_work: bool = False) -> None:
        self.row = row
        self.at_work = {"p1"} if at_work else set()
        self.watch = OwnerWatch()
        self.s = 0.0

    def look(self) -> bool:
        now = START + timedelta(seconds=self.s)
        return "p1" in self.watch.ownerless([self.row], at_work=self.at_work, now=now, now_s=self.s + 1000)

    def seconds_until_ownerless(self, at_most_s: int = 200) -> int | None:
        """Looks each second. None if the owner keeps it."""
        for second in range(at_most_s):
            if self.look():
                return second
            self.s += 1
        return None

    def renew(self) -> None:
        assert self.row.lease is not None
        lease = replace(self.row.lease, renewed=START + timedelta(seconds=self.s))
        self.row = replace(self.row, lease=lease)


def test_a_pod_that_nobody_owns_is_taken_at_once() -> None:
    assert Story(replace(a_row(1), lease=None)).look()


def test_a_pod_at_work_is_taken_at_once_when_its_process_is_gone(dead_pid: int) -> None:
    """Pods on this machine live 15 seconds longer than their kernel, and a kernel that comes back asks for them."""
    assert Story(a_row(dead_pid), at_work=True).look()


def test_an_idle_pod_waits_half_a_minute_for_a_kernel_that_restarts(dead_pid: int) -> None:
    assert Story(a_row(dead_pid)).seconds_until_ownerless() == RESTART_S < WITHIN_S


@pytest.mark.parametrize("state", [PodState.STOPPING, PodState.TERMINATING])
def test_a_pod_that_was_being_ended_waits_for_nobody(dead_pid: int, state: PodState) -> None:
    assert Story(a_row(dead_pid, state=state)).look()


def test_what_an_earlier_worker_of_the_reaper_had_waits_for_nobody(dead_pid: int) -> None:
    assert Story(a_row(dead_pid, role=Role.REAPER)).look()


def test_a_rental_that_was_never_answered_waits_for_its_provider(dead_pid: int) -> None:
    """The kernel may have died in the middle of create: the provider's list may not have the pod yet."""
    row = replace(a_row(dead_pid, role=Role.REAPER), provider_id=None)
    assert Story(row, at_work=True).seconds_until_ownerless() == RESTART_S


@pytest.mark.parametrize("host", ["", "another-machine"])
def test_an_owner_that_is_silent_loses_its_pod_within_a_minute(host: str) -> None:
    """It hangs, or its machine is gone; its process cannot be asked for."""
    assert (
        Story(a_row(os.getpid() if host else os.getppid(), host=host)).seconds_until_ownerless() == SILENT_S < WITHIN_S
    )


def test_a_healthy_owner_with_a_late_lease_is_not_robbed() -> None:
    """The ledger was locked for half a minute, twice."""
    story = Story(a_row(os.getppid()))
    for _ in range(3):
        assert story.seconds_until_ownerless(35) is None
        story.renew()
    assert story.seconds_until_ownerless() == SILENT_S


def test_a_laptop_that_slept_gives_its_kernel_a_minute_to_say_that_it_lives() -> None:
    """The lease is hours old after the wake-up, and nobody could have renewed it."""
    story = Story(a_row(os.getppid()))
    assert story.seconds_until_ownerless(10) is None
    story.s += 8 * 3600
    assert story.seconds_until_ownerless(int(AFTER_JUMP_S) - 1) is None
    story.renew()
    assert story.seconds_until_ownerless(int(SILENT_S)) is None


def test_the_minute_after_a_sleep_is_over_some_time(dead_pid: int) -> None:
    """Each of: a kernel that does not wake up with its machine, and one that died while it slept."""
    story = Story(a_row(os.getppid()))
    assert not story.look()
    story.s += 3600
    assert story.seconds_until_ownerless() == AFTER_JUMP_S
    story = Story(a_row(dead_pid, state=PodState.READY))
    assert not story.look()
    story.s += 3600
    assert story.look()


def test_a_lease_that_is_seen_for_the_first_time_is_not_judged_by_its_age() -> None:
    """The reaper itself was started a moment ago, after a wake-up perhaps."""
    story = Story(a_row(os.getppid()))
    story.s = 3600.0
    assert story.seconds_until_ownerless() == SILENT_S
