"""What a pod's seconds cost, and for what: pure.

A meter holds the one thing that a pod is paid for just now. When that changes, and at least every
:data:`ACCRUE_EVERY_S`, the stretch so far becomes a charge, so that a crash loses no more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from autopod_nb.models.money import Charge, MoneyKind, Purpose, cost_usd

ACCRUE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What is paid for just now, and at which price.

    Attributes:
        purpose: boot, job, idle or storage.
        price_per_hour_usd: of the whole pod.
        job_id: for the purpose JOB.
        attempt: of that job; 0 without one.
    """

    purpose: Purpose
    price_per_hour_usd: Decimal
    job_id: str | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """The stretch that runs.

    Attributes:
        activity: what it is for; None while nothing is paid for.
        since: its start, UTC.
        since_s: its start on the monotonic clock, seconds.
    """

    activity: Activity | None = None
    since: datetime | None = None
    since_s: float = 0.0


def _seconds(meter: Meter, now_s: float) -> Decimal:
    return Decimal(str(round(max(0.0, now_s - meter.since_s), 6)))


def running_usd(meter: Meter, now_s: float) -> Decimal:
    """What the stretch that runs costs so far."""
    if meter.activity is None:
        return Decimal(0)
    return cost_usd(meter.activity.price_per_hour_usd, _seconds(meter, now_s))


def settle(
    meter: Meter, activity: Activity | None, *, pod_id: str, kind: MoneyKind, now: datetime, now_s: float
) -> tuple[Meter, Charge | None]:
    """Go on with *activity*.

    Args:
        meter: as it was.
        activity: what is paid for from now on; None if nothing is.
        pod_id: whose meter it is.
        kind: real or simulated.
        now: UTC.
        now_s: the same moment on the monotonic clock, seconds; lengths come from it, so that a wall clock that is
            set does not make money.

    Returns:
        The meter as it is now, and the charge of the stretch that ended, if one did.
    """
    if meter.activity == activity and now_s - meter.since_s < ACCRUE_EVERY_S:
        return meter, None
    charge = None
    if meter.activity is not None and meter.since is not None and now_s > meter.since_s:
        done = meter.activity
        charge = Charge(
            pod_id=pod_id,
            job_id=done.job_id,
            attempt=done.attempt,
            purpose=done.purpose,
            kind=kind,
            start=meter.since,
            seconds=_seconds(meter, now_s),
            price_per_hour_usd=done.price_per_hour_usd,
            amount_usd=running_usd(meter, now_s),
        )
    return Meter(activity=activity, since=now, since_s=now_s), charge
