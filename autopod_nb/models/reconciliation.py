"""What a provider billed against what the ledger booked, pod by pod: pure.

Both sides are looked at over the same time. A bill that comes in whole hours is looked at up to the last hour that is
surely closed; one that comes to the second, as that of pods on this machine, is looked at as far as it goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from enum import Enum

from autopod_nb.models.money import EXACT, MoneyKind, sum_usd

ROUNDING_USD = Decimal("0.01")
"""What a provider may round in one bucket; a bill that differs by no more than that a bucket agrees."""

_HOUR = timedelta(hours=1)
_LAG = _HOUR  # RunPod: the newest closed hour may still be incomplete
_US = timedelta(microseconds=1)
_MICRO_USD = Decimal("0.000001")
_TENTH = Decimal("0.1")


class Verdict(str, Enum):
    """How a line came out."""

    AGREES = "agrees"
    DRIFTS = "differs by more than rounding"
    OPEN = "not billed yet"
    UNKNOWN = "not in the ledger"
    VOLUME = "network volume"


_ORDER = (Verdict.UNKNOWN, Verdict.DRIFTS, Verdict.OPEN, Verdict.AGREES, Verdict.VOLUME)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPod:
    """A pod of the ledger.

    Attributes:
        pod_id: ours.
        provider_id: the provider's.
        kind: real or simulated money.
        over: it is gone, so that its bill is complete.
    """

    pod_id: str
    provider_id: str
    kind: MoneyKind
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Money for a stretch of time: a charge of ours, or a row of the provider's bill.

    Attributes:
        provider_id: of the pod, or of the network volume.
        start: UTC.
        end: UTC, not before *start*.
        amount_usd: for all of it.
        is_volume: it is a network volume, which bills whether a pod is there or not.
    """

    provider_id: str
    start: datetime
    end: datetime
    amount_usd: Decimal
    is_volume: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One pod, or one network volume.

    Attributes:
        pod_id: our id; empty where there is none.
        provider_id: the provider's.
        kind: real or simulated money.
        ledger_usd: what was booked here; None where nothing can be.
        billed_usd: what the provider charged.
        verdict: how the two compare.
    """

    pod_id: str
    provider_id: str
    kind: MoneyKind
    ledger_usd: Decimal | None
    billed_usd: Decimal
    verdict: Verdict

    @property
    def drift_usd(self) -> Decimal | None:
        """How much more the provider charged than was booked; None where that cannot be said."""
        if self.ledger_usd is None or self.verdict is Verdict.OPEN:
            return None
        with localcontext(EXACT):
            return self.billed_usd - self.ledger_usd

    @property
    def drift_percent(self) -> Decimal | None:
        """The same in percent of what was booked, to a tenth; None where nothing was booked."""
        drift = self.drift_usd
        if drift is None or not self.ledger_usd:
            return None
        with localcontext(EXACT):
            return (drift * 100 / self.ledger_usd).quantize(_TENTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The comparison with one provider.

    Attributes:
        lines: what wants attention first: unknown pods, those that differ, the others, network volumes.
        since: UTC; nothing before that was looked at.
        until: UTC; nothing from then on was looked at.
    """

    lines: tuple[Line, ...]
    since: datetime
    until: datetime

    def total_usd(self, kind: MoneyKind, *verdicts: Verdict) -> tuple[Decimal, Decimal]:
        """What was booked and what was billed, of one kind of money and of these verdicts, or of all."""
        found = [line for line in self.lines if line.kind is kind and (not verdicts or line.verdict in verdicts)]
        return sum_usd(line.ledger_usd or Decimal(0) for line in found), sum_usd(line.billed_usd for line in found)


