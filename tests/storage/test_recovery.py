"""A damaged ledger: kept aside, rebuilt from its copy and from what can still be read, and never silently empty."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autopod_nb.clock import TestClock
from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import LedgerError
from autopod_nb.models.job import JobState, RemoteFile, ResultFile, Verified
from autopod_nb.models.money import Charge, MoneyKind, cost_usd, total_usd
from autopod_nb.models.pod import PodState
from autopod_nb.storage.copies import copy_path
from autopod_nb.storage.ledger import Ledger, LedgerWrite
from autopod_nb.storage.migrations import SCRIPTS
from autopod_nb.storage.writes import ChargeRecorded, JobChanged, JobRecorded, PodChanged, PodIntent, ResultRecorded

pytestmark = pytest.mark.faults

_NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
_JOBS = 60
_KIND = MoneyKind.SIMULATED


def _jobs(
    first: int,
    count: int,
    queued: Callable[..., JobRecorded],
    charge: Callable[..., ChargeRecorded],
    result: ResultFile,
) -> list[LedgerWrite]:
    """Jobs that are done, each with a result, a charge of its own and one of an idle pod, which cost what they must."""
    batch: list[LedgerWrite] = []
    for number in range(first, first + count):
        at = _NOON + timedelta(seconds=20 * number)
        key: dict[str, Any] = {"session_id": "s1", "job_id": f"job-{number}", "attempt": 1, "at": at}
        seconds = Decimal(number) + Decimal("0.123456")
        paid: dict[str, Any] = {"seconds": seconds, "start": at}
        amount = cost_usd(Decimal("0.40"), seconds)
        batch += [
            queued(f"job-{number}", at=at),
            JobChanged(**key, state=JobState.RUNNING, pod_id="p1", prompt_id=f"prompt-{number}"),
            charge(amount, f"job-{number}", **paid),
            charge(amount, None, **paid),
            ResultRecorded(**key, result=result),
            JobChanged(**key, state=JobState.DONE),
        ]
    return batch


@pytest.fixture(scope="module")
def story(
    tmp_path_factory: pytest.TempPathFactory,
    intent: Callable[..., PodIntent],
    queued: Callable[..., JobRecorded],
    charge: Callable[..., ChargeRecorded],
) -> Path:
    """A ledger of 60 jobs whose copy was made after the first 20, and ``whole``, a copy of its last state."""
    home = tmp_path_factory.mktemp("story")
    clock = TestClock(_NOON)
    result = _result()
    with Ledger(home / LEDGER_NAME, clock=clock) as ledger:
        ledger.write([intent("p1"), intent("gone"), *_jobs(1, 20, queued, charge, result)])
        at = _NOON + timedelta(seconds=1)
        ledger.write([PodChanged(pod_id="gone", state=PodState.TERMINATED, at=at)])
        clock.advance(3600)
        ledger.write([PodChanged(pod_id="p1", state=PodState.BUSY, at=at, provider_id="local-1")])
        ledger.write(_jobs(21, 40, queued, charge, result))
        copy = copy_path(ledger.path).read_bytes()
    copy_path(ledger.path).write_bytes(copy)
    shutil.copyfile(ledger.path, home / "whole")
    return home


def _result() -> ResultFile:
    source = RemoteFile(node_id="9", filename="ComfyUI_00001_.mp4", subfolder="video")
    return ResultFile(
        output="video", path=Path("a.mp4"), bytes=3, sha256="ab" * 32, verified=Verified.SHA256, source=source
    )


@pytest.fixture
def home(story: Path, tmp_path: Path) -> Path:
    """The story, to be damaged."""
    return _fresh(story, tmp_path / "home")


def _fresh(story: Path, home: Path, *, with_copy: bool = True) -> Path:
    home.mkdir(mode=0o700)
    shutil.copyfile(story / LEDGER_NAME, home / LEDGER_NAME)
    if with_copy:
        shutil.copyfile(copy_path(story / LEDGER_NAME), copy_path(home / LEDGER_NAME))
    return home


def _rows(path: Path) -> dict[str, set[tuple[Any, ...]]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        tables = ("pods", "jobs", "attempts", "results", "charges", "events")
        return {table: set(db.execute(f"SELECT * FROM {table}")) for table in tables}  # noqa: S608 - names of ours


def _charges(ledger: Ledger) -> list[Charge]:
    return [row.charge for row in ledger.read_charges()]


def _aside(home: Path) -> list[Path]:
    return sorted(home.glob(f"{LEDGER_NAME}.damaged-*Z"))


def _spoil(path: Path, where: int, content: bytes) -> bytes:
    with path.open("r+b") as file:
        file.seek(where)
        file.write(content)
    return path.read_bytes()


def _meet(ledger: Ledger, question: str) -> None:
    """Ask something that needs the damaged page."""
    with pytest.raises(LedgerError, match="is damaged: it is kept aside and rebuilt"), ledger.reading() as db:
        db.execute(question).fetchall()


def _open(ledger: Ledger) -> LedgerError | None:
    """Open it, look at everything as a session does in its life, and write; returns why that was refused."""
    try:
        ledger.open()
        with suppress(LedgerError):
            ledger.read_pods(), ledger.read_jobs(), ledger.read_results(), ledger.read_charges(), ledger.read_events()
        ledger.write([])
    except LedgerError as error:
        ledger.close()
        return error
    return None


def _check_it_works(ledger: Ledger, intent: Callable[..., PodIntent], charge: Callable[..., ChargeRecorded]) -> None:
    """Writing works, sums are exact, triggers and constraints are there."""
    before, count = ledger.total_usd(_KIND), len(ledger.read_events())
    ledger.write([intent("new"), charge("0.000167", pod_id="new")])
    assert ledger.total_usd(_KIND) == before + Decimal("0.000167") == total_usd(_charges(ledger), _KIND)
    assert len(ledger.read_events()) == count + 1
    with closing(sqlite3.connect(ledger.path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute("DELETE FROM charges")


def test_one_that_is_no_database_is_rebuilt_from_its_copy_and_told_in_one_line(
    home: Path, intent: Callable[..., PodIntent], charge: Callable[..., ChargeRecorded]
) -> None:
    path, clock = home / LEDGER_NAME, TestClock(_NOON)
    path.write_text("dear diary, " * 1000)
    of_copy = _rows(copy_path(path))
    os.utime(copy_path(path), (_NOON.timestamp(), _NOON.timestamp()))
    with Ledger(path, clock=clock) as ledger:
        assert ledger.recovery is not None
        assert str(ledger.recovery) == (
            f"The ledger {path} was damaged. It is rebuilt from its copy of 2026-01-01 12:00:00 UTC and 0 rows that "
            f"could still be read; what is newer may be missing. The damaged file is kept as "
            f"{LEDGER_NAME}.damaged-20260101T120000Z. 1 pod in it may still bill: `%autopod pods`."
        )
        assert _rows(path) == of_copy
        assert [pod.pod_id for pod in ledger.pods_that_may_bill()] == ["p1"]
        _check_it_works(ledger, intent, charge)
    assert [file.read_text() for file in _aside(home)] == ["dear diary, " * 1000]
    assert path.stat().st_mode & 0o777 == 0o600
    with Ledger(path) as again:
        assert again.recovery is None
    assert sorted(file.name for file in home.iterdir()) == [
        LEDGER_NAME,
        f"{LEDGER_NAME}.copy",
        f"{LEDGER_NAME}.damaged-20260101T120000Z",
    ]


def test_what_is_newer_than_the_copy_is_read_from_the_damaged_file(home: Path, story: Path) -> None:
    """Property: with one index spoilt, every row is there again, bit for bit."""
    path = home / LEDGER_NAME
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'charges_of_pod'").fetchone()[0]
        page = db.execute("PRAGMA page_size").fetchone()[0]
    damaged = _spoil(path, (root - 1) * page, b"\xff" * page)
    question = "SELECT count(*) FROM charges INDEXED BY charges_of_pod WHERE pod_id = 'p1'"
    _meet(Ledger(path), question)
    assert path.read_bytes() == damaged  # a reader leaves it as it is
    with Ledger(path) as ledger:
        _meet(ledger, question)
        ledger.write([PodChanged(pod_id="p1", state=PodState.BUSY, at=_NOON + timedelta(seconds=1))])
        assert ledger.recovery is not None
        assert ledger.recovery.refused == 0
        assert _rows(path) == _rows(story / "whole")
    assert [file.read_bytes() for file in _aside(home)] == [damaged]


@settings(max_examples=30)
@given(cut=st.floats(0, 1, exclude_max=True), with_copy=st.booleans())
@example(cut=0.99999, with_copy=False)
def test_one_that_was_cut_short_gives_back_what_is_left(
    story: Path,
    intent: Callable[..., PodIntent],
    charge: Callable[..., ChargeRecorded],
    cut: float,
    with_copy: bool,  # noqa: FBT001 - drawn
) -> None:
    """Property: the copy's rows are all there, every other is one that was written, and the file is kept."""
    with TemporaryDirectory() as folder:
        home = _fresh(story, Path(folder) / "home", with_copy=with_copy)
        path = home / LEDGER_NAME
        os.truncate(path, int(path.stat().st_size * cut))
        damaged, whole = path.read_bytes(), _rows(story / "whole")
        ledger = Ledger(path)
        if (error := _open(ledger)) is not None:
            assert not with_copy
            assert "there is nothing to rebuild it from" in str(error)
            assert (path.read_bytes(), _aside(home)) == (damaged, [])
            return
        with ledger:
            if not damaged and not with_copy:  # an empty file is a new ledger
                assert (ledger.recovery, ledger.read_pods()) == (None, ())
                return
            assert ledger.recovery is not None
            assert ledger.read_pods()
            found = _rows(path)
            for table in ("results", "charges", "events"):
                assert found[table] <= whole[table]
            if with_copy:
                copied = _rows(copy_path(story / LEDGER_NAME))
                assert all(copied[table] <= found[table] for table in ("jobs", "results", "charges", "events"))
                assert {pod.pod_id for pod in ledger.pods_that_may_bill()} == {"p1"}
            _check_it_works(ledger, intent, charge)
        assert [file.read_bytes() for file in _aside(home)] == [damaged]


