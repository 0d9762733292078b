"""What ComfyUI sent in the recordings, and what it might send on a bad day."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.comfyui.history import decode_history
from autopod_nb.comfyui.messages import decode_binary, decode_features, decode_text
from autopod_nb.models.event import (
    ComfyEvent,
    LogLines,
    NodeExecuted,
    NodeProgress,
    NodeStarted,
    Preview,
    ProgressText,
    PromptOutcome,
    PromptOver,
    PromptProgress,
    QueueStatus,
    ServerFeatures,
    StepProgress,
    Unknown,
)
from autopod_nb.models.job import RemoteFile
from tests.comfyui.recorded import ANYTHING, RECORDINGS, lines, stories_on_file, story, streams, whole_frame

STORIES = list(stories_on_file())


@pytest.mark.parametrize(("recording", "client", "told"), STORIES, ids=[f"{r}-{c}" for r, c, _ in STORIES])
def test_a_recorded_stream_becomes_the_stated_events(recording: str, client: str, told: list[str]) -> None:
    """Every frame of every recording is understood, in order, with its salient fields."""
    assert story(streams(recording)[client]) == told


def test_no_recorded_stream_is_left_out() -> None:
    recorded = {
        (path.stem, client) for path in (RECORDINGS / "recordings").glob("*.jsonl") for client in streams(path.stem)
    }
    assert recorded == {(recording, client) for recording, client, _ in STORIES}


def test_progress_names_every_node_and_its_end() -> None:
    events = streams("slow_progress")["main"]
    last = [event for event in events if isinstance(event, PromptProgress)][-1]
    assert {node.node_id for node in last.nodes} == {"1", "2", "3", "4", "5", "6", "7", "8", "9"}
    assert all(node.finished and node.value == node.maximum for node in last.nodes)
    steps = [event for event in events if isinstance(event, StepProgress) and event.node_id == "4"]
    values = [step.value for step in steps]
    assert values == sorted(values)
    assert (values[0], values[-1], steps[0].maximum) == (1, 384, 384)
    inner = [event for event in streams("text_frames_and_subgraph")["main"] if isinstance(event, PromptProgress)][-1]
    assert NodeProgress(node_id="1.0.0.2", display_node_id="1", value=1, maximum=1, finished=True) in inner.nodes


def test_whole_binary_frames_become_a_picture_a_text_and_a_picture_of_a_node() -> None:
    (old,), (text,), (new,) = (
        decode_binary(whole_frame(1)),
        decode_binary(whole_frame(3)),
        decode_binary(whole_frame(4)),
    )
    assert isinstance(old, Preview)
    assert (old.prompt_id, old.node_id, old.media_type, old.data[:3]) == ("", "", "image/jpeg", b"\xff\xd8\xff")
    assert isinstance(text, ProgressText)
    assert text.node_id
    assert text.text
    assert isinstance(new, Preview)
    assert new.prompt_id
    assert new.node_id
    assert (new.media_type, new.data[:3]) == ("image/jpeg", b"\xff\xd8\xff")


def test_features_are_the_same_over_http_and_socket() -> None:
    answer = next(line["response_json"] for line in lines("other_routes") if line.get("path") == "/features")
    expected = ServerFeatures(preview_metadata=True, max_upload_bytes=104_857_600)
    assert decode_features(answer) == expected
    assert decode_text(json.dumps({"type": "feature_flags", "data": answer})) == (expected,)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "executing", "data": {"node": "4"}}, NodeStarted(prompt_id="", node_id="4", display_node_id="4")),
        ({"type": "executing", "data": {"node": None, "prompt_id": "a"}}, PromptOver(prompt_id="a")),
        (
            {"type": "executed", "data": {"node": "4", "display_node": "4", "output": None, "prompt_id": "a"}},
            NodeExecuted(prompt_id="a", node_id="4", display_node_id="4", files=(), texts=()),
        ),
        (
            {"type": "executed", "data": {"node": "4", "prompt_id": "a", "output": {
                "gifs": [{"filename": "v.mp4", "subfolder": "s", "type": "temp", "frame_rate": 8, "id": "new"}],
                "animated": [True], "text": ["one", 2], "note": ["not a text"], "ui": None}}},
            NodeExecuted(
                prompt_id="a", node_id="4", display_node_id="4", texts=("one",),
                files=(RemoteFile(node_id="4", filename="v.mp4", subfolder="s", folder="temp"),),
            ),
        ),
        ({"type": "logs", "data": {"entries": [{"t": "", "m": "a\n"}, {"m": "b"}], "size": None}},
         LogLines(lines=("a\n", "b"))),
        ({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 2}}, "more": 1}, "new": 3},
         QueueStatus(remaining=2)),
        (
            {"type": "progress_state", "data": {"prompt_id": "a", "activity": [], "nodes": {
                "1": {"value": 1, "max": 2.5, "state": "running", "activity": {}}, "2": None, "3": {"value": "x"},
                "4": {"value": float("nan"), "max": 1}, "5": {"value": 10**400, "max": 1}}}},
            PromptProgress(prompt_id="a", nodes=(
                NodeProgress(node_id="1", display_node_id="1", value=1, maximum=2.5, finished=False),)),
        ),
    ],
)  # fmt: skip
def test_shapes_that_are_not_in_the_recordings(message: object, expected: ComfyEvent) -> None:
    """Newer servers add keys, older ones leave some out, custom nodes use keys of their own."""
    assert decode_text(json.dumps(message)) == (expected,)


def test_a_node_that_is_only_blocked_does_not_end_the_prompt() -> None:
    data = {
        "prompt_id": "a",
        "node_id": "2",
        "exception_type": "ExecutionBlocked",
        "exception_message": "no",
    }
    (event,) = decode_text(json.dumps({"type": "execution_error", "data": data}))
    assert isinstance(event, Unknown)
    success = {"prompt_id": "a", "timestamp": 5}
    messages = [["execution_start", {"timestamp": 3}], ["execution_success", success], ["execution_error", data]]
    entry = {"outputs": {}, "status": {"status_str": "success", "completed": True, "messages": messages}}
    result = decode_history({"a": entry}, "a")
    assert result is not None
    assert (result.outcome, result.fault, result.started_ms, result.ended_ms) == (PromptOutcome.SUCCESS, None, 3, 5)


KINDS = st.sampled_from(
    ["status", "feature_flags", "execution_start", "execution_cached", "executing", "progress_state", "progress",
     "executed", "execution_success", "execution_error", "execution_interrupted", "logs", "new_kind"]
)  # fmt: skip


@given(st.text() | st.builds(lambda kind, data: json.dumps({"type": kind, "data": data}), KINDS, ANYTHING))
def test_no_text_raises(text: str) -> None:
    """Whatever the socket says, there is an event for it."""
    events = decode_text(text)
    assert events
    assert all(isinstance(event, ComfyEvent.__args__) for event in events)


FRAMES = st.builds(
    lambda kind, rest: b"\0\0\0" + kind + rest, st.sampled_from([b"\1", b"\3", b"\4"]), st.binary(max_size=40)
)


@given(st.binary(max_size=64) | FRAMES)
def test_no_frame_raises(frame: bytes) -> None:
    assert len(decode_binary(frame)) == 1


def test_garbage_that_breaks_parsers_is_unknown() -> None:
    """Nesting beyond the recursion limit, numbers beyond the digit limit, halves of a surrogate pair."""
    for text in ("[" * 100_000, '{"type": "status", "data": ' + "9" * 5000 + "}", '{"type": "\\ud800", "data": {}}'):
        assert isinstance(decode_text(text)[0], Unknown)
    deep = b"[" * 100_000
    assert isinstance(decode_binary(b"\0\0\0\4" + len(deep).to_bytes(4, "big") + deep)[0], Unknown)
