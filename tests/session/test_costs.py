"""What was spent, from a ledger with two kinds of money."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import UsageError
from autopod_nb.models.job import JobSpec, JobState
from autopod_nb.models.money import Charge, MoneyKind, Purpose
from autopod_nb.models.pod import PodState
from autopod_nb.session.costs import CostGroup, costs_by_frame, group_facts, group_rows, read_costs
from autopod_nb.storage.ledger import Ledger, LedgerWrite
from autopod_nb.storage.writes import ChargeRecorded, JobChanged, JobRecorded, PodChanged, PodIntent

REAL, SIMULATED = MoneyKind.REAL, MoneyKind.SIMULATED
NOW = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)
YESTERDAY = NOW - timedelta(days=1)  # in another month


def pod(pod_id: str, kind: MoneyKind, gpu: str = "A40") -> PodIntent:
    return PodIntent(
        pod_id=pod_id,
        name=f"autopod-{pod_id}",
        session_id="s1",
        provider="local",
        gpu_type=gpu,
        gpu_count=1,
        price_per_hour_usd=Decimal("0.4"),
        stopped_price_per_hour_usd=Decimal("0.01"),
        kind=kind,
        at=YESTERDAY,
    )


def job(job_id: str, state: JobState) -> list[LedgerWrite]:
    spec = JobSpec(job_id=job_id, workflow_template="img2vid-basic")
    return [
        JobRecorded(session_id="s1", spec=spec, at=NOW),
        JobChanged(session_id="s1", job_id=job_id, attempt=1, state=state, at=NOW),
    ]


def cost(pod_id: str, kind: MoneyKind, amount: str, what: Purpose | str, at: datetime = NOW) -> ChargeRecorded:
    job_id = None if isinstance(what, Purpose) else what
    charge = Charge(
        pod_id=pod_id,
        job_id=job_id,
        attempt=1 if job_id else 0,
        purpose=what if isinstance(what, Purpose) else Purpose.JOB,
        kind=kind,
        start=at,
        seconds=Decimal(10),
        price_per_hour_usd=Decimal("0.4"),
        amount_usd=Decimal(amount),
    )
    return ChargeRecorded(session_id="s1", charge=charge)


def write_story(ledger: Ledger) -> None:
    """A simulated pod that worked, a real one that never came up, and one of last month."""
    ledger.write(
        [
            pod("p1", SIMULATED),
            PodChanged(pod_id="p1", state=PodState.READY, at=NOW),
            pod("p2", REAL, "RTX 4090"),
            PodChanged(pod_id="p2", state=PodState.TERMINATED, at=NOW),
            *job("done", JobState.DONE),
            *job("bad", JobState.FAILED),
            cost("p1", SIMULATED, "0.1", Purpose.BOOT),
            *[cost("p1", SIMULATED, "0.1", "done")] * 3,
            cost("p1", SIMULATED, "0.000001", "bad"),
            cost("p1", SIMULATED, "0.02", Purpose.IDLE),
            cost("p1", SIMULATED, "0.003", Purpose.STORAGE),
            cost("p2", REAL, "0.25", Purpose.BOOT),
            cost("p2", REAL, "7", Purpose.BOOT, YESTERDAY),
        ]
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / LEDGER_NAME) as opened:
        write_story(opened)
        yield opened


def test_each_kind_of_money_has_its_own_sums_and_waste_is_what_rendered_nothing(ledger: Ledger) -> None:
    found = read_costs(ledger.path, now=NOW)
    simulated, real = found.in_month[SIMULATED], found.in_month[REAL]
    assert (simulated.total_usd, simulated.job_usd) == (Decimal("0.423001"), Decimal("0.3"))
    assert simulated.waste_usd == Decimal("0.123001")
    parts = (simulated.boot_usd, simulated.vain_boot_usd, simulated.idle_usd, simulated.storage_usd)
    assert parts == (Decimal("0.1"), Decimal(0), Decimal("0.02"), Decimal("0.003"))
    assert simulated.lost_job_usd == Decimal("0.000001")
    assert (real.total_usd, real.vain_boot_usd, real.boot_usd) == (Decimal("0.25"), Decimal("0.25"), Decimal(0))


def test_today_and_the_month_are_those_of_utc(ledger: Ledger) -> None:
    found = read_costs(ledger, now=NOW)
    assert found.today is not None
    assert found.today[REAL].total_usd == Decimal("0.25"), "what was booked in February is not in it"
    february = read_costs(ledger, now=NOW, month="2026-02")
    assert february.today is None
    assert {kind: spent.total_usd for kind, spent in february.in_month.items()} == {REAL: 7}
    last = read_costs(ledger, now=NOW + timedelta(days=30, hours=14))  # March 31st, 23 o'clock
    assert (last.month, last.today) == (datetime(2026, 3, 1, tzinfo=timezone.utc), {})


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-00", "2026-5", "05-2026", "9999-12", "soon"])
def test_what_is_no_month_is_refused(ledger: Ledger, text: str) -> None:
    with pytest.raises(UsageError, match="write it as 2026-05"):
        read_costs(ledger, now=NOW, month=text)


def test_december_ends_with_the_year(ledger: Ledger) -> None:
    ledger.write([cost("p2", REAL, "1", Purpose.IDLE, datetime(2026, 12, 31, 23, 59, tzinfo=timezone.utc))])
    ledger.write([cost("p2", REAL, "2", Purpose.IDLE, datetime(2027, 1, 1, tzinfo=timezone.utc))])
    assert read_costs(ledger, now=NOW, month="2026-12").in_month[REAL].total_usd == 1


def test_where_no_ledger_is_nothing_was_spent(tmp_path: Path) -> None:
    assert read_costs(tmp_path / "none" / LEDGER_NAME, now=NOW).in_month == {}


@pytest.mark.parametrize(
    ("by", "columns", "keys"),
    [
        (CostGroup.POD, ["pod_id", "gpu"], [("p1", "A40", "simulated"), ("p2", "RTX 4090", "real")]),
        (
            CostGroup.JOB,
            ["session", "job_id"],
            [
                ("s1", "done", "simulated"),
                ("", "", "real"),
                ("", "", "simulated"),
                ("s1", "bad", "simulated"),
            ],
        ),
        (
            CostGroup.TEMPLATE,
            ["template"],
            [("img2vid-basic", "simulated"), ("", "real"), ("", "simulated")],
        ),
        (CostGroup.GPU, ["gpu"], [("A40", "simulated"), ("RTX 4090", "real")]),
    ],
)
def test_sums_by_something_are_a_table_that_adds_up(
    ledger: Ledger, by: CostGroup, columns: list[str], keys: list[tuple[str, ...]]
) -> None:
    rows = group_rows(ledger, by, now=NOW)
    frame = costs_by_frame(rows, by)
    amounts = ["boot_usd", "job_usd", "idle_usd", "storage_usd", "total_usd", "waste_usd"]
    assert list(frame.columns) == [*columns, "kind", *amounts]
    assert list(frame[[*columns, "kind"]].itertuples(index=False, name=None)) == keys
    assert round(frame.loc[frame["kind"] == "simulated", "total_usd"].sum(), 6) == 0.423001
    facts = group_facts(rows, by)
    assert sum(Decimal(fact["waste_usd"]) for fact in facts if fact["money"] == "simulated") == Decimal("0.123001")
    empty = costs_by_frame((), by)
    assert [str(dtype) for dtype in empty.dtypes] == [str(dtype) for dtype in frame.dtypes]