_holes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=6000)), min_size=1, max_size=6
)


@settings(max_examples=60)
@given(holes=_holes, with_copy=st.booleans())
@example(holes=[(0.939703837064625, b"\x00")], with_copy=True)  # a time that is null
@example(holes=[(0.875, b"\x80")], with_copy=False)  # a word that is none of ours
@example(holes=[(0.6617985721272452, b"\x80")], with_copy=True)  # a schema that is no UTF-8
def test_bytes_that_were_overwritten_make_no_money_and_lose_no_pod_of_the_copy(
    story: Path,
    intent: Callable[..., PodIntent],
    charge: Callable[..., ChargeRecorded],
    holes: list[tuple[float, bytes]],
    with_copy: bool,  # noqa: FBT001 - drawn
) -> None:
    """Property: each amount is what its seconds cost, what the copy holds is there, and the file is kept."""
    with TemporaryDirectory() as folder:
        home = _fresh(story, Path(folder) / "home", with_copy=with_copy)
        path = home / LEDGER_NAME
        for where, content in holes:
            _spoil(path, int((path.stat().st_size - len(content)) * where), content)
        damaged = path.read_bytes()
        ledger = Ledger(path)
        if (error := _open(ledger)) is not None:
            assert "another program" in str(error) or "newer" in str(error) or not with_copy
            assert (path.read_bytes(), _aside(home)) == (damaged, [])
            return
        with ledger:
            if ledger.recovery is None:
                return  # the damage is where nobody can see it
            assert [file.read_bytes() for file in _aside(home)] == [damaged]
            assert all(each.amount_usd == cost_usd(each.price_per_hour_usd, each.seconds) for each in _charges(ledger))
            if with_copy:
                copied, found = _rows(copy_path(story / LEDGER_NAME)), _rows(path)
                assert all(copied[table] <= found[table] for table in ("jobs", "results", "charges", "events"))
                assert {pod.pod_id for pod in ledger.read_pods()} >= {"p1", "gone"}
            _check_it_works(ledger, intent, charge)


