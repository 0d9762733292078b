"""Where a browser finds the ComfyUI of each pod: one proxy a pod, for as long as the pod lives."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import Protocol

from autopod_nb.errors import UsageError, nearest
from autopod_nb.models.snapshot import PodView, Snapshot
from autopod_nb.threads import ServiceThread
from autopod_nb.web.gui_proxy import GuiProxy


class HasSnapshot(Protocol):
    """What is needed of a session."""

    @property
    def snapshot(self) -> Snapshot:
        """The newest; never blocks."""
        ...


@dataclass(frozen=True, slots=True)
class GuiPlace:
    """Where ComfyUI of a pod is, on the machine of this Python.

    Attributes:
        pod_id: whose.
        port: of our proxy on 127.0.0.1.
        prefix: what the path begins with, ``/SECRET/``; the repr does not show it.
    """

    pod_id: str
    port: int
    prefix: str = field(repr=False)


class GuiPlaces:
    """The proxies of a session. Any thread.

    Args:
        session: says which pods there are.
    """

    def __init__(self, session: HasSnapshot) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._proxies: dict[str, GuiProxy] = {}
        self._closed = False

    def open(self, pod_id: str, *, origin: str = "") -> GuiPlace:
        """Make the way to a pod's ComfyUI, or give the one that is there.

        Args:
            pod_id: the pod.
            origin: ``location.origin`` of the page that asks, if one does; one that cannot be told from others, such
                as ``null``, is left out.

        Raises:
            UsageError: no such pod, it has no tunnel yet, or it is gone.
        """
        port = self._port_of(pod_id)
        old = None
        with self._lock:
            if self._closed:
                raise UsageError("The session is closed: `%autopod connect` begins another.")
            proxy = self._proxies.get(pod_id)
            if proxy is None or proxy.upstream_port != port:
                old, proxy = proxy, _proxy_to(port, pod_id)
                self._proxies[pod_id] = proxy
        if old is not None:
            old.close()
        if origin:
            with contextlib.suppress(ValueError):
                proxy.allow_origin(origin)
        return GuiPlace(pod_id, proxy.port, proxy.prefix)

    def sweep_later(self) -> None:
        """Close the proxies of pods that are over, in a thread of its own: connections may need a while to end."""
        ServiceThread("autopod-gui-sweep", lambda _: self.sweep(self._session.snapshot)).start()

    def sweep(self, snapshot: Snapshot) -> None:
        """Close the proxies of pods that are over. Waits for their connections to end; cheap when there are none."""
        with self._lock:
            gone = [name for name in self._proxies if name not in snapshot.pods or snapshot.pods[name].over]
            proxies = [self._proxies.pop(name) for name in gone]
        for proxy in proxies:
            proxy.close()

    def close(self) -> None:
        """Close all, for good. Safe to call twice."""
        with self._lock:
            self._closed = True
            proxies = list(self._proxies.values())
            self._proxies.clear()
        for proxy in proxies:
            proxy.close()

    def _port_of(self, pod_id: str) -> int:
        pods = self._session.snapshot.pods
        pod: PodView | None = pods.get(pod_id)
        if pod is None:
            raise UsageError(f"No pod {pod_id!r}.{nearest(pod_id, pods)} `%autopod status` lists them.")
        if pod.over:
            raise UsageError(f"Pod {pod_id} is gone, and its ComfyUI with it: `%autopod connect` rents another.")
        if pod.local_port is None:
            raise UsageError(f"Pod {pod_id} has no tunnel yet ({pod.state.value}): `%autopod wait` waits for it.")
        return pod.local_port


def _proxy_to(port: int, pod_id: str) -> GuiProxy:
    try:
        return GuiProxy(port)
    except OSError as error:
        raise UsageError(
            f"No local port for the page of pod {pod_id}: {error.strerror}. Close some programs."
        ) from error
