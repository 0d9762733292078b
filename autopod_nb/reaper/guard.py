"""The reaper's hold on the pods of one dead session at one provider: a session without a person."""

from __future__ import annotations

import logging
import os
import platform
import secrets
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from autopod_nb.clock import Clock
from autopod_nb.config import LEDGER_NAME, Settings
from autopod_nb.errors import LedgerError, UsageError
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import PodView
from autopod_nb.providers.base import Provider
from autopod_nb.providers.registry import make_provider
from autopod_nb.session.commands import Adopt
from autopod_nb.session.manager import Session
from autopod_nb.storage.leases import LeaseReleased
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Owner, PodRow, Role

_log = logging.getLogger(__name__)
_ANSWER_S = 10.0  # an adoption that the ledger has refused leaves no trace in the session; then it is tried again
_LEAST_USD = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardKey:
    """Whose pods: job ids are unique in a session, and a limit is a session's, so each dead session has a guard."""

    provider: str
    session_id: str

    @classmethod
    def of(cls, row: PodRow) -> GuardKey:
        """Whose pod it is."""
        return cls(provider=row.provider, session_id=row.session_id)


class Guard:
    """Follows the running jobs of pods that were taken over, fetches what they make, and ends the pods.

    Its session enforces the limits and retries what fails, by the same rules as a kernel's. Used by one thread.

    Args:
        key: whose pods.
        session: fresh; closed with the guard.
        owner: as the ledger knows the session.
        provider: the session's.
        clock: the time.
    """

    def __init__(self, key: GuardKey, *, session: Session, owner: Owner, provider: Provider, clock: Clock) -> None:
        self.key = key
        self.owner = owner
        self._session = session
        self._provider = provider
        self._clock = clock
        self._asked_s: dict[str, float] = {}  # pod → when its adoption was asked for
        self._nameless: set[str] = set()  # pods that only have the name that we gave them
        self._told: set[str] = set()
        self._resumed: set[str] = set()

    def take(self, orphan: Adopt) -> None:
        """Take a pod over, with its jobs. A pod whose rental was never answered is looked up by its name first.

        Raises:
            ProviderError: its provider must be asked, and cannot be.
        """
        row = orphan.pod.row
        if row.provider_id is None:
            found = [record for record in self._provider.list() if record.name == row.name]
            if found:  # it is known from now on, so that it can be ended, whatever else goes wrong
                row = replace(row, provider_id=found[0].provider_id)
                orphan = replace(orphan, pod=replace(orphan.pod, row=row))
            else:  # the session finds out by itself that it is gone, and must not be told to end what has no id
                self._nameless.add(row.pod_id)
        self._asked_s[row.pod_id] = self._clock.monotonic()
        self._session.take_over(orphan)

    @property
    def pod_ids(self) -> frozenset[str]:
        """The pods that it has, or has just asked for."""
        return frozenset(self._pods()) | frozenset(self._asked_s)

    def _pods(self) -> Mapping[str, PodView]:
        return {pod_id: pod for pod_id, pod in self._session.snapshot.pods.items() if not pod.over}

    @property
    def over(self) -> bool:
        """Whether there is nothing left to guard, or its session has ended by itself, which is a mistake of ours."""
        return self._session.closed or not self.pod_ids

    def tend(self) -> None:
        """What the session does not do by itself: end pods that need no line.

        Called at each look. A pod at work ends by itself when its last job is collected.
        """
        now_s = self._clock.monotonic()
        for pod_id, asked_s in list(self._asked_s.items()):
            if pod_id in self._session.snapshot.pods or now_s - asked_s > _ANSWER_S:
                del self._asked_s[pod_id]
        self._tell()
        for pod in self._pods().values():
            with suppress(UsageError):  # it has gone since
                self._tend(pod)

    def _tend(self, pod: PodView) -> None:
        if pod.state is PodState.STOPPED:
            self._tend_stopped(pod)
        elif pod.state is PodState.LOST and pod.job_id is None and self._is_idle(pod):
            self._session.stop(pod.pod_id)  # nobody needs to reach it before it ends

    def _is_idle(self, pod: PodView) -> bool:
        """Whether no job needs it: none that was being uploaded, and none that cannot be followed."""
        jobs = self._session.snapshot.jobs.values()
        is_known = pod.ends_after_batch and pod.pod_id not in self._nameless
        return is_known and all(job.over or job.pod_id is not None for job in jobs)

    def _tend_stopped(self, pod: PodView) -> None:
        """A stopped pod only costs its volume: one with results is started for them, once, any other is ended."""
        if pod.unsaved and pod.pod_id not in self._resumed:
            self._resumed.add(pod.pod_id)
            self._session.resume(pod.pod_id)
        elif not pod.unsaved and pod.ends_after_batch:
            self._session.stop(pod.pod_id)
        else:
            self._say(f"Pod {pod.pod_id} is stopped with results on it, and is left like that: its volume bills.")

    def _tell(self) -> None:
        """Nobody looks at this session's panel, so what it has to say goes into the log, once."""
        for notice in self._session.snapshot.notices:
            self._say(notice.text)

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            _log.warning("%s", text)

    def is_robbed(self, rows: Mapping[str, PodRow]) -> bool:
        """Whether the ledger gives one of its pods to somebody else: two must not command one pod.

        Args:
            rows: pod id → row, of the pods that may bill.
        """
        owners = [rows[pod_id].lease for pod_id in self._pods() if pod_id in rows and pod_id not in self._asked_s]
        return any(lease is not None and lease.owner.owner_id != self.owner.owner_id for lease in owners)

    def let_go(self) -> None:
        """End the session; what pods are left stay as they are, and belong to nobody. Safe to call twice."""
        pods, path = self._pods(), self._session.ledger_path
        self._tell()
        self._session.leave()  # what has happened by now is written first
        if not pods:
            return
        try:
            with Ledger(path, clock=self._clock) as ledger:
                ledger.write([LeaseReleased(pod_id=pod_id, owner_id=self.owner.owner_id) for pod_id in pods])
        except LedgerError as error:
            _log.warning("the leases of %s were not released and run out: %s", ", ".join(pods), error)


def open_guard(row: PodRow, settings: Settings, *, clock: Clock) -> Guard:
    """A guard without pods yet.

    Args:
        row: the first pod that it is for.
        settings: of its provider.
        clock: the time.

    Raises:
        AutopodError: no such provider, no key, a ledger that cannot be opened.
    """
    owner = Owner(owner_id=secrets.token_hex(6), role=Role.REAPER, host=platform.node(), pid=os.getpid())
    with ExitStack() as undo:
        ledger = undo.enter_context(Ledger(settings.home / LEDGER_NAME, clock=clock))
        settings = replace(settings, session_limit_usd=_left_usd(row, ledger))
        provider = make_provider(settings, clock)
        undo.callback(provider.close)
        session = Session(settings, provider=provider, ledger=ledger, owner=owner, clock=clock)
        undo.pop_all()
    return Guard(GuardKey.of(row), session=session, owner=owner, provider=provider, clock=clock)


def _left_usd(row: PodRow, ledger: Ledger) -> Decimal | None:
    """The limit of the dead session goes on, for all of its pods together: what it has spent is spent."""
    if row.session_limit_usd is None:
        return None
    return max(_LEAST_USD, row.session_limit_usd - ledger.total_usd(row.kind, session_id=row.session_id))
