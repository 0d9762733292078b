"""What is to be in the books gets there, or what depends on it does not happen."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.clock import SystemClock
from autopod_nb.models.job import JobSpec
from autopod_nb.models.money import Charge, MoneyKind, Purpose
from autopod_nb.models.pod import PodState
from autopod_nb.session import events, job_events
from autopod_nb.session.effects import WriteLedger
from autopod_nb.session.events import Message
from autopod_nb.session.scribe import Scribe
from autopod_nb.storage.leases import LeaseRenewed, LeaseTaken
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Owner, Role
from autopod_nb.storage.writes import ChargeRecorded, JobRecorded, PodChanged, PodIntent

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def _intent(pod_id: str = "p1") -> PodIntent:
    return PodIntent(
        pod_id=pod_id,
        name=f"n-{pod_id}",
        session_id="s",
        provider="local",
        gpu_type="A40",
        gpu_count=1,
        price_per_hour_usd=Decimal("0.4"),
        stopped_price_per_hour_usd=Decimal("0.01"),
        kind=MoneyKind.SIMULATED,
        at=NOW,
    )


def _charge() -> ChargeRecorded:
    charge = Charge(
        pod_id="p1",
        job_id=None,
        attempt=0,
        purpose=Purpose.BOOT,
        kind=MoneyKind.SIMULATED,
        start=NOW,
        seconds=Decimal(9),
        price_per_hour_usd=Decimal("0.4"),
        amount_usd=Decimal("0.001"),
    )
    return ChargeRecorded(session_id="s", charge=charge)


def _job(name: str) -> JobRecorded:
    return JobRecorded(session_id="s", spec=JobSpec(job_id=name, workflow_template="t"), at=NOW)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite3").open()


def test_what_waits_for_a_write_happens_after_it(ledger: Ledger) -> None:
    posted: list[Message] = []
    done = events.IntentWritten(pod_id="p1")
    Scribe(ledger, SystemClock(), posted.append).write([WriteLedger(writes=(_intent(),), then=(done,))])
    assert posted == [done]
    assert [pod.pod_id for pod in ledger.read_pods()] == ["p1"]
    ledger.close()


def test_no_intent_in_the_books_no_pod(ledger: Ledger) -> None:
    posted: list[Message] = []
    scribe = Scribe(ledger, SystemClock(), posted.append)
    ledger.close()
    scribe.write([WriteLedger(writes=(_intent(),), then=(events.IntentWritten(pod_id="p1"),))])
    assert [type(message) for message in posted] == [events.LedgerFailed, events.PodNotCreated]


def test_a_write_that_fails_does_not_take_others_with_it(ledger: Ledger) -> None:
    posted: list[Message] = []
    scribe = Scribe(ledger, SystemClock(), posted.append)
    good = WriteLedger(writes=(_job("good"),), then=(job_events.JobWritten(job_id="good"),))
    twice = WriteLedger(writes=(_job("good"),), then=(job_events.JobWritten(job_id="twice"),))
    scribe.write([good, twice])
    assert job_events.JobWritten(job_id="good") in posted
    assert any(isinstance(message, job_events.StepFailed) and message.job_id == "twice" for message in posted)
    assert len(ledger.read_jobs()) == 1
    ledger.close()


def test_a_charge_that_could_not_be_written_is_written_later(ledger: Ledger) -> None:
    """The file is locked by somebody for a while: nothing is missing in the books afterwards."""
    posted: list[Message] = []
    scribe = Scribe(ledger, SystemClock(), posted.append)
    scribe.write([WriteLedger(writes=(_intent(),))])
    ledger.close()  # as good as a disk that is full: every write fails
    scribe.write([WriteLedger(writes=(_charge(),))])
    assert any(isinstance(message, events.LedgerFailed) for message in posted)
    ledger.open()
    scribe.write([WriteLedger(writes=(_job("j"),))])
    assert ledger.total_usd(MoneyKind.SIMULATED) == Decimal("0.001")
    with sqlite3.connect(ledger.path) as db:
        assert db.execute("SELECT count(*) FROM charges").fetchone() == (1,)
    db.close()
    ledger.close()


def test_what_the_ledger_will_never_take_is_left_out_and_takes_no_charge_with_it(ledger: Ledger) -> None:
    """A change of a pod whose intent was refused: it is not tried for ever, and the charge beside it is booked."""
    posted: list[Message] = []
    scribe = Scribe(ledger, SystemClock(), posted.append)
    scribe.write([WriteLedger(writes=(_intent(),))])
    unknown = PodChanged(pod_id="never written", state=PodState.TERMINATED, at=NOW)
    scribe.write([WriteLedger(writes=(unknown, _charge()))])
    assert ledger.total_usd(MoneyKind.SIMULATED) == Decimal("0.001")
    posted.clear()
    ledger.close()  # what is kept is told when it is tried again
    scribe.write([WriteLedger(writes=(_job("j"),))])
    assert [type(message) for message in posted] == [events.LedgerFailed]


@pytest.mark.parametrize("taken", [True, False])
def test_a_lease_that_cannot_be_renewed_is_told_with_whether_somebody_has_it(ledger: Ledger, *, taken: bool) -> None:
    posted: list[Message] = []
    scribe = Scribe(ledger, SystemClock(), posted.append)
    scribe.write([WriteLedger(writes=(_intent(),))])
    if taken:
        other = Owner(owner_id="other", role=Role.REAPER, host="h", pid=2)
        ledger.write([LeaseTaken(pod_id="p1", owner=other, at=NOW)])
    renewal = LeaseRenewed(pod_id="p1", owner_id="ours", at=NOW)
    scribe.write([WriteLedger(writes=(renewal, _job("beside"))), WriteLedger(writes=(renewal,))])
    assert [message for message in posted if isinstance(message, events.LeaseLost)] == [
        events.LeaseLost(pod_id="p1", taken=taken)
    ] * 2
    assert len(ledger.read_jobs()) == 1, "what was written beside it is written"
    ledger.close()
