"""What the disks of a pod at RunPod cost, which no answer of the service says. Pure.

Rates: RunPod's documentation, pods/pricing, as of 2026-08. Prices are per GB and month of 730 hours.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from autopod_nb.models.money import EXACT
from autopod_nb.models.offer import PodShape

HOURS_A_MONTH = Decimal(730)
RUNNING_GB_MONTH_USD = Decimal("0.10")
"""Container disk, and the pod's own volume while the pod runs."""
STOPPED_GB_MONTH_USD = Decimal("0.20")
"""The pod's own volume while it is stopped; the container disk is wiped then, and free."""
_MICRO_USD = Decimal("0.000001")


def running_disks_usd(shape: PodShape) -> Decimal:
    """USD an hour of the disks of a pod that runs.

    A network volume is not in it: it outlives the pod and has bill rows of its own.
    """
    return _hourly(Decimal(shape.disk_gb + shape.volume_gb) * RUNNING_GB_MONTH_USD)


def stopped_usd(shape: PodShape) -> Decimal:
    """USD an hour of a pod that is stopped: its volume. RunPod's own ``cost`` says 0 then."""
    return _hourly(Decimal(shape.volume_gb) * STOPPED_GB_MONTH_USD)


def running_usd(gpu_usd: Decimal, count: int, shape: PodShape) -> Decimal:
    """USD an hour of a pod that runs.

    Args:
        gpu_usd: of one GPU.
        count: GPUs.
        shape: its disks.
    """
    with localcontext(EXACT):
        return gpu_usd * count + running_disks_usd(shape)


def gpu_share_usd(price_per_hour_usd: Decimal, count: int, shape: PodShape) -> Decimal:
    """The price of one GPU in a price of :func:`running_usd`; RunPod's bids are per GPU."""
    with localcontext(EXACT):
        return (price_per_hour_usd - running_disks_usd(shape)) / count


def _hourly(usd_a_month: Decimal) -> Decimal:
    with localcontext(EXACT):
        return (usd_a_month / HOURS_A_MONTH).quantize(_MICRO_USD)
