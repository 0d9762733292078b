"""The gate before both APIs: who asks, how often, and which fault strikes. It also notes every request."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from aiohttp import web
from graphql import GraphQLError, OperationDefinitionNode, parse
from graphql.language import FieldNode

from tests.fakes.runpod_core import Arrival, Core, monotonic_s
from tests.fakes.runpod_facts import OPAQUE
from tests.fakes.runpod_faults import Armed, Stage
from tests.fakes.runpod_settings import RefusedError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ARRIVAL = "arrival"
_ACCOUNT = "account"
_FREE_OPERATIONS = {"gpuTypes"}  # 2.1: answers without credentials
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
}
_502 = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_1010 = "<html><head><title>Access denied</title></head><body>error code: 1010</body></html>"
_POD_ID = re.compile(r'"?\bpodId"?\s*:\s*"([^"]+)"')
_WINDOWS = (("minute", 60), ("hour", 3600))


def problem(status: int, detail: str, errors: list[str] | None = None) -> web.Response:
    """An error of REST v2 (3.2)."""
    body: dict[str, Any] = {"title": _TITLES.get(status, "Error"), "status": status, "detail": detail}
    if errors:
        body["errors"] = errors
    return web.json_response(body, status=status, content_type="application/problem+json")


class Limiter:
    """A sliding window of service time over the requests that were let through (3.2)."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._times: deque[float] = deque()

    def _quota(self, window: str) -> int:
        return self._core.settings.rate_per_minute if window == "minute" else self._core.settings.rate_per_hour

    def wait_s(self) -> tuple[str, float] | None:
        """The window that is full, and when there is room in it; None when the request may pass, and counts."""
        now = self._core.now()
        while self._times and self._times[0] <= now - _WINDOWS[-1][1]:
            self._times.popleft()
        for window, length_s in _WINDOWS:
            inside = [at for at in self._times if at > now - length_s]
            if len(inside) >= self._quota(window):
                return window, max(1.0, inside[0] + length_s - now)
        self._times.append(now)
        return None

    def headers(self) -> dict[str, str]:
        now = self._core.now()
        left = []
        for window, length_s in _WINDOWS:
            inside = [at for at in self._times if at > now - length_s]
            reset_s = int(inside[0] + length_s - now) if inside else length_s
            left.append(f'"{window}";r={max(0, self._quota(window) - len(inside))};t={reset_s}')
        policy = [f'"{window}";q={self._quota(window)};w={length_s}' for window, length_s in _WINDOWS]
        return {"RateLimit": ", ".join(left), "RateLimit-Policy": ", ".join(policy)}


