"""A network volume (3.4, 4.9)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.fakes.runpod_bill import Meter, Rate
from tests.fakes.runpod_facts import volume_hour_usd


@dataclass(slots=True, kw_only=True)
class Volume:
    """One volume; it outlives every pod that it is attached to."""

    id: str
    name: str
    size_gb: int
    place: str
    kind: str = "STANDARD"
    is_deleted: bool = False
    meter: Meter = field(default_factory=Meter)

    def bill(self, now: float) -> None:
        """Billed always, until it is deleted (4.8)."""
        self.meter.turn(now, None if self.is_deleted else Rate(disk=volume_hour_usd(self.size_gb)), "volume")
