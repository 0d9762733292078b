"""The hand of a job's steps: upload, submit, cancel, fetch."""

from __future__ import annotations

import threading
from collections.abc import Callable

from autopod_nb.clock import Clock, Deadline
from autopod_nb.comfyui.answers import Whereabouts
from autopod_nb.errors import AnswerLost, SshError
from autopod_nb.jobs import run
from autopod_nb.models.rate import Rate, Transfer
from autopod_nb.pods import guard
from autopod_nb.pods.launch import PodLink
from autopod_nb.session import job_events
from autopod_nb.session.effects import CancelPrompt, FetchResults, ForgetPrompt, StopUpload, SubmitPrompt, UploadInputs
from autopod_nb.session.events import Message
from autopod_nb.ssh.transfer import OnBytes, PodFiles

_UPLOAD_S = 3600.0
_FETCH_S = 3600.0
_LOOK_S = 0.1  # how soon it is seen that a line is good again
_AGAIN_S = 0.5  # before a cancellation that was not answered is sent again
_TELL_S = 0.2  # between two words about how far files are


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
        self._lock = threading.Lock()
        self._stops: dict[tuple[str, int], threading.Event] = {}  # job and attempt → set when its upload is to end

    def forget(self, effect: ForgetPrompt) -> None:
        """The monitor need not look for it any more."""
        if (monitor := self._link(effect.pod_id).monitor) is not None:
            monitor.unwatch(effect.prompt_id)

    def _files(self, link: PodLink) -> PodFiles:
        if link.connection is None:
            raise SshError("There is no line to the pod.")
        return PodFiles(link.connection, link.files)

    def _teller(self, job_id: str, attempt: int) -> OnBytes:
        """Tells the session how far files are, a few times a second, and the end always."""
        rate, told_s = Rate(), -_TELL_S

        def tell(done: int, size: int) -> None:
            nonlocal told_s
            now_s = self._clock.monotonic()
            rate.report(done, now_s)
            if done < size and now_s - told_s < _TELL_S:
                return
            told_s = now_s
            transfer = Transfer(
                done=done, size=size, bytes_per_s=rate.bytes_per_s(now_s), left_s=rate.left_s(size, now_s)
            )
            self._post(job_events.FilesMoved(job_id=job_id, attempt=attempt, transfer=transfer))

        return tell

    def upload(self, effect: UploadInputs) -> None:
        """Bring the inputs."""
        link, key = self._link(effect.pod_id), (effect.spec.job_id, effect.attempt)
        names: tuple[tuple[str, str], ...] = ()
        try:
            if effect.spec.inputs:
                if link.address is None:
                    raise SshError("There is no line to the pod.")
                names = run.upload_inputs(
                    self._files(link),
                    effect.spec,
                    link.address,
                    deadline=Deadline(self._clock, _UPLOAD_S),
                    stop=_Either(link.abort, self._stop(key)),
                    on_bytes=self._teller(*key),
                )
        finally:
            with self._lock:
                self._stops.pop(key, None)
        self._post(job_events.InputsUploaded(job_id=effect.spec.job_id, attempt=effect.attempt, names=names))

    def stop_upload(self, effect: StopUpload) -> None:
        """End it, whether it has begun or waits behind others."""
        self._stop((effect.job_id, effect.attempt)).set()

    def _stop(self, key: tuple[str, int]) -> threading.Event:
        with self._lock:
            return self._stops.setdefault(key, threading.Event())

    def submit(self, effect: SubmitPrompt) -> None:
        """Post the workflow, once there is a line for it."""
        link = self._link(effect.pod_id)
        self._await_line(link)
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
        """End this prompt and no other: again and again until the server has heard it, or the pod is being ended."""
        link = self._link(effect.pod_id)
        while link.client is not None and not link.abort.is_set():
            self._await_line(link)
            try:
                gone = link.client.cancel(effect.prompt_id) is Whereabouts.NOWHERE
            except AnswerLost:
                self._clock.wait(link.abort, _AGAIN_S)
            else:
                self._post(job_events.PromptCancelled(job_id=effect.job_id, attempt=effect.attempt, gone=gone))
                return

    def _await_line(self, link: PodLink) -> None:
        """Wait while a line is being opened again, but not longer than the pod is to live."""
        while link.connection is not None and not link.connection.alive:
            if self._clock.wait(link.abort, _LOOK_S):
                return

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
            on_bytes=self._teller(effect.spec.job_id, effect.attempt),
        )
        self._post(
            job_events.PromptFetched(job_id=effect.spec.job_id, attempt=effect.attempt, result=result, files=files)
        )


class _Either:
    """Ends a transfer when one of two is set."""

    def __init__(self, *events: threading.Event) -> None:
        self._events = events

    def is_set(self) -> bool:
        return any(event.is_set() for event in self._events)
