"""Which offer is taken: pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from autopod_nb.config import Settings
from autopod_nb.errors import NoCapacity, UsageError, nearest
from autopod_nb.models.offer import Offer, gpu_key
from autopod_nb.session.commands import PodPlan, PodRequest


def make_plan(request: PodRequest, offers: Sequence[Offer], settings: Settings) -> PodPlan:
    """Choose: the GPU that was named, else the first of the preferences that is offered, else the cheapest.

    Raises:
        UsageError: no such GPU is known.
        NoCapacity: the provider offers nothing with so many GPUs.
    """
    if not offers:
        raise NoCapacity("Nothing with so many GPUs is offered now; ask for another --gpu-count.")
    offer, notes = _choose(request.gpu, offers, settings.gpu_preferences)
    limit = settings.session_limit_usd if request.session_limit_usd is None else request.session_limit_usd
    idle_minutes = settings.idle_minutes if request.idle_minutes is None else request.idle_minutes
    _require_positive("--max-cost", limit)
    _require_positive("--idle-minutes", idle_minutes)
    return PodPlan(
        request=request,
        offer=offer,
        session_limit_usd=limit,
        idle_minutes=idle_minutes,
        needs_yes=offer.price_per_hour_usd > settings.confirm_above_usd_per_hour,
        notes=notes,
    )


def _require_positive(option: str, value: Decimal | None) -> None:
    if value is not None and (not value.is_finite() or value <= 0):
        raise UsageError(f"{option} {value} is not above zero: give a number above zero.")


def _choose(gpu: str | None, offers: Sequence[Offer], preferences: Sequence[str]) -> tuple[Offer, tuple[str, ...]]:
    by_key = {
        gpu_key(offer.gpu_type): offer for offer in sorted(offers, key=lambda o: o.price_per_hour_usd, reverse=True)
    }
    if gpu is not None:
        wanted = by_key.get(gpu_key(gpu))
        if wanted is None:
            known = [offer.gpu_type for offer in offers]
            raise UsageError(f"No GPU {gpu!r} is offered: {', '.join(known)}.{nearest(gpu, known)}")
        return wanted, ()
    for place, name in enumerate(preferences):
        found = by_key.get(gpu_key(name))
        if found is not None:
            missed = ", ".join(preferences[:place])
            return found, (f"{missed} is not to be had now; {found.gpu_type} instead.",) if missed else ()
    cheapest = min(offers, key=lambda offer: offer.price_per_hour_usd)
    return cheapest, (f"None of {', '.join(preferences)} is to be had now; {cheapest.gpu_type} is the cheapest.",)
