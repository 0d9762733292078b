"""When enough is enough: pure rules over money and time."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

_WARN_AT = Decimal("0.9")


class LimitLevel(str, Enum):
    """How near a limit is."""

    FINE = "fine"
    NEAR = "near"
    REACHED = "reached"


def limit_level(spent: Decimal, limit: Decimal | None) -> LimitLevel:
    """FINE below 90 % of the limit, NEAR from there on, REACHED at 100 %. Without a limit always FINE."""
    if limit is None or spent < limit * _WARN_AT:
        return LimitLevel.FINE
    return LimitLevel.REACHED if spent >= limit else LimitLevel.NEAR


def seconds_left(since_s: float, now_s: float, minutes: Decimal) -> float:
    """Seconds until *minutes* have passed since *since_s* (both on the monotonic clock); zero when they have."""
    return max(0.0, float(minutes) * 60 - (now_s - since_s))
