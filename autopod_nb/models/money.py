"""Money: Decimal US dollars, marked real or simulated, and the two are never added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from enum import Enum

_SECONDS_PER_HOUR = Decimal(3600)
_MICRO_USD = Decimal("0.000001")
EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
"""For every sum of money: a notebook may have changed its own context, and its threads inherit that."""


class MoneyKind(str, Enum):
    """Whether anybody pays."""

    REAL = "real"
    SIMULATED = "simulated"


class Purpose(str, Enum):
    """What a pod's seconds were paid for."""

    BOOT = "boot"
    JOB = "job"
    IDLE = "idle"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One stretch of time of one pod at one rate.

    Attributes:
        pod_id: our id of the pod.
        job_id: the job that it was paid for, None unless the purpose is JOB.
        attempt: of that job, from 1; 0 without a job.
        purpose: what it was paid for.
        kind: real or simulated.
        start: UTC.
        seconds: length, zero or more.
        price_per_hour_usd: of the whole pod.
        amount_usd: rounded to a millionth of a dollar.
    """

    pod_id: str
    job_id: str | None
    attempt: int
    purpose: Purpose
    kind: MoneyKind
    start: datetime
    seconds: Decimal
    price_per_hour_usd: Decimal
    amount_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the ledger holds of one kind of money, of this and all other sessions.

    Attributes:
        day_usd: of this UTC day.
        month_usd: of this UTC month.
        ours_usd: what this session had booked by then, so that what it booked since can be added.
    """

    day_usd: Decimal
    month_usd: Decimal
    ours_usd: Decimal


def cost_usd(price_per_hour_usd: Decimal, seconds: Decimal) -> Decimal:
    """What *seconds* cost at an hourly price, to a millionth of a dollar, half up."""
    with localcontext(EXACT):
        return (price_per_hour_usd * seconds / _SECONDS_PER_HOUR).quantize(_MICRO_USD)


def sum_usd(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    with localcontext(EXACT):
        return sum(amounts, Decimal(0))


def total_usd(charges: Iterable[Charge], kind: MoneyKind) -> Decimal:
    """The sum of the charges of one kind."""
    return sum_usd(charge.amount_usd for charge in charges if charge.kind is kind)


def show_usd(amount_usd: Decimal, kind: MoneyKind) -> str:
    """The amount for a person: ``$0.0012``, or ``$0.0012 simulated``."""
    with localcontext(EXACT):
        digits = 2 if abs(amount_usd) >= 1 else 4
        text = f"${amount_usd:.{digits}f}"
    return text if kind is MoneyKind.REAL else f"{text} simulated"
