"""Which headers pass between browser and pod. Pure.

Both ways by a list of what may pass, for nobody can list all names of secrets. **To the pod**: what its server reads
(content, caching, ranges, its own user header). What stays here: Cookie and Authorization (the Jupyter login; cookies
ignore ports), X-XSRFToken, Origin and Referer (they hold the secret prefix or the notebook's address), Forwarded,
X-Forwarded-* and Sec-Fetch-* (a newer ComfyUI refuses a frame because of them). **To the browser**: what describes
the content. What stays here: Set-Cookie and Clear-Site-Data (they would act on the notebook's host),
Strict-Transport-Security, Access-Control-*, Service-Worker-Allowed, Refresh, Link, and the pod's own policy, in whose
place ours stands.

What is left: through jupyter-server-proxy the pod's page has the notebook's own origin, and a frame of the same
origin may reach into the page around it, policy or not. So the direct address goes first wherever the browser can
reach it, and the other comes with a warning. In a tab of its own the policy does hold there: no opener, no windows or
frames of other pages, no requests but below our prefix. And at the direct address with the notebook's own host name
the page's scripts can read and set those cookies of that host that are not HttpOnly, for cookies ignore ports; they
cannot send requests there.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from autopod_nb.web.gui_head import Head

Fields = list[tuple[str, str]]

_TO_POD = frozenset(
    {"accept", "accept-encoding", "accept-language", "cache-control", "comfy-usage-source", "comfy-user",
     "content-disposition", "content-encoding", "content-language", "content-type", "if-match", "if-modified-since",
     "if-none-match", "if-range", "if-unmodified-since", "pragma", "range"}
)  # fmt: skip
_TO_BROWSER = frozenset(
    {"accept-ranges", "age", "allow", "cache-control", "content-disposition", "content-encoding", "content-language",
     "content-range", "content-type", "date", "etag", "expires", "last-modified", "retry-after", "vary"}
)  # fmt: skip
_SOCKET_TO_POD = frozenset({"sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"})
_SOCKET_TO_BROWSER = frozenset({"sec-websocket-accept", "sec-websocket-extensions"})
# Not: to navigate the notebook away, or to open tabs that have no such policy.
_SANDBOX = "allow-scripts allow-same-origin allow-forms allow-modals allow-downloads allow-pointer-lock"
_DENIED = ("camera", "geolocation", "hid", "microphone", "midi", "payment", "serial", "usb")
_PLACE = re.compile(r"(?:/[A-Za-z0-9._~@+%-]+)*/proxy/(?:absolute/)?(?:localhost:|127\.0\.0\.1:)?[0-9]{1,5}")
_PAGE = ("http://", "https://")


def to_pod(head: Head, *, port: int, socket: bool = False) -> Fields:
    """The fields that a pod gets, but for those of the body.

    Args:
        head: of the browser's request.
        port: of the tunnel.
        socket: whether it asks for a WebSocket.
    """
    allowed = _TO_POD | _SOCKET_TO_POD if socket else _TO_POD
    return [
        ("Host", f"127.0.0.1:{port}"),
        ("User-Agent", "Mozilla/5.0"),  # neutral: which browser it is, is none of the pod's business
        *((name, value) for name, value in head.fields if name in allowed),
        *([("Connection", "Upgrade"), ("Upgrade", "websocket")] if socket else []),
    ]


def to_browser(head: Head) -> Fields:
    """The fields of a pod's answer that a browser gets, but for those of the body and ours."""
    return [(name, value) for name, value in head.fields if name in _TO_BROWSER]


def socket_to_browser(head: Head) -> Fields:
    """The fields of a pod's answer to a WebSocket handshake that a browser gets."""
    passed = [(name, value) for name, value in head.fields if name in _SOCKET_TO_BROWSER]
    return [("Connection", "Upgrade"), ("Upgrade", "websocket"), *passed]


def place_before(head: Head, port: int) -> str:
    """The path that the Jupyter server has put before ours, e.g. ``/user/joe/proxy/41234``; empty if there is none.

    A page cannot send these fields with a navigation, so they come from jupyter-server-proxy or from nobody who gains
    by it.
    """
    for value in [*head.every("x-forwarded-prefix"), *head.every("x-forwarded-context")]:
        if _PLACE.fullmatch(value) and re.search(rf"[/:]{port}$", value):
            return value
    return ""


def ours(policy: str) -> Fields:
    """The fields that each answer has."""
    return [
        ("Content-Security-Policy", policy),
        ("Referrer-Policy", "no-referrer"),  # the address is a secret
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", ", ".join(f"{feature}=()" for feature in _DENIED)),
    ]


def policy(host: str, before: str, prefix: str, origins: Collection[str]) -> str:
    """The Content-Security-Policy of a pod's page.

    As ComfyUI's own for pages without partner nodes, but that it names our prefix alone: scripts may be inline and
    evaluated, for ComfyUI's extensions are; what the page loads, asks and sends stays below its own address; who may
    frame it is our page.

    Args:
        host: the browser's ``Host`` field, checked.
        before: see :func:`place_before`.
        prefix: of our paths.
        origins: of the pages that we were told of, normal.
    """
    pages = [origin for origin in sorted(origins) if origin.startswith(_PAGE)]
    if before:  # there the origin is not ours alone
        bases = [f"{page}{before}{prefix}" for page in pages] or [f"http://{host.lower()}{before}{prefix}"]
        own = " ".join([*bases, *(base.replace("http", "ws", 1) for base in bases)])
        may = _SANDBOX  # no other windows: one with a page of the Jupyter server could be reached into
    else:  # a port of our own: nothing else is there
        own = "'self'" if host.startswith("[") else f"'self' ws://{host.lower()}"
        may = f"{_SANDBOX} allow-popups"
    parts = {
        "default-src": own,
        "script-src": f"{own} 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src": f"{own} 'unsafe-inline'",
        "img-src": f"{own} data: blob:",
        "media-src": f"{own} data: blob:",
        "font-src": f"{own} data:",
        "connect-src": f"{own} data: blob:",
        "worker-src": f"{own} blob:",
        "frame-src": f"{own} blob:",
        "object-src": "'none'",
        "base-uri": own,
        "form-action": own,
        "frame-ancestors": " ".join(["'self'", *sorted(origins)]),
        "sandbox": may,
    }
    return "; ".join(f"{name} {value}" for name, value in parts.items())
