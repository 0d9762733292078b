"""The worker's loop: look into the ledger, take over what nobody owns, let go what somebody asks for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TypeVar

from autopod_nb.clock import Clock, Deadline
from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import AutopodError
from autopod_nb.reaper.guard import Guard, GuardKey, open_guard
from autopod_nb.reaper.last_settings import LastSettings
from autopod_nb.reaper.watch import OwnerWatch
from autopod_nb.session.adoption import look
from autopod_nb.session.commands import Adopt
from autopod_nb.session.guardian import HAND_OVER
from autopod_nb.storage.columns import to_us
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import JobRow, PodRow

T = TypeVar("T")
_log = logging.getLogger(__name__)
LOOK_S = 1.0
LINGER_S = 2.0
_HANDED_OVER_S = 30.0
"""A pod that was let go for somebody is left alone so long; then it is nobody's, and taken again."""
_KEPT_WORDS = 100
_PAUSE_S = 10.0  # before a guard that could not be opened is tried again; a guess


class Outcome(Enum):
    """Why the loop ended."""

    NOTHING_LEFT = "no pod may bill any more"
    STOPPED = "it was told to"
    ORPHANED = "the supervisor is gone"


class Loop:
    """Looks once a second, in the thread that runs it.

    Args:
        home: ``AUTOPOD_HOME``.
        clock: the time.
        linger_s: it ends when no pod may bill for so long.
        once: it ends as soon as it guards nothing, whatever pods other processes have.
    """

    def __init__(self, home: Path, *, clock: Clock, linger_s: float = LINGER_S, once: bool = False) -> None:
        self._clock = clock
        self._linger_s = linger_s
        self._once = once
        self._ledger = Ledger(home / LEDGER_NAME, clock=clock)
        self._settings = LastSettings()
        self._watch = OwnerWatch()
        self._guards: dict[GuardKey, Guard] = {}
        self._since: dict[GuardKey, datetime] = {}  # a hand-over that was asked for before is of somebody else
        self._kept_off: dict[str, Deadline] = {}
        self._paused: dict[GuardKey, Deadline] = {}
        self._said: set[str] = set()

    def run(self, stop: threading.Event, *, orphaned: Callable[[], bool] = lambda: False) -> Outcome:
        """Look until there is nothing left to look after.

        Args:
            stop: ends it, and leaves every pod to whoever comes next.
            orphaned: whether the supervisor is gone.
        """
        quiet: Deadline | None = None  # since when nothing may bill
        try:
            while not stop.is_set():
                if orphaned():
                    return Outcome.ORPHANED
                if self._safely(self.look) is not False:  # silence is never "nothing bills"
                    quiet = None
                elif quiet is None:
                    quiet = Deadline(self._clock, self._linger_s)
                if quiet is not None and quiet.passed:
                    return Outcome.NOTHING_LEFT
                self._clock.wait(stop, LOOK_S)
            return Outcome.STOPPED
        finally:
            for guard in self._guards.values():
                guard.let_go()
            self._guards.clear()

    def _safely(self, do: Callable[[], T]) -> T | None:
        """Do it, whatever comes of it: who else would watch the money? None if it failed."""
        try:
            return do()
        except AutopodError as error:
            self._say(f"it is tried again: {error}")
        except Exception as error:  # noqa: BLE001 - the guards go on, and the next look may do better
            self._say(f"a mistake of autopod_nb: {type(error).__name__}: {error}", exc_info=True)
        return None

    def _say(self, text: str, *, exc_info: bool = False) -> None:
        """Into the log, but not at every look."""
        if text not in self._said:
            self._said = {*self._said, text} if len(self._said) < _KEPT_WORDS else {text}
            _log.error("%s", text, exc_info=exc_info)

    def look(self) -> bool:
        """One look: tend what is guarded, let go, take over. Returns whether there is any reason to look again.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        for guard in list(self._guards.values()):
            self._safely(guard.tend)  # one that fails must not keep the others waiting
            if guard.over:
                self._drop(guard)
                guard.let_go()
        rows = {row.pod_id: row for row in self._ledger.pods_that_may_bill()}
        for provider in {row.provider for row in rows.values()}:
            self._settings.remember(provider)
        if rows:
            self._yield_pods(rows)
            self._take_over(rows)
        return bool(self._guards) or (bool(rows) and not self._once)

    def _drop(self, guard: Guard) -> None:
        del self._guards[guard.key], self._since[guard.key]

    # --- letting go -------------------------------------------------------------------------------------------------

    def _yield_pods(self, rows: Mapping[str, PodRow]) -> None:
        """Let go what another process asks for, and what it has taken already."""
        for guard in list(self._guards.values()):
            wanted = self._wanted(guard)
            if wanted or guard.is_robbed(rows):
                _log.info("pods %s are let go: somebody asks for them", ", ".join(sorted(guard.pod_ids)))
                self._kept_off.update((pod_id, Deadline(self._clock, _HANDED_OVER_S)) for pod_id in guard.pod_ids)
                self._drop(guard)
                guard.let_go()

    def _wanted(self, guard: Guard) -> bool:
        """Whether somebody asks for a pod of this guard; its session may have marked the command as taken already."""
        since_us = to_us(self._since[guard.key])
        with self._ledger.reading() as db:
            found = db.execute("SELECT pod_id FROM commands WHERE verb = ? AND made_us >= ?", (HAND_OVER, since_us))
            return any(pod_id in guard.pod_ids for (pod_id,) in found)

    # --- taking over ------------------------------------------------------------------------------------------------

    def _take_over(self, rows: Mapping[str, PodRow]) -> None:
        ours = {pod_id for guard in self._guards.values() for pod_id in guard.pod_ids}
        ours |= {pod_id for pod_id, until in self._kept_off.items() if not until.passed}
        others = [row for pod_id, row in rows.items() if pod_id not in ours]
        if not others:
            return
        now = self._clock.now()
        jobs = self._ledger.read_jobs(open_only=True)
        at_work = {job.pod_id for job in jobs if job.pod_id is not None}
        due = self._watch.ownerless(others, at_work=at_work, now=now, now_s=self._clock.monotonic())
        if not due:
            return
        # A pod that nobody can reach ends by these minutes; any other ends when its jobs are done.
        minutes = self._settings.read(others[0].provider).idle_minutes
        found = look(self._ledger, ours=tuple(ours), idle_minutes=minutes, now=now, ends_after_batch=True)
        for note in found.notes:
            self._say(note)
        for orphan in found.orphans:
            if orphan.pod.row.pod_id in due:
                self._safely(partial(self._take, _patient(orphan, jobs)))

    def _take(self, orphan: Adopt) -> None:
        row = orphan.pod.row
        key = GuardKey.of(row)
        if key in self._paused and not self._paused[key].passed:
            return
        try:
            if key not in self._guards:
                self._since[key] = self._clock.now()
                self._guards[key] = open_guard(row, self._settings.read(row.provider), clock=self._clock)
            _log.info("pod %s (%s) is taken over with %d jobs", row.pod_id, row.state.value, len(orphan.jobs))
            self._guards[key].take(orphan)
        except AutopodError as error:
            self._paused[key] = Deadline(self._clock, _PAUSE_S)
            self._say(f"pod {row.pod_id} of {row.provider} cannot be guarded, and is tried again: {error}")


def _patient(orphan: Adopt, jobs: Sequence[JobRow]) -> Adopt:
    """A pod with a job that cannot be followed is not ended before its idle minutes: a person may come for it."""
    followed = {(each.row.session_id, each.row.job_id) for each in orphan.jobs}
    there = [job for job in jobs if job.pod_id == orphan.pod.row.pod_id]
    if all((job.session_id, job.job_id) in followed for job in there):
        return orphan
    return replace(orphan, pod=replace(orphan.pod, ends_after_batch=False))
