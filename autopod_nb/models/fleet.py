"""A fleet of pods, as a person sees it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from autopod_nb.models.money import MoneyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """A wish for as many pods as pay, as a person sees it.

    Attributes:
        aim: what is wanted most, in words.
        max_pods: as many may bill at the same time.
        kind: real or simulated money.
        budget_usd: everything since the wish may cost that; None for no limit of its own.
        spent_usd: of it.
        ends_in_s: until everything is to be done; None without a deadline, negative when it has passed.
        coming_usd: what everything that is not over is expected to cost from now on.
        done_in_s: until all of it is expected to be done; None if there is nothing to do, or nobody knows yet.
        stranded: jobs that no pod gets as things stand.
    """

    aim: str
    max_pods: int
    kind: MoneyKind
    budget_usd: Decimal | None = None
    spent_usd: Decimal = Decimal(0)
    ends_in_s: float | None = None
    coming_usd: Decimal = Decimal(0)
    done_in_s: float | None = None
    stranded: int = 0