def compare(
    pods: Sequence[KnownPod],
    booked: Iterable[Stretch],
    billed: Sequence[Stretch],
    *,
    since: datetime,
    now: datetime,
    kind: MoneyKind,
) -> Reconciliation:
    """Compare a bill with the charges of the same pods over the same time.

    Args:
        pods: those that the ledger knows.
        booked: their charges.
        billed: the rows of the bill.
        since: UTC; the hour that it lies in is the first.
        now: UTC.
        kind: what a pod costs that the ledger does not know.
    """
    hourly = all(_is_hour(row.start) and _is_hour(row.end) for row in billed)
    first, until = _hour(since), _hour(now) - _LAG if hourly else now
    charges, rows = _by_id(booked), _by_id(row for row in billed if not row.is_volume)
    lines = []
    for pod in pods:
        mine, theirs = charges.get(pod.provider_id, ()), rows.get(pod.provider_id, ())
        billed_until = until if hourly or pod.over else max((row.end for row in theirs), default=first)
        billed_here = _within(theirs, first, until)
        booked_here = _within(mine, first, min(billed_until, until) if billed_here else until)
        if billed_here or booked_here:
            lines.append(_pod_line(pod, booked_here, billed_here))
    known = {pod.provider_id for pod in pods}
    volumes = _by_id(row for row in billed if row.is_volume)
    strange = {provider_id: found for provider_id, found in rows.items() if provider_id not in known}
    for verdict, those in ((Verdict.UNKNOWN, strange), (Verdict.VOLUME, volumes)):
        for provider_id, found in sorted(those.items()):
            if cut := _within(found, first, until):
                lines.append(_bare_line(provider_id, kind, verdict, cut))
    lines.sort(key=lambda line: _ORDER.index(line.verdict))
    return Reconciliation(lines=tuple(lines), since=first, until=max(first, until))


def _pod_line(pod: KnownPod, booked: Sequence[Stretch], billed: Sequence[Stretch]) -> Line:
    booked_usd, billed_usd = (sum_usd(each.amount_usd for each in side) for side in (booked, billed))
    hours = {hour for each in (*booked, *billed) for hour in _hours(each)}
    with localcontext(EXACT):
        agrees = abs(billed_usd - booked_usd) <= ROUNDING_USD * len(hours)
    return Line(
        pod_id=pod.pod_id,
        provider_id=pod.provider_id,
        kind=pod.kind,
        ledger_usd=booked_usd,
        billed_usd=billed_usd,
        verdict=Verdict.OPEN if not billed and not pod.over else Verdict.AGREES if agrees else Verdict.DRIFTS,
    )


def _bare_line(provider_id: str, kind: MoneyKind, verdict: Verdict, billed: Sequence[Stretch]) -> Line:
    """A line that the ledger has nothing for."""
    return Line(
        pod_id="",
        provider_id=provider_id,
        kind=kind,
        ledger_usd=None,
        billed_usd=sum_usd(each.amount_usd for each in billed),
        verdict=verdict,
    )


def _by_id(stretches: Iterable[Stretch]) -> Mapping[str, list[Stretch]]:
    found: defaultdict[str, list[Stretch]] = defaultdict(list)
    for each in stretches:
        found[each.provider_id].append(each)
    return found


def _within(stretches: Iterable[Stretch], since: datetime, until: datetime) -> list[Stretch]:
    """What lies between two times; of a stretch that only partly does, that part at an even rate."""
    found = []
    for each in stretches:
        start, end = max(each.start, since), min(each.end, until)
        if (start, end) == (each.start, each.end) and start < until:
            found.append(each)
        elif start < end:
            with localcontext(EXACT):
                share = each.amount_usd * ((end - start) // _US) / ((each.end - each.start) // _US)
                amount = share.quantize(_MICRO_USD)
            found.append(replace(each, start=start, end=end, amount_usd=amount))
    return found


def _hour(at: datetime) -> datetime:
    """The beginning of the hour that a time lies in."""
    return at.replace(minute=0, second=0, microsecond=0)


def _is_hour(at: datetime) -> bool:
    return at == _hour(at)


def _hours(stretch: Stretch) -> range:
    """The hours that a stretch touches, by number; at least one."""
    first, last = _hour(stretch.start), max(stretch.start, stretch.end - _US)
    return range(number := int(first.timestamp() // 3600), number + 1 + (last - first) // _HOUR)
