from __future__ import annotations

from decimal import Decimal

import pytest

from autopod_nb.models.offer import PodShape
from autopod_nb.providers.runpod_price import gpu_share_usd, running_disks_usd, running_usd, stopped_usd

_SHAPE = PodShape(disk_gb=73, volume_gb=146)


def test_disks_cost_a_tenth_of_a_dollar_a_gb_and_month_and_a_stopped_volume_twice_that() -> None:
    assert running_disks_usd(_SHAPE) == Decimal("0.03")
    assert stopped_usd(_SHAPE) == Decimal("0.04")
    assert stopped_usd(PodShape(disk_gb=73)) == 0
    assert running_disks_usd(PodShape(network_volume="v")) == 0, "it has bill rows of its own"


@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_pod_costs_its_gpus_and_its_disks_and_the_share_of_a_gpu_can_be_got_back(count: int) -> None:
    whole = running_usd(Decimal("0.4"), count, _SHAPE)
    assert whole == Decimal("0.4") * count + Decimal("0.03")
    assert gpu_share_usd(whole, count, _SHAPE) == Decimal("0.4")
