"""The one place where the session's state changes: pure, from a state and a message to a state and effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from autopod_nb.comfyui.monitor_events import (
    Connected,
    Disconnected,
    MonitorEvent,
    PromptResultFound,
    PromptRunning,
    PromptVanished,
)
from autopod_nb.models.event import (
    NodeExecuted,
    NodesCached,
    NodeStarted,
    Preview,
    PromptOver,
    PromptProgress,
    PromptStarted,
    QueueStatus,
    StepProgress,
)
from autopod_nb.models.job import JobEvent, JobState, job_is_over
from autopod_nb.models.snapshot import Level
from autopod_nb.session import (
    adopt_steps,
    boot_steps,
    commands,
    events,
    fleet_faults,
    fleet_steps,
    guard_steps,
    job_events,
    job_steps,
    limit_rules,
    pod_steps,
    rules,
)
from autopod_nb.session.effects import AskOffers, Effect, FetchLogs, TellWritten
from autopod_nb.session.events import Message, Moment, PodMessage
from autopod_nb.session.progress import Advance, advance
from autopod_nb.session.state import JobData, SessionState
from autopod_nb.session.step import Step

# many a second from each pod, of which no pod begins or ends anything: what follows is for the others
_MOVES_NO_POD = (PromptProgress, StepProgress, Preview, NodesCached, NodeStarted, NodeExecuted, QueueStatus)


def reduce(state: SessionState, message: Message, now: Moment) -> tuple[SessionState, tuple[Effect, ...]]:
    """Take one message.

    Args:
        state: before; it is not changed.
        message: a command or an event.
        now: its moment.

    Returns:
        The state after it, and what is to be done, in order.

    Raises:
        IllegalTransition: a table has no such step; nothing was changed.
    """
    step = Step(state, now)
    handler = _HANDLERS.get(type(message))
    if handler is not None:
        handler(step, message)
    if not is_news_of_progress(message):
        fleet_steps.turn(step)
        pod_steps.settle(step)
        guard_steps.settle(step, state.pods)
        rules.charge(step)
    return step.finish()


def is_news_of_progress(message: Message) -> bool:
    """Whether it tells how far a job is and changes nothing but that."""
    if isinstance(message, PodMessage):
        return isinstance(message.event, _MOVES_NO_POD)
    return isinstance(message, job_events.FilesMoved)


def take_in(state: SessionState, messages: Sequence[Message], now: Moment) -> SessionState:
    """:func:`reduce` for several at once of which each :func:`is_news_of_progress`; nothing is to be done for them."""
    step = Step(state, now)
    for message in messages:
        _HANDLERS[type(message)](step, message)
    return step.finish()[0]


def _tick(step: Step, message: events.Tick) -> None:
    rules.tick(step, message.number)
    guard_steps.tick(step, message.number)


def _find_offers(step: Step, message: commands.FindOffers) -> None:
    step.emit(AskOffers(query=message.query, reply=message.reply))


def _read_logs(step: Step, message: commands.ReadLogs) -> None:
    provider_id = step.pods[message.pod_id].provider_id if message.of_pod else None
    step.emit(FetchLogs(pod_id=message.pod_id, provider_id=provider_id, lines=message.lines, reply=message.reply))


def _ask_books(step: Step, message: commands.AskBooks) -> None:
    step.emit(TellWritten(reply=message.reply))


def _ledger_failed(step: Step, message: events.LedgerFailed) -> None:
    if not step.said(message.why):
        step.notice(Level.ERROR, message.why)


def _pod_message(step: Step, message: PodMessage) -> None:
    """Something that a pod's ComfyUI told; what belongs to no job of ours is left out."""
    event = message.event
    if isinstance(event, Disconnected):
        pod_steps.comfyui_silent(step, step.pods[message.pod_id])
    elif isinstance(event, Connected):
        pod_steps.comfyui_back(step, step.pods[message.pod_id])
    elif isinstance(event, Preview):
        _preview(step, message.pod_id, event)
    else:
        prompt_id = event.result.prompt_id if isinstance(event, PromptResultFound) else getattr(event, "prompt_id", "")
        owner = step.job_of_prompt(prompt_id)
        if owner is not None:
            _prompt_message(step, owner, event)


def _prompt_message(step: Step, job: JobData, event: MonitorEvent) -> None:
    match event:
        case PromptOver():
            job_steps.ended_on_server(step, job, None)
        case PromptResultFound(result=result):
            job_steps.ended_on_server(step, job, result)
        case PromptVanished():
            _vanished(step, job, may_have_run=event.may_have_run)
        case PromptStarted() | PromptRunning() | NodesCached() | NodeStarted() | PromptProgress() | StepProgress():
            _progress(step, job, event)
        case NodeExecuted(files=files):
            step.put(replace(job, progress_s=step.now.s, made=(*job.made, *files)))
        case _:
            step.put(replace(job, progress_s=step.now.s))