@pytest.mark.parametrize("lost", ["", "-wal"])
def test_one_that_lost_what_its_copy_holds_is_rebuilt(
    tmp_path: Path, intent: Callable[..., PodIntent], charge: Callable[..., ChargeRecorded], lost: str
) -> None:
    """A file that vanished, and a ``-wal`` file that vanished after a crash: never a new ledger that knows no pod."""
    path = tmp_path / LEDGER_NAME
    story = (
        "import os, sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from datetime import datetime, timezone; from decimal import Decimal\n"
        "from autopod_nb.models.money import MoneyKind; from autopod_nb.storage.ledger import Ledger\n"
        "from autopod_nb.storage.writes import PodIntent\n"
        "ledger = Ledger(Path(sys.argv[1])).open()\n"
        "ledger.write([PodIntent(pod_id='p1', name='autopod-p1', session_id='s1',"
        " provider='local', gpu_type='A40', gpu_count=1, price_per_hour_usd=Decimal('0.4'),"
        " stopped_price_per_hour_usd=Decimal(0), kind=MoneyKind.SIMULATED, at=datetime.now(timezone.utc))])\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", story, str(path), str(Path.cwd())], timeout=60, check=True)
    assert path.with_name(f"{LEDGER_NAME}-wal").stat().st_size > 0
    path.with_name(f"{LEDGER_NAME}{lost}").unlink()
    with Ledger(path) as ledger:
        assert ledger.recovery is not None
        assert [pod.pod_id for pod in ledger.pods_that_may_bill()] == ["p1"]
        _check_it_works(ledger, intent, charge)


