"""A kernel dies and the next one takes over; two kernels and one pod."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.config import read_settings
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.session.build import build_session
from autopod_nb.session.manager import Session
from autopod_nb.storage.leases import CommandPosted
from autopod_nb.storage.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.faults


@contextmanager
def an_owner(folder: Path, *, steps: int = 0) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Another process with a pod, which renders something of so many steps."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.session.owner", str(folder), str(steps)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = build_session(read_settings({"AUTOPOD_HOME": str(tmp_path / "home")}))
    yield session
    session.close()


def until(session: Session, done: Callable[[Snapshot], bool], within_s: float = 40.0) -> Snapshot:
    for _ in range(int(within_s)):
        snapshot = session.snapshot
        if done(snapshot):
            return snapshot
        session.wait_newer(snapshot.number, 1.0)
    raise AssertionError(f"not within {within_s} s: {session.snapshot}")


def test_a_new_kernel_brings_pod_tunnel_and_running_job_back(tmp_path: Path, session: Session) -> None:
    """kill -9 of the owner in mid-job: the job is delivered once, and every second of the pod is in the books."""
    with an_owner(tmp_path, steps=30) as (owner, told):
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        adopted, notes = session.adopt()
    assert (adopted, notes) == ([told["pod_id"]], ())
    pod = session.snapshot.pods[told["pod_id"]]
    assert pod.state in (PodState.READY, PodState.BUSY)
    assert pod.local_port is not None, "the tunnel stands; it has the old port unless another program took it"
    job = session.job("kept").wait(60)
    assert job.view.attempt == 1, "it was not rendered twice"
    assert [path.name for path in job.outputs["picture"]] == ["kept.png"]
    assert job.view.kind is MoneyKind.SIMULATED
    session.stop()
    gone = until(session, lambda snapshot: snapshot.pods[told["pod_id"]].over).pods[told["pod_id"]]
    assert gone.state is PodState.TERMINATED
    assert session.wait_written()
    charges = [each.charge for each in Ledger(session.ledger_path).read_charges(pod_id=told["pod_id"])]
    for charge, following in itertools.pairwise(charges):  # no gap and no overlap, also where it changed hands
        assert abs((following.start - charge.start).total_seconds() - float(charge.seconds)) < 0.5
    (row,) = Ledger(session.ledger_path).read_jobs()
    assert row.state is JobState.DONE


def test_a_job_that_ended_while_nobody_looked_is_collected(tmp_path: Path, session: Session) -> None:
    with an_owner(tmp_path, steps=5) as (owner, told):
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        # it ends on the pod now, long before the lease does
        session.wait_newer(session.snapshot.number + 3, 3.0)
        adopted, _ = session.adopt()
    assert adopted == [told["pod_id"]]
    assert session.job("kept").wait(30).state is JobState.DONE
    again = session.again("kept").wait(30)  # what was asked for came with it
    assert (again.job_id, again.state, again.view.template) == (
        "kept-2",
        JobState.DONE,
        session.job("kept").view.template,
    )


def test_a_pod_that_ended_with_its_kernel_is_closed_in_the_books(tmp_path: Path, session: Session) -> None:
    """Adopted too late: nothing is rendered again, nothing bills, and `history` says what became of the job."""
    with an_owner(tmp_path, steps=500) as (owner, told):
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        record = next(iter((tmp_path / "home" / "pods").glob("autopod-*/pod.json")))
        import os  # noqa: PLC0415 - used here only

        os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)  # as its lease would, 15 seconds later
        session.adopt()
    until(session, lambda snapshot: snapshot.pods[told["pod_id"]].over)
    assert session.job("kept").state is JobState.FAILED
    until(session, lambda _: not Ledger(session.ledger_path).pods_that_may_bill())  # written behind the snapshot
    assert not list((tmp_path / "home" / "pods").glob("autopod-*"))


def test_a_pod_whose_owner_lives_is_left_alone_and_can_be_ended_from_elsewhere(
    tmp_path: Path, session: Session
) -> None:
    with an_owner(tmp_path) as (owner, told):
        adopted, (note,) = session.adopt()
        assert not adopted
        assert told["pod_id"] in note
        assert str(owner.pid) in note
        assert session.kill(told["pod_id"]) == told["pod_id"]
        until(session, lambda _: not Ledger(session.ledger_path).pods_that_may_bill())
        assert not list((tmp_path / "home" / "pods").glob("autopod-*"))


def test_the_owner_takes_commands_of_other_processes_from_the_ledger(tmp_path: Path, session: Session) -> None:
    """Also when the provider cannot be reached from there: the row is enough."""
    with an_owner(tmp_path) as (_, told), Ledger(session.ledger_path) as ledger:
        ledger.write([CommandPosted(pod_id=told["pod_id"], verb="stop", at=session.clock.now())])
        until(session, lambda _: not ledger.pods_that_may_bill())


def test_two_that_adopt_at_the_same_moment_do_not_both_get_it(tmp_path: Path, session: Session) -> None:
    other = build_session(read_settings({"AUTOPOD_HOME": str(tmp_path / "home")}))
    try:
        with an_owner(tmp_path) as (owner, told):
            owner.send_signal(signal.SIGKILL)
            owner.wait()
            orphans = [each.look_for_orphans().orphans for each in (session, other)]
            assert all(len(found) == 1 for found in orphans)
            session.adopt()
            other._post(orphans[1][0])
            until(other, lambda snapshot: bool(snapshot.notices))
        assert told["pod_id"] in session.snapshot.pods
        assert told["pod_id"] not in other.snapshot.pods
        assert "belongs to" in other.snapshot.notices[-1].text
    finally:
        other.close()
