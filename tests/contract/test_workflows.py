"""The six workflows that were recorded: how each of them ends, and what it leaves, on every server."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from tests.contract.material import Graph, fresh
from tests.localpod.comfy_harness import Client, Listener

pytestmark = pytest.mark.contract

SEEDS = {"text_and_seed": "1.value", "slow_progress": "2.seed"}
"""Inputs that are made new for each run, so that nothing is cached."""


def run(client: Client, listener: Listener, graph: Graph) -> dict[str, Any]:
    """Run a workflow to its end and return its history entry."""
    prompt_id = client.submit(graph, listener.client_id)
    listener.wait_end(prompt_id, patience_s=550)
    return client.past(prompt_id)


def download(client: Client, item: dict[str, str]) -> bytes:
    answer = client.request("GET", "/view", params=item)
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["Content-Length"])
    return answer.content


@pytest.mark.timeout(600)  # slow_progress takes minutes on a real ComfyUI without a GPU on a busy machine
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("image_to_animation", {"60": {"images": 1, "animated": 1}, "62": {"images": 1, "animated": 1}}),
        ("video_with_audio", {"6": {"images": 1, "animated": 1}, "7": {"audio": 1}}),
        ("text_and_seed", {"7": {"images": 2}, "8": {"text": 1}}),
        ("slow_progress", {"7": {"images": 1, "animated": 1}}),
    ],
)
def test_a_workflow_succeeds_and_leaves_its_files(
    client: Client,
    listener: Listener,
    workflow: Callable[[str], Graph],
    name: str,
    shape: dict[str, dict[str, int]],
) -> None:
    graph = workflow(name)
    if name in SEEDS:
        node, _, key = SEEDS[name].partition(".")
        graph[node]["inputs"][key] = fresh()
    entry = run(client, listener, graph)
    assert entry["status"]["status_str"] == "success"
    outputs = entry["outputs"]
    assert {node: {key: len(items) for key, items in shown.items()} for node, shown in outputs.items()} == shape
    magics = {"webp": b"RIFF", "png": b"\x89PNG", "mp4": b"\0\0\0", "mp3": b""}
    for shown in outputs.values():
        for item in shown.get("images", []) + shown.get("audio", []):
            assert set(item) == {"filename", "subfolder", "type"}
            assert item["subfolder"] == "autopod"
            data = download(client, item)
            assert data.startswith(magics[item["filename"].rpartition(".")[2]])
            assert len(data) > 1000


def test_the_animation_has_its_frames_and_size(
    client: Client, listener: Listener, workflow: Callable[[str], Graph]
) -> None:
    entry = run(client, listener, workflow("image_to_animation"))
    [item] = entry["outputs"]["60"]["images"]
    with Image.open(io.BytesIO(download(client, item))) as picture:
        assert (picture.size, getattr(picture, "n_frames", 1)) == ((256, 160), 16)


def test_a_failure_keeps_what_was_made_before(
    client: Client, listener: Listener, workflow: Callable[[str], Graph]
) -> None:
    entry = run(client, listener, workflow("fails_while_running"))
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    event, error = entry["status"]["messages"][-1]
    assert event == "execution_error"
    assert (error["node_id"], error["node_type"]) == ("4", "VAEEncodeTiled")
    assert error["exception_type"] == "ZeroDivisionError"
    assert error["exception_message"] == "division by zero\n"
    assert error["current_inputs"]["overlap"] == [32]
    [item] = entry["outputs"]["2"]["images"]
    assert item["type"] == "temp"
    assert download(client, item).startswith(b"\x89PNG")


def test_a_workflow_with_faults_is_refused_and_each_is_named(client: Client, workflow: Callable[[str], Graph]) -> None:
    answer = client.post("/prompt", {"prompt": workflow("invalid_at_submission")})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "prompt_outputs_failed_validation"
    errors = answer.json()["node_errors"]
    assert {node: sorted(fault["type"] for fault in entry["errors"]) for node, entry in errors.items()} == {
        "1": ["custom_validation_failed"],
        "2": ["value_not_in_list"],
        "3": ["value_smaller_than_min"],
        "5": ["invalid_input_type", "value_not_in_list"],
        "7": ["return_type_mismatch"],
        "11": ["required_input_missing"] * 4,
    }
