"""The steps of a job on a pod: bring the inputs, post the workflow, bring the results."""

from __future__ import annotations

import contextlib
import posixpath
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autopod_nb.clock import Deadline
from autopod_nb.comfyui import outputs
from autopod_nb.comfyui.answers import Whereabouts
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.comfyui.history import decode_history
from autopod_nb.comfyui.monitor import Monitor
from autopod_nb.comfyui.workflow import WorkflowTemplate, fill
from autopod_nb.errors import AnswerLost, ComfyError, PodError, SshError, TransferError
from autopod_nb.models.event import PromptOutcome, PromptResult
from autopod_nb.models.job import JobSpec, RemoteFile, ResultFile, Verified
from autopod_nb.models.pod import PodAddress
from autopod_nb.ssh.transfer import OnBytes, PodFiles, Stop, local_sha256

_SUBFOLDER = "autopod"  # of ComfyUI's input folder
_HISTORY_TRIES = 5
_HISTORY_PAUSE_S = 0.1  # a history entry may come some milliseconds after the event; seen up to 19


class ResultLost(PodError):
    """The result will never be there."""


def upload_inputs(
    files: PodFiles,
    spec: JobSpec,
    address: PodAddress,
    *,
    deadline: Deadline,
    stop: Stop,
    on_bytes: OnBytes | None = None,
) -> tuple[tuple[str, str], ...]:
    """Bring the inputs into ComfyUI's input folder, at the same time; what is on the pod already is not sent.

    Returns:
        (input, what ComfyUI calls the file) for each.

    Raises:
        TransferError: a file cannot be read or does not arrive whole.
        SshError: the line is lost.
    """
    folder = posixpath.join(address.comfyui_dir, "input", _SUBFOLDER)
    paths = files.upload_all(list(spec.inputs.values()), folder, deadline=deadline, on_bytes=on_bytes, stop=stop)
    names = (f"{_SUBFOLDER}/{posixpath.basename(path)}" for path in paths)
    return tuple(zip(spec.inputs, names, strict=True))


def submit(
    client: ComfyClient,
    monitor: Monitor,
    template: WorkflowTemplate,
    spec: JobSpec,
    *,
    names: Sequence[tuple[str, str]],
    prompt_id: str,
) -> tuple[str, ...]:
    """Fill the template and post it under *prompt_id*, which the monitor follows from before that.

    When the answer is lost it counts as posted: the monitor finds it on the server, or finds that it is not there,
    and it is never posted twice.

    Returns:
        What ComfyUI will leave out although it took the workflow.

    Raises:
        ComfyError: it was refused, or could not be sent; nothing runs.
    """
    workflow = fill(template, inputs=dict(names), params=spec.params)
    client_id = monitor.client_id or str(uuid.uuid4())  # without a socket the monitor polls
    monitor.watch(prompt_id, client_id)
    try:
        taken = client.submit(workflow, prompt_id=prompt_id, client_id=client_id, extra_data={"preview_method": "auto"})
    except AnswerLost:
        monitor.posted(prompt_id, sure=False)
        return ()
    except PodError:
        monitor.unwatch(prompt_id)
        raise
    monitor.posted(prompt_id)
    return tuple(taken.node_errors.values())


def fetch(
    client: ComfyClient,
    files: PodFiles,
    template: WorkflowTemplate,
    spec: JobSpec,
    address: PodAddress,
    *,
    result: PromptResult,
    deadline: Deadline,
    on_bytes: OnBytes | None = None,
) -> tuple[PromptResult, tuple[ResultFile, ...]]:
    """Bring what a prompt made, each file verified and whole.

    Args:
        result: how it ended, from :func:`read_result`.
        on_bytes: told about progress of all files, where the pod can tell their sizes.

    Raises:
        ResultLost: there is no such result and never will be; what else there was is here.
        TransferError, ComfyError, SshError: not now; try again.
    """
    wanted, missing = _wanted(template, spec, result)
    looked = _look(files, [file for _, found in wanted for file in found], address, deadline)
    progress = _Progress(on_bytes, sum(size for _, size in (looked or {}).values()))
    results = []
    for name, found in wanted:
        for file, target in zip(found, outputs.targets(spec.outputs[name], found), strict=True):
            expected, _ = (looked or {}).get(_path(file, address), (None, 0))
            arrived = _arrived(file, target, name, expected)
            try:
                results.append(
                    arrived
                    or outputs.download(
                        client,
                        file,
                        target,
                        expected_sha256=expected,
                        deadline=deadline,
                        output=name,
                        on_bytes=progress.within,
                    )
                )
                progress.whole(results[-1].bytes)
            except TransferError as error:
                if looked is None or expected is not None or not _refused(error):
                    raise
                missing.append(f"{file.filename!r} is not on the pod any more; run the job again.")
    if missing and result.outcome is PromptOutcome.SUCCESS:  # only now, for what else there is was paid for
        kept = f" Fetched: {', '.join(str(each.path) for each in results)}." if results else ""
        raise ResultLost(" ".join(missing) + kept)
    return result, tuple(results)


