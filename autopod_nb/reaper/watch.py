"""Whose owner is dead: told apart from one that is late, that restarts, or whose machine was asleep. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autopod_nb.models.pod import PodState
from autopod_nb.session.adoption import owner_lives
from autopod_nb.storage.rows import Lease, PodRow, Role

SILENT_S = 40.0
"""A lease that was not renewed for so long while this machine was awake is nobody's; it is renewed every 5 s."""
RESTART_S = 30.0
"""A kernel that is gone may come back for a pod that has nothing to do; also how long the answer to a create may
take that was under way when the kernel died."""
AFTER_JUMP_S = 60.0
"""An owner whose machine slept has so long to say that it lives."""
JUMP_S = 15.0
"""Two looks that are further apart: this machine slept, or this process was halted. Looks are a second apart."""
_BEING_ENDED = (PodState.STOPPING, PodState.TERMINATING)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The lease of a pod as it was seen last, and since when it has been so."""

    lease: Lease
    since_s: float


class OwnerWatch:
    """Remembers when each lease was renewed last by its own clock, which only counts time in which it looks."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._looked_s: float | None = None

    def ownerless(
        self, rows: Iterable[PodRow], *, at_work: Collection[str], now: datetime, now_s: float
    ) -> frozenset[str]:
        """Which pods nobody owns any more.

        Args:
            rows: pods that may bill and that are not ours.
            at_work: ids of pods that have a job that is not over.
            now: UTC.
            now_s: the same moment on the monotonic clock.

        Returns:
            Our ids of the pods to take over now.
        """
        jumped = self._looked_s is not None and now_s - self._looked_s > JUMP_S
        self._looked_s = now_s
        before, self._seen = self._seen, {}
        found = set()
        for row in rows:
            if row.lease is None:
                found.add(row.pod_id)
                continue
            seen = before.get(row.pod_id)
            if seen is None or seen.lease != row.lease:
                seen = _Seen(row.lease, now_s)
            elif jumped:  # it could not renew it while it slept, and neither could we see it
                seen = _Seen(row.lease, now_s + AFTER_JUMP_S - SILENT_S)
            self._seen[row.pod_id] = seen
            if _is_dead(row, row.lease, now, at_work=row.pod_id in at_work) or now_s - seen.since_s >= SILENT_S:
                found.add(row.pod_id)
        return frozenset(found)


def _is_dead(row: PodRow, lease: Lease, now: datetime, *, at_work: bool) -> bool:
    """Whether its process is gone, and it is not better to wait for the next kernel, or for the provider."""
    if owner_lives(replace(lease, renewed=now), now):
        return False
    waits_for_kernel = lease.owner.role is not Role.REAPER and not at_work and row.state not in _BEING_ENDED
    if waits_for_kernel or row.provider_id is None:
        return now - lease.renewed >= timedelta(seconds=RESTART_S)
    return True
