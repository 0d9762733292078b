"""The kernel is killed: the reaper lets its job finish, fetches it, and ends the pod. All of it real, on loopback."""

from __future__ import annotations

import itertools
import platform
from datetime import timedelta

import pytest

from autopod_nb.config import read_settings
from autopod_nb.log import close_log
from autopod_nb.models.job import JobState
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import PodState
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.local import LocalProvider
from autopod_nb.session.build import build_session
from autopod_nb.session.guardian import take_back
from autopod_nb.storage.leases import CommandPosted, LeaseTaken
from autopod_nb.storage.rows import Owner, Role
from tests.reaper.rows import a_dead_pid, a_living_pid, write_pod
from tests.reaper.world import World

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_a_job_of_a_killed_kernel_is_finished_fetched_and_its_pod_ended(world: World) -> None:
    """kill -9 of the kernel in mid-job: nothing that was paid for is lost, and nothing is paid for afterwards."""
    told = world.kernel(steps=30)
    world.ensure()
    world.supervisor()
    world.kill_kernel()
    world.until(lambda: (lease := world.row(told["pod_id"]).lease) and lease.owner.role is Role.REAPER)
    world.until_over()
    assert (world.out / "kept.png").stat().st_size
    (job,) = world.ledger.read_jobs()
    assert (job.state, job.attempt) == (JobState.DONE, 1)
    row = world.row(told["pod_id"])
    assert (row.state, row.error) == (PodState.TERMINATED, "")
    charges = [each.charge for each in world.ledger.read_charges(pod_id=told["pod_id"])]
    for charge, following in itertools.pairwise(charges):
        assert abs((following.start - charge.start).total_seconds() - float(charge.seconds)) < 0.5


def test_an_idle_pod_of_a_killed_kernel_is_ended_within_a_minute(world: World) -> None:
    """A kernel that restarts has half a minute to come back for it; then it has nothing to do, and goes."""
    told = world.kernel()
    world.ensure()
    world.supervisor()
    world.kill_kernel()
    world.jump(30)
    world.until_over()
    assert world.row(told["pod_id"]).state is PodState.TERMINATED


def test_a_kernel_that_lives_keeps_its_pod_after_a_sleep(world: World) -> None:
    """Its lease is five minutes old when the machine wakes up; it renews it, and the reaper leaves it alone."""
    told = world.kernel()
    world.ensure()
    world.supervisor()
    asleep = world.row(told["pod_id"]).lease
    assert asleep is not None
    world.jump(300)
    world.until(lambda: (lease := world.row(told["pod_id"]).lease) and (lease.renewed - asleep.renewed).seconds > 290)
    lease = world.row(told["pod_id"]).lease
    assert lease is not None
    assert lease.owner == asleep.owner
    assert "taken over" not in world.log()
    world.kill_kernel()
    world.jump(30)
    world.until_over()


def test_a_new_kernel_gets_pod_and_running_job_from_the_reaper(world: World) -> None:
    """The reaper lets go when it is asked, and the job runs on under the new kernel, which delivers it."""
    told = world.kernel(steps=60)
    world.ensure()
    world.kill_kernel()
    world.until(lambda: (lease := world.row(told["pod_id"]).lease) and lease.owner.role is Role.REAPER)
    session = build_session(read_settings(), clock=world.clock)
    try:
        began_s = world.clock.monotonic()
        assert take_back(world.ledger, clock=world.clock, within_s=20) == (told["pod_id"],)
        adopted, _ = session.adopt()
        assert adopted == [told["pod_id"]]
        assert world.clock.monotonic() - began_s < 20, "2 to 3 s on a machine that does nothing else"
        job = session.job("kept")
        assert job.view.attempt == 1
        assert job.wait(60).state is JobState.DONE
        lease = world.row(told["pod_id"]).lease
        assert lease is not None
        assert lease.owner.role is not Role.REAPER, "it was not taken back"
    finally:
        session.close()
        close_log()
    world.until_over()