class _Progress:
    """Sums up over files; silent where nobody knows how much there is to come."""

    def __init__(self, report: OnBytes | None, size: int) -> None:
        self._report = report if size else None
        self._size = size
        self._before = 0

    def within(self, done: int, _: int | None) -> None:
        """So much of the file that comes now is here."""
        if self._report is not None:
            self._report(min(self._before + done, self._size), self._size)

    def whole(self, count: int) -> None:
        """It is here."""
        self.within(count, count)
        self._before += count


def _arrived(file: RemoteFile, target: Path, output: str, expected: str | None) -> ResultFile | None:
    """The file that lies there already, whole: an earlier try brought it before it was cut."""
    with contextlib.suppress(TransferError, OSError):  # whatever lies there, it is not to be read
        if expected is not None and target.is_file() and local_sha256(target) == expected:
            size = target.stat().st_size
            return ResultFile(
                output=output, path=target, bytes=size, sha256=expected, verified=Verified.SHA256, source=file
            )
    return None


def _refused(error: TransferError) -> bool:
    """Whether ComfyUI answered that it has no such file, rather than not at all."""
    return isinstance(error.__cause__, ComfyError) and not isinstance(error.__cause__, AnswerLost)


def read_result(
    client: ComfyClient,
    prompt_id: str,
    *,
    saved: Callable[[], Mapping[str, object]],
    made: Sequence[RemoteFile],
) -> PromptResult:
    """How the prompt ended and what it made, by the server's history, or if it has forgotten that by what is known.

    Args:
        saved: the history of the server before it was started again, in its own form; is asked for if need be.
        made: files that nodes told of while it ran; they count if nothing else is known.

    Raises:
        ResultLost: nobody knows.
        ComfyError, SshError: not now; try again.
    """
    for _ in range(_HISTORY_TRIES):
        result = client.history(prompt_id)
        if result is not None:
            return result
        client.pause(_HISTORY_PAUSE_S)
    if client.whereabouts(prompt_id) is Whereabouts.NOWHERE:
        if (result := decode_history(saved(), prompt_id)) is not None:
            return result
        if made:
            return PromptResult(prompt_id=prompt_id, outcome=PromptOutcome.SUCCESS, files=tuple(made))
        raise ResultLost("ComfyUI does not know the prompt any more; run the job again.")
    raise ComfyError("ComfyUI has not written the prompt's history yet.")


def _wanted(
    template: WorkflowTemplate, spec: JobSpec, result: PromptResult
) -> tuple[list[tuple[str, list[RemoteFile]]], list[str]]:
    """(output, its files) for every output of the job, and a sentence for each output that has nothing."""
    wanted, missing = [], []
    for name in spec.outputs:
        node_id = template.resolve_output(name)
        found = [file for file in result.files if file.node_id == node_id]
        texts = [text for source, text in result.texts if source == node_id]
        if not found and not texts and result.outcome is PromptOutcome.SUCCESS:
            title = template.node_title(node_id)
            missing.append(f"The workflow ran, but {title} (node {node_id}) made no file for output {name!r}.")
        wanted.append((name, found))
    return wanted, missing


def _look(
    files: PodFiles, remote: Sequence[RemoteFile], address: PodAddress, deadline: Deadline
) -> dict[str, tuple[str, int]] | None:
    """Path → checksum taken on the pod and size, without files that are not there.

    None where the pod cannot make them: then size and decoding have to do.
    """
    with contextlib.suppress(TransferError, SshError):
        return files.look([_path(file, address) for file in remote], deadline)
    return None


def _path(file: RemoteFile, address: PodAddress) -> str:
    return posixpath.join(address.comfyui_dir, file.folder, file.subfolder, file.filename)
