"""The past as ComfyUI tells it, against what its socket told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.comfyui.history import decode_history, decode_queue
from autopod_nb.models.event import (
    ComfyEvent,
    NodeExecuted,
    PromptEnding,
    PromptOutcome,
    PromptOver,
    PromptResult,
    PromptStarted,
)
from tests.comfyui.recorded import ANYTHING, lines, streams


def histories(recording: str) -> dict[str, PromptResult]:
    """Prompt id → the last history entry that was recorded for it."""
    found: dict[str, PromptResult] = {}
    for line in lines(recording):
        if line["kind"] == "http" and line["method"] == "GET" and line["path"].startswith("/history"):
            body = line.get("response_json") or {}
            for prompt_id in body:
                result = decode_history(body, prompt_id)
                assert result is not None
                found[prompt_id] = result
    return found


@pytest.mark.parametrize(
    ("recording", "compared"),
    [
        ("burst_30_jobs", 3),
        ("duplicate_prompt_id", 2),
        ("fails_while_running", 2),
        ("image_to_animation", 1),
        ("interrupt_running", 2),
        ("queue_order_and_delete", 7),
        ("reconnect_same_client", 1),
        ("sampler_previews_old_frames", 1),
        ("slow_progress", 1),
        ("text_and_seed", 3),
        ("text_frames_and_subgraph", 1),
        ("video_with_audio", 1),
    ],
)
def test_the_end_of_a_stream_equals_the_recorded_history(recording: str, compared: int) -> None:
    """Outcome, times, fault, files and texts that the socket told are those of the history, prompt by prompt."""
    told: dict[str, list[ComfyEvent]] = {}
    for events in streams(recording).values():
        for event in events:
            if prompt_id := getattr(event, "prompt_id", ""):
                told.setdefault(prompt_id, []).append(event)
    count = 0
    for prompt_id, result in histories(recording).items():
        of_prompt = told.get(prompt_id, [])
        endings = [event for event in of_prompt if isinstance(event, PromptEnding)]
        if not endings:
            continue  # it ended unseen
        count += 1
        begin = max((index for index, event in enumerate(of_prompt) if isinstance(event, PromptStarted)), default=0)
        last = of_prompt[begin:]  # of two runs under one id the history keeps the second
        assert (result.outcome, result.ended_ms, result.fault) == (
            endings[-1].outcome, endings[-1].at_ms, endings[-1].fault,
        )  # fmt: skip
        starts = [event.at_ms for event in last if isinstance(event, PromptStarted)]
        assert starts in ([result.started_ms], [])  # after a reconnect the start was not heard
        shown = [event for event in last if isinstance(event, NodeExecuted)]
        assert {file for event in shown for file in event.files} == set(result.files)
        assert {(event.node_id, text) for event in shown for text in event.texts} == set(result.texts)
        assert isinstance(of_prompt[-1], PromptOver)
    assert count == compared


def test_an_interrupt_and_an_error_are_told_apart_although_both_have_the_status_error() -> None:
    interrupted = [result.outcome for result in histories("interrupt_running").values()]
    failed = list(histories("fails_while_running").values())
    assert interrupted == [PromptOutcome.INTERRUPTED, PromptOutcome.SUCCESS]
    assert [result.outcome for result in failed] == [PromptOutcome.ERROR, PromptOutcome.SUCCESS]
    fault = failed[0].fault
    assert fault is not None
    assert (fault.node_id, fault.exception_type, fault.message) == (
        "4", "ZeroDivisionError", "division by zero",
    )  # fmt: skip
    assert fault.traceback
    assert [file.folder for file in failed[0].files] == ["temp"]  # what was made before the error is kept


def test_the_queue_is_listed_in_order_of_execution_not_in_heap_order() -> None:
    answers = [
        line["response_json"]
        for line in lines("queue_order_and_delete")
        if line["kind"] == "http" and line["method"] == "GET" and line["path"] == "/queue"
    ]
    contents = [decode_queue(answer) for answer in answers]
    assert any([entry[1] for entry in answer["queue_pending"]] != list(content.pending)
               for answer, content in zip(answers, contents, strict=True))  # fmt: skip
    for content in contents:
        numbers = [content.numbers[prompt_id] for prompt_id in content.pending]
        assert numbers == sorted(numbers)
    started = [
        event.prompt_id for event in streams("queue_order_and_delete")["main"] if isinstance(event, PromptStarted)
    ]
    first = contents[0]
    kept = [prompt_id for prompt_id in (*first.running, *first.pending) if prompt_id in started]
    assert kept == [prompt_id for prompt_id in started if prompt_id in first]


def test_an_absent_history_entry_is_none_and_a_bare_one_is_believed() -> None:
    assert decode_history({}, "a") is None
    assert decode_history({"a": None}, "a") is None
    bare = decode_history({"a": {"outputs": {}}}, "a")
    assert bare == PromptResult(prompt_id="a", outcome=PromptOutcome.SUCCESS, files=())
    failed = decode_history({"a": {"status": {"status_str": "error"}}}, "a")
    assert failed is not None
    assert failed.outcome is PromptOutcome.ERROR
    assert failed.fault is not None


@given(st.dictionaries(st.sampled_from(["a", "queue_running", "queue_pending"]), ANYTHING))
def test_no_history_and_no_queue_raises(body: Mapping[str, Any]) -> None:
    decode_queue(body)
    result = decode_history(body, "a")
    assert result is None or result.prompt_id == "a"
