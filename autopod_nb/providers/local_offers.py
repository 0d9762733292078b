"""What pods on this machine claim to be, and their simulated prices."""

from __future__ import annotations

from decimal import Decimal

from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer

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


def local_offers(provider: str, gpu_count: int) -> tuple[Offer, ...]:
    """An offer for each GPU; none for a count that nobody has. *provider* is the name that they carry."""
    if not 1 <= gpu_count <= _MAX_GPUS:
        return ()
    return tuple(
        Offer(
            provider=provider,
            gpu_type=gpu,
            gpu_count=gpu_count,
            vram_gb=vram_gb,
            price_per_hour_usd=Decimal(price) * gpu_count,
            stopped_price_per_hour_usd=_STOPPED_PRICE,
            kind=MoneyKind.SIMULATED,
            region="this machine",
        )
        for gpu, vram_gb, price in _GPUS
    )