class Gate:
    """Middleware of the service."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._limiter = Limiter(core)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        arrival = await self._note(request)
        if request.path.startswith("/v1"):
            response: web.StreamResponse = problem(410, "REST API v1 has been retired. Use v2.")  # 0, 7.3
        else:
            response = await self._pass(request, handler, arrival)
        arrival.status = response.status
        if not response.prepared:
            response.headers["x-request-id"] = uuid4().hex
            if request.path.startswith("/v2"):
                response.headers.update(self._limiter.headers())
        return response

    async def _note(self, request: web.Request) -> Arrival:
        resource = request.match_info.route.resource
        path = resource.canonical if resource is not None else request.path
        arrival = Arrival(
            route=f"{request.method} {path}",
            method=request.method,
            path=request.path,
            query=request.query_string,
            at=self._core.now(),
            monotonic_s=monotonic_s(),
            user_agent=request.headers.get("User-Agent", ""),
            who=self._who(request),
        )
        self._core.arrive(arrival)  # before the body is read: it has arrived
        try:
            arrival.body = json.loads(await request.read() or b"null")
        except ValueError:
            arrival.body = None
        if request.path.rstrip("/") == "/graphql" and isinstance(arrival.body, dict):
            arrival.operations = operations(arrival.body.get("query"))
        request[ARRIVAL] = arrival
        return arrival

    def _who(self, request: web.Request) -> str | None:
        """3.2: only a bearer token counts; one in the URL does not any more (1.3)."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        if token == self._core.account.api_key:
            return None if self._core.settings.key_revoked else _ACCOUNT
        return next((pod.id for pod in self._core.account.pods.values() if pod.key == token), None)

    async def _pass(self, request: web.Request, handler: Handler, arrival: Arrival) -> web.StreamResponse:
        if arrival.user_agent.startswith("Python-urllib"):
            return _page(403, _1010)  # 5: before anything looks at the key
        routes = (arrival.route, *arrival.operations)
        pod = request.match_info.get("id") or graphql_pod_id(arrival.body)
        await self._core.pause(self._core.settings.latency_s, lambda: _is_gone(request))
        if (fault := self._core.faults.take(Stage.BEFORE, routes, [pod or ""])) is not None:
            arrival.faults.append(fault.fault)
            if (answer := await self._instead(request, fault, arrival)) is not None:
                return answer
        self._core.settle()
        arrival.faults += self._core.strike(routes)
        if (refusal := self._refusal(request, arrival)) is not None:
            return refusal
        response = await self._handled(request, handler)
        self._core.settle()
        if (fault := self._core.faults.take(Stage.AFTER, routes, [pod or ""])) is not None:
            arrival.faults.append(fault.fault)
            return await self._after(request, fault, arrival, response)
        return response

    def _refusal(self, request: web.Request, arrival: Arrival) -> web.Response | None:
        if request.path.rstrip("/") == "/graphql":
            is_free = bool(arrival.operations) and set(arrival.operations) <= _FREE_OPERATIONS
            if arrival.who is None and not (is_free and "Authorization" not in request.headers):
                return _json_error(401, "Unauthorized")  # 7.2
            return None
        if arrival.who is None:
            has_token = request.headers.get("Authorization", "").lower().startswith("bearer ")
            return problem(401, "invalid bearer token" if has_token else "missing bearer token")
        if (full := self._limiter.wait_s()) is not None:
            answer = problem(429, f"rate limit exceeded for the {full[0]} window")
            answer.headers["Retry-After"] = str(int(full[1] + 0.999))
            return answer
        return None

    async def _handled(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RefusedError as error:
            return problem(error.status, error.detail, list(error.errors))
        except web.HTTPMethodNotAllowed as error:
            answer = problem(405, "The requested method is not allowed for this path.")
            answer.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
            return answer
        except web.HTTPNotFound:
            return problem(404, "resource not found")

    async def _instead(self, request: web.Request, fault: Armed, arrival: Arrival) -> web.StreamResponse | None:
        """What is answered instead of acting; None: it acts after all, later."""
        is_graphql = bool(arrival.operations)
        if fault.fault == "hang_before":
            await self._core.pause(fault.seconds or 0.0, lambda: _is_gone(request))
            return _cut(request) if _is_gone(request) else None  # who has given up before it acted, gets nothing
        if fault.fault == "cut_before":
            return _cut(request)
        if fault.fault in ("html_502", "cloudflare_1010"):
            return _page(502, _502) if fault.fault == "html_502" else _page(403, _1010)
        if fault.fault == "null_data":
            return web.json_response({"data": dict.fromkeys(arrival.operations)})
        if fault.fault == "opaque_error":
            return _opaque(arrival)
        status = {"error_500": 500, "rate_limited": 429, "unauthorized": 401, "forbidden": 403}[fault.fault]
        if is_graphql:
            answer = _json_error(status, _TITLES[status], with_errors=status == 429)
        else:
            answer = problem(status, _TITLES[status])
        if status == 429:
            answer.headers["Retry-After"] = str(int(fault.seconds or 1))
        return answer

    async def _after(
        self, request: web.Request, fault: Armed, arrival: Arrival, response: web.StreamResponse
    ) -> web.StreamResponse:
        """What is answered although it acted."""
        if fault.fault == "cut_after":
            return _cut(request)
        if fault.fault == "html_502_after":
            return _page(502, _502)
        if fault.fault == "opaque_error_after":
            return _opaque(arrival)
        if fault.fault == "error_500_after":
            return _json_error(500, "Internal Server Error") if arrival.operations else problem(500, OPAQUE)
        await self._core.pause(fault.seconds or 0.0, lambda: _is_gone(request))
        return response


def _is_gone(request: web.Request) -> bool:
    """Whether the client has hung up."""
    return request.transport is None or request.transport.is_closing()


def _page(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html")


def _json_error(status: int, message: str, *, with_errors: bool = False) -> web.Response:
    """GraphQL's other answers: JSON without ``data``, and without ``errors`` but for 429 (1.3)."""
    body = {"errors": [{"message": message}]} if with_errors else {"message": message}
    return web.json_response(body, status=status)


def _opaque(arrival: Arrival) -> web.Response:
    if not arrival.operations:
        return problem(500, OPAQUE)
    errors = [{"message": OPAQUE, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]
    return web.json_response({"data": dict.fromkeys(arrival.operations), "errors": errors})


def _cut(request: web.Request) -> web.Response:
    """Cut the connection: no answer reaches anybody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


def operations(query: object) -> tuple[str, ...]:
    """Names of the top-level fields of a GraphQL document; ``?`` when it cannot be read."""
    if not isinstance(query, str):
        return ("?",)
    try:
        document = parse(query, no_location=True)
    except GraphQLError:
        return ("?",)
    return tuple(
        field.name.value
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode)
        for field in definition.selection_set.selections
        if isinstance(field, FieldNode)
    )


def graphql_pod_id(body: object) -> str | None:
    """The pod that a GraphQL request names, in its variables or in the query itself."""
    if not isinstance(body, dict):
        return None
    found = _POD_ID.search(json.dumps(body.get("variables"))) or _POD_ID.search(str(body.get("query")))
    return found.group(1) if found else None
