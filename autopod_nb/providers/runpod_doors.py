"""When the SSH address of a pod may be given out, and with which host key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from autopod_nb.errors import ProviderError
from autopod_nb.models.pod import PodAddress
from autopod_nb.providers.runpod_log import LogLine, host_key
from autopod_nb.providers.runpod_pods import moment

_KEY_WITHIN_S = 10.0  # the mapping of the port shows before the start script has printed the key; a guess
_ASK_EVERY_S = 2.5  # a read of the log takes a while and counts towards the rate limit; a guess
_OLD_PORT_S = 30.0  # after a start the port of before may be told first; a guess at how long
_YOUNG_S = 300.0  # a pod that runs longer has printed its key long ago


@dataclass(slots=True)
class _Door:
    """What is known of one run of a pod.

    Attributes:
        run: the times that tell it from other runs.
        seen_s: when its address was seen first.
        ask_s: when the log is to be read next.
        key: the fingerprint, once it was found.
        is_open: whether its address is given out.
    """

    run: str
    seen_s: float
    ask_s: float
    key: str | None = None
    is_open: bool = False


class Doors:
    """Keeps an address back until its host key was looked for, so that one address has one answer. Thread-safe.

    Args:
        log: reads the past of a pod's container log.
        key_within_s: after this an address is given out without a host key.
        ask_every_s: how often the log is read until then.
    """

    def __init__(
        self,
        log: Callable[[str], tuple[LogLine, ...]],
        *,
        key_within_s: float = _KEY_WITHIN_S,
        ask_every_s: float = _ASK_EVERY_S,
    ) -> None:
        self._log = log
        self._key_within_s = key_within_s
        self._ask_every_s = ask_every_s
        self._lock = threading.Lock()
        self._doors: dict[str, _Door] = {}
        self._last: dict[str, tuple[str, int]] = {}
        self._old: dict[str, tuple[tuple[str, int], float]] = {}

    def known(self, pod: Mapping[str, Any], address: PodAddress | None) -> PodAddress | None:
        """The address as it was given out before; asks nobody."""
        with self._lock:
            door = self._doors.get(str(pod["id"]))
            if address is None or door is None or not door.is_open or door.run != _run(pod):
                return None
            return replace(address, host_key_sha256=door.key)

    def open(self, pod: Mapping[str, Any], address: PodAddress | None) -> PodAddress | None:
        """The address with its host key; None as long as it is to be waited for. May read the log."""
        if address is None or self._is_old(str(pod["id"]), address):
            return None
        given = self.known(pod, address)
        if given is not None:
            return given
        pod_id, run, now_s = str(pod["id"]), _run(pod), time.monotonic()
        with self._lock:
            door = self._doors.get(pod_id)
            if door is None or door.run != run:
                door = self._doors[pod_id] = _Door(run, now_s, now_s)
            if now_s < door.ask_s:
                return None
            door.ask_s = now_s + self._ask_every_s  # set before it is read, so that one thread reads it
        key = self._key(pod_id, pod)
        with self._lock:
            door.key = door.key or key
            door.is_open = door.key is not None or now_s - door.seen_s > self._key_within_s or _is_grown_up(pod)
            self._last[pod_id] = (address.host, address.port)
        return self.known(pod, address)

    def _key(self, pod_id: str, pod: Mapping[str, Any]) -> str | None:
        try:
            return host_key(self._log(pod_id), moment(pod.get("startedAt")) or moment(pod.get("createdAt")))
        except ProviderError:
            return None

    def started(self, pod_id: str) -> None:
        """A pod was started again: its last address is not believed for a while, and its key is another one."""
        with self._lock:
            self._doors.pop(pod_id, None)
            if pod_id in self._last:
                self._old[pod_id] = (self._last.pop(pod_id), time.monotonic() + _OLD_PORT_S)

    def _is_old(self, pod_id: str, address: PodAddress) -> bool:
        with self._lock:
            old, until_s = self._old.get(pod_id, (None, 0.0))
            is_old = old == (address.host, address.port) and time.monotonic() < until_s
            if not is_old:
                self._old.pop(pod_id, None)
            return is_old

    def forget(self, pod_id: str) -> None:
        """A pod is gone."""
        with self._lock:
            self._doors.pop(pod_id, None)
            self._last.pop(pod_id, None)
            self._old.pop(pod_id, None)


def _run(pod: Mapping[str, Any]) -> str:
    return f"{pod.get('startedAt')} {pod.get('ssh', {}).get('direct', {}).get('port')}"


def _is_grown_up(pod: Mapping[str, Any]) -> bool:
    runtime = pod.get("runtime")
    uptime = runtime.get("uptime") if isinstance(runtime, dict) else None
    return isinstance(uptime, int) and uptime > _YOUNG_S
