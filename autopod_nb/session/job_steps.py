"""What happens to a job: one function a message, each from state to state by the job table."""

from __future__ import annotations

from dataclasses import replace

from autopod_nb.models.event import PromptFault, PromptOutcome, PromptResult
from autopod_nb.models.job import JobEvent, JobState, job_is_over
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Level
from autopod_nb.session import books
from autopod_nb.session.commands import Cancel, Submit
from autopod_nb.session.effects import CancelPrompt, FetchResults, ForgetPrompt, StopUpload, SubmitPrompt
from autopod_nb.session.job_events import (
    FetchFailed,
    FilesMoved,
    InputsUploaded,
    JobWritten,
    PromptAccepted,
    PromptCancelled,
    PromptFetched,
    PromptRead,
    StepFailed,
)
from autopod_nb.session.progress import Track
from autopod_nb.session.state import JobData, PodData, WhyCancel, make_prompt_id
from autopod_nb.session.step import Step

_RETRY_S = (0.5, 2.0, 5.0, 15.0, 30.0, 60.0)  # before fetching is tried again, at first by a line just mended; a guess
_LINE_FAULTS = 5  # on the way up, before they count as attempts: nothing ran by then; a guess
_REST_S = 2.0  # within that a line that broke is known as lost, for what hangs on a silent one fails later; a guess
ON_THE_SERVER = (JobState.UPLOADING, JobState.SUBMITTED, JobState.RUNNING)
_OVER = (PodState.STOPPING, PodState.STOPPED, PodState.TERMINATING, PodState.TERMINATED)


def submit(step: Step, message: Submit) -> None:
    """Take a job: first into the ledger, then into the queue."""
    job = JobData(
        spec=message.spec,
        template=message.template,
        uid=message.uid,
        prompt_id=make_prompt_id(message.uid, 1),
        session_id=step.rules.session_id,
        pod_wish=message.pod_id,
        submitted=step.now,
        usual_s=message.usual_s,
        frame_nodes=message.template.frame_nodes,
    )
    step.put(job)
    step.queue = (*step.queue, job.job_id)
    step.prompts[job.prompt_id] = job.job_id
    step.record(books.job_recorded(job), then=JobWritten(job_id=job.job_id))


def written(step: Step, message: JobWritten) -> None:
    """The job is in the ledger and may cost money; if its pod has ended meanwhile, it waits for nobody."""
    job = step.put(replace(step.job(message.job_id), recorded=True))
    if step.fleet is not None:
        step.fleet = replace(step.fleet, dirty=True)
        if job.pod_wish is None:
            return
    if job.state is JobState.QUEUED and not any(_will_serve(pod, job) for pod in step.pods.values()):
        fail(step, job, "There is no pod for it any more; `connect` rents one.")


def _will_serve(pod: PodData, job: JobData) -> bool:
    return pod.state not in _OVER and pod.ending is None and job.pod_wish in (None, pod.pod_id)


def _current(step: Step, job_id: str, attempt: int) -> JobData | None:
    """The job, unless it is over or the answer belongs to an earlier attempt."""
    job = step.find_job(job_id)
    return None if job is None or job.attempt != attempt or job_is_over(job.state) else job


def files_moved(step: Step, message: FilesMoved) -> None:
    """Its inputs or its results have come further."""
    job = _current(step, message.job_id, message.attempt)
    if job is not None and job.state in (JobState.UPLOADING, JobState.COLLECTING):
        step.put(replace(job, transfer=message.transfer, progress_s=step.now.s))


def uploaded(step: Step, message: InputsUploaded) -> None:
    """The inputs are there: post the workflow, under a prompt id that is known before."""
    job = _current(step, message.job_id, message.attempt)
    if job is None or job.pod_id is None or job.state is not JobState.UPLOADING:
        return
    if job.cancel is not None:
        end_cancelled(step, job)
        return
    step.put(replace(job, posted=True, progress_s=step.now.s, transfer=None))
    step.emit(
        SubmitPrompt(
            pod_id=job.pod_id,
            spec=job.spec,
            template=job.template,
            attempt=job.attempt,
            prompt_id=job.prompt_id,
            names=message.names,
        )
    )


def accepted(step: Step, message: PromptAccepted) -> None:
    """ComfyUI took it; its first events may have come before this answer."""
    job = _current(step, message.job_id, message.attempt)
    if job is None:
        return
    if message.complaints:
        text = f"ComfyUI leaves out parts of {job.job_id}: {'; '.join(message.complaints)}"
        job = step.put(replace(job, warning=text))
        step.notice(Level.WARNING, text, job_id=job.job_id)
    if job.state is JobState.UPLOADING:
        job = step.move(replace(job, progress_s=step.now.s), JobEvent.ACCEPTED)
        if job.cancel is not None:
            _cancel_on_server(step, job)