def test_an_empty_file_is_a_new_ledger_unless_there_is_a_copy(home: Path, tmp_path: Path) -> None:
    (tmp_path / LEDGER_NAME).touch()
    with Ledger(tmp_path / LEDGER_NAME) as ledger:
        assert (ledger.recovery, ledger.read_pods()) == (None, ())
    os.truncate(home / LEDGER_NAME, 0)
    with Ledger(home / LEDGER_NAME) as ledger:
        assert ledger.recovery is not None
        assert {pod.pod_id for pod in ledger.read_pods()} == {"p1", "gone"}


def test_with_nothing_to_rebuild_from_both_files_are_named_and_nothing_is_changed(home: Path) -> None:
    path = home / LEDGER_NAME
    path.write_text("dear diary")
    for copy in (copy_path(path), None):
        if copy is None:
            copy_path(path).unlink()
        else:
            copy.write_bytes(b"\xff" * 9000)
        before = {file.name: file.read_bytes() for file in home.iterdir()}
        with pytest.raises(LedgerError, match="there is nothing to rebuild it from") as caught:
            Ledger(path).open()
        assert str(path) in str(caught.value)
        assert f"{copy_path(path)} is {'damaged, too' if copy else 'missing'}" in str(caught.value)
        assert {file.name: file.read_bytes() for file in home.iterdir()} == before


