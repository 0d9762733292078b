"""The watchdog of a pod: armed as soon as there is a line to it, told now and then that somebody cares."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from autopod_nb.errors import SshError
from autopod_nb.pods.launch import PodLink
from autopod_nb.ssh import watchdog
from autopod_nb.ssh.line import SshConnection
from autopod_nb.ssh.watchdog import WatchdogOrder, WatchdogReport

_DEFAULT_PORT = 8188  # until it is known where ComfyUI listens
_COMMAND_S = 20.0
_MOST_HOURS = 24 * 365
# On the persistent mount, where what it keeps outlives a stop, as ComfyUI's output does. A pod of ``localpod`` has its
# mount and its variables in its HOME.
_WHERE = r"""
if [ -f "$HOME/pod.json" ] && [ -f "$HOME/environ" ]; then printf '%s\n' "$HOME/ComfyUI" "$HOME/environ"
elif [ -d /workspace ] && [ -w /workspace ]; then echo /workspace
else printf '%s\n' "$HOME"; fi
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardWish:
    """What a watchdog is to go by.

    Attributes:
        quiet_minutes: it acts after this long without a call from us, when nothing renders.
        left_usd: what the pod may still cost; None for no limit.
        price_per_hour_usd: of the pod.
        terminate: end the pod for good; otherwise stop it, for results may be on it.
    """

    quiet_minutes: Decimal
    left_usd: Decimal | None
    price_per_hour_usd: Decimal
    terminate: bool


def arm(link: PodLink, wish: GuardWish, *, api_base_url: str, now: datetime) -> WatchdogReport | None:
    """Start it on the pod, or start it anew where ComfyUI's port is known by now.

    Args:
        link: with an SSH line.
        wish: what it goes by.
        api_base_url: of the provider.
        now: UTC.

    Returns:
        What is known of it; None if there is no line, or if it runs already as it should.

    Raises:
        SshError: the line is lost.
    """
    if link.connection is None or link.address is None:
        return None
    port = link.address.comfyui_port or _DEFAULT_PORT
    if link.guard_port == port:
        return None
    link.guard_folder, environ_path = _place(link.connection)
    order = WatchdogOrder(
        quiet_minutes=wish.quiet_minutes,
        deadline=deadline_of(wish, now),
        comfyui_port=port,
        environ_path=environ_path or link.address.environ_path,
        folder=link.guard_folder,
        terminate=wish.terminate,
        api_base_url=api_base_url,
    )
    report = watchdog.arm(link.connection, order)
    if report.running:
        link.guard_port, link.guard_wish = port, wish
    return report


def beat(link: PodLink, wish: GuardWish, *, now: datetime) -> None:
    """Tell it that somebody cares, and what it is to go by from now on.

    Raises:
        SshError: the line is lost, or it runs no more; the next :func:`arm` starts it anew.
    """
    if link.connection is None or not link.guard_folder or not link.guard_port:
        return
    try:
        watchdog.beat(link.connection, link.guard_folder)
    except SshError:
        link.guard_port = 0
        raise
    if wish != link.guard_wish:
        watchdog.change(link.connection, link.guard_folder, deadline=deadline_of(wish, now), terminate=wish.terminate)
        link.guard_wish = wish


def saved_history(link: PodLink) -> Mapping[str, object]:
    """ComfyUI's history as the watchdog kept it when it stopped the pod; empty if it did not.

    Raises:
        SshError: there is no line, or it is lost: that is no word about what was kept.
    """
    if link.connection is None:
        raise SshError("There is no line to the pod.")
    folder, _ = _place(link.connection)
    return watchdog.read_history(link.connection, folder)


def _place(connection: SshConnection) -> tuple[str, str]:
    """The watchdog's folder on a pod, and the file of the pod's variables if it is not where the address says."""
    where = connection.run("sh -s", _COMMAND_S, stdin=_WHERE.encode())
    home, environ_path, *_ = [*where.stdout.decode(errors="replace").splitlines(), "", ""]
    return posixpath.join(home or "/root", ".autopod-watchdog"), environ_path


def deadline_of(wish: GuardWish, now: datetime) -> datetime | None:
    """When the money is spent; None without a limit, or where that is further away than a year."""
    if wish.left_usd is None or wish.price_per_hour_usd <= 0:
        return None
    hours = wish.left_usd / wish.price_per_hour_usd
    return now + timedelta(hours=float(hours)) if hours < _MOST_HOURS else None
