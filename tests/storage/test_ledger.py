from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import LedgerError
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, total_usd
from autopod_nb.models.pod import PodState
from autopod_nb.storage.ledger import Ledger, LedgerWrite
from autopod_nb.storage.writes import ChargeRecorded, JobChanged, JobRecorded, PodChanged, PodIntent

Intent = Callable[..., PodIntent]
Queued = Callable[..., JobRecorded]
Booked = Callable[..., ChargeRecorded]

# Writes batches of three charges for ever, or as many as asked, each named by its session; says each number when it
# is committed.
_WRITER = """
import sys
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from autopod_nb.models.money import Charge, MoneyKind, Purpose
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.writes import ChargeRecorded

path, name, batches = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
charge = Charge(pod_id="p1", job_id=None, attempt=0, purpose=Purpose.IDLE, kind=MoneyKind.SIMULATED,
                start=datetime(2026, 1, 1, tzinfo=timezone.utc), seconds=Decimal(1),
                price_per_hour_usd=Decimal("0.4"), amount_usd=Decimal("0.000111"))
with Ledger(path) as ledger:
    for number in range(batches):
        ledger.write([ChargeRecorded(session_id=f"{name}-{number}", charge=charge)] * 3)
        print(number, flush=True)
"""


def _writer(path: Path, name: str, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(path), name, str(batches)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _running(job_id: str, attempt: int) -> JobChanged:
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return JobChanged(session_id="s1", job_id=job_id, attempt=attempt, state=JobState.RUNNING, at=at)


def _charges_by_batch(ledger: Ledger) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in ledger.read_charges():
        counts[row.session_id] = counts.get(row.session_id, 0) + 1
    return counts


def test_a_batch_is_written_whole_or_not_at_all(ledger: Ledger, intent: Intent, charge: Booked) -> None:
    with pytest.raises(LedgerError, match="nothing of it was written"):
        ledger.write([intent("p1"), charge("0.1"), intent("p1")])
    assert ledger.read_pods() == ()
    assert ledger.read_charges() == ()
    ledger.write([intent("p1"), charge("0.1")])
    assert len(ledger.read_charges()) == 1


def test_writing_without_opening_is_refused_in_one_line(tmp_path: Path, intent: Intent) -> None:
    with pytest.raises(LedgerError, match=r"is not open for writing; call open\(\) first"):
        Ledger(tmp_path / LEDGER_NAME).write([intent()])


def test_reading_where_there_is_no_ledger_finds_nothing_and_makes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "none" / LEDGER_NAME)
    answers = (ledger.read_pods(), ledger.read_jobs(), ledger.read_results(), ledger.read_charges())
    assert [*answers, ledger.read_events(), ledger.poll_commands(["p1"])] == [()] * 6
    assert ledger.total_usd(MoneyKind.REAL) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_there_after_reopening_and_closing_twice(
    tmp_path: Path, intent: Intent, charge: Booked
) -> None:
    ledger = Ledger(tmp_path / LEDGER_NAME).open().open()
    ledger.write([intent(), charge("1.25")])
    ledger.close()
    ledger.close()
    with Ledger(ledger.path) as again:
        again.write([charge("0.75")])
        assert again.total_usd(MoneyKind.SIMULATED) == 2


