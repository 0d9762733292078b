"""What pods on this machine claim to be, and their simulated prices."""

from __future__ import annotations

from decimal import Decimal

from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, OfferQuery, Stock

# GPU, memory in GB, USD an hour: the reference prices that the mission names; they vary in real life
_GPUS = (
    ("RTX A5000", 24, "0.27"),
    ("A40", 48, "0.40"),
    ("RTX 3090", 24, "0.46"),
    ("RTX A6000", 48, "0.49"),
    ("RTX 4090", 24, "0.59"),
)
_STOPPED_PRICE = Decimal("0.0055")  # a 20 GB volume at 0.20 USD a GB and month
_MAX_GPUS = 8
REGION = "this machine"


def local_offers(provider: str, query: OfferQuery) -> tuple[Offer, ...]:
    """An offer for each GPU; none for a count that nobody has, nor for another place than this machine.

    Args:
        provider: the name that they carry.
        query: of it, the count and the place matter; the rest of a pod is as this machine has it.
    """
    elsewhere = query.region is not None and not REGION.startswith(query.region.lower())
    if not 1 <= query.gpu_count <= _MAX_GPUS or elsewhere or query.cloud or query.spot:
        return ()
    return tuple(
        Offer(
            provider=provider,
            gpu_type=gpu,
            gpu_count=query.gpu_count,
            vram_gb=vram_gb,
            price_per_hour_usd=Decimal(price) * query.gpu_count,
            stopped_price_per_hour_usd=_STOPPED_PRICE,
            kind=MoneyKind.SIMULATED,
            region=REGION,
            stock=Stock.HIGH,
            shape=query.shape,
        )
        for gpu, vram_gb, price in _GPUS
    )
