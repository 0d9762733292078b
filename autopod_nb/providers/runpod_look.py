"""One look at the account serves all who ask for a pod: a list when several ask, a pod of its own when one does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from autopod_nb.errors import ProviderError

Pod = Mapping[str, Any]
TOGETHER_S = 1.0
"""Who asks within this time of another shares a list with it."""


class PodLook:
    """Reads pods, no more often than the service can bear for ever. Thread-safe.

    Times are of this machine, as they are about calls over the network.

    Args:
        one: reads one pod, or raises Gone.
        every: reads all pods, whole or not at all.
        pace_s: how old an answer may be because of rate limits.
    """

    def __init__(
        self, *, one: Callable[[str], Pod], every: Callable[[], tuple[Pod, ...]], pace_s: Callable[[], float]
    ) -> None:
        self._one = one
        self._every = every
        self._pace_s = pace_s
        self._lock = threading.Lock()
        self._list_lock = threading.Lock()
        self._seen: dict[str, tuple[Pod, float]] = {}
        self._asked: dict[str, float] = {}
        self._listed_s = float("-inf")
        self._changes = 0

    def find(self, pod_id: str) -> Pod:
        """The pod, as it is or was a moment ago.

        Raises:
            Gone: RunPod says that there is none; that a list lacks it is not believed.
            ProviderError: it could not be read.
        """
        with self._lock:
            now_s = time.monotonic()
            found = self._fresh(pod_id, now_s, self._pace_s())
            others = any(at > now_s - TOGETHER_S for other, at in self._asked.items() if other != pod_id)
            self._asked = {each: at for each, at in self._asked.items() if at > now_s - TOGETHER_S}
            self._asked[pod_id] = now_s
            changes = self._changes
        if found is None and others:
            found = self._shared(pod_id)
        if found is None:
            found = self._one(pod_id)
            with self._lock:
                if changes == self._changes:
                    self._seen[pod_id] = (found, time.monotonic())
        return found

    def _fresh(self, pod_id: str, now_s: float, most_s: float) -> Pod | None:
        pod, at = self._seen.get(pod_id, (None, 0.0))
        return pod if now_s - at < most_s else None

    def _shared(self, pod_id: str) -> Pod | None:
        """From a list that is young, or read now by one for all; None if it does not hold the pod."""
        with self._list_lock:
            with self._lock:
                most_s = max(TOGETHER_S, self._pace_s())
                is_young = time.monotonic() - self._listed_s < most_s
                known = self._fresh(pod_id, time.monotonic(), most_s) if is_young else None
            if known is not None or is_young:
                return known
            try:
                self.all()
            except ProviderError:
                return None  # a single pod can perhaps be read
            with self._lock:
                return self._fresh(pod_id, time.monotonic(), most_s)

    def all(self) -> tuple[Pod, ...]:
        """Every pod, read now.

        Raises:
            ProviderError: the list is not whole.
        """
        with self._lock:
            changes = self._changes
        began_s = time.monotonic()
        pods = self._every()
        with self._lock:
            if changes == self._changes:
                self._seen = {str(pod["id"]): (pod, began_s) for pod in pods}
                self._listed_s = began_s
        return pods

    def forget(self) -> None:
        """Something was changed: what was read before, or is being read just now, does not count any more."""
        with self._lock:
            self._changes += 1
            self._seen.clear()
            self._listed_s = float("-inf")
