"""The rule ``--stop-on-error``: when one job of a batch fails, those that are not over are cancelled."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from autopod_nb.models.job import JobState
from autopod_nb.threads import ServiceThread

if TYPE_CHECKING:
    from autopod_nb.session.handle import Batch
    from autopod_nb.session.manager import Session

_log = logging.getLogger(__name__)
_LOOK_S = 1.0  # how long it may take to see that the session was closed; news wake it at once


def stop_on_error(session: Session, batch: Batch) -> ServiceThread:
    """Watch a batch until it is over or the session closes. Only a failure counts, not what a person cancels.

    Returns:
        The thread that watches.
    """
    return ServiceThread("autopod-stop-on-error", lambda stop: _watch(session, batch, stop)).start()


def _watch(session: Session, batch: Batch, stop: threading.Event) -> None:
    while not stop.is_set() and not session.closed:
        snapshot = session.snapshot
        states = [snapshot.jobs[job.job_id].state for job in batch.jobs]
        if JobState.FAILED in states:
            _log.info("a job of the batch failed: the others are cancelled")
            batch.cancel()
            return
        if batch.over:
            return
        session.wait_newer(snapshot.number, _LOOK_S)
