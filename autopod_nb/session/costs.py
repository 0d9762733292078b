"""What was spent, as the ledger knows it: today, this month, by what, and how much of it rendered nothing.

Days and months are those of UTC, and a charge belongs to the day in which it begins, as for the limits of a day and a
month. Real and simulated money are never added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.errors import UsageError
from autopod_nb.models.money import MoneyKind
from autopod_nb.storage.columns import from_micro_usd, to_us
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.reports import Spend, spend

if TYPE_CHECKING:
    import pandas as pd

_MONTH = re.compile(r"(\d{4})-(\d{2})")
_MICRO = 1_000_000


class CostGroup(str, Enum):
    """What sums are made by."""

    POD = "pod"
    JOB = "job"
    TEMPLATE = "template"
    GPU = "gpu"


_KEY_COLUMNS: Mapping[CostGroup, tuple[str, ...]] = {
    CostGroup.POD: ("pod_id", "gpu"),
    CostGroup.JOB: ("session", "job_id"),
    CostGroup.TEMPLATE: ("template",),
    CostGroup.GPU: ("gpu",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was spent of one kind of money in some stretch of time; the parts do not overlap.

    Attributes:
        boot_usd: while pods booted that became ready, or that still may.
        vain_boot_usd: while pods booted that never became ready.
        job_usd: by jobs that are done, or not over.
        lost_job_usd: by attempts that failed, were cancelled or had to be repeated.
        idle_usd: while pods waited for work.
        storage_usd: while pods were stopped.
    """

    boot_usd: Decimal = Decimal(0)
    vain_boot_usd: Decimal = Decimal(0)
    job_usd: Decimal = Decimal(0)
    lost_job_usd: Decimal = Decimal(0)
    idle_usd: Decimal = Decimal(0)
    storage_usd: Decimal = Decimal(0)
    total_usd: Decimal = Decimal(0)
    waste_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a month has cost, and today if it is in that month. A kind of money that was not spent is not there.

    Attributes:
        month: its first moment, UTC.
        today: None if the month is another one.
        in_month: by kind of money.
    """

    month: datetime
    today: Mapping[MoneyKind, Spent] | None
    in_month: Mapping[MoneyKind, Spent]


def month_begin(text: str | None, now: datetime) -> datetime:
    """The first moment of a month, UTC.

    Args:
        text: ``2026-05``; None for the one that *now* lies in.
        now: UTC.

    Raises:
        UsageError: that is no month.
    """
    if text is None:
        return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = _MONTH.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= 12 or not 1970 <= int(found[1]) < 9999:
        raise UsageError(f"--month {text!r} is no month: write it as 2026-05.")
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=timezone.utc)


def _ledger(ledger: Ledger | Path) -> Ledger:
    return ledger if isinstance(ledger, Ledger) else Ledger(ledger)


def _month_end(begin: datetime) -> datetime:
    return (begin + timedelta(days=32)).replace(day=1)


def read_costs(ledger: Ledger | Path, *, now: datetime, month: str | None = None) -> Costs:
    """Read what a month has cost.

    Args:
        ledger: the ledger or its path; need not be open, and where there is none nothing was spent.
        now: UTC.
        month: ``2026-05``; None for this one.

    Raises:
        UsageError: that is no month.
        LedgerError: the ledger cannot be read.
    """
    ledger = _ledger(ledger)
    begin = month_begin(month, now)
    end = _month_end(begin)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Costs(
        month=begin,
        today=_spent(ledger, day, day + timedelta(days=1)) if begin <= day < end else None,
        in_month=_spent(ledger, begin, end),
    )


def _spent(ledger: Ledger, since: datetime, until: datetime) -> dict[MoneyKind, Spent]:
    rows = spend(ledger, since_us=to_us(since), until_us=to_us(until))
    return {
        row.kind: Spent(
            boot_usd=from_micro_usd(row.boot_micro_usd),
            vain_boot_usd=from_micro_usd(row.vain_boot_micro_usd),
            job_usd=from_micro_usd(row.job_micro_usd),
            lost_job_usd=from_micro_usd(row.lost_job_micro_usd),
            idle_usd=from_micro_usd(row.idle_micro_usd),
            storage_usd=from_micro_usd(row.storage_micro_usd),
            total_usd=from_micro_usd(row.total_micro_usd),
            waste_usd=from_micro_usd(_waste(row)),
        )
        for row in rows
    }


def _waste(row: Spend) -> int:
    """All that rendered nothing that is here."""
    return row.total_micro_usd - row.job_micro_usd


def group_rows(ledger: Ledger | Path, by: CostGroup, *, now: datetime, month: str | None = None) -> tuple[Spend, ...]:
    """The sums of a month by pod, job, template or GPU, each kind of money by itself, the largest first.

    What no job was charged for (boot, idle, storage) has a row with an empty job or template, so that the rows of each
    kind add up to what the month has cost.

    Args:
        ledger: the ledger or its path; need not be open.
        by: what one row is.
        now: UTC.
        month: ``2026-05``; None for this one.

    Raises:
        UsageError: that is no month.
        LedgerError: the ledger cannot be read.
    """
    begin = month_begin(month, now)
    return spend(_ledger(ledger), since_us=to_us(begin), until_us=to_us(_month_end(begin)), by=by.value)


def group_facts(rows: tuple[Spend, ...], by: CostGroup) -> list[dict[str, str]]:
    """Those sums as plain words; money is text, so that no digit is lost."""
    return [
        dict(zip(_KEY_COLUMNS[by], row.key, strict=False))
        | {"money": row.kind.value}
        | {name: str(from_micro_usd(amount)) for name, amount in _amounts(row).items()}
        for row in rows
    ]


def costs_by_frame(rows: tuple[Spend, ...], by: CostGroup) -> pd.DataFrame:
    """Those sums as a table.

    Columns: ``pod_id`` and ``gpu``, or ``session`` and ``job_id``, or ``template``, or ``gpu``; ``kind`` (category:
    real or simulated money; do not add the two); ``boot_usd``, ``job_usd``, ``idle_usd``, ``storage_usd``,
    ``total_usd`` and ``waste_usd``, which is what of the total rendered nothing (float, of exact sums).
    """
    import pandas as pd  # noqa: PLC0415 - heavy

    from autopod_nb.session.frame import category, text  # noqa: PLC0415 - loads pandas

    names = _KEY_COLUMNS[by]
    data: dict[str, object] = {name: text([row.key[place] for row in rows]) for place, name in enumerate(names)}
    data["kind"] = category([row.kind.value for row in rows], [kind.value for kind in MoneyKind])
    for name in _AMOUNTS:
        data[name] = pd.Series([_amounts(row)[name] for row in rows], dtype="int64") / _MICRO
    frame: pd.DataFrame = pd.DataFrame(data)
    return frame


_AMOUNTS = ("boot_usd", "job_usd", "idle_usd", "storage_usd", "total_usd", "waste_usd")


def _amounts(row: Spend) -> dict[str, int]:
    """In millionths of a dollar."""
    amounts = (
        row.boot_micro_usd + row.vain_boot_micro_usd,
        row.job_micro_usd + row.lost_job_micro_usd,
        row.idle_micro_usd,
        row.storage_micro_usd,
        row.total_micro_usd,
        _waste(row),
    )
    return dict(zip(_AMOUNTS, amounts, strict=True))
