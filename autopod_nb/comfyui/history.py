"""What ComfyUI answers about its queue and its past, decoded into plain values. Pure; garbage never raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autopod_nb.comfyui.messages import ENDINGS, as_mapping, as_milliseconds, as_number, decode_output
from autopod_nb.models.event import PromptEnding, PromptFault, PromptOutcome, PromptResult
from autopod_nb.models.job import RemoteFile


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueContent:
    """Which prompts a server has not finished.

    Attributes:
        running: prompt ids that run.
        pending: prompt ids that wait, in order of execution.
        numbers: prompt id → its number in the queue; lower runs first.
    """

    running: tuple[str, ...]
    pending: tuple[str, ...]
    numbers: Mapping[str, float]

    def __contains__(self, prompt_id: object) -> bool:
        return prompt_id in self.running or prompt_id in self.pending


def decode_history(body: Mapping[str, object], prompt_id: str) -> PromptResult | None:
    """The entry of one prompt in the answer of ``/history`` or ``/history/ID``; None when there is none (yet)."""
    entry = body.get(prompt_id)
    if not isinstance(entry, dict):
        return None
    files: list[RemoteFile] = []
    texts: list[tuple[str, str]] = []
    for node_id, output in as_mapping(entry.get("outputs")).items():
        node_files, node_texts = decode_output(node_id, output)
        files.extend(node_files)
        texts.extend((node_id, text) for text in node_texts)
    status = as_mapping(entry.get("status"))
    started_ms, ending = _story(status, prompt_id)
    return PromptResult(
        prompt_id=prompt_id,
        outcome=ending.outcome,
        files=tuple(files),
        texts=tuple(texts),
        fault=ending.fault,
        started_ms=started_ms,
        ended_ms=ending.at_ms or None,
    )


def decode_queue(body: Mapping[str, object]) -> QueueContent:
    """The answer of ``/queue``. The server lists what waits in heap order: here it is in order of execution."""
    running, pending = _entries(body.get("queue_running")), _entries(body.get("queue_pending"))
    pending.sort(key=lambda entry: entry[0])
    return QueueContent(
        running=tuple(prompt_id for _, prompt_id in running),
        pending=tuple(prompt_id for _, prompt_id in pending),
        numbers={prompt_id: number for number, prompt_id in (*pending, *running)},
    )


def _entries(listed: object) -> list[tuple[float, str]]:
    entries = []
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, list) and len(entry) >= 2 and isinstance(entry[1], str):
            number = as_number(entry[0])
            entries.append((0.0 if number is None else number, entry[1]))
    return entries


def _story(status: Mapping[str, object], prompt_id: str) -> tuple[int | None, PromptEnding]:
    """When a prompt in the history began, and how it ended: the last ending that is told counts.

    An interrupted prompt has the status ``error`` too, and a node may tell of an error that ended nothing.
    """
    started_ms: int | None = None
    ending: PromptEnding | None = None
    messages = status.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if not (isinstance(message, list) and len(message) == 2 and isinstance(message[1], dict)):
            continue
        kind, data = str(message[0]), message[1]
        if kind == "execution_start":
            started_ms = as_milliseconds(data.get("timestamp")) or None
        elif kind in ENDINGS:
            event = ENDINGS[kind]({**data, "prompt_id": prompt_id})
            ending = event if isinstance(event, PromptEnding) else ending
    success = status.get("status_str", "success") == "success"  # very old servers tell no status at all
    if ending is None or success != (ending.outcome is PromptOutcome.SUCCESS):
        outcome = PromptOutcome.SUCCESS if success else PromptOutcome.ERROR
        unsaid = PromptFault(node_id="", node_type="", exception_type="", message="ComfyUI does not say why it failed.")
        ending = PromptEnding(prompt_id=prompt_id, outcome=outcome, at_ms=0, fault=None if success else unsaid)
    return started_ms, ending
