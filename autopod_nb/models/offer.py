"""What can be rented, and the many names of one GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from autopod_nb.models.money import MoneyKind

CLOUDS = ("secure", "community")
"""Of whoever has more than one: data centres, and machines of others."""


class Stock(str, Enum):
    """How much of it there is, as the provider says; a reading, never a promise."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    UNKNOWN = "unknown"


STOCK_ORDER = (Stock.HIGH, Stock.MEDIUM, Stock.UNKNOWN, Stock.LOW, Stock.NONE)
"""The best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodShape:
    """What a pod has besides its GPUs. None and 0: as the provider is used to.

    Attributes:
        image: container image.
        template: the provider's image preset, by its id; instead of an image, or beside it.
        disk_gb: container disk, wiped when the pod stops.
        volume_gb: volume of the pod, kept when it stops and gone with it; 0 for none.
        network_volume: id of a network volume, which outlives the pod; instead of the pod's own volume.
    """

    image: str | None = None
    template: str | None = None
    disk_gb: int = 0
    volume_gb: int = 0
    network_volume: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferQuery:
    """What is looked for. None: whatever there is.

    Attributes:
        gpu_count: GPUs in the pod.
        cloud: ``secure`` or ``community``.
        region: a place in the provider's words, or the beginning of one: ``EU-RO-1``, ``EU``, ``US``.
        cuda: oldest CUDA version that the machine must run, as ``12.8``.
        spot: at the lower price at which the pod may be taken away.
        shape: the rest of the pod; its disks are in the price.
    """

    gpu_count: int = 1
    cloud: str | None = None
    region: str | None = None
    cuda: str | None = None
    spot: bool = False
    shape: PodShape = field(default_factory=PodShape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A pod that a provider would rent out now.

    Attributes:
        provider: name of the provider.
        gpu_type: the GPU's name for a person, for example ``RTX A6000``.
        gpu_count: GPUs in the pod.
        vram_gb: memory of one GPU.
        price_per_hour_usd: of the whole pod, running: GPUs and disks.
        stopped_price_per_hour_usd: of the whole pod, stopped (its volume).
        kind: real money, or simulated.
        region: the one place where it would be, in the provider's words; empty: wherever there is one.
        gpu_id: the provider's own id of the GPU, if that is another than its name.
        cloud: ``secure`` or ``community``, empty if the provider has no such thing.
        stock: how much of it there is.
        places: where there is some, in the provider's words.
        cuda_versions: that its machines run, newest first; empty if unknown.
        cuda: the oldest one that was asked for; None for any.
        spot: it may be taken away.
        shape: the rest of the pod.
    """

    provider: str
    gpu_type: str
    gpu_count: int
    vram_gb: int
    price_per_hour_usd: Decimal
    stopped_price_per_hour_usd: Decimal
    kind: MoneyKind
    region: str = ""
    gpu_id: str = ""
    cloud: str = ""
    stock: Stock = Stock.UNKNOWN
    places: tuple[str, ...] = ()
    cuda_versions: tuple[str, ...] = ()
    cuda: str | None = None
    spot: bool = False
    shape: PodShape = field(default_factory=PodShape)

    @property
    def label(self) -> str:
        """GPU and count for a person: ``A40 × 1``."""
        return f"{self.gpu_type} × {self.gpu_count}"

    @property
    def where(self) -> str:
        """Cloud, place and kind of contract for a person: ``secure, EU-RO-1``; empty if there is nothing to say."""
        return ", ".join(part for part in (self.cloud, self.region, "spot" if self.spot else "") if part)


def gpu_key(name: str) -> str:
    """One spelling for what people write: ``NVIDIA RTX A40``, ``a40`` and ``RTX4090``, ``4090`` → ``A40``, ``4090``."""
    return re.sub(r"NVIDIA|GEFORCE|GENERATION|RTX|[^A-Z0-9]", "", name.upper())
