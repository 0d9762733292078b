"""What can be rented, as a table; from the local provider and from plain offers."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from autopod_nb.errors import ConfigError, UsageError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, Stock
from autopod_nb.session.build import current_session
from autopod_nb.session.catalogue import COLUMNS, CatalogueFrame, catalogue_frame, chosen_names, find_catalogue
from autopod_nb.session.commands import PodRequest


def offer(gpu: str, price: str, **different: object) -> Offer:
    usual: dict[str, object] = {
        "provider": "far",
        "gpu_type": gpu,
        "gpu_count": 1,
        "vram_gb": 48,
        "price_per_hour_usd": Decimal(price),
        "stopped_price_per_hour_usd": Decimal(0),
        "kind": MoneyKind.REAL,
    }
    return Offer(**usual | different)  # type: ignore[arg-type]  # the fields of an offer


OFFERS = (
    offer(
        "A40", "0.44", cloud="secure", stock=Stock.LOW, places=("EU-RO-1", "US-KS-2"), cuda_versions=("12.8", "12.6")
    ),
    offer("RTX 4090", "0.69", cloud="community", spot=True, region="EU-SE-1"),
)


def test_the_local_catalogue_is_sorted_by_price_and_opens_no_session(home: Path) -> None:
    found = find_catalogue(PodRequest())
    assert [each.gpu_type for each in found] == ["RTX A5000", "A40", "RTX 3090", "RTX A6000", "RTX 4090"]
    assert current_session() is None
    assert not home.exists(), "it wrote nothing"


@pytest.mark.parametrize(
    ("request_", "gpus"),
    [
        (PodRequest(min_vram_gb=48), ["A40", "RTX A6000"]),
        (PodRequest(max_price_per_hour_usd=Decimal("0.40")), ["RTX A5000", "A40"]),
        (PodRequest(min_vram_gb=48, max_price_per_hour_usd=Decimal("0.45")), ["A40"]),
        (PodRequest(region="this"), ["RTX A5000", "A40", "RTX 3090", "RTX A6000", "RTX 4090"]),
        (PodRequest(region="EU"), []),
        (PodRequest(cloud="secure"), []),
        (PodRequest(spot=True), []),
    ],
)
def test_wishes_leave_out_what_does_not_meet_them(home: Path, request_: PodRequest, gpus: list[str]) -> None:
    assert [each.gpu_type for each in find_catalogue(request_)] == gpus


def test_prices_are_of_the_whole_pod(home: Path) -> None:
    (_, a40, *_) = find_catalogue(PodRequest(gpu_count=2))
    assert (a40.gpu_count, a40.price_per_hour_usd) == (2, Decimal("0.80"))


def test_another_provider_than_the_one_of_the_settings_may_be_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOPOD_PROVIDER", "nowhere")
    assert len(find_catalogue(PodRequest(provider="local"))) == 5
    with pytest.raises(ConfigError, match="no provider 'nowhere'"):
        find_catalogue(PodRequest())


def test_wishes_that_exclude_each_other_are_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="--volume and --network-volume"):
        find_catalogue(PodRequest(volume_gb=20, network_volume="agv6w2qcg7"))


def test_the_table_has_its_columns_and_types_also_when_nothing_is_offered() -> None:
    full, empty = catalogue_frame(OFFERS), catalogue_frame(())
    for frame in (full, empty):
        assert tuple(frame.columns) == COLUMNS
        assert [str(dtype) for dtype in frame.dtypes] == [str(dtype) for dtype in full.dtypes]
        assert list(frame["stock"].cat.categories) == ["none", "low", "medium", "high"]
    first, second = full.to_dict("records")
    assert first == {
        "gpu": "A40", "vram_gb": 48, "cloud": "secure", "usd_per_hour": 0.44, "stock": "low",
        "places": "EU-RO-1, US-KS-2", "cuda": "12.8, 12.6", "kind": "real",
    }  # fmt: skip
    assert (second["cloud"], second["places"], second["cuda"]) == ("community spot", "EU-SE-1", "")
    assert pd.isna(second["stock"])
    assert list(full[full["stock"] >= "low"]["gpu"]) == ["A40"]


def test_the_text_shows_every_column_and_says_when_nothing_fits() -> None:
    head, first, second = repr(catalogue_frame(OFFERS)).splitlines()
    assert head.split() == list(COLUMNS)
    assert "0.44          low    EU-RO-1, US-KS-2" in first
    assert "RTX 4090" in second
    assert repr(catalogue_frame(())) == "Nothing is offered that fits: ask for less."
    assert isinstance(catalogue_frame(OFFERS).head(1), CatalogueFrame)
    many = catalogue_frame([offer("A40", "1", places=tuple(f"EU-RO-{number}" for number in range(20)))])
    assert "EU-RO-0" in repr(many)
    assert "…" in repr(many)


def test_short_names_become_the_provider_s_names_each_once() -> None:
    assert chosen_names(["4090", "NVIDIA RTX A40", "a40"], OFFERS) == ("RTX 4090", "A40")
    with pytest.raises(UsageError, match=r"No GPU 'A41' is offered.*Did you mean 'A40'.*Nothing was saved"):
        chosen_names(["4090", "A41"], OFFERS)
