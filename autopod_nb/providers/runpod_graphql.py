"""What RunPod tells by GraphQL only: balance, spend, spot prices, spot pods, and why a pod stopped.

Our own queries with variables. RunPod has announced the end of GraphQL for 2027, so nothing else is asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol

from autopod_nb import log
from autopod_nb.errors import AuthFailed, NoCapacity, ProviderError, Uncertain
from autopod_nb.providers.base import Account, PodOrder
from autopod_nb.providers.runpod_answer import Answer
from autopod_nb.providers.runpod_catalog import wanted_places
from autopod_nb.providers.runpod_faults import create_fault, graphql_fault, mask
from autopod_nb.providers.runpod_pods import MOUNT, amount, variables
from autopod_nb.providers.runpod_price import gpu_share_usd

PATH = "/graphql"
_MYSELF = "query Money { myself { clientBalance currentSpendPerHr spendLimit } }"
_WHY = "query Why($input: PodFilter!) { pod(input: $input) { lastStatusChange } }"
_SPOT = """query Spot($input: GpuLowestPriceInput!) {
  gpuTypes { id lowestPrice(input: $input) { minimumBidPrice } }
}"""
_RENT = """mutation Rent($input: PodRentInterruptableInput!) {
  podRentInterruptable(input: $input) { id desiredStatus }
}"""


class Http(Protocol):
    """What is needed of a transport: see ``runpod_http``."""

    def once(self, method: str, path: str, *, content: object = None, query: Mapping[str, str] | None = None) -> Answer:
        """One request."""
        ...

    def safe(self, method: str, path: str, *, content: object = None, query: Mapping[str, str] | None = None) -> Answer:
        """A request that may be carried out twice."""
        ...


class RunPodGraphql:
    """The queries. Thread-safe as far as *http* is."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def account(self) -> Account:
        """Balance, spend and spend limit.

        Raises:
            ProviderError: they could not be read.
        """
        found = self._ask(_MYSELF, {}, "what the account has").get("myself")
        if not isinstance(found, dict):
            raise ProviderError("RunPod did not tell what the account has.")
        return Account(
            balance_usd=_told(found, "clientBalance"),
            spend_per_hour_usd=_told(found, "currentSpendPerHr"),
            spend_limit_per_hour_usd=_told(found, "spendLimit"),
        )

    def last_status_change(self, provider_id: str) -> str:
        """RunPod's words about the last change of a pod, such as ``Outbid``; empty if it has none.

        Raises:
            ProviderError: it could not be read.
        """
        pod = self._ask(_WHY, {"input": {"podId": provider_id}}, "why a pod stopped").get("pod")
        words = pod.get("lastStatusChange") if isinstance(pod, dict) else None
        return " ".join(words.split()) if isinstance(words, str) else ""

    def spot_prices(self, *, count: int, secure: bool) -> dict[str, Decimal]:
        """The lowest bid a GPU and hour by GPU id, where there are spot pods.

        Raises:
            ProviderError: they could not be read.
        """
        data = self._ask(_SPOT, {"input": {"gpuCount": count, "secureCloud": secure}}, "spot prices")
        gpus = data.get("gpuTypes")
        if not isinstance(gpus, list):
            raise ProviderError("RunPod did not tell its spot prices.")
        prices = {str(gpu.get("id")): amount((gpu.get("lowestPrice") or {}).get("minimumBidPrice")) for gpu in gpus}
        return {gpu_id: price for gpu_id, price in prices.items() if price > 0}

    def rent_spot(self, order: PodOrder) -> str:
        """Rent a spot pod at the price of its offer. One request, never repeated.

        Returns:
            Its id.

        Raises:
            NoCapacity: nothing was made, as with AuthFailed, LowBalance, RateLimited.
            Uncertain: it may have been made.
        """
        content = {"query": _RENT, "variables": {"input": spot_input(order)}}
        answer = self._http.once("POST", PATH, content=content)
        hidden = order.env.values()
        found = answer.json
        if answer.status != 200 or found is None:
            raise create_fault(answer, hidden)
        if messages := _messages(found):
            raise graphql_fault([mask(each, hidden) for each in messages], "the order", may_be_done=True)
        pod = (found.get("data") or {}).get("podRentInterruptable")
        if not isinstance(pod, dict) or not isinstance(pod.get("id"), str):
            raise Uncertain("RunPod answered the order without a pod: it may have made one.")
        return str(pod["id"])

    def _ask(self, query: str, given: Mapping[str, object], what: str) -> dict[str, Any]:
        answer = self._http.safe("POST", PATH, content={"query": query, "variables": dict(given)})
        if answer.status in (401, 403):
            raise AuthFailed(f"RunPod refuses the key for {what}: {answer.words}.")
        found = answer.require_json(what)
        if messages := _messages(found):
            raise graphql_fault(messages, what, may_be_done=False)
        data = found.get("data")
        if not isinstance(data, dict):
            raise ProviderError(f"RunPod did not tell {what}.")
        return data


def spot_input(order: PodOrder) -> dict[str, object]:
    """The order of a spot pod.

    Raises:
        NoCapacity: there is none where it is wanted, or it has no spot price.
    """
    offer, shape = order.offer, order.offer.shape
    places = wanted_places(offer)
    bid = gpu_share_usd(offer.price_per_hour_usd, offer.gpu_count, shape)
    if bid <= 0:
        raise NoCapacity("RunPod has no spot price for that now.")
    found: dict[str, object] = {
        "name": order.name,
        "bidPerGpu": float(bid),  # JSON has no exact numbers; a bid has few digits
        "cloudType": offer.cloud.upper(),
        "gpuTypeId": offer.gpu_id,
        "gpuCount": offer.gpu_count,
        "containerDiskInGb": shape.disk_gb,
        "volumeInGb": shape.volume_gb,
        "volumeMountPath": MOUNT,
        "ports": "22/tcp",
        "env": [{"key": key, "value": value} for key, value in variables(order).items()],
        "startSsh": True,
        "supportPublicIp": True,  # a community host may have none otherwise, and then there is no SSH but the relay
    }
    optional = {
        "imageName": shape.image,
        "templateId": shape.template,
        "networkVolumeId": shape.network_volume,
        "dataCenterId": places[0] if places else None,  # this call takes one
        "minCudaVersion": offer.cuda,
    }
    return {**found, **{key: value for key, value in optional.items() if value is not None}}


def _messages(found: Mapping[str, Any]) -> list[str]:
    errors = found.get("errors")
    each: Iterable[Any] = errors if isinstance(errors, list) else ()
    return [log.redact(str(error.get("message") if isinstance(error, dict) else error))[:300] for error in each]


def _told(found: Mapping[str, Any], key: str) -> Decimal | None:
    return None if found.get(key) is None else amount(found[key])