def step_failed(step: Step, message: StepFailed) -> None:
    """Upload or submission failed: again on a line that works, or the end."""
    job = _current(step, message.job_id, message.attempt)
    if job is None:
        return
    if job.cancel is not None:
        end_cancelled(step, job)
    elif message.line_at_fault:
        if job.pod_id is not None:
            step.put_pod(replace(step.pods[job.pod_id], rest_until_s=step.now.s + _REST_S))
        post_again(step, job, message.why)
    else:
        fail(step, job, message.why)


def post_again(step: Step, job: JobData, why: str) -> None:
    """Back into the queue after an attempt that did not come as far as to run, and does not count for that."""
    if job.uncounted < _LINE_FAULTS:
        give_back(step, replace(job, uncounted=job.uncounted + 1), why)
    else:
        try_again(step, job, why)


def try_again(step: Step, job: JobData, why: str) -> None:
    """Back into the queue with a new attempt number, as often as the rules allow; then the end."""
    tries = job.attempt - job.uncounted
    if job.state not in (*ON_THE_SERVER, JobState.COLLECTING) or tries >= step.rules.attempts:
        fail(step, job, f"{why} It was tried {job.attempt} times: run it again when the pod works.")
    else:
        give_back(step, job, why)


def give_back(step: Step, job: JobData, why: str) -> None:
    """Back into the queue, in front, with a new attempt number."""
    _leave_pod(step, job)
    prompt_id = make_prompt_id(job.uid, job.attempt + 1)
    fresh = replace(
        job, attempt=job.attempt + 1, prompt_id=prompt_id, pod_id=None, posted=False, made=(), retries=0, retry_s=None
    )
    fresh = replace(fresh, track=Track(), taken=None, transfer=None, preview=b"", preview_type="")
    job = step.move(fresh, JobEvent.POD_LOST)
    step.prompts[job.prompt_id] = job.job_id
    step.queue = (job.job_id, *step.queue)
    step.notice(Level.WARNING, f"{job.job_id} is tried again (attempt {job.attempt}): {why}", job_id=job.job_id)


def ended_on_server(step: Step, job: JobData, result: PromptResult | None) -> None:
    """The server is through with it: bring the results here."""
    pod_id = job.pod_id
    if pod_id is None or job.state is JobState.COLLECTING:
        return
    if job.state is JobState.UPLOADING:  # the server was quicker than its own answer
        job = step.move(job, JobEvent.ACCEPTED)
    made = result.files if result is not None else job.made
    job = step.move(replace(job, posted=True, progress_s=step.now.s, made=made), JobEvent.ENDED)
    step.emit(ForgetPrompt(pod_id=pod_id, prompt_id=job.prompt_id))
    _fetch(step, job, result)


def _fetch(step: Step, job: JobData, result: PromptResult | None) -> None:
    if job.pod_id is not None:
        step.emit(
            FetchResults(
                pod_id=job.pod_id,
                spec=job.spec,
                template=job.template,
                attempt=job.attempt,
                prompt_id=job.prompt_id,
                result=result,
                made=job.made,
            )
        )


def left_on_pod(step: Step, job: JobData) -> None:
    """Its pod was stopped while nobody looked: what it made may be there, and was paid for."""
    if job.posted and job.cancel is None and job.state in ON_THE_SERVER:
        if job.state is JobState.UPLOADING:
            job = step.move(job, JobEvent.ACCEPTED)
        step.move(replace(job, progress_s=step.now.s), JobEvent.ENDED)


def result_read(step: Step, message: PromptRead) -> None:
    """The server's own list of what it made, which goes into the ledger before anything is fetched."""
    job = _current(step, message.job_id, message.attempt)
    if job is not None and job.state is JobState.COLLECTING and job.made != message.files:
        job = step.put(replace(job, made=message.files))
        step.record(books.job_changed(job, step.now))


def fetched(step: Step, message: PromptFetched) -> None:
    """History and files are here: now it is known how the job ended."""
    job = _current(step, message.job_id, message.attempt)
    if job is None or job.state is not JobState.COLLECTING:
        return
    job = step.put(replace(job, results=message.files, texts=message.result.texts, retry_s=None))
    step.record(*books.results_recorded(job, step.now))
    match message.result.outcome:
        case PromptOutcome.SUCCESS:
            _close(step, job, JobEvent.COLLECTED)
        case PromptOutcome.INTERRUPTED if job.cancel is not None:
            end_cancelled(step, job)
        case PromptOutcome.INTERRUPTED:
            fail(step, job, "It was interrupted on the pod by somebody else; run it again.")
        case PromptOutcome.ERROR:
            fault = message.result.fault
            fail(step, replace(job, fault=fault), _fault_text(job, fault))


