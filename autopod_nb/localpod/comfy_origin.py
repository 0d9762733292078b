"""The origin check of ComfyUI 0.12.1: a page from elsewhere may not use a server on loopback."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler


@web.middleware
async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request of a foreign page with 403; answer every OPTIONS with 200."""
    host, origin = request.headers.get("Host"), request.headers.get("Origin")
    if host is not None and origin is not None and not same_place(host, origin):
        return web.Response(status=403)
    if request.method == "OPTIONS":
        return web.Response()
    return await handler(request)


def same_place(host: str, origin: str) -> bool:
    """Say whether an Origin may talk to a Host; any may if Host is not loopback.

    Args:
        host: Header of that name, `name` or `name:port`.
        origin: Header of that name, a URL or `null`.
    """
    left, right = urlsplit(f"//{host.lower()}"), urlsplit(origin.lower())
    if not left.hostname or not right.hostname or not _is_loopback(left.hostname):
        return True
    if left.port is None or right.port is None:
        return left.hostname == right.hostname
    return left.netloc == right.netloc


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(address[4][0]).is_loopback for address in found)
