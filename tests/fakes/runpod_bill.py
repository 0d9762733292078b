"""What things cost: stretches of time at a rate, exact sums of them, and the rows that the API makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal

HOUR_S = 3600
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """USD per hour, in its parts."""

    gpu: Decimal = _ZERO
    cpu: Decimal = _ZERO
    disk: Decimal = _ZERO

    @property
    def total(self) -> Decimal:
        return self.gpu + self.cpu + self.disk


@dataclass(slots=True, kw_only=True)
class Segment:
    """A stretch of service time (seconds since 1970) at one rate; no end while it goes on."""

    start: float
    rate: Rate
    kind: str
    end: float | None = None

    def hours(self, since: float, until: float) -> Decimal:
        """How many of its hours lie between two times."""
        end = until if self.end is None else min(self.end, until)
        return Decimal(str(round(max(0.0, end - max(self.start, since)), 6))) / HOUR_S

    def usd(self, until: float) -> Decimal:
        return self.hours(self.start, until) * self.rate.total


class Meter:
    """The segments of one thing. At most one is open."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def turn(self, now: float, rate: Rate | None, kind: str = "") -> None:
        """From now on it costs this; None: nothing any more."""
        if self.segments and self.segments[-1].end is None:
            self.segments[-1].end = now
        if rate is not None:
            self.segments.append(Segment(start=now, rate=rate, kind=kind))

    @property
    def rate_usd(self) -> Decimal:
        """What it costs an hour just now."""
        return self.segments[-1].rate.total if self.segments and self.segments[-1].end is None else _ZERO

    def usd(self, until: float) -> Decimal:
        return sum((each.usd(until) for each in self.segments), _ZERO)

    @property
    def ended_at(self) -> float | None:
        """When it ceased to cost anything; None while it costs."""
        return self.segments[-1].end if self.segments else None

    def amounts(self, since: float, until: float) -> Rate:
        """USD between two times, in its parts."""
        hours = [(each.hours(since, until), each.rate) for each in self.segments]
        return Rate(
            gpu=sum((h * r.gpu for h, r in hours), _ZERO),
            cpu=sum((h * r.cpu for h, r in hours), _ZERO),
            disk=sum((h * r.disk for h, r in hours), _ZERO),
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stretch [start, end) of a bill."""

    start: datetime
    end: datetime


def _floor(moment: datetime, size: str) -> datetime:
    """The start of the bucket that a time lies in."""
    if size == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if size == "day":
        return day
    if size == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if size == "month" else day.replace(month=1, day=1)


def _next(start: datetime, size: str) -> datetime:
    if size in ("hour", "day", "week"):
        return start + {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[size]
    if size == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start.replace(year=start.year + 1)


SIZES = ("hour", "day", "week", "month", "year")


def buckets(start: datetime, end: datetime, size: str) -> list[Bucket]:
    """The buckets between two times, snapped outwards (3.4)."""
    found, at = [], _floor(start, size)
    while at < end:
        found.append(Bucket(at, _next(at, size)))
        at = found[-1].end
    return found


def last_buckets(now: datetime, size: str, count: int) -> list[Bucket]:
    """The last *count* buckets; the current one is the last of them (3.4)."""
    at = _floor(now, size)
    end = _next(at, size)
    for _ in range(count - 1):
        at = _floor(at - timedelta(seconds=1), size)
    return buckets(at, end, size)


def known_until(now: float, lag_hours: int) -> float:
    """Up to where there are rows: all when nothing lags, else the finished hours but the newest (7.3)."""
    if lag_hours <= 0:
        return now
    return now // HOUR_S * HOUR_S - (lag_hours - 1) * HOUR_S


def rows(meters: Iterable[tuple[str, Meter]], wanted: list[Bucket], until: float) -> Iterator[tuple[Bucket, str, Rate]]:
    """(bucket, id, amounts) of everything that cost something (3.4: one row per thing and bucket)."""
    for name, meter in meters:
        for bucket in wanted:
            amounts = meter.amounts(bucket.start.timestamp(), min(bucket.end.timestamp(), until))
            if amounts.total:
                yield bucket, name, amounts


def instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def rfc3339(seconds: float) -> str:
    return instant(seconds).isoformat(timespec="microseconds").replace("+00:00", "Z")