def test_a_pod_that_somebody_has_taken_is_let_go(world: World) -> None:
    """After a sleep the reaper's own lease may be late, and a kernel quicker: two must not command one pod."""
    told = world.kernel(steps=200)
    world.ensure()
    world.kill_kernel()
    world.until(lambda: (lease := world.row(told["pod_id"]).lease) and lease.owner.role is Role.REAPER)
    now = world.clock.now()
    thief = Owner(owner_id="thief", role=Role.TERMINAL, host=platform.node(), pid=a_living_pid())
    with world.ledger as ledger:
        stale_before = now + timedelta(minutes=1)
        ledger.write([LeaseTaken(pod_id=told["pod_id"], owner=thief, at=now, stale_before=stale_before)])
    world.until(lambda: "are let go" in world.log())
    world.jump(10)
    lease = world.row(told["pod_id"]).lease
    assert lease is not None
    assert lease.owner == thief
    assert world.row(told["pod_id"]).state is PodState.BUSY
    world.end_pod(told["pod_id"])
    world.until_over()


def test_results_that_could_not_be_fetched_are_fetched_when_there_is_room(world: World) -> None:
    """The job is through and its files are on the pod, where only history knows them, when the kernel dies."""
    told = world.kernel(steps=10)
    world.out.write_text("in the way")
    world.until(lambda: world.job_state("kept") is JobState.COLLECTING)
    world.ensure()
    world.kill_kernel()
    world.until(lambda: (lease := world.row(told["pod_id"]).lease) and lease.owner.role is Role.REAPER)
    world.out.unlink()
    world.until_over()
    assert (world.out / "kept.png").stat().st_size
    assert world.job_state("kept") is JobState.DONE


@pytest.mark.parametrize("is_writable", [True, False])
def test_a_pod_that_was_stopped_with_results_is_started_for_them_once(world: World, *, is_writable: bool) -> None:
    """The kernel could not write the results, stopped the pod, and died. They are paid for, so they are not lost.

    Its ComfyUI has forgotten them when it is started again; the ledger has not. As long as they cannot be written the
    pod is stopped again, and only a person ends it.
    """
    told = world.kernel(steps=10)
    world.out.write_text("in the way")
    world.until(lambda: world.job_state("kept") is JobState.COLLECTING)
    world.jump(700)  # nothing could be fetched for longer than the idle minutes
    world.until(lambda: world.row(told["pod_id"]).state is PodState.STOPPED)
    world.kill_kernel()
    if is_writable:
        world.out.unlink()
    world.ensure()
    if is_writable:
        world.until_over()
        assert world.job_state("kept") is JobState.DONE
        assert [path.suffix for path in world.out.iterdir()] == [".png"]
        return
    world.until(lambda: "cannot be written" in world.log())
    world.jump(700)
    world.until(lambda: "is left like that" in world.log())
    assert world.row(told["pod_id"]).state is PodState.STOPPED
    assert world.state.running
    with world.ledger as ledger:
        ledger.write([CommandPosted(pod_id=told["pod_id"], verb="kill", at=world.clock.now())])
    world.until_over()


@pytest.mark.parametrize("is_there", [True, False])
def test_a_rental_that_was_never_answered_is_looked_up_by_its_name(world: World, *, is_there: bool) -> None:
    """The kernel died in the middle of create: what came of it is ended, and what came of nothing is closed."""
    provider = LocalProvider(world.home / "pods", clock=world.clock)
    name = "autopod-p1-unanswered"
    with world.ledger as ledger:
        write_pod(ledger, world.clock, "p1", pid=a_dead_pid(), role=Role.REAPER, provider_id=None, name=name)
    if is_there:
        (offer, *_) = provider.offers(OfferQuery())
        provider.create(PodOrder(name=name, offer=offer, public_key="ssh-ed25519 AAAA"))
    try:
        world.ensure()
        world.supervisor()
        world.jump(30)
        world.until_over()
    finally:
        provider.close()
    row = world.row("p1")
    assert row.state is PodState.TERMINATED
    assert row.provider_id == (name if is_there else None)


def test_a_job_that_cannot_be_followed_keeps_its_pod_until_the_idle_minutes_are_over(world: World) -> None:
    """Its template is not there any more: the pod may be rendering it all the same, so it is not ended at once."""
    told = world.kernel(steps=200)
    (world.folder / "templates" / "slow.json").unlink()
    world.ensure()
    world.kill_kernel()
    world.until(lambda: "cannot be followed" in world.log())
    world.until(lambda: world.row(told["pod_id"]).state is PodState.READY)
    taken = world.row(told["pod_id"]).lease
    assert taken is not None
    world.until(lambda: (lease := world.row(told["pod_id"]).lease) and lease.renewed > taken.renewed)
    assert world.row(told["pod_id"]).state is PodState.READY
    world.jump(601)
    world.until_over()
