"""The ledger lane's hand: writes what the reducer wants in the books, and says when it is safely there."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal

from autopod_nb.clock import Clock
from autopod_nb.errors import LedgerError, LedgerRefused
from autopod_nb.models.money import MoneyKind, Spent
from autopod_nb.session import commands, events, job_events
from autopod_nb.session.effects import PollCommands, ReadSpent, WriteLedger
from autopod_nb.session.events import Message
from autopod_nb.storage.leases import CommandTaken, LeaseRenewed
from autopod_nb.storage.ledger import Ledger, LedgerWrite
from autopod_nb.storage.writes import JobChanged, PodChanged

_log = logging.getLogger(__name__)
_KEPT_WRITES = 10_000  # that could not be written and are tried again; a guess, hours of one pod

_COMMANDS: dict[str, Callable[[str], Message]] = {
    "stop": lambda pod_id: commands.StopPod(pod_id=pod_id, now=False),
    "kill": lambda pod_id: commands.KillPod(pod_id=pod_id),
}


class Scribe:
    """Writes in order. Used by the ledger lane only.

    What could not be written, and nobody waits for, is kept and tried again before the next write: a disk that was
    full for a while takes no charge out of the books.

    Args:
        ledger: open for writing.
        clock: the time.
        post: puts a message into the session's inbox.
    """

    def __init__(self, ledger: Ledger, clock: Clock, post: Callable[[Message], None]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._post = post
        self._kept: deque[WriteLedger] = deque(maxlen=_KEPT_WRITES)

    def write(self, writes: Sequence[WriteLedger]) -> None:
        """One transaction for all; if a record is refused, one by one, so that it takes no other with it."""
        for effect in writes:
            _tell_log(effect.writes)
        waiting = [*self._kept, *writes]
        self._kept.clear()
        try:
            self._put(waiting)
        except LedgerRefused:
            for effect in waiting:
                self._write_alone(effect)
        except LedgerError as error:  # nothing can be written now
            for effect in waiting:
                self._put_aside(effect, str(error))
        else:
            for effect in waiting:
                self._acknowledge(effect)

    def poll(self, effect: PollCommands) -> None:
        """Take what other processes ask of us; each command is marked before it is carried out, so never twice."""
        for row in self._ledger.poll_commands(effect.pod_ids):
            self._ledger.write([CommandTaken(command_id=row.command_id, at=self._clock.now())])
            message = _COMMANDS.get(row.verb)
            if message is not None:
                _log.info("another process asks pod %s to %s", row.pod_id, row.verb)
                self._post(message(row.pod_id))

    def read_spent(self, effect: ReadSpent) -> None:
        """What the day and the month have cost, in all sessions; days and months are those of UTC."""
        day = self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        spent = {
            kind: Spent(
                day_usd=self._ledger.total_usd(kind, since=day),
                month_usd=self._ledger.total_usd(kind, since=day.replace(day=1)),
                ours_usd=effect.ours_usd.get(kind, Decimal(0)),
            )
            for kind in MoneyKind
        }
        self._post(events.SpentSeen(spent=spent))

    def _put(self, writes: Sequence[WriteLedger]) -> None:
        self._ledger.write([record for effect in writes for record in effect.writes])

    def _write_alone(self, effect: WriteLedger) -> None:
        try:
            self._put([effect])
        except LedgerRefused as error:
            self._drop(effect, str(error))
        except LedgerError as error:
            self._put_aside(effect, str(error))
        else:
            self._acknowledge(effect)

    def _drop(self, effect: WriteLedger, why: str) -> None:
        """What the ledger will never take: whoever waits for it hears so; else only the record at fault is left out."""
        if not effect.then and len(effect.writes) > 1:
            for record in effect.writes:
                self._write_alone(WriteLedger(writes=(record,)))
            return
        renewals = [record for record in effect.writes if isinstance(record, LeaseRenewed)]
        if len(renewals) == len(effect.writes):
            for record in renewals:
                self._post(events.LeaseLost(pod_id=record.pod_id, taken=self._is_taken(record.pod_id)))
            return
        _log.error("the ledger refused %s: %s", [type(record).__name__ for record in effect.writes], why)
        self._post(events.LedgerFailed(why=why))
        for message in effect.then:
            self._refuse(message, why)

    def _is_taken(self, pod_id: str) -> bool:
        """Whether somebody owns the pod; nobody does in a ledger that was rebuilt without its leases."""
        return any(row.lease is not None for row in self._ledger.read_pods() if row.pod_id == pod_id)

    def _acknowledge(self, effect: WriteLedger) -> None:
        for message in effect.then:
            self._post(message)

    def _put_aside(self, effect: WriteLedger, why: str) -> None:
        """The ledger may take it later: keep what nobody waits for."""
        _log.warning("%d records were not written: %s", len(effect.writes), why)
        self._post(events.LedgerFailed(why=why))
        if not effect.then:
            self._kept.append(effect)
        for message in effect.then:
            self._refuse(message, why)

    def _refuse(self, message: Message, why: str) -> None:
        """What was to happen after the write does not happen: no intent in the books, no pod."""
        match message:
            case events.IntentWritten(pod_id=pod_id):
                self._post(events.PodNotCreated(pod_id=pod_id, why=why))
            case job_events.JobWritten(job_id=job_id):
                self._post(job_events.StepFailed(job_id=job_id, attempt=1, why=why, line_at_fault=False))
            case _:
                pass


def _tell_log(records: Sequence[LedgerWrite]) -> None:
    """The life of pods and jobs, for whoever reads the log."""
    for record in records:
        if isinstance(record, PodChanged):
            _log.info("pod %s is %s %s", record.pod_id, record.state.value, record.error)
        elif isinstance(record, JobChanged):
            _log.info("job %s (attempt %d) is %s %s", record.job_id, record.attempt, record.state.value, record.error)
