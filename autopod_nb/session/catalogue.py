"""What can be rented now, as a table that shows itself. Loads pandas; asks a provider, rents nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from autopod_nb.clock import default_clock
from autopod_nb.config import Settings, read_settings
from autopod_nb.errors import UsageError, nearest
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, OfferQuery, Stock, gpu_key
from autopod_nb.providers.registry import make_provider
from autopod_nb.session.build import current_session
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.frame import category, text
from autopod_nb.session.planning import make_query

COLUMNS = ("gpu", "vram_gb", "cloud", "usd_per_hour", "stock", "places", "cuda", "kind")
_SHOWN = 40  # characters of a cell


class CatalogueFrame(pd.DataFrame):
    """A DataFrame in every way, but that it shows all its columns and says what it is when it is empty."""

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return CatalogueFrame

    def __repr__(self) -> str:
        if self.empty:
            return "Nothing is offered that fits: ask for less."
        if not set(self.columns) >= set(COLUMNS):
            return super().__repr__()
        lines = [[str(name) for name in self.columns]]
        lines += [[_shown(value) for value in row] for row in self.itertuples(index=False)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = ("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join(row.rstrip() for row in rows)


def _shown(value: object) -> str:
    """A cell as text; a long list of places is cut."""
    if value is None or value != value:  # noqa: PLR0124 - not a number
        return "–"
    words = f"{value:.4g}" if isinstance(value, float) else str(value)
    return words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"


def find_catalogue(request: PodRequest) -> tuple[Offer, ...]:
    """What a provider offers for these wishes, the cheapest first. Opens no session.

    Where a pod shall be by the settings is not looked at: this is for whoever chooses.

    Args:
        request: of it, what offers are told apart by; its provider may be another than the session's.

    Raises:
        UsageError: a wish that makes no sense, or that the provider does not know.
        ConfigError: no such provider.
        ProviderError: the provider cannot be asked.
    """
    session = current_session()
    if session is not None and request.provider in (None, session.settings.provider):
        offers = session.find_offers(_query(request, session.settings))
    else:
        settings = read_settings(provider=request.provider)
        offers = _ask(settings, _query(request, settings))
    ceiling = request.max_price_per_hour_usd
    fitting = [
        offer
        for offer in offers
        if offer.vram_gb >= (request.min_vram_gb or 0) and (ceiling is None or offer.price_per_hour_usd <= ceiling)
    ]
    return tuple(sorted(fitting, key=lambda offer: (offer.price_per_hour_usd, offer.gpu_type, offer.cloud)))


def _query(request: PodRequest, settings: Settings) -> OfferQuery:
    return make_query(request, replace(settings, cloud_type=None, default_region=None, network_volume=None))


def _ask(settings: Settings, query: OfferQuery) -> tuple[Offer, ...]:
    provider = make_provider(settings, default_clock())
    try:
        return provider.offers(query)
    finally:
        provider.close()


def catalogue_frame(offers: Sequence[Offer]) -> CatalogueFrame:
    """Offers as a table.

    Columns: ``gpu``, ``vram_gb`` (of one of them), ``cloud`` (empty where the provider has but one),
    ``usd_per_hour`` (of the whole pod with its disks, float), ``stock`` (ordered category: none, low, medium, high;
    missing if unknown), ``places`` and ``cuda`` (texts, several with commas between), ``kind`` (category: real or
    simulated money).
    """
    stocks = [stock.value for stock in Stock if stock is not Stock.UNKNOWN]
    data: dict[str, Any] = {
        "gpu": text([offer.gpu_type for offer in offers]),
        "vram_gb": pd.Series([offer.vram_gb for offer in offers], dtype="int64"),
        "cloud": text([offer.cloud + (" spot" if offer.spot else "") for offer in offers]),
        "usd_per_hour": pd.Series([float(offer.price_per_hour_usd) for offer in offers], dtype="float64"),
        "stock": pd.Series(
            pd.Categorical(
                [None if offer.stock is Stock.UNKNOWN else offer.stock.value for offer in offers],
                categories=stocks,
                ordered=True,
            )
        ),
        "places": text([", ".join(offer.places) or offer.region for offer in offers]),
        "cuda": text([", ".join(offer.cuda_versions) for offer in offers]),
        "kind": category([offer.kind.value for offer in offers], [kind.value for kind in MoneyKind]),
    }
    frame: CatalogueFrame = CatalogueFrame(data)
    return frame


def chosen_names(names: Sequence[str], offers: Sequence[Offer]) -> tuple[str, ...]:
    """The provider's own names of GPUs that a person wrote in short, each once, in the same order.

    Raises:
        UsageError: one is not offered; the nearest is named.
    """
    by_key = {gpu_key(offer.gpu_type): offer.gpu_type for offer in offers}
    for name in names:
        if gpu_key(name) not in by_key:
            known = list(dict.fromkeys(by_key.values()))
            what = f"No GPU {name!r} is offered: {', '.join(known) or 'nothing is'}."
            raise UsageError(f"{what}{nearest(name, known)} Nothing was saved.")
    return tuple(dict.fromkeys(by_key[gpu_key(name)] for name in names))
