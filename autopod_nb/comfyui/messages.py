"""What ComfyUI says on its socket, decoded into plain values. Pure. ``history.py`` decodes what it answers later.

Nothing that a server sends raises here: what makes no sense becomes :class:`~autopod_nb.models.event.Unknown`, keys
and types that we do not know are ignored, for newer servers send more than older ones. The shapes were seen on
ComfyUI 0.12.1 and 0.3.64; ``tests/recordings`` holds whole streams of them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from math import isfinite

from autopod_nb.models.event import (
    ComfyEvent,
    LogLines,
    NodeExecuted,
    NodeProgress,
    NodesCached,
    NodeStarted,
    Preview,
    ProgressText,
    PromptEnding,
    PromptFault,
    PromptOutcome,
    PromptOver,
    PromptProgress,
    PromptStarted,
    QueueStatus,
    ServerFeatures,
    StepProgress,
    Unknown,
)
from autopod_nb.models.job import RemoteFile

_PREVIEW, _TEXT, _PREVIEW_WITH_METADATA = 1, 3, 4
_IMAGE_FORMATS = {1: "image/jpeg", 2: "image/png"}
_NO_EXTRA: Mapping[str, object] = {}
_SHOWN = 80  # characters of garbage that are worth keeping


def decode_text(text: str) -> tuple[ComfyEvent, ...]:
    """The events in one text frame of the socket."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return (Unknown(what=f"not JSON: {text[:_SHOWN]!r}"),)
    if not isinstance(message, dict):
        return (Unknown(what=f"not an object: {text[:_SHOWN]!r}"),)
    kind, data = message.get("type"), message.get("data")
    decode = _DECODERS.get(kind) if isinstance(kind, str) else None
    if decode is None or not isinstance(data, dict):
        return (Unknown(what=f"message {str(kind)[:_SHOWN]!r}"),)
    event = decode(data)
    return (event if event is not None else Unknown(what=f"{kind} that makes no sense: {text[:_SHOWN]!r}"),)


def decode_binary(data: bytes) -> tuple[ComfyEvent, ...]:
    """The events in one binary frame: big-endian u32 kind, then a layout by kind."""
    try:
        (kind,) = struct.unpack_from(">I", data)
        if kind == _PREVIEW:
            return (_plain_preview(data),)
        if kind == _TEXT:
            node_id, text = _split(data)
            return (ProgressText(node_id=node_id.decode(), text=text.decode(errors="replace")),)
        if kind == _PREVIEW_WITH_METADATA:
            return (_preview_with_metadata(data),)
    except (struct.error, ValueError, RecursionError):
        return (Unknown(what=f"binary frame of {len(data)} bytes that makes no sense: {data[:16].hex()}"),)
    return (Unknown(what=f"binary frame of kind {kind}"),)


def decode_output(node_id: str, output: object) -> tuple[tuple[RemoteFile, ...], tuple[str, ...]]:
    """Files and texts that one node shows. Every list of objects with a ``filename`` is files, whatever its key."""
    files: list[RemoteFile] = []
    texts: list[str] = []
    for key, values in as_mapping(output).items():
        for value in values if isinstance(values, list) else ():
            if isinstance(value, dict) and isinstance(value.get("filename"), str):
                files.append(_file(node_id, value))
            elif key == "text" and isinstance(value, str):
                texts.append(value)
    return tuple(files), tuple(texts)


def _file(node_id: str, value: Mapping[str, object]) -> RemoteFile:
    return RemoteFile(
        node_id=node_id,
        filename=str(value["filename"]),
        subfolder=_text(value, "subfolder"),
        folder=_text(value, "type") or "output",
    )


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Head and rest of a frame whose second u32 is the length of the head."""
    (length,) = struct.unpack_from(">I", data, 4)
    if 8 + length > len(data):
        raise ValueError("the head is longer than the frame")
    return data[8 : 8 + length], data[8 + length :]


def _plain_preview(data: bytes) -> ComfyEvent:
    (image_format,) = struct.unpack_from(">I", data, 4)
    if image_format not in _IMAGE_FORMATS:
        return Unknown(what=f"preview of format {image_format}")
    return Preview(prompt_id="", node_id="", media_type=_IMAGE_FORMATS[image_format], data=data[8:])


def _preview_with_metadata(data: bytes) -> ComfyEvent:
    head, image = _split(data)
    metadata = json.loads(head)
    if not isinstance(metadata, dict):
        return Unknown(what="preview without metadata")
    return Preview(
        prompt_id=_text(metadata, "prompt_id"),
        node_id=_text(metadata, "node_id"),
        media_type=_text(metadata, "image_type") or "image/jpeg",
        data=image,
    )


def _status(data: Mapping[str, object]) -> ComfyEvent | None:
    remaining = as_number(as_mapping(as_mapping(data.get("status")).get("exec_info")).get("queue_remaining"))
    if remaining is None:
        return None
    return QueueStatus(remaining=int(remaining), session_id=_text(data, "sid") or None)


def decode_features(data: Mapping[str, object]) -> ServerFeatures:
    """The answer of ``/features``, which is also the server's ``feature_flags`` message."""
    size = as_number(data.get("max_upload_size"))
    return ServerFeatures(
        preview_metadata=data.get("supports_preview_metadata") is True,
        max_upload_bytes=None if size is None else int(size),
    )


