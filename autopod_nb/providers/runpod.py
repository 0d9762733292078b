"""Pods at RunPod, by REST v2; by GraphQL what REST does not have.

Every call is bounded. What may be done twice is asked again when the answer is lost; an order is sent once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import requests

from autopod_nb.clock import Clock
from autopod_nb.config import Secret, Settings
from autopod_nb.errors import Gone, ProviderError, Uncertain
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.models.pod import ObservedState, PodAddress, PodRecord
from autopod_nb.models.reconciliation import Stretch
from autopod_nb.providers.base import Account, Capabilities, PodOrder
from autopod_nb.providers.runpod_answer import Answer
from autopod_nb.providers.runpod_billing import PODS, VOLUMES, billing_query, read_rows
from autopod_nb.providers.runpod_boot import BootWords
from autopod_nb.providers.runpod_doors import Doors
from autopod_nb.providers.runpod_faults import create_fault, pod_fault, read_fault
from autopod_nb.providers.runpod_graphql import RunPodGraphql
from autopod_nb.providers.runpod_http import DEFAULT_BASE_URL, RunPodHttp
from autopod_nb.providers.runpod_key import key_source, require_key
from autopod_nb.providers.runpod_log import MOST_LINES, LogLine, read_events
from autopod_nb.providers.runpod_look import PodLook
from autopod_nb.providers.runpod_market import RunPodMarket, Usual
from autopod_nb.providers.runpod_pages import read_all
from autopod_nb.providers.runpod_pods import create_body, direct_address, pod_record, require_pod_id
from autopod_nb.providers.runpod_stream import past_lines

_FATE = "A pod at RunPod runs, and is paid for, until it is stopped or terminated: nothing there ends it by itself."
_DOWN = ("EXITED", "ERROR")
_UP = ("PROVISIONING", "STARTING", "RUNNING")


class RunPodProvider:
    """An account at RunPod. Thread-safe.

    Args:
        settings: key, base address, and what a pod is like when nobody says.
        clock: the time of bills and pauses.
        timeout_s: until an answer begins, and between two pieces of it.
        retry_pause_s: before what is asked a second time.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock, timeout_s: float = 25.0, retry_pause_s: float = 0.5
    ) -> None:
        base_url = settings.api_base_url or os.environ.get("RUNPOD_API_BASE_URL") or DEFAULT_BASE_URL
        self.name = settings.provider if settings.provider.startswith("runpod") else "runpod"
        self._settings = settings
        self._clock = clock
        self._key_lock = threading.Lock()
        self._secret: Secret | None = None
        self._http = RunPodHttp(base_url, self._key, clock=clock, timeout_s=timeout_s, retry_pause_s=retry_pause_s)
        self._graphql = RunPodGraphql(self._http)
        self._market = RunPodMarket(self._read, self._graphql, name=self.name, usual=Usual.of(settings))
        self._look = PodLook(
            one=self._one, every=self._every, pace_s=lambda: self._http.limits.pace_s(clock.monotonic())
        )
        self._doors = Doors(lambda pod_id: self._log_lines(pod_id, 1000, source="container"))
        self._boot = BootWords(lambda pod_id: self._log_lines(pod_id, 100, source="system"))
        self._why: dict[str, str] = {}
        self.capabilities = Capabilities(
            can_stop=True, can_bill=True, fate=_FATE, outlives=True, watchdog_url=self._http.base_url
        )

    def _key(self) -> Secret:
        with self._key_lock:
            if self._secret is None:
                self._secret = require_key(self._settings)
            return self._secret

    def _read(self, path: str, query: Mapping[str, str], what: str) -> dict[str, Any]:
        """The JSON of a GET.

        Raises:
            AuthFailed: the key is refused.
            ProviderError: it could not be read.
        """
        answer = self._http.safe("GET", path, query=query)
        if answer.status != requests.codes.ok:
            raise read_fault(answer, what)
        return answer.require_json(what)

    def authenticate(self) -> None:
        """Read one pod, which needs the key."""
        self._read("/v2/pods", {"limit": "1"}, "whether the key is good")

    def credentials(self) -> str:
        """Where the key was found."""
        return key_source(self._settings)

    def account(self) -> Account:
        """Balance, spend and spend limit, by GraphQL."""
        return self._graphql.account()

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """The live catalog: GPUs, prices with disks, stock."""
        return self._market.offers(query)

    def create(self, order: PodOrder) -> PodRecord:
        """One request. Anything but a clear refusal leaves open whether a pod was made."""
        if order.offer.spot:
            provider_id = self._graphql.rent_spot(order)
            record = PodRecord(provider_id=provider_id, name=order.name, state=ObservedState.PENDING)
        else:
            record = self._create(order)
        self._look.forget()
        return record

    def _create(self, order: PodOrder) -> PodRecord:
        answer = self._http.once("POST", "/v2/pods", content=create_body(order))
        if answer.status not in (requests.codes.created, requests.codes.ok):
            raise create_fault(answer, order.env.values(), retry_after_s=answer.retry_after_s(self._clock.now()))
        try:
            record = pod_record(answer.json or {})
        except ProviderError as error:
            raise Uncertain(f"{error} The order may have made a pod.") from error
        return replace(record, name=order.name)

    def describe(self, provider_id: str) -> PodRecord:
        """How a pod is; its address only when SSH can be had, with the host key if the log tells it."""
        pod = self._look.find(require_pod_id(provider_id))
        address = self._doors.open(pod, self._address(pod))
        why, never = self._why_stopped(pod), self._boot.of(pod)
        return replace(self._record(pod, address, why or never), hopeless=bool(never) and not why)

    def list(self) -> tuple[PodRecord, ...]:
        """Every pod of the account, page by page, or an error."""
        pods = self._look.all()
        return tuple(
            self._record(pod, self._doors.known(pod, self._address(pod)), self._known_why(pod)) for pod in pods
        )

    def _record(self, pod: Mapping[str, Any], address: PodAddress | None, why: str) -> PodRecord:
        return pod_record(pod, address=address, detail=why)

    def _address(self, pod: Mapping[str, Any]) -> PodAddress | None:
        settings = self._settings
        return direct_address(
            pod,
            comfyui_port=settings.remote_comfyui_port or 0,
            comfyui_dir=settings.remote_comfyui_dir or "",
        )

    def _known_why(self, pod: Mapping[str, Any]) -> str:
        return self._why.get(str(pod["id"]), "") if _is_stopped(pod) else ""

    def _why_stopped(self, pod: Mapping[str, Any]) -> str:
        """RunPod's words about a stop, which only GraphQL has; asked once a stop."""
        pod_id = str(pod["id"])
        if not _is_stopped(pod):
            self._why.pop(pod_id, None)
            return ""
        if pod_id not in self._why:
            with suppress(ProviderError):
                self._why[pod_id] = self._graphql.last_status_change(pod_id)
        return self._why.get(pod_id, "")

    def _every(self) -> tuple[dict[str, Any], ...]:
        return read_all(lambda query: self._read("/v2/pods", query, "its pods"), "pods")

    def _one(self, pod_id: str) -> dict[str, Any]:
        answer = self._http.safe("GET", f"/v2/pods/{pod_id}")
        if answer.status != requests.codes.ok:
            raise pod_fault(answer, pod_id, "read")
        return answer.require_json(f"pod {pod_id}")

    def stop(self, provider_id: str) -> None:
        """Stop it; its volume stays, and costs."""
        path = f"/v2/pods/{require_pod_id(provider_id)}/action"
        try:
            answer = self._http.safe("POST", path, content={"action": "stop"})
        finally:
            self._look.forget()
        if 200 <= answer.status < 300 or (answer.status == 409 and self._status(provider_id) in _DOWN):
            return
        raise pod_fault(answer, provider_id, "stopped")

    def start(self, provider_id: str) -> None:
        """Start it, once; where and with which host key it is reached is read anew afterwards."""
        if self._status(require_pod_id(provider_id)) in _UP:
            return
        self._doors.started(provider_id)
        try:
            answer = self._http.once("POST", f"/v2/pods/{provider_id}/action", content={"action": "start"})
        finally:
            self._look.forget()
        if 200 <= answer.status < 300 or (answer.status == 409 and self._status(provider_id) in _UP):
            return
        if answer.status >= 500 or not answer.is_of_runpod:
            raise Uncertain(f"RunPod answered {answer.words} to the start of pod {provider_id}: it may run.")
        raise pod_fault(answer, provider_id, "started")

    def _status(self, provider_id: str) -> str:
        return str(self._one(provider_id).get("status")).upper()

    def terminate(self, provider_id: str) -> None:
        """Delete it; it is gone when RunPod says so. What was made by nobody is gone, too."""
        path = f"/v2/pods/{require_pod_id(provider_id)}"
        try:
            answer = self._http.safe("DELETE", path)
        finally:
            self._look.forget()
        if not (200 <= answer.status < 300 or answer.status == 404):
            raise pod_fault(answer, provider_id, "terminated")
        self._doors.forget(provider_id)
        self._why.pop(provider_id, None)

    def adopt(self, provider_id: str) -> None:
        """Nothing is to be done at RunPod but to see that it is there."""
        self._one(require_pod_id(provider_id))

    def logs(self, provider_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the container and of the platform."""
        if lines <= 0:
            return ()
        with suppress(Gone):
            return tuple(line.text for line in self._log_lines(provider_id, lines))[-lines:]
        return ()

    def _log_lines(self, provider_id: str, lines: int, *, source: str | None = None) -> tuple[LogLine, ...]:
        """The past of the log, which ends where the stream is quiet.

        Raises:
            Gone: there is no such pod.
            ProviderError: it could not be read.
        """
        query = {"tail": str(min(lines, MOST_LINES)), **({"source": source} if source else {})}
        path = f"/v2/pods/{require_pod_id(provider_id)}/logs"
        with closing(self._http.open_stream(path, query)) as response:
            if response.status_code == requests.codes.ok:
                return tuple(read_events(past_lines(response)))
            answer = Answer(response.status_code, response.headers, response.content)
        raise pod_fault(answer, provider_id, "asked for its log")

    def billing(self, since: datetime) -> tuple[Stretch, ...]:
        """Rows of an hour each, of pods and of network volumes; the newest hours are missing for a while."""
        query = billing_query(since, self._clock.now())
        rows = [
            row
            for path, is_volume in ((PODS, False), (VOLUMES, True))
            for row in read_rows(self._read(path, query, "its bill"), since, is_volume=is_volume)
        ]
        return tuple(sorted(rows, key=lambda row: row.start))

    def close(self) -> None:
        """Close connections. Pods run on."""
        self._http.close()


def _is_stopped(pod: Mapping[str, Any]) -> bool:
    return str(pod.get("status")).upper() in _DOWN


def make(settings: Settings, clock: Clock) -> RunPodProvider:
    """The entry point. Touches no network, and wants no key yet."""
    return RunPodProvider(settings, clock=clock)
