"""What RunPod rents out now: the live catalog, asked in the words of a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from autopod_nb.config import Settings
from autopod_nb.errors import ProviderError, UsageError, nearest
from autopod_nb.models.offer import CLOUDS, Offer, OfferQuery, PodShape
from autopod_nb.providers.runpod_catalog import CatalogGpu, Region, find_region, make_offers, read_catalog
from autopod_nb.providers.runpod_graphql import RunPodGraphql

_IMAGE = "runpod/comfyui:latest"
_DISK_GB, _VOLUME_GB = 60, 20
Read = Callable[[str, Mapping[str, str], str], dict[str, Any]]
"""(path, query, what for a person) → the JSON of a GET; raises ProviderError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What counts when a query leaves it open.

    Attributes:
        shape: of a pod.
        cloud: ``secure`` or ``community``; None for both.
        region: a place; None for any.
    """

    shape: PodShape
    cloud: str | None = None
    region: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Usual:
        """As the settings say."""
        template = settings.default_template
        shape = PodShape(
            image=settings.image or (None if template else _IMAGE),
            template=None if settings.image else template,
            disk_gb=settings.disk_gb or _DISK_GB,
            volume_gb=settings.volume_gb or _VOLUME_GB,
            network_volume=settings.network_volume,
        )
        return cls(shape=shape, cloud=settings.cloud_type, region=settings.default_region)

    def fill(self, shape: PodShape) -> PodShape:
        """A shape with nothing left open; a pod always has one persistent mount, for its results lie there."""
        is_open = shape.image is None and shape.template is None
        network_volume = shape.network_volume or (None if shape.volume_gb else self.shape.network_volume)
        return PodShape(
            image=self.shape.image if is_open else shape.image,
            template=self.shape.template if is_open else shape.template,
            disk_gb=shape.disk_gb or self.shape.disk_gb,
            volume_gb=0 if network_volume is not None else shape.volume_gb or self.shape.volume_gb,
            network_volume=network_volume,
        )


class RunPodMarket:
    """Asks for offers. Thread-safe as far as *read* and *graphql* are.

    Args:
        read: a GET of REST v2.
        graphql: for spot prices.
        name: that offers carry.
        usual: what counts when a query leaves it open.
    """

    def __init__(self, read: Read, graphql: RunPodGraphql, *, name: str, usual: Usual) -> None:
        self._read = read
        self._graphql = graphql
        self._name = name
        self._usual = usual

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """What can be rented, with what is out of stock, too.

        Raises:
            UsageError: the query names a cloud, a place or a volume that RunPod does not have.
            ProviderError: the catalog could not be read.
        """
        if query.gpu_count < 1:
            return ()
        shape = self._usual.fill(query.shape)
        clouds = self._clouds(query, shape)
        region = self._region(query, shape)
        gpus = [gpu for cloud in clouds for gpu in self._gpus(cloud, query)]
        return make_offers(gpus, query, provider=self._name, shape=shape, region=region)

    def _clouds(self, query: OfferQuery, shape: PodShape) -> tuple[str, ...]:
        word = (query.cloud or self._usual.cloud or "").lower()
        if word in ("", "all"):
            return CLOUDS[:1] if shape.network_volume else CLOUDS
        if word not in CLOUDS:
            raise UsageError(f"RunPod has no cloud {word!r}, only {' and '.join(CLOUDS)}.{nearest(word, CLOUDS)}")
        if shape.network_volume and word != CLOUDS[0]:
            raise UsageError("Network volumes are in RunPod's secure cloud only: leave --cloud out, or the volume.")
        return (word,)

    def _region(self, query: OfferQuery, shape: PodShape) -> Region | None:
        """Where it is to be: a network volume can be used in its own data centre only."""
        word = query.region or self._usual.region
        if not word and not shape.network_volume:
            return None
        region = None
        if word:
            page = self._read("/v2/catalog/datacenters", {}, "its places")
            region = find_region(word, _entries(page, "dataCenters"))
        if shape.network_volume is None:
            return region
        place = self._place_of(shape.network_volume)
        if region is not None and place not in region.places:
            raise UsageError(
                f"The network volume {shape.network_volume} is in {place}, not in {word}: leave --region out, or take"
                " another volume."
            )
        return Region(place, frozenset([place]))

    def _place_of(self, volume_id: str) -> str:
        page = self._read("/v2/network-volumes", {}, "its network volumes")
        places = {str(each.get("id")): str(each.get("dataCenter")) for each in _entries(page, "networkVolumes")}
        if volume_id not in places:
            raise UsageError(f"There is no network volume {volume_id!r} in this account.{nearest(volume_id, places)}")
        return places[volume_id]

    def _gpus(self, cloud: str, query: OfferQuery) -> tuple[CatalogGpu, ...]:
        wish = {"include": "AVAILABILITY", "product": "POD", "count": str(query.gpu_count), "cloud": cloud.upper()}
        if query.cuda is not None:
            wish["minCudaVersion"] = query.cuda
        page = self._read("/v2/catalog/gpus", wish, "its GPUs")
        gpus = read_catalog(_entries(page, "gpus"), cloud)
        if not query.spot:
            return gpus
        bids = self._graphql.spot_prices(count=query.gpu_count, secure=cloud == CLOUDS[0])
        return tuple(replace(gpu, price_per_hour_usd=bids[gpu.id]) for gpu in gpus if gpu.id in bids)


def _entries(page: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = page.get(key)
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise ProviderError(f"RunPod's list of {key} cannot be read.")
    return entries
