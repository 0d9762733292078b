"""Why a pod does not come up, in the platform's own words, which only its log has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from autopod_nb.errors import ProviderError
from autopod_nb.providers.runpod_log import LogLine, fatal_line

_PATIENCE_S = 30.0  # most pods are up sooner; a guess
_ASK_EVERY_S = 20.0  # a read of the log takes a while and counts towards the rate limit; a guess
_BOOTS = ("PROVISIONING", "STARTING", "RUNNING")


class BootWords:
    """Reads the platform's log of pods that take long. Thread-safe.

    Args:
        log: reads the past of the platform's log of a pod.
        patience_s: a pod that is looked at for this long without coming up takes long.
        ask_every_s: how often the log is read then.
    """

    def __init__(
        self,
        log: Callable[[str], tuple[LogLine, ...]],
        *,
        patience_s: float = _PATIENCE_S,
        ask_every_s: float = _ASK_EVERY_S,
    ) -> None:
        self._log = log
        self._patience_s = patience_s
        self._ask_every_s = ask_every_s
        self._lock = threading.Lock()
        self._ask_s: dict[str, float] = {}
        self._words: dict[str, str] = {}

    def of(self, pod: Mapping[str, Any]) -> str:
        """The line that says that it will never come up, such as an image that cannot be had; empty if there is none.

        RunPod itself tries for ever, and bills: whoever waits gives up by this, or by the time allowed for a boot.
        """
        pod_id, now_s = str(pod["id"]), time.monotonic()
        with self._lock:
            if str(pod.get("status")).upper() not in _BOOTS or pod.get("runtime") is not None:
                self._ask_s.pop(pod_id, None)
                self._words.pop(pod_id, None)
                return ""
            if now_s < self._ask_s.setdefault(pod_id, now_s + self._patience_s):
                return self._words.get(pod_id, "")
            self._ask_s[pod_id] = now_s + self._ask_every_s
        try:
            words = fatal_line(self._log(pod_id))
        except ProviderError:
            return ""
        with self._lock:
            self._words[pod_id] = words
        return words
