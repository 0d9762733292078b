"""What can be rented, and the many names of one GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from autopod_nb.models.money import MoneyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A pod that a provider would rent out now.

    Attributes:
        provider: name of the provider.
        gpu_type: the provider's name of the GPU, for example ``RTX A6000``.
        gpu_count: GPUs in the pod.
        vram_gb: memory of one GPU.
        price_per_hour_usd: of the whole pod, running.
        stopped_price_per_hour_usd: of the whole pod, stopped (its volume).
        kind: real money, or simulated.
        region: place in the provider's words, empty if it has none.
    """

    provider: str
    gpu_type: str
    gpu_count: int
    vram_gb: int
    price_per_hour_usd: Decimal
    stopped_price_per_hour_usd: Decimal
    kind: MoneyKind
    region: str = ""

    @property
    def label(self) -> str:
        """GPU and count for a person: ``A40 × 1``."""
        return f"{self.gpu_type} × {self.gpu_count}"


def gpu_key(name: str) -> str:
    """One spelling for what people write: ``NVIDIA RTX A40``, ``a40`` and ``RTX4090``, ``4090`` → ``A40``, ``4090``."""
    return re.sub(r"NVIDIA|GEFORCE|RTX|[^A-Z0-9]", "", name.upper())
