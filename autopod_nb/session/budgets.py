"""What each limit leaves. Days and months are those of UTC, and of all sessions together."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from autopod_nb.config import Settings
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.session.forecast import Budget
from autopod_nb.storage.ledger import Ledger


def read_budgets(
    kind: MoneyKind, snapshot: Snapshot, settings: Settings, ledger: Ledger, now: datetime
) -> tuple[Budget, ...]:
    """What is left of one kind of money, after what is spent and what jobs of this session are going to cost.

    Args:
        kind: real or simulated money, which are never added.
        snapshot: of the session.
        settings: the limits of a day and a month.
        ledger: what all sessions have spent.
        now: UTC.

    Raises:
        LedgerError: it cannot be read.
    """
    coming = _coming(snapshot)
    found = []
    if snapshot.limit_usd is not None:
        spent = snapshot.cost_usd.get(kind, Decimal(0))
        found.append(_budget("session", snapshot.limit_usd, spent + coming, "--max-cost of `connect`"))
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for name, limit, since in (
        ("day", settings.day_limit_usd, day),
        ("month", settings.month_limit_usd, day.replace(day=1)),
    ):
        if limit is not None:
            spent = ledger.total_usd(kind, since=since)
            option = f"`%autopod config set defaults.limits.{name}_usd USD`"
            found.append(_budget(name, limit, spent + coming, option))
    return tuple(found)


def _budget(name: str, limit_usd: Decimal, taken_usd: Decimal, option: str) -> Budget:
    return Budget(name=name, limit_usd=limit_usd, left_usd=limit_usd - taken_usd, option=option)


def _coming(snapshot: Snapshot) -> Decimal:
    """What jobs that are not over are going to cost beyond what they have cost."""
    rest = Decimal(0)
    for job in snapshot.jobs.values():
        if not job.over and job.expected_cost_usd is not None:
            rest += max(Decimal(0), job.expected_cost_usd - job.cost_usd)
    return rest
