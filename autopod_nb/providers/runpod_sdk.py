"""Pods at RunPod by its official package ``runpod``, for accounts that need it.

The package rents, reads, stops, starts and ends pods. What it cannot do (offers with stock, balance, bill, log) is
asked of REST v2 and our own GraphQL, as the provider ``runpod`` does it. The package speaks GraphQL, whose end RunPod
has announced for 2027.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from autopod_nb.clock import Clock, Deadline, SystemClock
from autopod_nb.config import Secret, Settings
from autopod_nb.errors import Gone, ProviderError, Uncertain, UsageError
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.models.pod import ObservedState, PodRecord
from autopod_nb.models.reconciliation import Stretch
from autopod_nb.providers.base import Account, Capabilities, PodOrder
from autopod_nb.providers.runpod import RunPodProvider
from autopod_nb.providers.runpod_http import DEFAULT_BASE_URL
from autopod_nb.providers.runpod_key import key_source, require_key
from autopod_nb.providers.runpod_look import PodLook
from autopod_nb.providers.runpod_pods import direct_address, pod_record, require_pod_id
from autopod_nb.providers.runpod_sdk_faults import call_fault, known_fault, order_fault
from autopod_nb.providers.runpod_sdk_pods import as_rest, create_arguments, escaped, gpu_count
from autopod_nb.providers.runpod_sdk_process import SdkProcess

NAME = "runpod_sdk"
_FATE = "A pod at RunPod runs, and is paid for, until it is stopped or terminated: nothing there ends it by itself."
_UP = ("PROVISIONING", "STARTING", "RUNNING")
_TRIES = 3


class RunPodSdkProvider:
    """An account at RunPod, through the official package. Thread-safe.

    Args:
        settings: key, base address, and what a pod is like when nobody says.
        clock: the time of bills and pauses.
        start_s: until the package is imported in its process.
        call_s: for one call of it.
        retry_pause_s: before what is asked a second time; doubles, with jitter.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        start_s: float = 45.0,
        call_s: float = 45.0,
        retry_pause_s: float = 0.5,
    ) -> None:
        base_url = (settings.api_base_url or os.environ.get("RUNPOD_API_BASE_URL") or DEFAULT_BASE_URL).rstrip("/")
        base_url = base_url.removesuffix("/v2").removesuffix("/graphql")
        self.name = NAME
        self._settings = settings
        self._clock = clock
        self._call_s = call_s
        self._retry_pause_s = retry_pause_s
        self._key_lock = threading.Lock()
        self._secret: Secret | None = None
        self._closing = threading.Event()
        self._process = SdkProcess(self._key, base_url=base_url, start_s=start_s, call_s=call_s)
        self._beside = RunPodProvider(settings, clock=clock)
        self._look = PodLook(one=self._one, every=self._every, pace_s=lambda: 0.0)  # GraphQL tells no rate limits
        self.capabilities = Capabilities(can_stop=True, can_bill=True, fate=_FATE, outlives=True, watchdog_url=base_url)

    @property
    def pid(self) -> int | None:
        """The process that has the package, if it runs."""
        return self._process.pid

    def _key(self) -> Secret:
        with self._key_lock:
            if self._secret is None:
                self._secret = require_key(self._settings)
            return self._secret

    def authenticate(self) -> None:
        """Read the account's own entry, which needs the key."""
        if not isinstance(self._safe("get_user", "read the account"), dict):
            raise ProviderError("RunPod did not tell whose key that is.")

    def credentials(self) -> str:
        """Where the key was found."""
        return key_source(self._settings)

    def account(self) -> Account:
        """Balance, spend and spend limit, by GraphQL of our own."""
        return self._beside.account()

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """The live catalog of REST v2, without spot pods."""
        if query.spot:
            raise UsageError("The package runpod rents no spot pods: leave --spot out, or take the provider runpod.")
        return tuple(replace(offer, provider=self.name) for offer in self._beside.offers(query))

    def create(self, order: PodOrder) -> PodRecord:
        """One call, which is two or three requests of which the last one rents."""
        reply = self._process.call("create_pod", create_arguments(order))
        self._look.forget()
        if reply.failure is not None:
            hidden = [text for value in order.env.values() for text in (value, escaped(value))]
            raise order_fault(reply.failure, hidden)
        pod = reply.result
        if not isinstance(pod, dict) or not isinstance(pod.get("id"), str) or not pod["id"]:
            raise Uncertain("RunPod answered the order without a pod: it may have made one.")
        return PodRecord(provider_id=pod["id"], name=order.name, state=ObservedState.PENDING)

    def describe(self, provider_id: str) -> PodRecord:
        """How a pod is. After a start the port of before may be told first, so whoever connects asks again."""
        return self._record(self._look.find(require_pod_id(provider_id)))

    def list(self) -> tuple[PodRecord, ...]:
        """Every pod of the account, or an error."""
        return tuple(self._record(pod) for pod in self._look.all())

    def _record(self, pod: Mapping[str, Any]) -> PodRecord:
        settings = self._settings
        address = direct_address(
            pod, comfyui_port=settings.remote_comfyui_port or 0, comfyui_dir=settings.remote_comfyui_dir or ""
        )
        is_up = str(pod["status"]) in _UP
        return pod_record(pod, address=address, detail="" if is_up else str(pod["change"]))

    def _one(self, pod_id: str) -> dict[str, Any]:
        """A pod by its id. That there is none is believed when the list says so, too: nothing may bill unseen."""
        found = self._safe("get_pod", f"read pod {pod_id}", pod_id=pod_id)
        if found is not None:
            return as_rest(found)
        listed = next((pod for pod in self._every() if pod["id"] == pod_id), None)
        if listed is None:
            raise Gone(f"RunPod has no pod {pod_id} (any more).")
        return listed

    def _every(self) -> tuple[dict[str, Any], ...]:
        found = self._safe("get_pods", "list the pods")
        if not isinstance(found, list):
            raise ProviderError("RunPod's list of pods cannot be read. Ask again; look into its console meanwhile.")
        return tuple(as_rest(pod) for pod in found)

    def _safe(self, call: str, what: str, **given: Any) -> Any:
        """The result of a call that may be carried out twice: repeated while there is hope, at most three times.

        Raises:
            AuthFailed: the key is missing or refused.
            RateLimited: asked too often.
            Gone: there is no such pod.
            ProviderError: no answer, or no good one.
        """
        deadline, failures = Deadline(SystemClock(), self._call_s), 0
        while True:
            reply = self._process.call(call, given)
            if reply.failure is None:
                return reply.result
            failures += 1
            if reply.failure.is_final or failures == _TRIES or deadline.passed:
                raise call_fault(reply.failure, what)
            pause_s = self._retry_pause_s * 2 ** (failures - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            self._clock.wait(self._closing, pause_s)

    def stop(self, provider_id: str) -> None:
        """Stop it; its volume stays, and costs."""
        found = self._change("stop_pod", f"stop pod {provider_id}", require_pod_id(provider_id))
        status = str(found.get("desiredStatus")) if isinstance(found, dict) else "nothing"
        if status not in ("EXITED", "TERMINATED"):
            raise ProviderError(f"RunPod says {status} to the stop of pod {provider_id}.")

    def _change(self, call: str, what: str, pod_id: str) -> Any:
        """A change of a pod that may be asked for twice."""
        try:
            return self._safe(call, what, pod_id=pod_id)
        finally:
            self._look.forget()

    def start(self, provider_id: str) -> None:
        """Start it, once, with as many GPUs as it had."""
        pod = self._one(require_pod_id(provider_id))
        if pod["status"] in _UP:
            return
        reply = self._process.call("resume_pod", {"pod_id": provider_id, "gpu_count": gpu_count(pod)})
        self._look.forget()
        if reply.failure is not None:
            what = f"the start of pod {provider_id}"
            known = known_fault(reply.failure, what, may_be_done=True)
            raise known or Uncertain(f"RunPod gave no answer to {what} ({reply.failure.words}): it may run.")
        if not isinstance(reply.result, dict):
            raise Uncertain(f"RunPod answered the start of pod {provider_id} with nothing: it may run.")

    def terminate(self, provider_id: str) -> None:
        """End it, and look whether it is gone: the package takes any answer without ``errors`` for a success."""
        try:
            self._change("terminate_pod", f"terminate pod {provider_id}", require_pod_id(provider_id))
            left = self._one(provider_id)
        except Gone:
            return
        if left["status"] != "TERMINATED" and "terminated by" not in left["change"].lower():
            raise ProviderError(f"Pod {provider_id} is still {left['status'].lower()}.")

    def adopt(self, provider_id: str) -> None:
        """Nothing is to be done at RunPod but to see that it is there."""
        self._one(require_pod_id(provider_id))

    def logs(self, provider_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the container and of the platform, by REST v2."""
        return self._beside.logs(provider_id, lines)

    def billing(self, since: datetime) -> tuple[Stretch, ...]:
        """Rows of an hour each, by REST v2; the newest hours are missing for a while."""
        return self._beside.billing(since)

    def close(self) -> None:
        """End the process, and what waits between two tries. Pods run on, and a later call starts it again."""
        self._closing.set()
        self._closing = threading.Event()
        self._process.close()
        self._beside.close()


def make(settings: Settings, clock: Clock) -> RunPodSdkProvider:
    """The entry point. Touches no network, starts nothing, and wants no key yet."""
    return RunPodSdkProvider(settings, clock=clock)
