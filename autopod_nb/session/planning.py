"""Which offers are taken, and in which order: pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_UP, Decimal

from autopod_nb.config import Settings
from autopod_nb.errors import NoCapacity, UsageError, nearest
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import STOCK_ORDER, Offer, OfferQuery, PodShape, Stock, gpu_key
from autopod_nb.session.commands import PodPlan, PodRequest, label_of
from autopod_nb.session.fleet_state import FleetPlan, FleetRequest

_MINUTES_AN_HOUR = 60
_CENT = Decimal("0.01")
_MOST_FALLBACKS = 7  # beyond that the wishes are at fault; a guess
_MOST_OFFERS = 12  # of a fleet: planning takes as long as there are; a guess
_AUTO_PODS = 8  # when nobody says how many; a guess


def make_query(request: PodRequest, settings: Settings) -> OfferQuery:
    """What the provider is asked for: the wishes of the person, the rest as the settings say.

    Raises:
        UsageError: a wish that makes no sense.
    """
    count = settings.gpu_count if request.gpu_count is None else request.gpu_count
    if count < 1:
        raise UsageError(f"--gpu-count {count} is not a number of GPUs: give 1 or more.")
    if request.image is not None and request.template is not None:
        raise UsageError("--image and --pod-template are both given: a pod has one or the other.")
    if request.volume_gb and request.network_volume is not None:
        raise UsageError("--volume and --network-volume are both given: a pod has one persistent mount.")
    return OfferQuery(
        gpu_count=count,
        cloud=request.cloud or settings.cloud_type,
        region=request.region or settings.default_region,
        cuda=request.cuda,
        spot=request.spot,
        shape=_shape(request, settings),
    )


def _shape(request: PodRequest, settings: Settings) -> PodShape:
    image = request.image or (None if request.template else settings.image)
    template = request.template or (None if image else settings.default_template)
    network_volume = request.network_volume or (None if request.volume_gb else settings.network_volume)
    volume_gb = settings.volume_gb if request.volume_gb is None else request.volume_gb
    return PodShape(
        image=image,
        template=template,
        disk_gb=settings.disk_gb if request.disk_gb is None else request.disk_gb,
        volume_gb=0 if network_volume is not None else volume_gb,
        network_volume=network_volume,
    )


def make_plan(request: PodRequest, offers: Sequence[Offer], settings: Settings) -> PodPlan:
    """Choose: the GPU that was named, else the preferences in their order, else the cheapest.

    Of one GPU the cheapest place comes first. What follows is the order in which others are tried; none of them is
    one that a person would have to be asked about when the first is not.

    Raises:
        UsageError: no such GPU is known, or none is left of those wishes.
        NoCapacity: nothing of it is to be had now.
    """
    limit = settings.session_limit_usd if request.session_limit_usd is None else request.session_limit_usd
    chosen, notes, idle_minutes = _choices(request, offers, settings, limit)
    hourly_usd = [offer.price_per_hour_usd * request.pods for offer in chosen]
    if limit is not None and limit * _MINUTES_AN_HOUR < hourly_usd[0]:
        least = (hourly_usd[0] / _MINUTES_AN_HOUR).quantize(_CENT, rounding=ROUND_UP)
        raise UsageError(
            f"--max-cost {limit} is less than one minute of {label_of(chosen[0], request.pods)} costs, so nothing"
            f" could come of it: say at least {least}."
        )
    needs_yes = [price > settings.confirm_above_usd_per_hour for price in hourly_usd]
    fallbacks = [offer for offer, asks in zip(chosen[1:], needs_yes[1:], strict=True) if needs_yes[0] or not asks]
    return PodPlan(
        request=request,
        offer=chosen[0],
        session_limit_usd=limit,
        idle_minutes=idle_minutes,
        needs_yes=needs_yes[0],
        notes=notes,
        fallbacks=tuple(fallbacks[:_MOST_FALLBACKS]),
    )


def make_fleet_plan(
    request: PodRequest,
    wish: FleetRequest,
    offers: Sequence[Offer],
    settings: Settings,
    *,
    limit_usd: Decimal | None,
) -> FleetPlan:
    """What a fleet may be made of: the GPU that was named, else all of the preferences, else whatever is offered.

    Args:
        request: which offers are meant.
        wish: how many, and what matters most.
        offers: what the provider has.
        settings: the rest.
        limit_usd: of the session; None for none.

    Raises:
        UsageError: no such GPU is known, or none is left of those wishes.
        NoCapacity: nothing of it is to be had now.
    """
    _require_positive("--budget", wish.budget_usd)
    chosen, notes, idle_minutes = _choices(request, offers, settings, limit_usd)
    chosen = chosen[:_MOST_OFFERS]
    ceiling = settings.confirm_above_usd_per_hour
    asks = chosen[0].kind is MoneyKind.REAL and not wish.yes  # nobody need be asked about money that is not real
    if wish.max_pods is None and asks:
        chosen = [offer for offer in chosen if offer.price_per_hour_usd <= ceiling] or chosen
    dearest = max(offer.price_per_hour_usd for offer in chosen)
    most = max(1, int(ceiling // dearest)) if asks and dearest > 0 else _AUTO_PODS
    count = min(_AUTO_PODS, most) if wish.max_pods is None else wish.max_pods
    return FleetPlan(
        offers=tuple(chosen),
        max_pods=count,
        aim=wish.aim,
        budget_usd=wish.budget_usd,
        within_minutes=wish.within_minutes,
        session_limit_usd=limit_usd,
        idle_minutes=idle_minutes,
        needs_yes=asks and count * dearest > ceiling,
        notes=notes,
    )


def _wishes(request: PodRequest, settings: Settings) -> str:
    """What the offers were asked for, in words."""
    query = make_query(request, settings)
    wishes = [f"--gpu-count {query.gpu_count}"]
    wishes += [f"--cloud {query.cloud}"] if query.cloud else []
    wishes += [f"--region {query.region}"] if query.region else []
    wishes += [f"--cuda {query.cuda}"] if query.cuda else []
    wishes += ["--spot"] if query.spot else []
    return " ".join(wishes)


def _require_positive(option: str, value: Decimal | None) -> None:
    if value is not None and (not value.is_finite() or value <= 0):
        raise UsageError(f"{option} {value} is not above zero: give a number above zero.")


def _fitting(request: PodRequest, offers: Sequence[Offer], settings: Settings) -> list[Offer]:
    """Those with enough memory that are not too dear."""
    ceiling = request.max_price_per_hour_usd or settings.max_price_per_hour_usd
    large = [offer for offer in offers if offer.vram_gb >= (request.min_vram_gb or 0)]
    if not large:
        most = max(offers, key=lambda offer: offer.vram_gb)
        raise UsageError(
            f"No GPU with {request.min_vram_gb} GB is offered; the largest is {most.gpu_type} with {most.vram_gb} GB:"
            " lower --min-vram."
        )
    cheap = [offer for offer in large if ceiling is None or offer.price_per_hour_usd <= ceiling]
    if not cheap:
        least = min(large, key=lambda offer: offer.price_per_hour_usd)
        raise UsageError(
            f"Nothing is offered for {ceiling} USD an hour or less; the cheapest is {least.label} at"
            f" {least.price_per_hour_usd}: raise --max-price."
        )
    return cheap


def _choices(
    request: PodRequest, offers: Sequence[Offer], settings: Settings, limit_usd: Decimal | None
) -> tuple[list[Offer], tuple[str, ...], Decimal]:
    """What fits the wishes, in the order in which it is tried; lines for the person; the idle minutes.

    Raises:
        UsageError, NoCapacity: as :func:`make_plan`.
    """
    if not offers:
        raise NoCapacity(f"Nothing is offered for {_wishes(request, settings)}; ask for less, or something else.")
    idle_minutes = settings.idle_minutes if request.idle_minutes is None else request.idle_minutes
    _require_positive("--max-cost", limit_usd)
    _require_positive("--idle-minutes", idle_minutes)
    return *_choose(request, _fitting(request, offers, settings), settings.gpu_preferences), idle_minutes


def _choose(
    request: PodRequest, offers: Sequence[Offer], preferences: Sequence[str]
) -> tuple[list[Offer], tuple[str, ...]]:
    """The offers in the order in which they are tried, and lines for the person."""
    by_key: dict[str, list[Offer]] = {}
    for offer in sorted(offers, key=lambda offer: (offer.price_per_hour_usd, STOCK_ORDER.index(offer.stock))):
        by_key.setdefault(gpu_key(offer.gpu_type), []).append(offer)
    if request.gpu is not None:
        wanted = by_key.get(gpu_key(request.gpu))
        if wanted is None:
            known = list(dict.fromkeys(offer.gpu_type for offer in offers))
            raise UsageError(f"No GPU {request.gpu!r} is offered: {', '.join(known)}.{nearest(request.gpu, known)}")
        return _in_stock(wanted, offers), ()
    liked = {name: _there(by_key.get(gpu_key(name), [])) for name in preferences}
    found = [offer for there in liked.values() for offer in there]
    if found:
        missed = ", ".join(name for name in preferences[: _place(found[0], preferences)] if not liked[name])
        return found, (f"{missed} is not to be had now; {found[0].gpu_type} instead.",) if missed else ()
    rest = _in_stock([offer for there in by_key.values() for offer in there], offers)
    rest.sort(key=lambda offer: offer.price_per_hour_usd)
    return rest, (f"None of {', '.join(preferences)} is to be had now; {rest[0].gpu_type} is the cheapest.",)


def _place(offer: Offer, preferences: Sequence[str]) -> int:
    return [gpu_key(name) for name in preferences].index(gpu_key(offer.gpu_type))


def _there(offers: Sequence[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer.stock is not Stock.NONE]


def _in_stock(wanted: Sequence[Offer], offers: Sequence[Offer]) -> list[Offer]:
    """Those that are to be had.

    Raises:
        NoCapacity: none is; it says what is.
    """
    there = _there(wanted)
    if there:
        return there
    others = ", ".join(dict.fromkeys(offer.label for offer in _there(offers))) or "nothing else either"
    raise NoCapacity(f"{wanted[0].label} is out of stock just now. In stock: {others}.")
