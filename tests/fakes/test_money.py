"""What things cost, exactly and as the billing routes tell it; and what happens when the money is gone (3.4, 4.8)."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from tests.fakes.orders import GPU, act, create, listed, names, order, running
from tests.fakes.runpod_bill import Meter, Rate, buckets, known_until, last_buckets, rows
from tests.fakes.service import RunpodService

_DISKS = Decimal("0.10") * 40 / 730  # 20 GB of each kind
_UNTIL = datetime(2026, 1, 2, tzinfo=timezone.utc)


def _near(found: str, wanted: Decimal, within: str = "0.002") -> bool:
    """Service time goes on by itself, too."""
    return wanted <= Decimal(found) <= wanted + Decimal(within)


def _billing(service: RunpodService, path: str) -> Any:
    response = service.request("GET", f"/v2/billing{path}")
    assert response.status_code == 200, response.text
    return response.json()


def test_a_pod_costs_from_the_rental_on_and_disks_cost_more_when_it_is_stopped(service: RunpodService) -> None:
    pod_id = create(service, "one")["id"]
    service.advance(3600)
    act(service, pod_id, "stop")
    service.advance(7200)
    service.request("DELETE", f"/v2/pods/{pod_id}")
    service.advance(7200)
    (bill,) = service.billed("one")
    assert [segment["kind"] for segment in bill["segments"]] == ["running", "stopped"]
    ran, stopped = bill["segments"]
    assert _near(ran["usd"], Decimal("0.16") + _DISKS)
    assert _near(stopped["usd"], Decimal("0.20") * 20 / 730 * 2)
    assert bill["billing_ended_at"] == pytest.approx(bill["created_at"] + 3 * 3600, abs=5)
    assert bill["billing_ended_at"] == bill["ended_at"]


def test_a_stopped_pod_without_a_volume_disk_costs_nothing(service: RunpodService) -> None:
    pod_id = running(service, "one", mounts=None)["id"]
    act(service, pod_id, "stop")
    (bill,) = service.billed("one")
    assert bill["billing_ended_at"] is not None


def test_a_pod_that_never_came_up_is_billed_all_the_same(service: RunpodService) -> None:
    """4.8: boot is billed, failed boots, too."""
    service.arm("never_boots", "POST /v2/pods")
    create(service, "one")
    service.advance(3600)
    assert _near(service.billed("one")[0]["total_usd"], Decimal("0.16") + _DISKS)


def test_rows_are_of_hours_and_lag(service: RunpodService) -> None:
    pod_id = create(service, "one")["id"]
    service.advance(2 * 3600)
    with_lag = _billing(service, f"/pods?bucketSize=hour&lastN=4&podId={pod_id}")
    service.set(billing_lag_hours=0)
    without = _billing(service, f"/pods?bucketSize=hour&lastN=4&podId={pod_id}")
    assert with_lag["metadata"]["recordCount"] == 2
    assert without["records"][:-1] == with_lag["records"], "only the hour that is not over has no row yet"
    assert _near(str(without["metadata"]["totals"]["totalAmount"]), 2 * (Decimal("0.16") + _DISKS))
    row = without["records"][1]
    assert row["podId"] == pod_id
    assert row["gpuAmount"] == pytest.approx(0.16)
    assert row["totalAmount"] == pytest.approx(row["gpuAmount"] + row["diskAmount"])
    assert without["metadata"]["uniquePodCount"] == 1


def test_days_are_the_usual_bucket_and_thirty_of_them_the_usual_span(service: RunpodService) -> None:
    create(service, "one")
    service.set(billing_lag_hours=0)
    service.advance(60)
    answer = _billing(service, "/pods")
    assert answer["metadata"]["query"]["bucketSize"] == "day"
    start, end = (datetime.fromisoformat(answer["records"][0][name][:-1]) for name in ("startTime", "endTime"))
    assert (end - start).days == 1


def test_the_whole_account_and_its_volumes_have_bills_of_their_own(service: RunpodService) -> None:
    create(service, "one")
    wish = {"name": "v", "size": 2000, "dataCenter": "EU-RO-1"}
    volume = service.request("POST", "/v2/network-volumes", json=wish).json()
    service.set(billing_lag_hours=0)
    service.advance(3600)
    hourly = (Decimal("0.07") * 1000 + Decimal("0.05") * 1000) / 730
    volumes = _billing(service, f"/network-volumes?bucketSize=hour&lastN=3&networkVolumeId={volume['id']}")
    assert _near(str(volumes["metadata"]["totals"]["standardAmount"]), hourly)
    everything = _billing(service, "?bucketSize=hour&lastN=3")["metadata"]["totals"]
    assert _near(str(everything["totalAmount"]), hourly + Decimal("0.16") + _DISKS)
    for other in ("/serverless", "/clusters", "/endpoints"):
        assert _billing(service, other)["records"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/networkvolumes", 404),
        ("/pods?bucketSize=minute", 422),
        ("/pods?lastN=0", 422),
        ("/pods?lastN=2&startTime=2026-01-01T00:00:00Z", 400),
        ("/pods?startTime=yesterday", 422),
    ],
)
def test_a_bill_that_cannot_be(service: RunpodService, path: str, status: int) -> None:
    assert service.request("GET", f"/v2/billing{path}").status_code == status


def test_the_balance_falls_with_service_time(service: RunpodService) -> None:
    service.balance("10")
    create(service)
    service.advance(3600)
    assert _near(str(10 - service.balance()), Decimal("0.16") + _DISKS)
    seen = service.graphql("{ myself { clientBalance currentSpendPerHr } }")["data"]["myself"]
    assert seen["clientBalance"] == pytest.approx(10 - 0.16 - float(_DISKS), abs=0.002)
    assert seen["currentSpendPerHr"] == pytest.approx(0.16 + float(_DISKS))


def test_at_zero_a_pod_vanishes_unless_it_has_a_network_volume(service: RunpodService) -> None:
    """4.8; the bills end when the money did, not when somebody looked."""
    wish = {"name": "v", "size": 10, "dataCenter": "EU-RO-1"}
    volume = service.request("POST", "/v2/network-volumes", json=wish).json()
    mounts = {"network": [{"volumeId": volume["id"], "path": "/workspace"}]}
    lost, kept = running(service, "lost"), running(service, "kept", cloud="SECURE", mounts=mounts)
    bare = running(service, "bare", mounts=None)
    service.balance("0.5")
    service.advance(100 * 3600)
    assert service.request("GET", f"/v2/pods/{lost['id']}").status_code == 404
    assert service.request("GET", f"/v2/pods/{bare['id']}").status_code == 404
    assert service.request("GET", f"/v2/pods/{kept['id']}").json()["status"] == "EXITED"
    ended = {pod["name"]: pod["billing_ended_at"] - pod["created_at"] for pod in service.bill()["pods"]}
    assert 1800 < ended["lost"] == pytest.approx(ended["bare"], abs=10)
    assert ended["lost"] < 2 * 3600
    assert service.balance() < 0, "the network volume goes on to cost"
    assert service.request("POST", "/v2/pods", json=order()).status_code == 402


def test_at_zero_a_pod_without_any_volume_vanishes_too(service: RunpodService) -> None:
    pod = running(service, mounts=None)
    service.balance("0.5")
    service.advance(100 * 3600)
    assert service.request("GET", f"/v2/pods/{pod['id']}").status_code == 404
    assert service.balance() == pytest.approx(0, abs=Decimal("0.0001")), "nothing costs after that"


def test_less_than_an_hour_of_credit_rents_nothing(service: RunpodService) -> None:
    service.balance("0.15")
    response = service.request("POST", "/v2/pods", json=order())
    assert (response.status_code, response.json()["title"]) == (402, "Payment Required")
    assert service.pods() == []


def test_the_spend_limit_holds(service: RunpodService) -> None:
    service.set(spend_limit_usd=0.3)
    create(service)
    assert service.request("POST", "/v2/pods", json=order()).status_code == 402


def test_a_pool_that_is_forbidden_is_a_403(service: RunpodService) -> None:
    service.set(forbidden_clouds=["COMMUNITY"])
    assert service.request("POST", "/v2/pods", json=order()).status_code == 403
    assert create(service, cloud="SECURE")["cloud"] == "SECURE"


def test_a_bad_image_hangs_or_exits_and_the_log_says_why(service: RunpodService) -> None:
    """4.7: the status gives no reason."""
    hangs = create(service, "hangs", image="example/missing:1")
    service.set(missing_image="exit")
    exits = create(service, "exits", image="example/missing:1")
    service.advance(600)
    assert [pod["status"] for pod in listed(service)["pods"]] == ["EXITED", "STARTING"]
    assert names(listed(service)) == ["exits", "hangs"]
    seen = service.graphql(f'{{ pod(input: {{podId: "{exits["id"]}"}}) {{ lastStatusChange }} }}')
    assert seen["data"]["pod"]["lastStatusChange"].startswith("Exited by Runpod")
    with service.request("GET", f"/v2/pods/{hangs['id']}/logs?source=system", stream=True) as response:
        lines = response.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(line for line in lines if "manifest unknown" in line)


def test_times_may_be_skewed(service: RunpodService) -> None:
    """7.3."""
    true = create(service, "true")["createdAt"]
    service.set(clock_skew_s=7200.0)
    skewed = create(service, "skewed")["createdAt"]
    apart = datetime.fromisoformat(skewed[:-1]) - datetime.fromisoformat(true[:-1])
    assert apart.total_seconds() == pytest.approx(7200, abs=30)


# the sums themselves


def test_a_meter_knows_each_stretch() -> None:
    meter = Meter()
    meter.turn(0.0, Rate(gpu=Decimal(1), disk=Decimal("0.1")), "running")
    meter.turn(1800.0, Rate(disk=Decimal("0.2")), "stopped")
    meter.turn(5400.0, None)
    assert meter.usd(1e9) == Decimal("0.55") + Decimal("0.2")
    assert (meter.rate_usd, meter.ended_at) == (Decimal(0), 5400.0)
    assert meter.amounts(900.0, 2700.0) == Rate(gpu=Decimal("0.25"), disk=Decimal("0.025") + Decimal("0.05"))


@pytest.mark.parametrize(
    ("size", "first", "count"),
    [
        ("hour", "2025-12-31T22:00", 3),
        ("day", "2025-12-30T00:00", 3),
        ("week", "2025-12-15T00:00", 3),
        ("month", "2025-11-01T00:00", 3),
        ("year", "2024-01-01T00:00", 3),
    ],
)
def test_the_last_buckets_end_with_the_current_one(size: str, first: str, count: int) -> None:
    now = datetime(2026, 1, 1, 0, 30, tzinfo=timezone.utc)
    found = last_buckets(now, size, count)
    assert (len(found), found[0].start.isoformat()[:16]) == (count, first)
    assert found[-1].start <= now < found[-1].end


def test_buckets_are_snapped_outwards() -> None:
    start = datetime(2026, 1, 1, 5, 30, tzinfo=timezone.utc)
    assert len(buckets(start, _UNTIL, "day")) == 1
    assert len(buckets(start, _UNTIL, "hour")) == 19


def test_the_rows_of_a_stretch_add_up_to_it() -> None:
    meter = Meter()
    meter.turn(_UNTIL.timestamp() - 5000, Rate(gpu=Decimal(3)), "running")
    wanted = last_buckets(_UNTIL, "hour", 4)
    found = list(rows([("a", meter)], wanted, _UNTIL.timestamp()))
    assert sum(amounts.gpu for _, _, amounts in found) == meter.usd(_UNTIL.timestamp())


@pytest.mark.parametrize(("lag", "known"), [(0, 7300.0), (1, 7200.0), (2, 3600.0)])
def test_what_is_known_lags_by_whole_hours(lag: int, known: float) -> None:
    assert known_until(7300.0, lag) == known


def test_the_name_of_a_gpu_in_the_orders_is_real(service: RunpodService) -> None:
    assert service.request("GET", f"/v2/catalog/gpus/{GPU}").json()["name"] == "RTX A5000"
