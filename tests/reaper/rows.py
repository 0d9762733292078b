"""Pods in a ledger, of owners that live or are dead; no provider knows anything of them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from decimal import Decimal

from autopod_nb.clock import Clock
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.storage.leases import LeaseTaken
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Owner, Role
from autopod_nb.storage.writes import PodChanged, PodIntent


def a_dead_pid() -> int:
    """Of a process that has been and is gone."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def a_living_pid() -> int:
    """Of a process that outlives the test and that owns nothing."""
    return os.getppid()


def write_pod(
    ledger: Ledger,
    clock: Clock,
    pod_id: str,
    *,
    pid: int,
    role: Role = Role.KERNEL,
    session_id: str = "session",
    provider: str = "local",
    provider_id: str | None = "there-is-none",
    name: str | None = None,
) -> None:
    """Put a pod in that is ready, and whose owner has just renewed its lease."""
    now = clock.now()
    owner = Owner(owner_id=f"owner-of-{pod_id}", role=role, host=platform.node(), pid=pid)
    intent = PodIntent(
        pod_id=pod_id,
        name=name or f"autopod-{pod_id}-x",
        session_id=session_id,
        provider=provider,
        gpu_type="A40",
        gpu_count=1,
        price_per_hour_usd=Decimal(1),
        stopped_price_per_hour_usd=Decimal("0.1"),
        kind=MoneyKind.SIMULATED,
        at=now,
    )
    ready = PodChanged(pod_id=pod_id, state=PodState.READY, at=now, provider_id=provider_id)
    ledger.write([intent, LeaseTaken(pod_id=pod_id, owner=owner, at=now), ready])