def _started(data: Mapping[str, object]) -> ComfyEvent | None:
    prompt_id = _text(data, "prompt_id")
    return PromptStarted(prompt_id=prompt_id, at_ms=as_milliseconds(data.get("timestamp"))) if prompt_id else None


def _cached(data: Mapping[str, object]) -> ComfyEvent | None:
    nodes = data.get("nodes")
    if not isinstance(nodes, list):
        return None
    return NodesCached(prompt_id=_text(data, "prompt_id"), node_ids=tuple(str(node) for node in nodes))


def _executing(data: Mapping[str, object]) -> ComfyEvent | None:
    prompt_id, node_id = _text(data, "prompt_id"), _text(data, "node")
    if node_id:
        return NodeStarted(prompt_id=prompt_id, node_id=node_id, display_node_id=_text(data, "display_node") or node_id)
    return PromptOver(prompt_id=prompt_id) if prompt_id and "node" in data and data["node"] is None else None


def _progress_state(data: Mapping[str, object]) -> ComfyEvent | None:
    nodes = data.get("nodes")
    if not isinstance(nodes, dict):
        return None
    decoded = []
    for node_id, node in nodes.items():  # some 5,000 nodes a second on large graphs: kept short on purpose
        if isinstance(node, dict):
            value, maximum = as_number(node.get("value")), as_number(node.get("max"))
            if value is not None and maximum is not None:
                shown = node.get("display_node_id")
                finished = node.get("state") == "finished"
                decoded.append(
                    NodeProgress(
                        node_id=node_id,
                        display_node_id=shown if isinstance(shown, str) else node_id,
                        value=value,
                        maximum=maximum,
                        finished=finished,
                    )
                )
    return PromptProgress(prompt_id=_text(data, "prompt_id"), nodes=tuple(decoded))


def _progress(data: Mapping[str, object]) -> ComfyEvent | None:
    value, maximum = as_number(data.get("value")), as_number(data.get("max"))
    if value is None or maximum is None:
        return None
    return StepProgress(prompt_id=_text(data, "prompt_id"), node_id=_text(data, "node"), value=value, maximum=maximum)


def _executed(data: Mapping[str, object]) -> ComfyEvent | None:
    node_id = _text(data, "node")
    files, texts = decode_output(node_id, data.get("output"))  # null when the node was cached and shows nothing
    return NodeExecuted(
        prompt_id=_text(data, "prompt_id"),
        node_id=node_id,
        display_node_id=_text(data, "display_node") or node_id,
        files=files,
        texts=texts,
    )


def _ending(data: Mapping[str, object], outcome: PromptOutcome, fault: PromptFault | None) -> ComfyEvent | None:
    prompt_id = _text(data, "prompt_id")
    if not prompt_id:
        return None
    at_ms = as_milliseconds(data.get("timestamp"))
    return PromptEnding(prompt_id=prompt_id, outcome=outcome, at_ms=at_ms, fault=fault)


def _success(data: Mapping[str, object]) -> ComfyEvent | None:
    return _ending(data, PromptOutcome.SUCCESS, None)


def _error(data: Mapping[str, object]) -> ComfyEvent | None:
    exception_type = _text(data, "exception_type")
    if exception_type == "ExecutionBlocked":  # a node's word about itself; the prompt goes on
        return Unknown(what=f"node {_text(data, 'node_id')} is blocked: {_text(data, 'exception_message')[:_SHOWN]}")
    traceback = data.get("traceback")
    fault = PromptFault(
        node_id=_text(data, "node_id"),
        node_type=_text(data, "node_type"),
        exception_type=exception_type,
        message=" ".join(_text(data, "exception_message").split()),
        traceback=tuple(str(line) for line in traceback) if isinstance(traceback, list) else (),
    )
    return _ending(data, PromptOutcome.ERROR, fault)


def _interrupted(data: Mapping[str, object]) -> ComfyEvent | None:
    fault = PromptFault(
        node_id=_text(data, "node_id"), node_type=_text(data, "node_type"), exception_type="", message="interrupted"
    )
    return _ending(data, PromptOutcome.INTERRUPTED, fault)


def _logs(data: Mapping[str, object]) -> ComfyEvent | None:
    entries = data.get("entries")
    if not isinstance(entries, list):
        return None
    return LogLines(lines=tuple(_text(entry, "m") for entry in entries if isinstance(entry, dict)))


def as_mapping(value: object) -> Mapping[str, object]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else _NO_EXTRA


def _text(data: Mapping[str, object], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def as_number(value: object) -> float | None:
    """A finite number, or None. JSON of Python servers may hold NaN, and integers too large for a float."""
    if type(value) is float:
        return value if isfinite(value) else None
    if type(value) is int and -(2**63) < value < 2**63:
        return float(value)
    return None


def as_milliseconds(value: object) -> int:
    """Unix milliseconds, 0 if it is none."""
    number = as_number(value)
    return 0 if number is None else int(number)


ENDINGS: dict[str, Callable[[Mapping[str, object]], ComfyEvent | None]] = {
    "execution_success": _success,
    "execution_error": _error,
    "execution_interrupted": _interrupted,
}
_DECODERS: dict[str, Callable[[Mapping[str, object]], ComfyEvent | None]] = {
    "status": _status,
    "feature_flags": decode_features,
    "execution_start": _started,
    "execution_cached": _cached,
    "executing": _executing,
    "progress_state": _progress_state,
    "progress": _progress,
    "executed": _executed,
    "logs": _logs,
    **ENDINGS,
}
