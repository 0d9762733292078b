"""RunPod's catalog: GPUs under their many names, what they cost, where there are some. Pure.

Ids are matched against the live catalog and never made up: they have oddities, such as two spaces in a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from autopod_nb.errors import NoCapacity, UsageError, nearest
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import STOCK_ORDER, Offer, OfferQuery, PodShape, Stock, gpu_key
from autopod_nb.providers.runpod_price import running_usd, stopped_usd

_AREAS = ("EU", "EUR", "AP", "OC", "SEA", "SA", "AF", "ME")
"""First parts of data-centre ids that are no countries: the second part is one then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogGpu:
    """A GPU type as one cloud has it.

    Attributes:
        id: of RunPod.
        name: short, for a person.
        vram_gb: memory of one.
        cloud: ``secure`` or ``community``.
        price_per_hour_usd: of one; never 0, for that means that it is not offered.
        most: GPUs of a pod.
        stock: in all.
        places: data centre → stock.
        cuda_versions: newest first.
    """

    id: str
    name: str
    vram_gb: int
    cloud: str
    price_per_hour_usd: Decimal
    most: int
    stock: Stock
    places: Mapping[str, Stock]
    cuda_versions: tuple[str, ...]


def short_name(gpu_id: str) -> str:
    """An id for a person: ``NVIDIA GeForce RTX 4090`` → ``RTX 4090``."""
    return " ".join(re.sub(r"\b(?:NVIDIA|GeForce|Generation)\b", " ", gpu_id).split()) or gpu_id


def read_catalog(gpus: Sequence[Any], cloud: str) -> tuple[CatalogGpu, ...]:
    """The GPUs that one cloud offers, from the entries of ``/v2/catalog/gpus``; each has a name of its own.

    An entry that lacks what matters is left out: it cannot be rented.
    """
    found: dict[str, CatalogGpu] = {}
    for entry in gpus:
        gpu = _gpu(entry, cloud) if isinstance(entry, dict) else None
        if gpu is not None:
            key = gpu_key(gpu.name)
            found[gpu.id if key in found else key] = replace(gpu, name=gpu.id) if key in found else gpu
    return tuple(found.values())


def _gpu(entry: Mapping[str, Any], cloud: str) -> CatalogGpu | None:
    gpu_id, prices = entry.get("id"), entry.get("price")
    price = _number(prices.get(cloud)) if isinstance(prices, dict) else Decimal(0)
    if not isinstance(gpu_id, str) or not gpu_id or price <= 0 or entry.get(cloud) is False:
        return None
    most = entry.get("maxCount")
    count = most.get(cloud) if isinstance(most, dict) else None
    versions = [version for each in entry.get("cudaVersions") or () if (version := _cuda(each))]
    return CatalogGpu(
        id=gpu_id,
        name=short_name(gpu_id),
        vram_gb=int(_number(entry.get("memory"))),
        cloud=cloud,
        price_per_hour_usd=price,
        most=int(count) if count is not None else 1,
        stock=_stock(entry.get("availability")),
        places={
            str(each["id"]): _stock(each.get("availability"))
            for each in entry.get("dataCenters") or ()
            if isinstance(each, dict) and each.get("id")
        },
        cuda_versions=tuple(sorted(versions, key=cuda_key, reverse=True)),
    )


def _number(value: object) -> Decimal:
    """0 for what is none; numbers come exact."""
    is_number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    return Decimal(str(value)) if is_number else Decimal(0)


def _stock(word: object) -> Stock:
    try:
        return Stock(str(word).lower())
    except ValueError:
        return Stock.UNKNOWN


def _cuda(entry: object) -> str:
    """A CUDA version of the catalog, which comes bare or with whether it is to be had; empty if it is not."""
    if isinstance(entry, dict):
        return str(entry.get("version", "")) if entry.get("available", True) else ""
    return str(entry)


def cuda_key(text: str) -> tuple[int, ...]:
    """By which versions of CUDA are ordered: ``12.10`` is newer than ``12.4``."""
    return tuple(int(part) for part in re.findall(r"\d+", text))


@dataclass(frozen=True, slots=True)
class Region:
    """A place that was asked for.

    Attributes:
        word: as it was written, in capitals.
        places: every data centre that it covers.
    """

    word: str
    places: frozenset[str]


def find_region(word: str, data_centers: Sequence[Any]) -> Region:
    """What a word for a place covers: a data centre, the begin of some, a country code, or a region of the catalog.

    Raises:
        UsageError: RunPod has no such place; the nearest is named.
    """
    wanted = word.strip().upper()
    ids = {str(each["id"]): each for each in data_centers if isinstance(each, dict) and each.get("id")}
    if wanted in ids:
        return Region(wanted, frozenset([wanted]))
    covered = [
        place
        for place, entry in ids.items()
        if place.startswith(wanted) or country(place) == wanted or str(entry.get("region", "")).upper() == wanted
    ]
    if not wanted or not covered:
        raise UsageError(f"RunPod has no place {word!r}.{nearest(wanted, ids)} Places are as EU-RO-1, EU, RO or US.")
    return Region(wanted, frozenset(covered))


def country(place: str) -> str:
    """The country code in a data-centre id: ``EU-RO-1`` → ``RO``, ``US-TX-3`` → ``US``."""
    first, _, rest = place.partition("-")
    return rest.partition("-")[0] if first in _AREAS else first


def make_offers(
    gpus: Iterable[CatalogGpu], query: OfferQuery, *, provider: str, shape: PodShape, region: Region | None
) -> tuple[Offer, ...]:
    """What can be rented, with what is out of stock, too.

    Args:
        gpus: of the clouds that come into question.
        query: count, CUDA, spot.
        provider: the name that offers carry.
        shape: disks and image, nothing of it left open.
        region: where it is to be; None for anywhere.
    """
    fitting = [gpu for gpu in gpus if 1 <= query.gpu_count <= gpu.most]
    return tuple(_offer(gpu, query, provider, shape, region) for gpu in fitting)


def _offer(gpu: CatalogGpu, query: OfferQuery, provider: str, shape: PodShape, region: Region | None) -> Offer:
    places = {place: stock for place, stock in gpu.places.items() if region is None or place in region.places}
    best_first = sorted(places, key=lambda place: STOCK_ORDER.index(places[place]))
    there = tuple(place for place in best_first if places[place] is not Stock.NONE)
    stock = gpu.stock
    if region is not None:
        stock = min((places[place] for place in there), key=STOCK_ORDER.index, default=Stock.NONE)
    return Offer(
        provider=provider,
        gpu_type=gpu.name,
        gpu_count=query.gpu_count,
        vram_gb=gpu.vram_gb,
        price_per_hour_usd=running_usd(gpu.price_per_hour_usd, query.gpu_count, shape),
        stopped_price_per_hour_usd=stopped_usd(shape),
        kind=MoneyKind.REAL,
        region="" if region is None else region.word,
        gpu_id=gpu.id,
        cloud=gpu.cloud,
        stock=stock,
        places=there,
        cuda_versions=gpu.cuda_versions,
        cuda=query.cuda,
        spot=query.spot,
        shape=shape,
    )


def wanted_places(offer: Offer) -> list[str] | None:
    """The data centres that an offer is limited to, best stock first; None: it may be anywhere.

    Raises:
        NoCapacity: there is none in its region just now.
    """
    if not offer.region:
        return None
    if re.fullmatch(r"[A-Z]+-[A-Z]+-\d+", offer.region):
        return [offer.region]
    if not offer.places:  # sent without places it could be rented anywhere
        raise NoCapacity(f"RunPod has no {offer.label} in {offer.region} now.")
    return list(offer.places)
