from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from autopod_nb.errors import NoCapacity, UsageError
from autopod_nb.models.offer import Offer, OfferQuery, PodShape, Stock
from autopod_nb.providers.runpod_catalog import (
    country,
    find_region,
    make_offers,
    read_catalog,
    wanted_places,
)

_CENTERS = [{"id": each, "region": "EUROPE"} for each in ("EU-RO-1", "EUR-IS-1")] + [
    {"id": each, "region": "NORTH_AMERICA"} for each in ("US-TX-3", "US-DE-1")
]
_SHAPE = PodShape(image="i", disk_gb=73, volume_gb=146)


def _entry(gpu_id: str = "NVIDIA A40", **other: Any) -> dict[str, Any]:
    usual = {
        "id": gpu_id,
        "name": "A40",
        "memory": 48,
        "secure": True,
        "community": True,
        "price": {"secure": Decimal("0.40"), "community": Decimal("0.30")},
        "maxCount": {"secure": 8, "community": 2},
        "availability": "LOW",
        "dataCenters": [
            {"id": "EU-RO-1", "availability": "LOW"},
            {"id": "US-TX-3", "availability": "HIGH"},
            {"id": "EUR-IS-1", "availability": "NONE"},
        ],
        "cudaVersions": ["12.4", {"version": "12.10", "available": True}, {"version": "13.0", "available": False}],
    }
    return {**usual, **other}


def test_an_entry_is_read_with_its_exact_price_and_its_cuda_versions_newest_first() -> None:
    (gpu,) = read_catalog([_entry()], "community")
    assert (gpu.id, gpu.name, gpu.vram_gb, gpu.most, gpu.stock) == ("NVIDIA A40", "A40", 48, 2, Stock.LOW)
    assert gpu.price_per_hour_usd == Decimal("0.30")
    assert gpu.cuda_versions == ("12.10", "12.4")


@pytest.mark.parametrize(
    "entry",
    [
        _entry(price={"secure": 0, "community": 1}),
        _entry(secure=False),
        _entry(price=None),
        _entry(id=None),
        {},
        "A40",
    ],
)
def test_a_price_of_0_means_that_it_is_not_offered_and_what_cannot_be_read_is_left_out(entry: Any) -> None:
    assert read_catalog([entry], "secure") == ()


def test_two_ids_that_read_the_same_get_names_of_their_own() -> None:
    found = read_catalog([_entry("NVIDIA RTX A4500"), _entry("NVIDIA  RTX A4500")], "secure")
    assert {each.id: each.name for each in found} == {
        "NVIDIA RTX A4500": "RTX A4500",
        "NVIDIA  RTX A4500": "NVIDIA  RTX A4500",
    }


def _offers(word: str | None = None, entry: dict[str, Any] | None = None, **query: Any) -> tuple[Offer, ...]:
    region = None if word is None else find_region(word, _CENTERS)
    gpus = read_catalog([entry or _entry()], "secure")
    return make_offers(gpus, OfferQuery(**query), provider="runpod", shape=_SHAPE, region=region)


def test_the_price_of_an_offer_is_that_of_all_gpus_and_disks() -> None:
    (offer,) = _offers(gpu_count=2)
    assert (offer.price_per_hour_usd, offer.stopped_price_per_hour_usd) == (Decimal("0.83"), Decimal("0.04"))
    assert (offer.region, offer.places, offer.stock) == ("", ("US-TX-3", "EU-RO-1"), Stock.LOW)
    assert wanted_places(offer) is None, "it may be anywhere"
    assert _offers(gpu_count=9) == ()


@pytest.mark.parametrize(
    ("word", "region", "stock", "wanted"),
    [
        ("eu", "EU", Stock.LOW, ["EU-RO-1"]),
        ("US", "US", Stock.HIGH, ["US-TX-3"]),
        ("RO", "RO", Stock.LOW, ["EU-RO-1"]),
        ("EU-RO-1", "EU-RO-1", Stock.LOW, ["EU-RO-1"]),
        ("EUR-IS-1", "EUR-IS-1", Stock.NONE, ["EUR-IS-1"]),
        ("north_america", "NORTH_AMERICA", Stock.HIGH, ["US-TX-3"]),
    ],
)
def test_a_region_limits_where_it_is_to_be(word: str, region: str, stock: Stock, wanted: list[str]) -> None:
    (offer,) = _offers(word)
    assert (offer.region, offer.stock, wanted_places(offer)) == (region, stock, wanted)


def test_a_region_without_stock_is_never_widened_to_the_whole_world() -> None:
    (offer,) = _offers("EUR")
    assert (offer.stock, offer.places) == (Stock.NONE, ())
    with pytest.raises(NoCapacity, match="EUR"):
        wanted_places(offer)


def test_a_place_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'EU-RO-1'"):
        find_region("EU-RO-2", _CENTERS)


@pytest.mark.parametrize(
    ("place", "code"), [("EU-RO-1", "RO"), ("US-DE-1", "US"), ("CA-MTL-1", "CA"), ("AP-JP-1", "JP")]
)
def test_the_country_is_the_first_part_of_an_id_or_the_second_after_an_area(place: str, code: str) -> None:
    assert country(place) == code