def test_when_ledger_and_copy_are_damaged_both_are_read(home: Path, story: Path) -> None:
    path = home / LEDGER_NAME
    with closing(sqlite3.connect(path)) as db:
        roots = dict(db.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    _spoil(path, (roots["pods"] - 1) * 4096, b"\xff" * 4096)
    with closing(sqlite3.connect(copy_path(path))) as db:
        db.executescript("DROP TRIGGER charges_last; DELETE FROM charges WHERE charge_id = 7")  # a gap
    _spoil(copy_path(path), (roots["charges_of_pod"] - 1) * 4096, b"\xff" * 4096)
    with Ledger(path) as ledger:
        with pytest.raises(LedgerError):
            ledger.read_pods()
        ledger.write([])
        assert ledger.recovery is not None
        assert ledger.recovery.copied is None
        assert {pod.pod_id for pod in ledger.pods_that_may_bill()} == {"p1"}
        assert _rows(path)["charges"] == _rows(story / "whole")["charges"]


def test_the_charges_of_a_pod_and_of_jobs_that_are_lost_still_count(home: Path, story: Path) -> None:
    """Without a copy, and with the tables of pods, jobs and attempts gone: the totals are what they were."""
    path = home / LEDGER_NAME
    copy_path(path).unlink()
    with closing(sqlite3.connect(path)) as db:
        roots = dict(db.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    for table in ("pods", "jobs", "attempts"):
        _spoil(path, (roots[table] - 1) * 4096, b"\xff" * 4096)
    with Ledger(path) as ledger:
        assert ledger.recovery is not None
        assert _rows(path)["charges"] == _rows(story / "whole")["charges"]
        assert ledger.total_usd(_KIND) == Ledger(story / "whole").total_usd(_KIND)
        pods = {pod.pod_id: (pod.state, pod.price_per_hour_usd, pod.kind) for pod in ledger.read_pods()}
        assert pods["p1"] == (PodState.BUSY, Decimal("0.40"), _KIND)
        assert pods["gone"][0] is PodState.TERMINATED
        jobs = ledger.read_jobs()
        assert len(jobs) == _JOBS
        assert {(job.state, job.session_id) for job in jobs} == {(JobState.DONE, "s1")}
        assert len(ledger.read_results()) == _JOBS


def test_a_row_that_makes_no_sense_is_left_out_and_counted(home: Path, story: Path) -> None:
    """An amount that was overwritten in place: no page is damaged, but the sum would be wrong."""
    path = home / LEDGER_NAME
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER charges_stay")
        db.execute("UPDATE charges SET amount_micro_usd = amount_micro_usd * 3 WHERE charge_id = 100")
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'commands_waiting'").fetchone()[0]
        db.commit()
    _spoil(path, (root - 1) * 4096, b"\xff" * 4096)
    with Ledger(path) as ledger:
        _meet(ledger, "SELECT * FROM commands INDEXED BY commands_waiting WHERE taken_us IS NULL AND pod_id = 'p1'")
        ledger.write([])
        assert ledger.recovery is not None
        assert ledger.recovery.refused == 1
        assert "without 1 that made no sense" in str(ledger.recovery)
        whole = _rows(story / "whole")["charges"]
        assert {row[0] for row in whole - _rows(path)["charges"]} == {100}


def test_a_folder_in_its_place_is_named_and_left_as_it_is(home: Path) -> None:
    path = home / LEDGER_NAME
    path.unlink()
    path.mkdir(mode=0o755)
    with pytest.raises(LedgerError, match="is a folder: move it away"):
        Ledger(path).open()
    assert path.stat().st_mode & 0o777 == 0o755
    assert _aside(home) == []


@pytest.mark.parametrize("what", ["ledger", "copy"])
def test_a_damaged_ledger_of_a_newer_release_is_not_touched(home: Path, what: str) -> None:
    path = home / LEDGER_NAME
    newer = path if what == "ledger" else copy_path(path)
    with closing(sqlite3.connect(newer)) as db:
        db.execute(f"PRAGMA user_version = {len(SCRIPTS) + 1}")
    os.truncate(path, path.stat().st_size - 5000 if what == "ledger" else 0)
    before = path.read_bytes(), copy_path(path).read_bytes()
    with pytest.raises(LedgerError, match="newer autopod_nb"):
        Ledger(path).open()
    assert (copy_path(path).read_bytes(), _aside(home)) == (before[1], [])
    if what == "ledger":
        assert path.read_bytes() == before[0]


def test_a_disk_that_is_full_stops_the_rebuilding_and_changes_nothing(home: Path) -> None:
    """The limit on the size of a file stands for the disk. With space again, the same ledger object goes on."""
    path = home / LEDGER_NAME
    os.truncate(path, path.stat().st_size // 2)
    before = {file.name: file.read_bytes() for file in home.iterdir()}
    story = """
import resource, signal, sys
from pathlib import Path
from autopod_nb.errors import LedgerError
from autopod_nb.storage.ledger import Ledger
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in (0, 4096, 50_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        Ledger(Path(sys.argv[1])).open()
    except LedgerError as error:
        print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", story, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    lines = run.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"The ledger {path}") and "look at the space" in line for line in lines)
    assert "is damaged and cannot be rebuilt" in lines[-1]
    assert "Nothing was changed" in lines[-1]
    assert {file.name: file.read_bytes() for file in home.iterdir() if not file.name.endswith("-shm")} == before
    with Ledger(path) as ledger:
        assert ledger.recovery is not None


def test_a_batch_that_meets_damage_is_written_once_to_the_rebuilt_ledger(
    home: Path, charge: Callable[..., ChargeRecorded]
) -> None:
    path = home / LEDGER_NAME
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'charges_of_pod'").fetchone()[0]
    _spoil(path, (root - 1) * 4096, b"\xff" * 4096)
    with Ledger(path) as ledger:
        before = Ledger(path).total_usd(_KIND)
        ledger.write([charge("0.000167")])
        assert ledger.recovery is not None
        assert ledger.total_usd(_KIND) == before + Decimal("0.000167")


def test_of_two_processes_that_meet_damage_one_rebuilds_and_the_other_goes_on_with_it(
    home: Path, charge: Callable[..., ChargeRecorded]
) -> None:
    """Property: all that both write afterwards is in the ledger that has the name, none in the file kept aside."""
    path = home / LEDGER_NAME
    with Ledger(path) as one, Ledger(path) as two:
        before = one.total_usd(_KIND)
        one.write([charge("0.000167")])
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'charges_of_pod'").fetchone()[0]
            _spoil(path, (root - 1) * 4096, b"\xff" * 4096)
            threads = [
                threading.Thread(target=lambda each=each: [each.write([charge("0.000167")]) for _ in range(20)])
                for each in (one, two)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert sum(each.recovery is not None for each in (one, two)) <= 1
        assert one.total_usd(_KIND) == before + 41 * Decimal("0.000167")


def test_a_killed_rebuilding_leaves_nothing_that_the_next_one_does_not_take_away(home: Path) -> None:
    path = home / LEDGER_NAME
    os.truncate(path, path.stat().st_size // 2)
    left = home / f"{LEDGER_NAME}.rebuild-abc"
    left.mkdir()
    (left / "new").write_bytes(b"half")
    with Ledger(path) as ledger:
        assert ledger.recovery is not None
    assert not left.exists()


class TestCopies:
    def test_a_copy_is_made_when_pods_change_but_at_most_once_a_minute(
        self, tmp_path: Path, intent: Callable[..., PodIntent], queued: Callable[..., JobRecorded]
    ) -> None:
        path, clock = tmp_path / LEDGER_NAME, TestClock(_NOON)

        def copied() -> int:
            return len(_rows(copy_path(path))["pods"])

        with Ledger(path, clock=clock) as ledger:
            ledger.write([queued("a")])
            assert not copy_path(path).exists()
            ledger.write([intent("p1")])
            assert copied() == 1
            ledger.write([intent("p2")])
            clock.advance(59)
            ledger.write([queued("b")])
            assert copied() == 1
            clock.advance(1)
            ledger.write([queued("c")])
            assert copied() == 2
            ledger.write([intent("p3")])
            assert copied() == 2
        assert copied() == 3
        assert sorted(file.name for file in tmp_path.iterdir()) == [LEDGER_NAME, f"{LEDGER_NAME}.copy"]

    def test_a_copy_of_a_day_ago_is_made_anew_when_the_ledger_is_opened(self, home: Path) -> None:
        path, copy = home / LEDGER_NAME, copy_path(home / LEDGER_NAME)
        begin = datetime.now(timezone.utc)
        os.utime(copy, (begin.timestamp(), begin.timestamp()))
        old = copy.read_bytes()
        Ledger(path, clock=TestClock(begin + timedelta(hours=23))).open().close()
        assert copy.read_bytes() == old
        Ledger(path, clock=TestClock(begin + timedelta(hours=25))).open().close()
        assert _rows(copy) == _rows(path)

    def test_a_damaged_ledger_never_takes_the_place_of_a_good_copy(self, home: Path, story: Path) -> None:
        """The copy is checked before it counts; so damage is found that nobody has met."""
        path = home / LEDGER_NAME
        with closing(sqlite3.connect(path)) as db:
            root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'results_of_attempt'").fetchone()[0]
        _spoil(path, (root - 1) * 4096, b"\xff" * 4096)
        with Ledger(path) as ledger:
            ledger.write([PodChanged(pod_id="p1", state=PodState.READY, at=_NOON + timedelta(hours=2))])
            assert copy_path(path).read_bytes() == copy_path(story / LEDGER_NAME).read_bytes()
            assert _aside(home) == []
            ledger.write([])
            assert ledger.recovery is not None
            assert ledger.read_pods()[0].state is PodState.READY
            assert _rows(path)["results"] == _rows(story / "whole")["results"]

    def test_a_copy_that_cannot_be_made_costs_no_batch(self, tmp_path: Path, intent: Callable[..., PodIntent]) -> None:
        path = tmp_path / LEDGER_NAME
        copy_path(path).mkdir()
        with Ledger(path) as ledger:
            ledger.write([intent("p1")])
            assert len(ledger.read_pods()) == 1
