"""Who may ask, and for what: hosts, origins and paths of the proxy before ComfyUI. Pure.

The rules, in the order in which they are kept (:class:`Door` in ``gui_door``):

- A path begins with the secret prefix, or it leads nowhere.
- ``Host`` is a loopback name or that of a page that we were told of: a name that an attacker owns and has pointed to
  127.0.0.1 is neither.
- ``Origin``, where there is one, is the very host that was asked (the frame at its direct address), or a page that we
  were told of (the frame through the Jupyter server, and the panel's ping). ``null`` is neither: it is what a
  sandboxed or ``data:`` page sends, and no page of ours is one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_NAME = r"[a-z0-9](?:[a-z0-9._-]{0,253}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]"
_HOST = re.compile(rf"({_NAME})(?::[0-9]{{1,5}})?")
_ORIGIN = re.compile(rf"(?:https?|vscode-webview)://({_NAME})(?::[0-9]{{1,5}})?")
_SECRET_NAMES = frozenset({"token", "_xsrf", "xsrf", "xsrf_token", "access_token", "jupyter_token"})
_DECODINGS = 3  # who decodes more often than that does not exist, we hope
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_USER_FILES = re.compile(r"((?:api/)?userdata)/(.+)")


def normal_origin(origin: str) -> str:
    """An origin as a browser sends it, in lower case.

    Args:
        origin: ``location.origin`` of a page.

    Raises:
        ValueError: it is none, or one that cannot be told from others (``null``, ``file://``).
    """
    found = origin.strip().lower()
    if not _ORIGIN.fullmatch(found):
        raise ValueError("not the origin of a page")
    return found


def host_name(host: str) -> str | None:
    """The name in a ``Host`` field, in lower case and without the port; None if it is none."""
    found = _HOST.fullmatch(host.lower())
    return found[1] if found else None


def is_loopback(host: str) -> bool:
    """Whether a ``Host`` field names this machine, whatever the port: a forwarded port may have another number."""
    return host_name(host) in _LOOPBACK


def host_is_ours(host: str, origins: Collection[str]) -> bool:
    """Whether a ``Host`` field may come: loopback, or the host of a page that we were told of.

    Ports are not compared: proxies before a Jupyter server leave them out or change them.
    """
    name = host_name(host)
    told = {found[1] for origin in origins if (found := _ORIGIN.fullmatch(origin))}
    return name is not None and (name in _LOOPBACK or name in told)


def origin_is_ours(origin: str, host: str, origins: Collection[str]) -> bool:
    """Whether an ``Origin`` field may come with this ``Host``."""
    sent = origin.lower()
    return sent in origins or (is_loopback(host) and sent == f"http://{host.lower()}")


def path_is_plain(path: str) -> bool:
    """Whether a path below the prefix, without its query, leads where it seems to: no ``..``, no control characters.

    ``%2F`` may come: ComfyUI's user files have it in their names.
    """
    if path.startswith("/") or "\\" in path or "#" in path:
        return False
    decoded = path
    for _ in range(_DECODINGS):
        if _CONTROL.search(decoded) or any(part in (".", "..") for part in re.split(r"[/\\]", decoded)):
            return False
        decoded = unquote(decoded)
    return True


def clean_query(query: str) -> str:
    """A query without what belongs to Jupyter; the rest byte by byte as it was."""
    return "&".join(part for part in query.split("&") if not _is_secret(part))


def _is_secret(part: str) -> bool:
    return unquote(part.partition("=")[0].replace("+", " ")).strip().lower() in _SECRET_NAMES


def user_file_path(path: str) -> str:
    """Undo what jupyter-server-proxy does to the paths of user files.

    It decodes ``userdata/workflows%2Fa.json``, where the name of the file is one segment, into two. No other route of
    ComfyUI's page has a slash in a name.
    """
    found = _USER_FILES.fullmatch(path)
    if found is None:
        return path
    name, moved, target = found[2].partition("/move/")
    parts = [part.replace("/", "%2F") for part in ((name, target) if moved else (found[2],))]
    return f"{found[1]}/{'/move/'.join(parts)}"


def relative_location(location: str, path: str, *, port: int) -> str | None:
    """Where a pod sends the browser, seen from the page that was asked for; None if it leads out of the pod.

    Relative, because only the browser knows what stands before our prefix, and because jupyter-server-proxy writes
    any other address into its log.

    Args:
        location: the field's value.
        path: below the prefix, that was asked for, without query.
        port: of the tunnel, as the pod may name itself by.
    """
    found = re.fullmatch(rf"(?:http://(?:127\.0\.0\.1|localhost):{port}(?=/|$|\?))?([!-~]*)", location)
    target = found[1] if found else "//"
    absolute = location != target or target.startswith("/")
    if not absolute:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", target):
            return None  # another scheme, or a name that looks like one
        target = f"/{path.rpartition('/')[0]}/{target}" if "/" in path else f"/{target}"
    rest = target.removeprefix("/")
    if not path_is_plain(rest.partition("#")[0].partition("?")[0]):
        return None
    return "./" + "../" * path.count("/") + rest
