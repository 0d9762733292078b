"""Reasons to end: a lease that nobody renews, a parent that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

_LOOKS_PER_LEASE = 15
_PARENT_LOOK_S = 0.5


def _content(path: Path) -> tuple[int, bytes]:
    return path.stat().st_mtime_ns, path.read_bytes()


async def lease_end(path: Path, lease_s: float) -> str:
    """Return, with the reason, when the lease file vanished or did not change for *lease_s* seconds.

    A change is a new content or a new modification time, whatever that time is. The seconds are monotonic ones, so
    neither a clock that is set nor a machine that sleeps ends the pod. A file that cannot be read counts as unchanged.
    """
    seen: tuple[int, bytes] | None = None
    changed_at = time.monotonic()
    while time.monotonic() - changed_at < lease_s:
        try:
            found: tuple[int, bytes] | None = _content(path)
        except FileNotFoundError:
            return f"the lease file {path} is gone"
        except OSError:
            found = seen
        if found != seen:
            seen, changed_at = found, time.monotonic()
        await asyncio.sleep(lease_s / _LOOKS_PER_LEASE)
    return f"the lease file {path} was not renewed for {lease_s:g} s"


async def parent_end(pid: int) -> str:
    """Return, with the reason, when process *pid* is gone. A parent that waits to be reaped is gone, too."""
    is_parent = os.getppid() == pid
    while True:
        if is_parent and os.getppid() != pid:
            break
        with contextlib.suppress(PermissionError):  # it is there, and somebody else's
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                break
        await asyncio.sleep(_PARENT_LOOK_S)
    return f"process {pid} is gone"
