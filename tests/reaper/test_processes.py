"""``kill -9`` of worker, supervisor, both, and of all of them with the kernel; two that start at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.reaper.lock import acquire
from autopod_nb.storage.rows import Role
from autopod_nb.storage.writes import PodChanged
from tests.reaper.rows import a_dead_pid, a_living_pid, write_pod
from tests.reaper.world import ROOT, World

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture
def owned(world: World) -> World:
    """A home with a pod whose owner lives, so that a reaper has something to stay for."""
    with world.ledger as ledger:
        write_pod(ledger, world.clock, "p1", pid=a_living_pid())
    return world


def over(world: World) -> None:
    """The pod is gone: the reaper ends by itself."""
    with world.ledger as ledger:
        ledger.write([PodChanged(pod_id="p1", state=PodState.TERMINATED, at=world.clock.now())])
    world.until(lambda: not world.state.running)


def test_of_several_that_start_at_once_one_stays(owned: World) -> None:
    """The others end quietly, and at once."""
    reapers = [owned.reaper() for _ in range(4)]
    owned.supervisor()
    owned.worker()
    owned.until(lambda: sum(each.poll() is None for each in reapers) == 1)
    assert [each.returncode for each in reapers if each.poll() is not None] == [0, 0, 0]
    assert len(owned.workers()) == 1
    assert [each.pid for each in reapers if each.poll() is None] == [owned.supervisor()]
    over(owned)
    assert [each.wait(10) for each in reapers] == [0] * 4


def test_a_worker_that_was_killed_is_replaced(owned: World) -> None:
    owned.ensure()
    supervisor, worker = owned.supervisor(), owned.worker()
    os.kill(worker, signal.SIGKILL)
    owned.next_worker(worker)
    assert owned.supervisor() == supervisor
    over(owned)


def test_when_the_supervisor_is_killed_its_worker_takes_its_place(owned: World) -> None:
    """The lock is never free in between, and there are never two workers."""
    owned.ensure()
    supervisor, worker = owned.supervisor(), owned.worker()
    free: list[bool] = []
    ended, most = threading.Event(), [0]

    def look() -> None:
        while not ended.wait(0.01):
            free.append(not owned.state.running)
            most[0] = max(most[0], len(owned.workers()))

    watcher = threading.Thread(target=look)
    watcher.start()
    os.kill(supervisor, signal.SIGKILL)
    try:
        owned.until(lambda: owned.state.pid == worker)
        owned.next_worker(worker)
    finally:
        ended.set()
        watcher.join()
    assert not any(free)
    assert len(free) > 10
    assert most == [1]
    over(owned)


def test_when_both_are_killed_the_next_call_starts_another(owned: World) -> None:
    owned.ensure()
    supervisor, worker = owned.supervisor(), owned.worker()
    os.kill(supervisor, signal.SIGSTOP)  # so that neither can do anything about the other
    os.kill(worker, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    owned.until(lambda: not owned.state.running)
    owned.ensure()
    owned.until(lambda: owned.state.pid not in (None, supervisor))
    owned.worker()
    over(owned)


def test_a_job_survives_the_death_of_kernel_worker_and_supervisor(world: World) -> None:
    """One after another, in mid-job: it is delivered once, and its pod is gone."""
    told = world.kernel(steps=60)
    world.ensure()
    supervisor, worker = world.supervisor(), world.worker()
    world.kill_kernel()
    world.until(lambda: owner_of(world, told["pod_id"]) == worker)
    os.kill(worker, signal.SIGKILL)
    second = world.next_worker(worker)
    world.until(lambda: owner_of(world, told["pod_id"]) == second)
    os.kill(supervisor, signal.SIGKILL)
    third = world.next_worker(worker, second)
    world.until(lambda: owner_of(world, told["pod_id"]) == third)
    world.until_over()
    (job,) = world.ledger.read_jobs()
    assert (job.state, job.attempt) == (JobState.DONE, 1)
    assert (world.out / "kept.png").stat().st_size
    assert not list(world.out.glob("*-2*"))


def owner_of(world: World, pod_id: str) -> int | None:
    """The process of the reaper that owns the pod."""
    lease = world.row(pod_id).lease
    return lease.owner.pid if lease is not None and lease.owner.role is Role.REAPER else None


def test_sigterm_ends_it_and_leaves_the_pods_to_the_next(world: World) -> None:
    """As when the machine is shut down: the lease is given up, so that whoever comes next need not wait."""
    told = world.kernel(steps=900)
    world.ensure()
    supervisor = world.supervisor()
    world.kill_kernel()
    world.until(lambda: owner_of(world, told["pod_id"]))
    os.kill(supervisor, signal.SIGTERM)
    world.until(lambda: not world.state.running)
    row = world.row(told["pod_id"])
    assert row.lease is None
    assert row.state in (PodState.LOST, PodState.READY, PodState.BUSY), "it was neither stopped nor ended"
    world.end_pod(told["pod_id"])


def test_a_damaged_ledger_is_waited_out(owned: World) -> None:
    """Nobody knows then what may bill: it stays until it does."""
    path = owned.home / LEDGER_NAME
    owned.ensure()
    owned.worker()
    aside = path.with_suffix(".aside")
    path.rename(aside)
    path.write_bytes(b"no ledger" * 1000)
    owned.until(lambda: "it is tried again" in owned.log())
    assert owned.state.running
    aside.replace(path)
    over(owned)


def test_once_ends_what_nobody_owns_and_then_itself(owned: World) -> None:
    """The pod of the living kernel is none of its business."""
    with owned.ledger as ledger:
        write_pod(ledger, owned.clock, "p2", pid=a_dead_pid(), role=Role.REAPER)
    assert owned.reaper("--once", "--linger", "0").wait(30) == 0
    assert {row.pod_id: row.state for row in owned.ledger.read_pods()} == {
        "p1": PodState.READY,
        "p2": PodState.TERMINATED,
    }


def test_without_any_pod_it_ends_by_itself(world: World) -> None:
    assert world.reaper("--linger", "0.1").wait(20) == 0
    assert not world.state.running


def test_the_lock_outlives_the_process_that_took_it_in_whoever_has_it_too(world: World) -> None:
    lock = acquire(world.home)
    assert lock is not None
    assert acquire(world.home) is None
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock.descriptor], cwd=ROOT
    )
    os.close(lock.descriptor)
    assert world.state.running
    child.communicate(b"\n")
    assert not world.state.running
