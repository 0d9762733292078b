"""REST v2: pods (3.2, 3.3)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from typing import Any

from aiohttp import web

from tests.fakes.runpod_bodies import ACTION, check, order_of, patched
from tests.fakes.runpod_core import Arrival, Core
from tests.fakes.runpod_faults import Armed, Stage
from tests.fakes.runpod_gate import ARRIVAL
from tests.fakes.runpod_log import Line
from tests.fakes.runpod_look import rest_pod
from tests.fakes.runpod_pod import ACTIONS, Intent, Pod
from tests.fakes.runpod_settings import RefusedError

_LOG_POLL_S = 0.05
_MOST_LINES, _USUAL_LINES = 5000, 100  # 3.3
_SOURCES = ("container", "system")


class PodRoutes:
    """Routes for pods."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/pods", self._list),
            web.post("/v2/pods", self._create),
            web.get("/v2/pods/{id}", self._get),
            web.patch("/v2/pods/{id}", self._patch),
            web.delete("/v2/pods/{id}", self._delete),
            web.post("/v2/pods/{id}/action", self._action),
            web.get("/v2/pods/{id}/logs", self._logs),
        ]

    def _pod(self, request: web.Request, *, to_change: bool) -> Pod:
        """The pod that a request names.

        Raises:
            RefusedError: 403 for a key that may not (4.6), 404 when there is none.
        """
        arrival: Arrival = request[ARRIVAL]
        pod_id = request.match_info["id"]
        rights = self._core.settings.pod_key_rights
        is_allowed = arrival.who == pod_id and (rights == "own" or (rights == "read" and not to_change))
        if arrival.who != "account" and not is_allowed:
            raise RefusedError(403, "access denied")
        pod = self._core.account.find(pod_id, self._core.now())
        if pod is None or (to_change and pod.intent is Intent.TERMINATED):
            raise RefusedError(404, "resource not found")
        return pod

    async def _create(self, request: web.Request) -> web.Response:
        arrival = account_only(request)
        pod = self._core.create(order_of(arrival.body, self._core.account), (arrival.route,))
        return web.json_response(rest_pod(self._core.look(pod)), status=201)

    async def _get(self, request: web.Request) -> web.Response:
        pod = self._pod(request, to_change=False)
        return web.json_response(rest_pod(self._core.look(pod, (request[ARRIVAL].route,))))

    async def _list(self, request: web.Request) -> web.Response:
        arrival = account_only(request)
        shown = self._core.account.listed(self._core.now())
        faults = {f.fault: f for f in self._core.faults.take_all(Stage.LIST, (arrival.route,), [p.id for p in shown])}
        if "list_empty" in faults:
            shown = []
        if (omits := faults.get("list_omits")) is not None:
            shown = _without(shown, omits)
        start = _offset(request.query.get("cursor"))
        if "list_shifts" in faults:
            start = max(0, start - 1)
        most = self._core.settings.page_size
        length = _whole(request, "limit", most, 1, most)
        page = [rest_pod(self._core.look(pod, (arrival.route,))) for pod in shown[start : start + length]]
        body: dict[str, Any] = {"pods": page}
        if "list_without_pagination" not in faults:
            body["pagination"] = _pagination(start + length, len(shown), faults, request.query.get("cursor"))
        return web.json_response(body)

    async def _patch(self, request: web.Request) -> web.Response:
        pod = self._pod(request, to_change=True)
        account_only(request)  # 4.6: the injected key may not rename
        body = request[ARRIVAL].body
        order, is_reset = patched(pod, body)
        if is_reset:
            self._core.account.check_lock(pod)
        now, before, pod.order = self._core.now(), pod.order, order
        if pod.intent is Intent.RUNNING:
            if is_reset:
                self._core.account.restart(pod, now)
            elif "22/tcp" in order.ports and "22/tcp" not in before.ports:
                self._core.account.new_port(pod)  # 3.3: takes effect in seconds, without a restart
        pod.locked = body.get("locked", pod.locked)
        if (order.disk_gb, order.persistent_gb) != (before.disk_gb, before.persistent_gb):
            pod.bill(now)
        return web.json_response(rest_pod(self._core.look(pod)))

    async def _delete(self, request: web.Request) -> web.Response:
        self._core.account.terminate(self._pod(request, to_change=True), self._core.now())
        return web.Response(status=204)

    async def _action(self, request: web.Request) -> web.Response:
        pod = self._pod(request, to_change=True)
        arrival: Arrival = request[ARRIVAL]
        action, now = check(arrival.body, ACTION, ("action",))["action"], self._core.now()
        status = pod.status(now, self._core.settings.provision_s)
        if action not in ACTIONS[status]:
            raise RefusedError(409, f"The action {action} is not valid for a pod that is {status}.")
        if action == "terminate":
            self._core.account.terminate(pod, now)
            return web.Response(status=204)
        if action == "start":
            self._core.start(pod, (arrival.route,))
        elif action == "stop":
            self._core.account.stop(pod, now)
        else:
            self._core.account.restart(pod, now)
        return web.json_response(rest_pod(self._core.look(pod)))

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events; the stream stays open, and its backlog has no end mark (3.3)."""
        pod = self._pod(request, to_change=False)
        source = request.query.get("source")
        if source is not None and source not in _SOURCES:
            raise RefusedError(422, "Request validation failed: 'source' is not valid")
        lines = self._backlog(request, pod, source)
        last = pod.log.lines[-1].at if pod.log.lines else 0.0
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the reader has gone
            await self._stream(request, response, pod, lines=lines, last=last)
        return response

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, pod: Pod, *, lines: list[Line], last: float
    ) -> None:
        """Write the backlog, and then what comes after the line of time *last*, until reader or pod are gone."""
        while pod.intent is not Intent.TERMINATED:
            for line in lines:
                await response.write(line.event())
            await asyncio.sleep(_LOG_POLL_S)
            self._core.settle()
            if request.transport is None or request.transport.is_closing():
                break
            lines = [each for each in pod.log.of(request.query.get("source")) if each.at > last]
            last = pod.log.lines[-1].at if pod.log.lines else last

    @staticmethod
    def _backlog(request: web.Request, pod: Pod, source: str | None) -> list[Line]:
        """3.3: Last-Event-ID goes before since, which goes before tail; it does not repeat its own line."""
        if (last := request.headers.get("Last-Event-ID")) is not None:
            return pod.log.since(last, source=source, inclusive=False)
        if (since := request.query.get("since")) is not None:
            return pod.log.since(since, source=source, inclusive=True)
        tail = _whole(request, "tail", _USUAL_LINES, 0, _MOST_LINES)
        return pod.log.of(source)[-tail:] if tail else []


def account_only(request: web.Request) -> Arrival:
    """The request, when it carries the account's key.

    Raises:
        RefusedError: 403.
    """
    arrival: Arrival = request[ARRIVAL]
    if arrival.who != "account":
        raise RefusedError(403, "access denied")
    return arrival


def _without(pods: list[Pod], fault: Armed) -> list[Pod]:
    """All but the pod of a fault, which is the newest where it names none."""
    gone = fault.pod or (pods[0].id if pods else None)
    return [pod for pod in pods if pod.id != gone]


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"pods:{offset}".encode()).decode()


def _offset(cursor: str | None) -> int:
    """Cursors count, so that pages shift when pods come or go between two of them (5)."""
    if not cursor:
        return 0
    try:
        kind, _, number = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if kind == "pods":
            return int(number)
    except (ValueError, binascii.Error):
        pass
    raise RefusedError(422, "Request validation failed: 'cursor' is not valid")


def _pagination(end: int, count: int, faults: dict[str, Armed], cursor: str | None) -> dict[str, Any]:
    if "list_repeats_cursor" in faults:
        return {"nextCursor": cursor or _cursor(0), "hasNextPage": True}
    if "list_inconsistent" in faults:
        return {"nextCursor": None, "hasNextPage": True}
    has_next = end < count
    return {"nextCursor": _cursor(end) if has_next else None, "hasNextPage": has_next}


def _whole(request: web.Request, name: str, usual: int, least: int, most: int) -> int:
    """A whole number of the query.

    Raises:
        RefusedError: 422.
    """
    text = request.query.get(name)
    if text is None:
        return usual
    if not text.lstrip("-").isdigit() or not least <= int(text) <= most:
        raise RefusedError(422, f"Request validation failed: '{name}' must be from {least} to {most}")
    return int(text)
