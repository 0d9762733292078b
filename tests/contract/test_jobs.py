"""Jobs, from the post to the history, on every ComfyUI-compatible server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.material import Graph, fresh, text_job
from tests.localpod.comfy_harness import Client, Listener

pytestmark = pytest.mark.contract


def started(listener: Listener) -> list[str]:
    return [frame["data"]["prompt_id"] for frame in list(listener.frames) if frame["type"] == "execution_start"]


def runs(prompt_id: str, node: str) -> Callable[[dict[str, Any]], bool]:
    """Return a test for the message that a node of a job begins."""
    wanted = {"node": node, "display_node": node, "prompt_id": prompt_id}
    return lambda frame: frame["type"] == "executing" and frame["data"] == wanted


def test_a_fresh_job_tells_its_steps_in_order(client: Client, listener: Listener) -> None:
    prompt_id = client.submit(text_job(), listener.client_id)
    listener.wait_end(prompt_id)
    told = [frame["type"] for frame in listener.of(prompt_id)]
    assert told == [
        *("execution_start", "execution_cached", "progress_state", "executing", "progress_state"),
        *("progress_state", "executing", "executed", "progress_state", "execution_success", "executing"),
    ]


def test_the_history_is_complete_when_the_last_message_comes(client: Client, listener: Listener) -> None:
    value = fresh()
    prompt_id = client.submit(text_job(value), listener.client_id)
    listener.wait_end(prompt_id)
    entry = client.get(f"/history/{prompt_id}")[prompt_id]
    assert entry["outputs"] == {"2": {"text": [str(value)]}}
    assert entry["status"]["status_str"] == "success"
    assert entry["status"]["completed"] is True
    events = [event for event, _ in entry["status"]["messages"]]
    assert events == ["execution_start", "execution_cached", "execution_success"]
    number, same_id, graph, extra_data, outputs = entry["prompt"]
    assert (same_id, outputs, extra_data["client_id"]) == (prompt_id, ["2"], listener.client_id)
    assert graph["1"]["inputs"] == {"value": value}
    assert isinstance(number, int)


def test_a_repeated_job_writes_no_new_file(client: Client, listener: Listener) -> None:
    """The cached answer repeats the old names; the nodes are `executed` without having been `executing`."""
    graph = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": fresh() % 2**24},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "contract/cached"}},
    }
    first = client.submit(graph, listener.client_id)
    second = client.submit(graph, listener.client_id)
    listener.wait_end(second)
    assert client.past(first)["outputs"] == client.past(second)["outputs"]
    told = [frame["type"] for frame in listener.of(second)]
    assert told == [
        *("execution_start", "execution_cached", "executed", "progress_state", "execution_success", "executing")
    ]


def test_a_number_sent_as_text_is_converted_and_shown_so(client: Client) -> None:
    value = fresh()
    graph = text_job()
    graph["1"]["inputs"]["value"] = str(value)
    entry = client.past(client.submit(graph, "nobody"))
    assert entry["prompt"][2]["1"]["inputs"] == {"value": value}


def test_a_server_made_prompt_id_is_told(client: Client) -> None:
    answer = client.post("/prompt", {"prompt": text_job()}).json()
    assert client.past(answer["prompt_id"])["status"]["completed"] is True
    assert answer["node_errors"] == {}


def test_pending_jobs_run_by_number_and_deleted_ones_never(client: Client, listener: Listener, long_job: Graph) -> None:
    running = client.submit(long_job, listener.client_id)
    listener.wait(runs(running, "2"))
    late, deleted = client.submit(text_job(), listener.client_id), client.submit(text_job(), listener.client_id)
    front = client.submit(text_job(), listener.client_id, front=True)
    queue = client.get("/queue")
    assert [row[1] for row in queue["queue_running"]] == [running]
    assert [row[1] for row in sorted(queue["queue_pending"])] == [front, late, deleted]
    assert client.get("/prompt")["exec_info"]["queue_remaining"] == 4
    answer = client.post("/queue", {"delete": [deleted, "unknown", running]})
    assert (answer.status_code, answer.content) == (200, b"")
    client.post("/interrupt", {"prompt_id": running})
    listener.wait_end(late)
    assert started(listener) == [running, front, late]
    assert client.get(f"/history/{deleted}") == {}
    assert client.get("/queue") == {"queue_running": [], "queue_pending": []}


def test_clearing_the_queue_leaves_the_running_job(client: Client, listener: Listener, long_job: Graph) -> None:
    running = client.submit(long_job, listener.client_id)
    listener.wait(runs(running, "2"))
    client.submit(text_job(), listener.client_id)
    assert client.post("/queue", {"clear": True}).status_code == 200
    assert [row[1] for row in client.get("/queue")["queue_running"]] == [running]
    assert client.request("POST", "/interrupt").status_code == 200
    listener.wait_end(running)
    assert started(listener) == [running]


def test_an_interrupt_stops_the_named_job_only(client: Client, listener: Listener, long_job: Graph) -> None:
    running = client.submit(long_job, listener.client_id)
    waiting = client.submit(text_job(), listener.client_id)
    listener.wait(runs(running, "2"))
    for prompt_id in (waiting, "unknown"):
        assert client.post("/interrupt", {"prompt_id": prompt_id}).status_code == 200
    assert client.get("/prompt")["exec_info"]["queue_remaining"] == 2
    assert client.post("/interrupt", {"prompt_id": running}).status_code == 200
    listener.wait_end(waiting)
    status = client.past(running)["status"]
    assert (status["status_str"], status["completed"]) == ("error", False)
    event, data = status["messages"][-1]
    assert (event, data["prompt_id"]) == ("execution_interrupted", running)
    assert client.past(waiting)["status"]["completed"] is True


def test_a_client_that_returns_hears_which_node_runs(client: Client, long_job: Graph) -> None:
    with client.listening() as first:
        prompt_id = client.submit(long_job, first.client_id)
        first.wait(runs(prompt_id, "2"))
    with client.listening(first.client_id) as second, client.listening() as stranger:
        message = second.wait(lambda frame: frame["type"] == "executing")
        assert set(message["data"]) == {"node"}
        client.request("POST", "/interrupt")
        second.wait_end(prompt_id)
        assert set(stranger.types()) == {"status"}


def test_progress_goes_up_and_ends_at_its_maximum(client: Client, listener: Listener, long_job: Graph) -> None:
    prompt_id = client.submit(long_job, listener.client_id)
    listener.wait(lambda frame: frame["type"] == "executing" and frame["data"]["node"] == "5")
    client.post("/interrupt", {"prompt_id": prompt_id})
    listener.wait_end(prompt_id)
    steps = [f["data"] for f in listener.of(prompt_id) if f["type"] == "progress" and f["data"]["node"] == "4"]
    values = [step["value"] for step in steps]
    assert values == sorted(values)
    assert steps[-1]["value"] == steps[-1]["max"]
    states = [f["data"]["nodes"] for f in listener.of(prompt_id) if f["type"] == "progress_state"]
    assert [len(nodes) for nodes in states] == sorted(len(nodes) for nodes in states)
    assert states[-1]["4"]["state"] == "finished"


def test_history_can_be_read_in_parts_and_deleted(client: Client) -> None:
    client.post("/history", {"clear": True})
    ids = [client.submit(text_job(), "nobody") for _ in range(3)]
    client.past(ids[2])
    assert list(client.get("/history")) == ids
    assert list(client.get("/history?max_items=2")) == ids[1:]
    assert list(client.get("/history?max_items=2&offset=0")) == ids[:2]
    assert list(client.get("/history?offset=2")) == ids[2:]
    assert client.get("/history?max_items=0") == {}
    assert client.get("/history?max_items=-1") == {}
    assert client.request("GET", "/history?max_items=abc").status_code == 500
    assert client.post("/history", {"delete": [ids[0], "unknown"]}).status_code == 200
    assert list(client.get("/api/history")) == ids[1:]


def test_a_partial_execution_runs_only_the_named_outputs(client: Client) -> None:
    graph = text_job() | {"3": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}
    prompt_id = client.submit(graph, "nobody", partial_execution_targets=["3"])
    assert list(client.past(prompt_id)["outputs"]) == ["3"]


def test_an_announcement_is_answered_once(client: Client) -> None:
    with client.listening(metadata=True) as listener:
        answer = listener.wait(lambda frame: frame["type"] == "feature_flags")
        assert answer["data"]["supports_preview_metadata"] is True
        assert answer["data"] == client.get("/features")