def _progress(step: Step, job: JobData, event: Advance) -> None:
    if isinstance(event, PromptStarted | PromptRunning) and job.posted:
        if job.state is JobState.UPLOADING:  # its first event overtook the answer to the post
            job = step.move(job, JobEvent.ACCEPTED)
        if job.state is JobState.SUBMITTED:
            job = step.move(job, JobEvent.STARTED)
    if not job_is_over(job.state):
        # news ends a stuck warning
        step.put(replace(job, track=advance(job.track, event, step.now.s), progress_s=step.now.s, warning=""))


def _preview(step: Step, pod_id: str, event: Preview) -> None:
    """An old server does not say whose preview it is: it belongs to the job that renders."""
    job = step.job_of_prompt(event.prompt_id) if event.prompt_id else None
    if job is None and not event.prompt_id:
        running = [job for job in step.jobs_of(step.pods[pod_id]) if job.state is JobState.RUNNING]
        job = running[0] if running else None
    if job is not None:
        step.put(replace(job, preview=event.data, preview_type=event.media_type))


def _vanished(step: Step, job: JobData, *, may_have_run: bool) -> None:
    """Neither in the queue nor in the history: deleted as we wished, or its server began anew."""
    if job.cancel is not None:
        job_steps.end_cancelled(step, job)
    elif not job.posted:
        job_steps.post_again(step, job, "It was not on the pod yet when its session ended.")
    elif not may_have_run and job.state is JobState.SUBMITTED:
        job_steps.post_again(step, job, "The line broke while it was posted, and it never arrived.")
    elif job.state in (JobState.SUBMITTED, JobState.RUNNING):
        job_steps.try_again(step, job, "ComfyUI does not know it any more: it was restarted, or somebody deleted it.")


_HANDLERS: dict[type, Callable[[Step, Any], None]] = {
    commands.FindOffers: _find_offers,
    commands.ReadLogs: _read_logs,
    commands.AskBooks: _ask_books,
    commands.Connect: boot_steps.connect,
    commands.WishFleet: fleet_steps.wish,
    commands.DropFleet: fleet_faults.drop,
    commands.Adopt: adopt_steps.adopt,
    commands.EndForeign: adopt_steps.end_foreign,
    commands.EndStranger: adopt_steps.end_stranger,
    commands.ResumePod: pod_steps.resume,
    commands.Submit: job_steps.submit,
    commands.Cancel: job_steps.cancel,
    commands.StopPod: fleet_faults.stop,
    commands.KillPod: fleet_faults.kill,
    commands.DetachPod: pod_steps.detach,
    commands.CloseSession: fleet_faults.close_all,
    commands.KeepWaiting: rules.keep_waiting,
    commands.KeepAlive: rules.keep_alive,
    events.Tick: _tick,
    events.IntentWritten: boot_steps.intent_written,
    events.PodCreated: boot_steps.created,
    events.PodPriced: boot_steps.priced,
    events.PodNotCreated: fleet_faults.not_created,
    events.PodOwned: adopt_steps.owned,
    events.PodAdopted: adopt_steps.adopted,
    events.ForeignEnded: adopt_steps.foreign_ended,
    events.StrangerEnded: adopt_steps.stranger_ended,
    events.GpuSeen: pod_steps.gpu_seen,
    events.PodPhase: boot_steps.phase,
    events.PodAddressed: boot_steps.addressed,
    events.PodReady: fleet_faults.ready,
    events.PodBootFailed: fleet_faults.boot_failed,
    events.LineLost: pod_steps.line_lost,
    events.LineBack: pod_steps.line_back,
    events.PodObserved: pod_steps.observed,
    events.PodStopped: pod_steps.stopped,
    events.PodTerminated: pod_steps.terminated,
    events.StillBilling: pod_steps.still_billing,
    events.PodMessage: _pod_message,
    job_events.JobWritten: job_steps.written,
    job_events.FilesMoved: job_steps.files_moved,
    job_events.InputsUploaded: job_steps.uploaded,
    job_events.PromptAccepted: job_steps.accepted,
    job_events.StepFailed: fleet_faults.step_failed,
    job_events.PromptCancelled: job_steps.cancelled,
    job_events.PromptRead: job_steps.result_read,
    job_events.PromptFetched: fleet_faults.fetched,
    job_events.FetchFailed: job_steps.fetch_failed,
    events.LeaseLost: adopt_steps.lease_lost,
    events.LedgerFailed: _ledger_failed,
    events.SpentSeen: limit_rules.spent_seen,
    events.RunsSeen: fleet_steps.seen,
    events.SshOpened: guard_steps.ssh_opened,
    events.PodGuarded: guard_steps.guarded,
    events.ReaperSeen: guard_steps.reaper_seen,
    events.AccountSeen: guard_steps.account_seen,
}
