"""Which offers are taken and in which order: plain values in, a plan out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.config import Settings
from autopod_nb.errors import NoCapacity, UsageError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, PodShape, Stock
from autopod_nb.session.commands import PodPlan, PodRequest
from autopod_nb.session.planning import make_plan, make_query

SETTINGS = Settings(home=Path("home"))


def offer(gpu: str, price: str, *, vram_gb: int = 48, cloud: str = "secure", stock: Stock = Stock.HIGH) -> Offer:
    return Offer(
        provider="p",
        gpu_type=gpu,
        gpu_count=1,
        vram_gb=vram_gb,
        price_per_hour_usd=Decimal(price),
        stopped_price_per_hour_usd=Decimal("0.01"),
        kind=MoneyKind.REAL,
        cloud=cloud,
        stock=stock,
    )


OFFERS = (
    offer("RTX A5000", "0.27", vram_gb=24),
    offer("A40", "0.40"),
    offer("A40", "0.35", cloud="community"),
    offer("RTX A6000", "0.49"),
    offer("RTX 4090", "0.59", vram_gb=24),
    offer("H100 PCIe", "2.50", vram_gb=80),
)


def order(plan: PodPlan) -> list[str]:
    return [f"{each.gpu_type} {each.cloud}" for each in (plan.offer, *plan.fallbacks)]


def test_preferences_come_in_their_order_and_of_one_gpu_the_cheapest_first() -> None:
    assert order(make_plan(PodRequest(), OFFERS, SETTINGS)) == [
        "A40 community",
        "A40 secure",
        "RTX A6000 secure",
        "RTX A5000 secure",
    ]


def test_a_gpu_that_is_named_is_tried_in_every_place_and_no_other_is() -> None:
    assert order(make_plan(PodRequest(gpu="NVIDIA a40"), OFFERS, SETTINGS)) == ["A40 community", "A40 secure"]


def test_what_is_out_of_stock_is_left_out_and_it_is_said_which_preference_was_missed() -> None:
    offers = [replace(each, stock=Stock.NONE) if each.gpu_type == "A40" else each for each in OFFERS]
    plan = make_plan(PodRequest(), offers, SETTINGS)
    assert order(plan) == ["RTX A6000 secure", "RTX A5000 secure"]
    assert plan.notes == ("A40 is not to be had now; RTX A6000 instead.",)
    with pytest.raises(NoCapacity, match=r"A40 × 1 is out of stock just now\. In stock: RTX A5000 × 1, RTX A6000"):
        make_plan(PodRequest(gpu="A40"), offers, SETTINGS)


def test_without_any_preference_in_stock_the_cheapest_is_taken_first() -> None:
    settings = replace(SETTINGS, gpu_preferences=("L4",))
    plan = make_plan(PodRequest(), OFFERS, settings)
    assert order(plan)[:2] == ["RTX A5000 secure", "A40 community"]
    assert "None of L4" in plan.notes[0]


@pytest.mark.parametrize(
    ("request_", "first"),
    [
        (PodRequest(min_vram_gb=80), "H100 PCIe secure"),
        (PodRequest(max_price_per_hour_usd=Decimal("0.36")), "A40 community"),
        (PodRequest(min_vram_gb=40, max_price_per_hour_usd=Decimal("0.45")), "A40 community"),
    ],
)
def test_memory_and_price_are_wishes_that_are_kept(request_: PodRequest, first: str) -> None:
    assert order(make_plan(request_, OFFERS, SETTINGS))[0] == first


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (PodRequest(gpu="A41"), r"No GPU 'A41' is offered: .*Did you mean 'A40'"),
        (PodRequest(min_vram_gb=200), r"the largest is H100 PCIe with 80 GB: lower --min-vram"),
        (
            PodRequest(max_price_per_hour_usd=Decimal("0.1")),
            r"the cheapest is RTX A5000 × 1 at 0\.27: raise --max-price",
        ),
        (PodRequest(session_limit_usd=Decimal(0)), "--max-cost 0 is not above zero"),
        (PodRequest(idle_minutes=Decimal(-1)), "--idle-minutes -1 is not above zero"),
        (
            PodRequest(gpu="H100 PCIe", session_limit_usd=Decimal("0.04")),
            r"--max-cost 0\.04 is less than one minute of H100 PCIe × 1 costs.*at least 0\.05",
        ),
    ],
)
def test_a_wish_that_nothing_meets_is_one_line_with_what_there_is(request_: PodRequest, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_plan(request_, OFFERS, SETTINGS)


def test_nobody_is_asked_about_a_dear_fallback_so_there_is_none() -> None:
    """Who was not asked for a yes at the first must not find a dear pod in its place."""
    settings = replace(SETTINGS, gpu_preferences=("A40", "H100 PCIe"))
    plan = make_plan(PodRequest(), OFFERS, settings)
    assert (plan.needs_yes, order(plan)) == (False, ["A40 community", "A40 secure"])
    dear = make_plan(PodRequest(), OFFERS, replace(settings, gpu_preferences=("H100 PCIe", "A40")))
    assert (dear.needs_yes, order(dear)[0], len(dear.fallbacks)) == (True, "H100 PCIe secure", 2)


def test_what_the_person_says_counts_before_the_settings() -> None:
    settings = replace(SETTINGS, image="img", disk_gb=60, volume_gb=20, cloud_type="secure", default_region="EU")
    query = make_query(PodRequest(), settings)
    assert query.shape == PodShape(image="img", disk_gb=60, volume_gb=20)
    assert (query.gpu_count, query.cloud, query.region) == (1, "secure", "EU")
    own = make_query(PodRequest(gpu_count=2, cloud="community", region="US", template="t1", volume_gb=50), settings)
    assert own.shape == PodShape(template="t1", disk_gb=60, volume_gb=50)
    assert (own.gpu_count, own.cloud, own.region) == (2, "community", "US")
    assert make_query(PodRequest(network_volume="v1"), settings).shape == PodShape(
        image="img", disk_gb=60, network_volume="v1"
    )


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (PodRequest(gpu_count=0), "--gpu-count 0"),
        (PodRequest(image="a", template="b"), "--image and --pod-template"),
        (PodRequest(volume_gb=10, network_volume="v"), "one persistent mount"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(request_: PodRequest, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_query(request_, SETTINGS)


def test_several_pods_are_asked_about_and_limited_by_what_they_cost_together() -> None:
    few = make_plan(PodRequest(pods=2), OFFERS, SETTINGS)
    assert (few.needs_yes, few.price_per_hour_usd, few.label) == (False, Decimal("0.70"), "2 pods of A40 × 1")
    assert order(few) == ["A40 community", "A40 secure", "RTX A6000 secure", "RTX A5000 secure"]
    many = make_plan(PodRequest(pods=3), OFFERS, SETTINGS)
    assert (many.needs_yes, many.price_per_hour_usd) == (True, Decimal("1.05"))
    dear_fallbacks = make_plan(
        PodRequest(pods=2, gpu="A40"), OFFERS, replace(SETTINGS, confirm_above_usd_per_hour=Decimal("0.75"))
    )
    assert order(dear_fallbacks) == ["A40 community"], "the other would have to be asked about"
    with pytest.raises(UsageError, match=r"less than one minute of 3 pods of A40 × 1 costs.*say at least 0\.02"):
        make_plan(PodRequest(pods=3, session_limit_usd=Decimal("0.01")), OFFERS, SETTINGS)