def test_nobody_else_may_read_folder_or_files(tmp_path: Path, intent: Intent) -> None:
    """Property: 0700 and 0600, also for SQLite's own files and for a home that somebody made before us."""
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    path = home / LEDGER_NAME
    path.touch(mode=0o644)
    with Ledger(path) as ledger:
        ledger.write([intent()])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()}
        assert modes == {LEDGER_NAME + end: 0o600 for end in ("", "-wal", "-shm", ".copy")}
        assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_folder_that_is_shared_with_others_keeps_its_rights(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with Ledger(shared / LEDGER_NAME):
        assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


@pytest.mark.parametrize("table", ["charges", "results", "events"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET rowid = rowid", "DELETE FROM {}"])
def test_append_only_tables_refuse_change(stocked: Ledger, table: str, statement: str) -> None:
    with closing(sqlite3.connect(stocked.path)) as db:
        before = db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - the parametrised name
        assert before
        with pytest.raises(sqlite3.IntegrityError, match=f"{table} are append-only"):
            db.execute(statement.format(table))
        assert db.execute(f"SELECT * FROM {table}").fetchall() == before  # noqa: S608 - the same


def test_a_reading_connection_cannot_write(stocked: Ledger) -> None:
    with pytest.raises(LedgerError, match="is read-only"), stocked.reading() as db:
        db.execute("DELETE FROM pods")
    assert len(stocked.read_pods()) == 1


def test_a_charge_of_the_other_kind_of_money_is_refused(ledger: Ledger, intent: Intent, charge: Booked) -> None:
    ledger.write([intent("p1", kind=MoneyKind.REAL)])
    with pytest.raises(LedgerError, match="FOREIGN KEY"):
        ledger.write([charge("0.1", kind=MoneyKind.SIMULATED)])


@pytest.mark.parametrize("amount", ["0.0000001", "NaN", "Infinity"])
def test_an_amount_that_would_have_to_be_rounded_is_refused(
    ledger: Ledger, intent: Intent, charge: Booked, amount: str
) -> None:
    ledger.write([intent()])
    with pytest.raises(LedgerError, match="millionths"):
        ledger.write([charge(amount)])


def test_an_amount_beyond_all_reason_is_an_error_of_ours(ledger: Ledger, intent: Intent, charge: Booked) -> None:
    with pytest.raises(LedgerError, match="too large"):
        ledger.write([intent(), charge("1e30")])
    assert ledger.read_pods() == ()


def test_a_time_without_a_zone_is_refused(ledger: Ledger, intent: Intent, noon: datetime) -> None:
    with pytest.raises(LedgerError, match="has no zone"):
        ledger.write([intent(at=noon.replace(tzinfo=None))])


def test_totals_can_begin_at_a_time_and_be_of_one_session(
    ledger: Ledger, intent: Intent, charge: Booked, noon: datetime
) -> None:
    later = noon + timedelta(hours=1)
    ledger.write([intent(), charge("0.5"), charge("0.25", start=later), charge("0.125", start=later, session_id="s2")])
    kind = MoneyKind.SIMULATED
    assert ledger.total_usd(kind, since=later) == Decimal("0.375")
    assert ledger.total_usd(kind, since=later + timedelta(microseconds=1)) == 0
    assert ledger.total_usd(kind, session_id="s1") == Decimal("0.75")
    assert ledger.total_usd(kind, since=later, session_id="s2") == Decimal("0.125")
    assert ledger.total_usd(MoneyKind.REAL) == 0


_Booking = tuple[str, str | None, int, Decimal]
_amounts = st.decimals(min_value=0, max_value=10_000, places=6)
_bookings = st.lists(
    st.tuples(st.sampled_from(["real", "simulated"]), st.sampled_from(["a", "b", None]), st.integers(1, 2), _amounts),
    max_size=25,
)


@settings(deadline=None, max_examples=25)
@given(bookings=_bookings, cuts=st.sets(st.integers(0, 25)))
def test_totals_are_the_exact_decimal_sums_of_what_was_booked(
    intent: Intent, queued: Queued, charge: Booked, bookings: list[_Booking], cuts: set[int]
) -> None:
    """Property: in whatever batches it comes, sums are exact, each kind by itself, and rows read back equal."""
    with TemporaryDirectory() as home, Ledger(Path(home) / LEDGER_NAME) as ledger:
        batch: list[LedgerWrite] = [intent(kind.value, kind=kind) for kind in MoneyKind]
        for known in ("a", "b"):
            batch += [queued(known), *(_running(known, attempt) for attempt in (1, 2))]
        booked = []
        for number, (name, job_id, attempt, amount) in enumerate(bookings):
            record = charge(amount, job_id, pod_id=name, kind=MoneyKind(name), attempt=attempt if job_id else 0)
            booked.append(record.charge)
            batch.append(record)
            if number in cuts:
                ledger.write(batch)
                batch = []
        ledger.write(batch)
        assert [row.charge for row in ledger.read_charges()] == booked
        for kind in MoneyKind:
            assert ledger.total_usd(kind) == total_usd(booked, kind)


def test_all_that_is_not_known_to_be_gone_may_bill(ledger: Ledger, intent: Intent, noon: datetime) -> None:
    """Property: silence counts as billing, and so does a stopped pod and one that was only asked for."""
    batch: list[LedgerWrite] = [intent("asked")]
    for state in PodState:
        batch += [intent(state.value), PodChanged(pod_id=state.value, state=state, at=noon)]
    ledger.write(batch)
    billing = {pod.pod_id for pod in ledger.pods_that_may_bill()}
    assert billing == {"asked", *(state.value for state in PodState)} - {"terminated"}


@pytest.mark.faults
def test_a_writer_killed_in_the_middle_leaves_whole_batches_and_all_that_it_committed(
    tmp_path: Path, intent: Intent
) -> None:
    path = tmp_path / LEDGER_NAME
    with Ledger(path) as ledger:
        ledger.write([intent()])
    with _writer(path, "w", 1_000_000) as writer:
        assert writer.stdout is not None
        for number, line in enumerate(writer.stdout):
            assert int(line) == number
            if number == 40:
                writer.send_signal(signal.SIGKILL)
                break
        committed = number + 1 + len(writer.stdout.read().split())
    found = _charges_by_batch(Ledger(path))
    assert set(found.values()) == {3}
    assert committed <= len(found) <= committed + 1  # the last may have been committed but not yet said
    with Ledger(path) as ledger:
        ledger.write([PodChanged(pod_id="p1", state=PodState.LOST, at=ledger.read_pods()[0].updated)])


def test_two_processes_and_a_thread_write_at_the_same_time(tmp_path: Path, intent: Intent, charge: Booked) -> None:
    def write_hundred() -> None:
        for number in range(100):
            ledger.write([charge("0.1", session_id=f"z-{number}")] * 3)

    path = tmp_path / LEDGER_NAME
    with Ledger(path) as ledger:
        ledger.write([intent()])
        with _writer(path, "x", 100) as one, _writer(path, "y", 100) as two:
            thread = threading.Thread(target=write_hundred)
            thread.start()
            assert len(one.communicate(timeout=60)[0].split()) == len(two.communicate(timeout=60)[0].split()) == 100
            thread.join(60)
        assert _charges_by_batch(ledger) == {f"{name}-{n}": 3 for name in "xyz" for n in range(100)}


def test_two_processes_may_make_the_ledger_at_the_same_time(tmp_path: Path) -> None:
    command = (
        "import sys, pathlib; from autopod_nb.storage.ledger import Ledger; sys.stdin.read(1); "
        "Ledger(pathlib.Path(sys.argv[1])).open().close()"
    )
    path = tmp_path / "home" / LEDGER_NAME
    makers = [
        subprocess.Popen([sys.executable, "-c", command, str(path)], stdin=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("x")
        maker.stdin.close()
    assert [maker.wait(60) for maker in makers] == [0, 0, 0, 0]
    assert Ledger(path).read_pods() == ()


def test_a_file_of_another_program_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipes (cake)")
    with pytest.raises(LedgerError, match="of another program"):
        Ledger(path).open()
    with closing(sqlite3.connect(path)) as db:
        assert [row[0] for row in db.execute("SELECT name FROM sqlite_master")] == ["recipes"]


@pytest.mark.faults
def test_a_ledger_that_cannot_grow_refuses_the_batch_and_goes_on_when_it_can(tmp_path: Path, intent: Intent) -> None:
    """Property: a full disk costs the batch, not the ledger. The limit on file size stands for the disk."""
    story = """
import resource, signal, sys
from pathlib import Path
from autopod_nb.errors import LedgerError
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.writes import PodChanged
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Ledger(Path(sys.argv[1])) as ledger:
    pod = ledger.read_pods()[0]
    def change(words):
        ledger.write([PodChanged(pod_id="p1", state=pod.state, at=pod.created, error=words)])
    change("before")
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        change("x" * 1_000_000)
    except LedgerError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(ledger.read_pods()[0].error)
    change("after")
    print(ledger.read_pods()[0].error)
"""
    path = tmp_path / LEDGER_NAME
    with Ledger(path) as ledger:
        ledger.write([intent()])
    run = subprocess.run(
        [sys.executable, "-c", story, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    message, before, after = run.stdout.splitlines()
    assert message.startswith(f"The ledger {path} cannot")
    assert (before, after) == ("before", "after")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="ledger"):
        Ledger(tmp_path / "file" / LEDGER_NAME).open()
