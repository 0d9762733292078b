"""The hand of a job's steps: upload, submit, cancel, fetch."""

from __future__ import annotations

from collections.abc import Callable

from autopod_nb.clock import Clock, Deadline
from autopod_nb.comfyui.answers import Whereabouts
from autopod_nb.errors import SshError
from autopod_nb.jobs import run
from autopod_nb.pods import guard
from autopod_nb.pods.launch import PodLink
from autopod_nb.session import job_events
from autopod_nb.session.effects import CancelPrompt, FetchResults, ForgetPrompt, SubmitPrompt, UploadInputs
from autopod_nb.session.events import Message
from autopod_nb.ssh.transfer import PodFiles

_UPLOAD_S = 3600.0
_FETCH_S = 3600.0


class JobWork:
    """Its methods raise; :class:`autopod_nb.session.work.Worker` tells the session.

    Args:
        link: what is open to a pod.
        clock: the time.
        post: puts a message into the session's inbox.
    """

    def __init__(self, link: Callable[[str], PodLink], *, clock: Clock, post: Callable[[Message], None]) -> None:
        self._link = link
        self._clock = clock
        self._post = post

    def forget(self, effect: ForgetPrompt) -> None:
        """The monitor need not look for it any more."""
        if (monitor := self._link(effect.pod_id).monitor) is not None:
            monitor.unwatch(effect.prompt_id)

    def _files(self, link: PodLink) -> PodFiles:
        if link.connection is None:
            raise SshError("There is no line to the pod.")
        return PodFiles(link.connection)

    def upload(self, effect: UploadInputs) -> None:
        """Bring the inputs."""
        link = self._link(effect.pod_id)
        names: tuple[tuple[str, str], ...] = ()
        if effect.spec.inputs:
            if link.address is None:
                raise SshError("There is no line to the pod.")
            names = run.upload_inputs(
                self._files(link),
                effect.spec,
                link.address,
                deadline=Deadline(self._clock, _UPLOAD_S),
                stop=link.abort,
            )
        self._post(job_events.InputsUploaded(job_id=effect.spec.job_id, attempt=effect.attempt, names=names))

    def submit(self, effect: SubmitPrompt) -> None:
        """Post the workflow."""
        link = self._link(effect.pod_id)
        if link.client is None or link.monitor is None:
            raise SshError("There is no line to the pod's ComfyUI.")
        complaints = run.submit(
            link.client,
            link.monitor,
            effect.template,
            effect.spec,
            names=effect.names,
            prompt_id=effect.prompt_id,
        )
        self._post(job_events.PromptAccepted(job_id=effect.spec.job_id, attempt=effect.attempt, complaints=complaints))

    def cancel(self, effect: CancelPrompt) -> None:
        """End this prompt and no other."""
        client = self._link(effect.pod_id).client
        if client is not None:
            gone = client.cancel(effect.prompt_id) is Whereabouts.NOWHERE
            self._post(job_events.PromptCancelled(job_id=effect.job_id, attempt=effect.attempt, gone=gone))

    def fetch(self, effect: FetchResults) -> None:
        """Bring the results."""
        link = self._link(effect.pod_id)
        if link.client is None or link.address is None:
            raise SshError("There is no line to the pod.")
        known = effect.result or run.read_result(
            link.client, effect.prompt_id, saved=lambda: guard.saved_history(link), made=effect.made
        )
        read = job_events.PromptRead(job_id=effect.spec.job_id, attempt=effect.attempt, files=known.files)
        self._post(read)
        result, files = run.fetch(
            link.client,
            self._files(link),
            effect.template,
            effect.spec,
            link.address,
            result=known,
            deadline=Deadline(self._clock, _FETCH_S),
        )
        self._post(
            job_events.PromptFetched(job_id=effect.spec.job_id, attempt=effect.attempt, result=result, files=files)
        )
