"""Which hand does which effect, and what the session hears when it fails. Runs in the lanes and never raises."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from typing import Any

from autopod_nb.clock import Clock
from autopod_nb.config import Settings
from autopod_nb.errors import AutopodError, ComfyError, Gone, NoCapacity, PromptRefused, SshError
from autopod_nb.jobs import run
from autopod_nb.providers.base import Provider
from autopod_nb.session import events, job_events
from autopod_nb.session.care_work import CareWork
from autopod_nb.session.effects import (
    AdoptPod,
    ArmWatchdog,
    AskOffers,
    BeatWatchdog,
    BootPod,
    CancelPrompt,
    CheckAccount,
    CreatePod,
    DropLine,
    Effect,
    EndForeignPod,
    FetchLogs,
    FetchResults,
    ForgetPrompt,
    KeepReaper,
    LookAtGpu,
    PollCommands,
    ReadRuns,
    ReadSpent,
    ReopenLine,
    StopAtProvider,
    StopUpload,
    SubmitPrompt,
    TellWritten,
    TerminateAtProvider,
    TerminateStranger,
    UploadInputs,
    WriteLedger,
)
from autopod_nb.session.end_work import EndWork
from autopod_nb.session.events import Message
from autopod_nb.session.fleet_work import FleetWork
from autopod_nb.session.job_work import JobWork
from autopod_nb.session.pod_work import PodWork
from autopod_nb.session.scribe import Scribe
from autopod_nb.storage.ledger import Ledger

_log = logging.getLogger(__name__)


class Worker:
    """Does effects.

    Args:
        settings: home, ports, time allowed.
        provider: who rents out pods.
        ledger: open for writing; only the ledger lane writes.
        clock: the time.
        post: puts a message into the session's inbox.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        provider: Provider,
        ledger: Ledger,
        clock: Clock,
        post: Callable[[Message], None],
    ) -> None:
        self._post = post
        self._scribe = Scribe(ledger, clock, post)
        self._pods = PodWork(settings, provider=provider, clock=clock, post=post)
        ends = EndWork(provider, post)
        care = CareWork(settings, provider=provider, ledger=ledger, link=self._pods.link, clock=clock, post=post)
        jobs = JobWork(self._pods.link, clock=clock, post=post)
        self._hands: dict[type, Callable[[Any], None]] = {
            AskOffers: self._pods.offers,
            TellWritten: lambda effect: effect.reply.set_result(None),
            FetchLogs: self._pods.logs,
            LookAtGpu: care.look_at_gpu,
            ArmWatchdog: care.arm,
            BeatWatchdog: care.beat,
            KeepReaper: care.keep_reaper,
            CheckAccount: care.check_account,
            CreatePod: self._pods.create,
            BootPod: self._pods.boot,
            AdoptPod: self._pods.adopt,
            EndForeignPod: ends.end_foreign,
            TerminateStranger: ends.end_stranger,
            PollCommands: self._scribe.poll,
            ReadSpent: self._scribe.read_spent,
            ReadRuns: FleetWork(ledger, provider.name, post).read,
            ReopenLine: self._pods.reopen,
            DropLine: self._pods.drop,
            StopAtProvider: ends.stop,
            TerminateAtProvider: ends.terminate,
            UploadInputs: jobs.upload,
            StopUpload: jobs.stop_upload,
            SubmitPrompt: jobs.submit,
            CancelPrompt: jobs.cancel,
            FetchResults: jobs.fetch,
            ForgetPrompt: jobs.forget,
        }

    def do(self, effects: list[Effect]) -> None:
        """Carry out one effect, or several writes of the ledger in one transaction."""
        writes = [effect for effect in effects if isinstance(effect, WriteLedger)]
        if writes:
            self._scribe.write(writes)
        for effect in effects:
            if not isinstance(effect, WriteLedger):
                self._do(effect)

    def _do(self, effect: Effect) -> None:
        try:
            self._hands[type(effect)](effect)
        except AutopodError as error:
            _log.warning("%s: %s", type(effect).__name__, error)
            self._tell_failure(effect, error)
        except Exception as error:  # noqa: BLE001 - a lane must live on, and the session must hear of it
            _log.exception("%s failed", type(effect).__name__)
            text = f"{type(error).__name__}: {error} (a mistake of autopod_nb; see the log)"
            self._tell_failure(effect, AutopodError(text))

    def _tell_failure(self, effect: Effect, error: AutopodError) -> None:
        """What the session hears when an effect failed."""
        why = str(error)
        match effect:
            case AskOffers(reply=reply) | FetchLogs(reply=reply):
                try:
                    reply.set_exception(error)
                except InvalidStateError:
                    _log.debug("nobody waits for this answer any more")
            case CreatePod(pod_id=pod_id):
                another = isinstance(error, NoCapacity)
                self._post(events.PodNotCreated(pod_id=pod_id, why=why, another_may_do=another))
            case BootPod(pod_id=pod_id):
                self._post(events.PodBootFailed(pod_id=pod_id, why=why))
            case EndForeignPod(pod_id=pod_id):
                self._post(events.ForeignEnded(pod_id=pod_id, why="" if isinstance(error, Gone) else why))
            case TerminateStranger(provider_id=provider_id):
                self._post(events.StrangerEnded(provider_id=provider_id, why="" if isinstance(error, Gone) else why))
            case StopAtProvider(pod_id=pod_id) | TerminateAtProvider(pod_id=pod_id):
                if isinstance(error, Gone):
                    self._post(events.PodTerminated(pod_id=pod_id))
                else:
                    self._post(events.StillBilling(pod_id=pod_id, why=why))
            case UploadInputs(spec=spec, attempt=attempt) | SubmitPrompt(spec=spec, attempt=attempt):
                line = self._is_of_line(effect, error)
                self._post(job_events.StepFailed(job_id=spec.job_id, attempt=attempt, why=why, line_at_fault=line))
            case FetchResults(spec=spec, attempt=attempt):
                lost = isinstance(error, run.ResultLost)
                self._post(job_events.FetchFailed(job_id=spec.job_id, attempt=attempt, why=why, lost=lost))
            case _:
                pass  # a cancellation that failed is seen by its time-out; the rest changes nothing

    def _is_of_line(self, effect: UploadInputs | SubmitPrompt, error: AutopodError) -> bool:
        """Whether it is worth another try: the line failed, not the file or the workflow."""
        link = self._pods.link(effect.pod_id)
        down = link.connection is None or not link.connection.alive
        refused = isinstance(error, PromptRefused)
        return down or isinstance(error, SshError) or (isinstance(error, ComfyError) and not refused)

    def close(self) -> None:
        """Close every line; whatever waits on one gives up. Safe to call twice."""
        self._pods.close()
