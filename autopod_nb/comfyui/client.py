"""What we ask of a ComfyUI server over HTTP. Its facts were seen on 0.12.1 and 0.3.64."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import requests

from autopod_nb.clock import Clock, Deadline
from autopod_nb.comfyui.answers import Accepted, ServerInfo, Whereabouts
from autopod_nb.comfyui.download import Download
from autopod_nb.comfyui.history import QueueContent, decode_history, decode_queue
from autopod_nb.comfyui.messages import decode_features
from autopod_nb.comfyui.refusal import explain, input_choices, node_faults, unnamed_choices
from autopod_nb.comfyui.transport import Transport, parse_json, words
from autopod_nb.errors import AnswerLost, ComfyError, PromptRefused
from autopod_nb.models.event import PromptResult, ServerFeatures
from autopod_nb.models.job import RemoteFile

_SMALL_BYTES = 1_000_000  # most answers are a few hundred bytes
_LOG_BYTES = 8_000_000
_LARGE_BYTES = 64_000_000  # queue and history carry whole workflows, /object_info 0.8 MB and more with custom nodes
_READY_TIMEOUT_S = 5.0  # a tunnel accepts at once, also when nothing listens at its end: then ask again
# before each look for a prompt whose acceptance was lost: a line that broke is back within seconds, or not for long
_LOOK_PAUSES_S = (0.2, 0.3, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)  # a guess
_SECOND_LOOK_S = 0.3  # after one without a trace of it; a guess


class ComfyClient:
    """One ComfyUI. Thread-safe: each thread has an HTTP session of its own, all share one pool of connections.

    Every method raises :class:`~autopod_nb.errors.ComfyError` with one line when there is no good answer, and its
    kind :class:`~autopod_nb.errors.AnswerLost` when the line broke.

    Args:
        base_url: for example ``http://127.0.0.1:8188``, the local end of a tunnel.
        clock: paces retries.
        timeout_s: to connect, and between two pieces of an answer.
    """

    def __init__(self, base_url: str, *, clock: Clock, timeout_s: float = 30) -> None:
        self._http = Transport(base_url, clock=clock, timeout_s=timeout_s)
        self._clock = clock

    @property
    def base_url(self) -> str:
        """Without a slash at its end."""
        return self._http.base_url

    def close(self) -> None:
        """Break off every call in any thread, within a moment, and refuse new ones. Safe to call twice."""
        self._http.close()

    def sibling(self, timeout_s: float) -> ComfyClient:
        """A client of the same server with connections of its own, which closes by itself."""
        return ComfyClient(self.base_url, clock=self._clock, timeout_s=timeout_s)

    def pause(self, seconds: float) -> None:
        """Wait between two tries; ends at once when the client is closed."""
        self._http.pause(seconds)

    def wait_ready(self, deadline: Deadline) -> ServerInfo:
        """Wait for a 200 with JSON from ``/system_stats``; an open port proves nothing.

        Raises:
            ComfyError: not until *deadline*; it says what came last.
        """
        pause_s = 0.1
        while True:
            try:
                return self.server_info(timeout_s=min(_READY_TIMEOUT_S, max(0.1, deadline.left_s())))
            except ComfyError as error:
                if self._http.closed or deadline.passed:
                    raise ComfyError(f"ComfyUI did not become ready in time. Last: {error}") from error
            self.pause(min(pause_s, deadline.left_s()))
            pause_s = min(1.0, pause_s * 1.5)

    def server_info(self, *, timeout_s: float | None = None) -> ServerInfo:
        """What the server says of itself now."""
        body = self._object("/system_stats", timeout_s=timeout_s)
        system, devices = body.get("system"), body.get("devices")
        if not isinstance(system, dict):
            raise ComfyError("What answers /system_stats is no ComfyUI.")
        device = devices[0] if isinstance(devices, list) and devices and isinstance(devices[0], dict) else {}
        return ServerInfo(
            version=str(system.get("comfyui_version", "")),
            device=str(device.get("name", "")),
            python=str(system.get("python_version", "")).partition(" ")[0],
            pytorch=str(system.get("pytorch_version", "")),
        )

    def features(self) -> ServerFeatures:
        """What the server can do."""
        return decode_features(self._object("/features"))

    def object_info(self, class_name: str | None = None) -> dict[str, Any]:
        """Node class → its inputs and outputs, as the server describes them; empty for an unknown class."""
        path = "/object_info" if class_name is None else f"/object_info/{quote(class_name, safe='')}"
        return self._object(path, most_bytes=_LARGE_BYTES)

    def queue_remaining(self) -> int:
        """Prompts that run or wait, whoever owns them. The cheapest question."""
        remaining = self._object("/prompt").get("exec_info", {}).get("queue_remaining")
        if not isinstance(remaining, int):
            raise ComfyError("ComfyUI did not say how long its queue is.")
        return remaining

    def queue(self) -> QueueContent:
        """What runs and what waits. Carries whole workflows on the wire: not for a fast poll."""
        return decode_queue(self._object("/queue", most_bytes=_LARGE_BYTES))

    def history(self, prompt_id: str) -> PromptResult | None:
        """How a prompt ended; None when it has not, or is unknown."""
        body = self._object(f"/history/{quote(prompt_id, safe='')}", most_bytes=_LARGE_BYTES)
        return decode_history(body, prompt_id)

    def history_is_empty(self) -> bool:
        """Whether the server remembers no prompt at all, as after its start."""
        return not self._object("/history?max_items=1", most_bytes=_LARGE_BYTES)

    def whereabouts(self, prompt_id: str) -> Whereabouts:
        """Where a prompt is. Looks at the queue first: on its way from there to the history it is never in neither."""
        content = self.queue()
        if prompt_id in content.running:
            return Whereabouts.RUNNING
        if prompt_id in content.pending:
            return Whereabouts.PENDING
        return Whereabouts.NOWHERE if self.history(prompt_id) is None else Whereabouts.ENDED

    def interrupt(self, prompt_id: str) -> None:
        """Stop a prompt if it is the one that runs; takes effect at its next progress or node. Safe to call twice."""
        if not prompt_id:
            raise ComfyError("No prompt id: that would stop whatever runs, whoever owns it.")
        self._http.post("/interrupt", {"prompt_id": prompt_id})

    def delete(self, prompt_id: str) -> None:
        """Take a prompt out of the queue if it waits there; it leaves no trace. Safe to call twice."""
        self._http.post("/queue", {"delete": [prompt_id]})

    def cancel(self, prompt_id: str) -> Whereabouts:
        """Delete it, and interrupt it should it have begun meanwhile. Safe to call twice.

        Returns:
            Where it is then: RUNNING until its node notices, ENDED, or NOWHERE when it was deleted.
        """
        self.delete(prompt_id)
        self.interrupt(prompt_id)
        return self.whereabouts(prompt_id)

    def free(self) -> None:
        """Unload models and empty the node cache, after what runs now."""
        self._http.post("/free", {"unload_models": True, "free_memory": True})

    def logs(self) -> str:
        """The last lines of the server's log."""
        text = self._http.get_json("/internal/logs", most_bytes=_LOG_BYTES)
        return text if isinstance(text, str) else ""

    @contextmanager
    def view(self, remote: RemoteFile, *, start: int = 0, timeout_s: float | None = None) -> Iterator[Download]:
        """A file of the server, as a ``with`` block around reading it.

        Args:
            start: first byte wanted; look at :attr:`Download.start` for the first one that comes.
            timeout_s: between two pieces, if less than the client's.

        Raises:
            ComfyError: no such file, or *start* lies behind its end.
            AnswerLost: the line broke; ask again for the rest.
        """
        named = {"filename": remote.filename, "subfolder": remote.subfolder, "type": remote.folder}
        headers = {"Accept-Encoding": "identity"}  # sizes and ranges are of the file itself
        if start:
            headers["Range"] = f"bytes={start}-"
        with self._http.stream("GET", f"/view?{urlencode(named)}", headers=headers, timeout_s=timeout_s) as answer:
            if answer.status_code == requests.codes.not_found:
                raise ComfyError(
                    f"ComfyUI no longer has the file {remote.filename!r}. A cached run names old files again: change "
                    "a seed to have it made anew."
                )
            if answer.status_code not in (requests.codes.ok, requests.codes.partial_content):
                said = words(self._http.body(answer, _SMALL_BYTES))
                raise ComfyError(f"ComfyUI answered {answer.status_code} for the file {remote.filename!r}{said}.")
            yield Download(answer)

    def submit(
        self,
        workflow: Mapping[str, object],
        *,
        prompt_id: str,
        client_id: str,
        extra_data: Mapping[str, object] | None = None,
    ) -> Accepted:
        """Put a workflow into the queue, once.

        When the answer is lost, queue and history are searched for *prompt_id*; only when it is in neither, after
        two looks, the workflow is posted a second and last time.

        Args:
            workflow: node id → node, in API format.
            prompt_id: a lower-case UUID that was never used before.
            client_id: whose socket hears of it; needed also without a socket.
            extra_data: kept by the server; ``preview_method`` and ``extra_pnginfo`` have a meaning.

        Raises:
            PromptRefused: the server refused it; nothing runs.
            AnswerLost: nobody can say whether it is in the queue; its history will tell.
        """
        request = {"prompt": workflow, "prompt_id": prompt_id, "client_id": client_id}
        if extra_data:
            request["extra_data"] = extra_data
        try:
            content = json.dumps(request, allow_nan=False).encode()
        except (ValueError, TypeError) as error:
            raise PromptRefused(f"The workflow holds a value that JSON cannot carry: {error}.") from error
        try:
            return self._post_prompt(workflow, content)
        except AnswerLost as error:
            if found := self._accepted_unseen(prompt_id, error):
                return found
        try:
            return self._post_prompt(workflow, content)
        except AnswerLost as error:
            if found := self._accepted_unseen(prompt_id, error):
                return found
            raise

    def _post_prompt(self, workflow: Mapping[str, object], content: bytes) -> Accepted:
        headers = {"Content-Type": "application/json"}
        with self._http.stream("POST", "/prompt", data=content, headers=headers) as answer:
            body, status = self._http.body(answer, _LARGE_BYTES), answer.status_code
        if status == requests.codes.ok:
            accepted = parse_json(body, "/prompt")
            number = accepted.get("number") if isinstance(accepted, dict) else None
            if not isinstance(number, (int, float)):
                raise AnswerLost(f"ComfyUI's answer to the workflow makes no sense{words(body)}.")
            return Accepted(number=number, node_errors=node_faults(workflow, accepted.get("node_errors")))
        if status == requests.codes.bad_request:
            refused = parse_json(body, "/prompt")
            refused = refused if isinstance(refused, dict) else {}
            raise explain(workflow, refused, self._choices(refused))
        if status == requests.codes.request_entity_too_large:
            raise PromptRefused(f"The workflow is too large for this ComfyUI{words(body)}.", error_type="too_large")
        raise PromptRefused(
            f"ComfyUI answered {status} to the workflow{words(body)}. Is it in API format? Its log says more.",
            error_type=str(status),
        )

    def _choices(self, refused: Mapping[str, object]) -> dict[tuple[str, str], tuple[str, ...]]:
        """Lists that were too long for the refusal. Best effort: the refusal matters more."""
        found = {}
        for node_class, name in unnamed_choices(refused):
            try:
                info = self.object_info(node_class).get(node_class, {}).get("input", {})
                config = {**info.get("optional", {}), **info.get("required", {})}.get(name)
            except (ComfyError, AttributeError, TypeError):
                continue
            found[node_class, name] = input_choices(config)
        return found

    def _accepted_unseen(self, prompt_id: str, lost: AnswerLost) -> Accepted | None:
        """Whether a prompt whose answer was lost is in the queue or the history; None after two looks without it.

        Raises:
            AnswerLost: the server cannot be asked either.
        """
        looks_without = 0
        for pause_s in _LOOK_PAUSES_S:
            self.pause(_SECOND_LOOK_S if looks_without else pause_s)
            try:
                content = self.queue()
                if prompt_id in content:
                    return Accepted(number=content.numbers[prompt_id])
                if self.history(prompt_id) is not None:
                    return Accepted(number=0)
            except ComfyError:
                continue
            looks_without += 1
            if looks_without == 2:
                return None
        raise AnswerLost(f"Whether ComfyUI took the workflow is not known: {lost}") from lost

    def _object(self, path: str, *, most_bytes: int = _SMALL_BYTES, timeout_s: float | None = None) -> dict[str, Any]:
        body = self._http.get_json(path, most_bytes=most_bytes, timeout_s=timeout_s)
        if not isinstance(body, dict):
            raise ComfyError(f"What answers {path.partition('?')[0]} sends something else than an object.")
        return body