def _fault_text(job: JobData, fault: PromptFault | None) -> str:
    if fault is None:
        return "ComfyUI says that it failed, and not why; look at its log."
    name = job.template.node_title(fault.node_id) if fault.node_id else "a node"
    return f"{name} ({fault.node_type}, node {fault.node_id}) raised {fault.exception_type}: {fault.message}"


def fetch_failed(step: Step, message: FetchFailed) -> None:
    """The results are still on the pod: try again later, for they are paid for; or they are lost."""
    job = _current(step, message.job_id, message.attempt)
    if job is None or job.state is not JobState.COLLECTING:
        return
    if message.lost:
        fail(step, job, message.why)
        return
    wait_s = _RETRY_S[min(job.retries, len(_RETRY_S) - 1)]
    if job.retries == 0 or job.warning != message.why:
        step.notice(Level.WARNING, f"{job.job_id}: {message.why} It is tried again.", job_id=job.job_id)
    failed = replace(job, retries=job.retries + 1, retry_s=step.now.s + wait_s, transfer=None, warning=message.why)
    step.put(failed)
    lost = job.pod_id is None or step.pods[job.pod_id].state is PodState.LOST
    if job.retries == 0 and job.track.unknown and not lost:  # it began on a line that was lost, and the next one stands
        fetch_again(step, failed)


def fetch_again(step: Step, job: JobData) -> None:
    """The pause is over."""
    job = step.put(replace(job, retry_s=None))
    _fetch(step, job, None)


def cancel(step: Step, message: Cancel) -> None:
    """A person ends this job."""
    job = step.find_job(message.job_id)
    if job is not None:
        request_cancel(step, job, WhyCancel.PERSON, "cancelled by you")


def request_cancel(step: Step, job: JobData, why: WhyCancel, text: str) -> None:
    """End the job early, wherever it is; what it has made by then is kept."""
    if job_is_over(job.state) or job.cancel is not None or job.state is JobState.COLLECTING:
        return
    job = step.put(replace(job, cancel=why, cancel_text=text, cancel_s=step.now.s))
    if job.state is JobState.QUEUED:
        step.queue = tuple(name for name in step.queue if name != job.job_id)
        end_cancelled(step, job)
    elif job.state is not JobState.UPLOADING:
        _cancel_on_server(step, job)
    elif not job.posted:
        step.emit(StopUpload(job_id=job.job_id, attempt=job.attempt))
    # a job that is being uploaded or posted ends when that step answers


def _cancel_on_server(step: Step, job: JobData) -> None:
    if job.pod_id is not None:
        step.emit(CancelPrompt(pod_id=job.pod_id, job_id=job.job_id, attempt=job.attempt, prompt_id=job.prompt_id))


def cancelled(step: Step, message: PromptCancelled) -> None:
    """The server was told; a prompt that was still waiting leaves no history and is over now."""
    job = _current(step, message.job_id, message.attempt)
    if job is not None and message.gone and job.state is not JobState.COLLECTING:
        end_cancelled(step, job)


def end_cancelled(step: Step, job: JobData) -> None:
    """The end that was asked for: a person's wish is no failure, a limit is one."""
    if job.cancel is WhyCancel.PERSON or job.cancel is WhyCancel.POD:
        _close(step, replace(job, error=job.cancel_text), JobEvent.CANCEL)
    else:
        fail(step, job, job.cancel_text)


def fail(step: Step, job: JobData, why: str) -> None:
    """The job ends in an error."""
    step.notice(Level.ERROR, f"{job.job_id} failed: {why}", job_id=job.job_id, pod_id=job.pod_id)
    _close(step, replace(job, error=why), JobEvent.FAIL)


def _close(step: Step, job: JobData, event: JobEvent) -> None:
    step.prompts.pop(job.prompt_id, None)
    step.queue = tuple(name for name in step.queue if name != job.job_id) if job.job_id in step.queue else step.queue
    if job.pod_id is not None and job.posted:
        step.emit(ForgetPrompt(pod_id=job.pod_id, prompt_id=job.prompt_id))
    step.move(replace(job, over_s=step.now.s, preview=b"", preview_type="", warning=""), event)
    _leave_pod(step, job)


def _leave_pod(step: Step, job: JobData) -> None:
    step.prompts.pop(job.prompt_id, None)
    if job.pod_id is not None:
        pod = step.pods[job.pod_id]
        step.put_pod(replace(pod, active=tuple(name for name in pod.active if name != job.job_id)))
