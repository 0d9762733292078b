"""What is free where, at which price, and where an order goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from tests.fakes.runpod_facts import (
    COMMUNITY,
    CUDA_VERSIONS,
    GPUS,
    NO_CAPACITY,
    NO_CAPACITY_V2,
    NO_SPOT,
    PLACES,
    SECURE,
)
from tests.fakes.runpod_pod import Order
from tests.fakes.runpod_settings import RefusedError

_USUAL_STOCK = 8  # GPUs of each type, cloud and place
Key = tuple[str, str, str]
"""GPU id, cloud, place."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an order goes."""

    gpu_id: str | None
    cloud: str
    place: str
    gpu_usd: Decimal = Decimal(0)


def level(count: int) -> str:
    """Availability in words (3.4). The bounds are made up."""
    if count <= 0:
        return "NONE"
    return "LOW" if count <= 2 else "MEDIUM" if count <= 5 else "HIGH"


class Market:
    """Stock and prices; a test changes both."""

    def __init__(self) -> None:
        self._stock: dict[Key, int] = {}
        self.gpus = dict(GPUS)
        self.taken: Counter[Key] = Counter()

    def set_stock(self, count: int, gpu: str | None = None, cloud: str | None = None, place: str | None = None) -> None:
        """So many GPUs in all, free ones and rented ones, wherever the three fit."""
        for gpu_id in self.gpus if gpu is None else [gpu]:
            for each_cloud in (SECURE, COMMUNITY) if cloud is None else [cloud]:
                for place_id in PLACES if place is None else [place]:
                    self._stock[gpu_id, each_cloud, place_id] = count

    def set_price(self, gpu: str, cloud: str, usd_per_hour: str) -> None:
        """For pods that are rented from now on.

        Raises:
            KeyError: there is no such GPU.
        """
        price = Decimal(usd_per_hour)
        old = self.gpus[gpu]
        self.gpus[gpu] = replace(old, secure=price) if cloud == SECURE else replace(old, community=price)

    def free(self, gpu_id: str, cloud: str, place: str) -> int:
        """How many are free. 0 where the price is 0: not offered (3.4)."""
        if not self.gpus[gpu_id].price(cloud):
            return 0
        key = (gpu_id, cloud, place)
        return max(0, self._stock.get(key, _USUAL_STOCK) - self.taken[key])

    def free_in(self, gpu_id: str, cloud: str, places: Iterable[str], count: int) -> dict[str, int]:
        """Free GPUs by place, where at least *count* are."""
        found = {place: self.free(gpu_id, cloud, place) for place in places}
        return {place: number for place, number in found.items() if number >= count}

    def place(self, order: Order) -> Spot:
        """Find a place for it.

        Raises:
            RefusedError: 400 for a GPU that does not exist, and for no capacity (3.2, 3.3).
        """
        places = [place for place in order.places or PLACES if place in PLACES]  # 2.2: lower case is no place
        if order.cpu_id is not None and places:
            return Spot(None, order.clouds[0], places[0])
        for gpu_id in order.gpu_ids:
            if gpu_id not in self.gpus:
                raise RefusedError(400, f"Unknown GPU type: {gpu_id}")
        if order.gpu_count >= 1 and self._has_cuda(order):  # 3.3: without a count nothing matches
            for gpu_id in order.gpu_ids:
                for cloud in sorted(order.clouds, key=self.gpus[gpu_id].price):
                    if found := self.free_in(gpu_id, cloud, places, order.gpu_count):
                        return Spot(gpu_id, cloud, next(iter(found)), self.gpus[gpu_id].price(cloud))
        raise RefusedError(400, NO_CAPACITY_V2, message=NO_CAPACITY if order.bid_per_gpu is None else NO_SPOT)

    def _has_cuda(self, order: Order) -> bool:
        return order.cuda_versions is None or not set(CUDA_VERSIONS).isdisjoint(order.cuda_versions)
