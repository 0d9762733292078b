"""Recorded streams, and what they say in a few words a line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from autopod_nb.comfyui.messages import decode_binary, decode_text
from autopod_nb.models.event import (
    ComfyEvent,
    LogLines,
    NodeExecuted,
    NodesCached,
    NodeStarted,
    Preview,
    ProgressText,
    PromptEnding,
    PromptOver,
    PromptProgress,
    PromptStarted,
    QueueStatus,
    ServerFeatures,
    StepProgress,
)

RECORDINGS = Path(__file__).parents[1] / "recordings"
KEYS = st.sampled_from(
    ["prompt_id", "node", "nodes", "value", "max", "output", "status", "exec_info", "queue_remaining", "sid",
     "timestamp", "traceback", "entries", "m", "images", "text", "filename", "subfolder", "type", "messages", "outputs",
     "status_str"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
"""Any JSON, often under the keys that ComfyUI uses."""


def lines(recording: str) -> list[dict[str, Any]]:
    """The lines of one recording."""
    text = (RECORDINGS / "recordings" / f"{recording}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def whole_frame(kind: int) -> bytes:
    """One whole binary frame of a kind."""
    frames = json.loads((RECORDINGS / "binary_frames.json").read_text())["frames"]
    found = (base64.b64decode(frame["base64"]) for frame in frames)
    return next(frame for frame in found if int.from_bytes(frame[:4], "big") == kind)


def streams(recording: str) -> dict[str, list[ComfyEvent]]:
    """Name of each socket in a recording → what the decoder makes of its frames."""
    decoded: dict[str, list[ComfyEvent]] = {}
    for line in lines(recording):
        if line["kind"] == "ws":
            decoded.setdefault(line["client"], []).extend(decode_text(json.dumps(line["message"])))
        elif line["kind"] == "ws_binary":
            decoded.setdefault(line["client"], []).extend(decode_binary(_frame(line)))
    return decoded


def _frame(line: dict[str, Any]) -> bytes:
    """A frame of a recording, whose picture was left out: the head is as recorded, zeros stand for the picture."""
    if line["event"] == 3:
        node_id, text = str(line["node_id"]).encode(), str(line["text"]).encode()
        return b"\0\0\0\3" + len(node_id).to_bytes(4, "big") + node_id + text
    if line["event"] == 4:
        head = json.dumps(line["metadata"]).encode()
        return b"\0\0\0\4" + len(head).to_bytes(4, "big") + head + b"\0" * 8
    return bytes.fromhex(str(line["first16_hex"])) + bytes(int(line["bytes"]) - 16)


def story(events: list[ComfyEvent]) -> list[str]:
    """The events, a line each; prompts are A, B, C … in order of appearance, progress without a break is one line."""
    letters: dict[str, str] = {}
    told: list[str] = []
    moved = 0
    for event in events:
        prompt_id = getattr(event, "prompt_id", "")
        letter = letters.setdefault(prompt_id, chr(ord("A") + len(letters))) if prompt_id else "-"
        if isinstance(event, (PromptProgress, StepProgress)):
            moved += 1
            continue
        if moved:
            told.append(f"progress x{moved}")
            moved = 0
        told.append(_words(event, letter))
    return told + [f"progress x{moved}"] * bool(moved)


def _words(event: ComfyEvent, letter: str) -> str:  # noqa: PLR0911 - one line a kind
    if isinstance(event, QueueStatus):
        return f"queue {event.remaining}{' sid' if event.session_id else ''}"
    if isinstance(event, ServerFeatures):
        return f"features {event.preview_metadata} {event.max_upload_bytes}"
    if isinstance(event, PromptStarted):
        return f"{letter} starts"
    if isinstance(event, NodesCached):
        return f"{letter} cached {','.join(sorted(event.node_ids)) or 'nothing'}"
    if isinstance(event, NodeStarted):
        return f"{letter} runs {event.node_id}{_of(event.node_id, event.display_node_id)}"
    if isinstance(event, NodeExecuted):
        shown = [f"{file.folder}/{file.subfolder}/{file.filename}" for file in event.files]
        return f"{letter} shows {event.node_id}: {', '.join([*shown, *map(repr, event.texts)]) or 'nothing'}"
    if isinstance(event, PromptEnding):
        fault = event.fault
        why = f" at {fault.node_id} {fault.node_type} {fault.exception_type}".rstrip() if fault else ""
        return f"{letter} ends in {event.outcome.value}{why}"
    if isinstance(event, PromptOver):
        return f"{letter} is over"
    if isinstance(event, Preview):
        return f"{letter} preview {event.node_id or '-'} {event.media_type}"
    if isinstance(event, ProgressText):
        return f"text {event.node_id}: {event.text}"
    if isinstance(event, LogLines):
        return f"log {''.join(event.lines)[:40].strip()!r}"
    return repr(event)


def _of(node_id: str, display_node_id: str) -> str:
    return "" if node_id == display_node_id else f" of {display_node_id}"


def stories_on_file() -> Iterator[tuple[str, str, list[str]]]:
    """(recording, socket, lines) out of ``recorded_stories.txt``."""
    text = (Path(__file__).parent / "recorded_stories.txt").read_text(encoding="utf-8")
    for section in text.split("\n\n"):
        head, *told = section.strip().splitlines()
        recording, client = head.removeprefix("# ").split()
        yield recording, client, told
