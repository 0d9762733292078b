"""How spending grew, beside the limit that it may not pass: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from autopod_nb.models.money import MoneyKind
from autopod_nb.storage.columns import from_micro_usd, from_us
from autopod_nb.storage.timeline import PaidStretch

MAX_POINTS = 900
"""Of one line: more are not seen, and a saved notebook would carry them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """What was spent up to a moment (UTC), rounded down to a millionth of a dollar inside of a stretch."""

    at: datetime
    total_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCurve:
    """Spending over time; a kind of money that was not spent has no line.

    Attributes:
        name: of what time: ``month 2026-05``.
        lines: by kind of money, each from zero to its exact sum, never falling.
        limit_usd: for each kind by itself; None for no limit.
    """

    name: str
    lines: Mapping[MoneyKind, tuple[CostPoint, ...]]
    limit_usd: Decimal | None = None

    def total_usd(self, kind: MoneyKind) -> Decimal:
        """The exact sum of one kind."""
        line = self.lines.get(kind)
        return line[-1].total_usd if line else Decimal(0)


def cost_curve(stretches: Iterable[PaidStretch], *, name: str, limit_usd: Decimal | None = None) -> CostCurve:
    """Spending over time, of stretches that may lie in any order and beside each other."""
    found = list(stretches)
    lines = {kind: _line([each for each in found if each.kind is kind]) for kind in MoneyKind}
    return CostCurve(name=name, lines={kind: line for kind, line in lines.items() if line}, limit_usd=limit_usd)


def _line(stretches: Sequence[PaidStretch]) -> tuple[CostPoint, ...]:
    """One point for each moment at which a stretch begins or ends; between them money grows evenly."""
    moments = _thinned(sorted({at_us for each in stretches for at_us in (each.start_us, each.end_us)}))
    coming = sorted(stretches, key=lambda each: each.start_us, reverse=True)
    running: list[PaidStretch] = []
    ended = 0
    points = []
    for at_us in moments:
        while coming and coming[-1].start_us <= at_us:
            running.append(coming.pop())
        ended += sum(each.amount_micro_usd for each in running if each.end_us <= at_us)
        running = [each for each in running if each.end_us > at_us]
        amount = ended + sum(_part(each, at_us) for each in running)
        points.append(CostPoint(at=from_us(at_us), total_usd=from_micro_usd(amount)))
    return tuple(points)


def _part(stretch: PaidStretch, at_us: int) -> int:
    """What the stretch had cost by then."""
    return stretch.amount_micro_usd * (at_us - stretch.start_us) // (stretch.end_us - stretch.start_us)


def _thinned(moments: Sequence[int]) -> Sequence[int]:
    """Evenly fewer, with the first and the last."""
    if len(moments) <= MAX_POINTS:
        return moments
    last = len(moments) - 1
    return [moments[round(place * last / (MAX_POINTS - 1))] for place in range(MAX_POINTS)]
