"""What the built-in engine does beyond the recordings: the tests decide when a node goes on."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from autopod_nb.localpod.comfy_api import serve
from autopod_nb.localpod.nodes.simulation import GPU_VARIABLE
from tests.localpod.comfy_harness import Client, EngineThread, Listener
from tests.localpod.probe_nodes import Probes, gate_job, text_job


@pytest.fixture
def probes() -> Probes:
    return Probes()


@pytest.fixture
def client(tmp_path: Path, probes: Probes) -> Iterator[Client]:
    with EngineThread(tmp_path, probes.nodes()) as engine:
        client = Client(engine.url)
        yield client
        probes.gate.opened.set()
        client.close()


def told(listener: Listener, prompt_id: str) -> list[str]:
    """Return the types of a job's messages."""
    return [frame["type"] for frame in listener.of(prompt_id)]


def png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def shown_faulty() -> dict[str, Any]:
    faulty = {"class_type": "Faulty", "inputs": {"value": 3}}
    return {"1": faulty, "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}


def values(frames: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(f["data"]["value"], f["data"]["max"]) for f in frames if f["type"] == "progress"]


def test_a_fresh_job_sends_its_messages_in_the_real_order(client: Client) -> None:
    with client.listening() as listener:
        prompt_id = client.submit(text_job(7), listener.client_id)
        listener.wait_end(prompt_id)
        assert listener.types() == [
            *("status", "status", "status", "execution_start", "execution_cached"),
            *("progress_state", "executing", "progress_state"),
            *("progress_state", "executing", "executed", "progress_state"),
            *("execution_success", "status", "executing"),
        ]
        assert client.get(f"/history/{prompt_id}")[prompt_id]["outputs"] == {"2": {"text": ["7"]}}


def test_the_final_message_comes_after_the_history_entry(client: Client) -> None:
    """Every one of 30 jobs is in the history at once when `executing null` has arrived."""
    with client.listening() as listener:
        for value in range(30):
            prompt_id = client.submit(text_job(value), listener.client_id)
            listener.wait_end(prompt_id)
            assert client.get(f"/history/{prompt_id}") != {}


def test_progress_is_throttled_but_first_and_last_always_come(client: Client, probes: Probes) -> None:
    probes.gate.steps = 400
    probes.gate.opened.set()
    with client.listening() as listener:
        prompt_id = client.submit(gate_job(), listener.client_id)
        listener.wait_end(prompt_id)
        seen = values(listener.of(prompt_id))
        assert seen[0] == (0, 400)
        assert seen[-1] == (400, 400)
        assert len(seen) < 100


@pytest.mark.parametrize(
    ("metadata", "method", "kinds"),
    [
        (False, None, []),
        (True, None, []),
        (False, "auto", ["progress", 1]),
        (True, "latent2rgb", [4, "progress"]),
        (True, "none", []),
    ],
)
def test_previews_come_as_the_client_announced_and_the_job_asked(
    client: Client, probes: Probes, *, metadata: bool, method: str | None, kinds: list[object]
) -> None:
    """Kind 1 follows its step, kind 4 leads it and names node and prompt; without `preview_method` there are none."""
    probes.gate.opened.set()
    extra = {} if method is None else {"preview_method": method}
    with client.listening(metadata=metadata) as listener:
        prompt_id = client.submit(gate_job(), listener.client_id, extra_data=extra)
        listener.wait_end(prompt_id)
        order = [frame.get("kind", frame["type"]) for frame in listener.frames]
        steps = [kind for kind in order if kind in {1, 4, "progress"}]
        assert steps[1:] == kinds * probes.gate.steps if kinds else set(steps) == {"progress"}
        for frame in listener.frames:
            if frame.get("kind") == 1:
                assert frame["data"][:4] == b"\0\0\0\1"
                assert frame["data"][4:7] == b"\xff\xd8\xff"
            elif frame.get("kind") == 4:
                size = int.from_bytes(frame["data"][:4], "big")
                header = json.loads(frame["data"][4 : 4 + size])
                assert (header["node_id"], header["prompt_id"]) == ("1", prompt_id)
                assert frame["data"][4 + size :].startswith(b"\xff\xd8\xff")


def test_an_interrupt_stops_only_the_job_that_it_names(client: Client, probes: Probes) -> None:
    with client.listening() as listener:
        running = client.submit(gate_job(), listener.client_id)
        waiting = client.submit(text_job(1), listener.client_id)
        assert probes.gate.reached.wait(10)
        for prompt_id in (waiting, "unknown", running):
            assert client.post("/interrupt", {"prompt_id": prompt_id}).status_code == 200
        probes.gate.opened.set()
        listener.wait_end(waiting)
        assert told(listener, running)[-2:] == ["execution_interrupted", "executing"]
        assert client.past(running)["status"]["status_str"] == "error"
        assert client.past(waiting)["status"]["completed"] is True
        assert client.get(f"/api/jobs/{running}")["status"] == "cancelled"


def test_an_interrupt_while_idle_has_no_later_effect(client: Client) -> None:
    assert client.request("POST", "/interrupt").status_code == 200
    assert client.past(client.submit(text_job(1)))["status"]["completed"] is True


def test_the_queue_runs_by_number_and_is_shown_as_a_heap(client: Client, probes: Probes) -> None:
    with client.listening() as listener:
        running = client.submit(gate_job(), listener.client_id)
        assert probes.gate.reached.wait(10)
        options: list[dict[str, Any]] = [{}, {}, {"front": True}, {"front": True}, {"number": 0.5}, {"number": -100}]
        ids = [client.submit(text_job(i), listener.client_id, **more) for i, more in enumerate(options)]
        queue = client.get("/queue")
        assert [row[1] for row in queue["queue_running"]] == [running]
        assert [row[0] for row in queue["queue_pending"]] == [-100, -3, -4, 2, 0.5, 1]
        assert client.get("/prompt") == {"exec_info": {"queue_remaining": 7}}
        assert client.post("/queue", {"delete": [ids[0], "unknown", running]}).status_code == 200
        probes.gate.opened.set()
        listener.wait_end(ids[1])
        started = [f["data"]["prompt_id"] for f in listener.frames if f["type"] == "execution_start"]
        assert started == [running, ids[5], ids[3], ids[2], ids[4], ids[1]]
        assert client.get(f"/history/{ids[0]}") == {}


def test_a_tie_is_answered_with_500_although_both_run(client: Client, probes: Probes) -> None:
    client.submit(gate_job())
    assert probes.gate.reached.wait(10)
    body = {"prompt_id": "twice", "number": 7}
    assert client.post("/prompt", {"prompt": text_job(1), **body}).status_code == 200
    assert client.post("/prompt", {"prompt": text_job(2), **body}).status_code == 500
    assert [row[1] for row in client.get("/queue")["queue_pending"]] == ["twice", "twice"]
    probes.gate.opened.set()
    client.poll("/prompt", lambda answer: answer["exec_info"]["queue_remaining"] == 0)
    assert client.get("/history/twice")["twice"]["outputs"] == {"2": {"text": ["2"]}}


def test_results_are_kept_for_one_job_only(client: Client, probes: Probes) -> None:
    """A, A: cached. A, B, A: A runs again. `/free` empties the cache too."""
    probes.gate.opened.set()
    for value, runs in [(1, 1), (1, 1), (2, 2), (1, 3)]:
        client.past(client.submit(gate_job(value), "nobody"))
        assert len(probes.gate.runs) == runs
    assert client.post("/free", {"free_memory": True}).status_code == 200
    client.past(client.submit(text_job(9)))  # the worker empties the cache before or after it
    client.past(client.submit(gate_job(1), "nobody"))
    assert len(probes.gate.runs) == 4


def test_a_cached_job_without_client_id_has_no_outputs(client: Client) -> None:
    assert client.past(client.submit(text_job(5), "somebody"))["outputs"] == {"2": {"text": ["5"]}}
    assert client.past(client.submit(text_job(5), "somebody"))["outputs"] == {"2": {"text": ["5"]}}
    assert client.past(client.submit(text_job(5)))["outputs"] == {}


def test_an_output_node_without_anything_to_show_is_executed_with_null_when_cached(client: Client) -> None:
    graph = {"1": {"class_type": "Silent", "inputs": {"value": 1}}}
    with client.listening() as listener:
        first = client.submit(graph, listener.client_id)
        second = client.submit(graph, listener.client_id)
        listener.wait_end(second)
        assert "executed" not in told(listener, first)
        executed = next(f for f in listener.of(second) if f["type"] == "executed")
        assert executed["data"] == {"node": "1", "display_node": "1", "output": None, "prompt_id": second}
        state = next(f for f in listener.of(second) if f["type"] == "progress_state")["data"]["nodes"]["1"]
        assert (state["value"], state["max"], state["state"]) == (1, 1, "finished")


def test_a_failing_node_ends_its_job_and_says_why(client: Client) -> None:
    past = client.past(client.submit(shown_faulty(), "x"))
    event, error = past["status"]["messages"][-1]
    assert event == "execution_error"
    assert (error["node_id"], error["node_type"]) == ("1", "Faulty")
    assert (error["exception_type"], error["exception_message"]) == ("ValueError", "this node always fails\n")
    assert error["current_inputs"] == {"value": [3]}
    assert error["traceback"]
    assert client.past(client.submit(text_job(1), "x"))["status"]["completed"] is True


def test_a_job_without_client_id_shows_its_progress_to_everybody_and_nothing_else(
    client: Client, probes: Probes
) -> None:
    probes.gate.opened.set()
    with client.listening() as one, client.listening() as other:
        prompt_id = client.submit(gate_job())
        client.past(prompt_id)
        for listener in (one, other):
            listener.wait(
                lambda m: m["type"] == "status" and m["data"]["status"]["exec_info"]["queue_remaining"] == 0, since=3
            )
            assert set(told(listener, prompt_id)) == {"progress", "progress_state"}


def test_a_stranger_hears_only_the_status(client: Client) -> None:
    with client.listening() as owner, client.listening() as stranger:
        owner.wait_end(client.submit(text_job(1), owner.client_id))
        stranger.wait(lambda m: m["type"] == "status", since=3)
        assert set(stranger.types()) == {"status"}


def test_the_end_of_an_old_socket_silences_the_new_one_of_the_same_client(client: Client) -> None:
    with client.listening("me") as old:
        with client.listening("me") as new:
            new.wait_end(client.submit(text_job(1), "me"))
            heard = len(new.frames)
            old.close()
            client.past(client.submit(text_job(2), "me"))
            assert len(new.frames) == heard
        with client.listening("me") as fresh:
            fresh.wait_end(client.submit(text_job(3), "me"))


def test_a_client_that_returns_is_told_the_running_node(client: Client, probes: Probes) -> None:
    with client.listening("me"):
        prompt_id = client.submit(gate_job(), "me")
        assert probes.gate.reached.wait(10)
    with client.listening("me", metadata=True) as again, client.listening() as stranger:
        again.wait(lambda m: m["type"] == "feature_flags")
        assert again.frames[1] == {"type": "executing", "data": {"node": "1"}}
        probes.gate.opened.set()
        again.wait_end(prompt_id)
        assert "executing" not in stranger.types()


def test_text_that_is_no_announcement_is_passed_over(client: Client) -> None:
    """A list, a broken text and a later announcement: only the first object counts."""
    with client.listening() as listener:
        listener.send([1])
        listener.send({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        listener.wait(lambda m: m["type"] == "feature_flags")
        listener.send({"type": "feature_flags", "data": {}})
        listener.wait_end(client.submit(text_job(1), listener.client_id))
        assert listener.types().count("feature_flags") == 1


def test_the_server_answers_while_a_node_works(client: Client, probes: Probes) -> None:
    client.submit(gate_job())
    assert probes.gate.reached.wait(10)
    assert client.get("/prompt") == {"exec_info": {"queue_remaining": 1}}
    assert client.get("/system_stats")["system"]["autopod_engine"] is True


def test_secrets_in_extra_data_are_not_shown(client: Client) -> None:
    extra = {
        "auth_token_comfy_org": "secret",
        "api_key_comfy_org": "secret",
        "extra_pnginfo": {"workflow": {"id": "w"}},
    }
    past = client.past(client.submit(text_job(1), "me", extra_data=extra))
    assert set(past["prompt"][3]) == {"extra_pnginfo", "client_id", "create_time"}
    assert [job["workflow_id"] for job in client.get("/api/jobs?workflow_id=w")["jobs"]] == ["w"]


def test_every_route_has_its_twin_and_the_internal_ones_have_none(client: Client) -> None:
    paths = ["/prompt", "/queue", "/history", "/object_info/EmptyImage", "/features", "/models", "/embeddings"]
    for path in paths:
        assert client.get(path) == client.get(f"/api{path}")
    assert client.request("GET", "/api/internal/logs").status_code == 404
    assert client.request("GET", "/jobs").status_code == 404
    assert client.request("GET", "/prompt/").status_code == 404


def test_jobs_are_listed_by_state_and_in_pages(client: Client, probes: Probes) -> None:
    done = [client.submit(text_job(value), "me") for value in range(3)]
    failed = client.submit(shown_faulty(), "me")
    client.past(failed)
    running = client.submit(gate_job(), "me")
    assert probes.gate.reached.wait(10)
    waiting = client.submit(text_job(9), "me", number=7)

    def listed(query: str) -> list[str]:
        return [job["id"] for job in client.get(f"/api/jobs?{query}")["jobs"]]

    assert set(listed("")) == {*done, failed, running, waiting}
    assert set(listed("status=completed")) == set(done)
    assert listed("status=failed") == [failed]
    assert listed("status=pending,in_progress&sort_order=asc") == [running, waiting]
    page = client.get("/api/jobs?limit=2&offset=1&sort_order=asc")
    assert len(page["jobs"]) == 2
    assert page["pagination"] == {"offset": 1, "limit": 2, "total": 6, "has_more": True}
    assert client.get(f"/api/jobs/{waiting}")["priority"] == 7.0
    assert client.get(f"/api/jobs/{running}")["status"] == "in_progress"


def test_a_mask_gives_its_alpha_to_the_original(client: Client) -> None:
    client.upload("original.png", png(Image.new("RGB", (4, 4), "red")))
    mask = png(Image.new("RGBA", (4, 4), (0, 0, 0, 77)))
    form = {"original_ref": json.dumps({"filename": "original.png", "type": "input"})}
    answer = client.request("POST", "/upload/mask", files={"image": ("mask.png", mask)}, data=form)
    assert answer.json() == {"name": "mask.png", "subfolder": "", "type": "input"}
    whole = client.request("GET", "/view", params={"filename": "mask.png", "type": "input"})
    with Image.open(io.BytesIO(whole.content)) as picture:
        assert picture.convert("RGBA").getpixel((1, 1)) == (255, 0, 0, 77)
    assert client.request("POST", "/upload/mask", files={"image": ("mask.png", mask)}).status_code == 500


@pytest.mark.parametrize("name", [None, 5, ["1", 0]])
def test_a_file_name_that_is_no_text_is_refused(client: Client, name: object) -> None:
    inputs = {} if name is None else {"image": name}
    graph = {
        "1": text_job(1)["1"],
        "2": {"class_type": "LoadImage", "inputs": inputs},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    answer = client.post("/prompt", {"prompt": graph})
    assert answer.status_code == 400
    [fault] = answer.json()["node_errors"]["2"]["errors"]
    assert fault["type"] == "exception_during_inner_validation"


def test_extra_data_that_is_no_object_is_answered_with_500(client: Client) -> None:
    assert client.post("/prompt", {"prompt": text_job(1), "extra_data": []}).status_code == 500
    assert client.get("/prompt") == {"exec_info": {"queue_remaining": 0}}


def test_a_server_that_ends_lets_go_of_a_waiting_node(tmp_path: Path) -> None:
    """Leaving the engine ends its worker although a node is at its gate and jobs wait."""
    probes, before = Probes(), set(threading.enumerate())
    with EngineThread(tmp_path, probes.nodes()) as engine:
        client = Client(engine.url)
        client.submit(gate_job())
        client.submit(text_job(1))
        assert probes.gate.reached.wait(10)
        client.close()
        letting_go = threading.Timer(0.2, probes.gate.opened.set)
        letting_go.start()
    letting_go.join()
    assert set(threading.enumerate()) <= before


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    async def twice() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port: int = taken.getsockname()[1]
            stop = asyncio.Event()
            with pytest.raises(OSError, match="address already in use"):
                await serve(host="127.0.0.1", port=port, base_dir=tmp_path, gpu_name="A40", vram_bytes=1, stop=stop)

    asyncio.run(twice())


def test_a_start_empties_the_temp_folder_and_keeps_the_rest(tmp_path: Path) -> None:
    for name in ("input", "output", "temp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("x")
    with EngineThread(tmp_path) as engine:
        client = Client(engine.url)
        found = [client.get(f"/internal/files/{name}") for name in ("input", "output", "temp")]
        client.close()
    assert found == [["x.txt"], ["x.txt"], []]


def test_the_models_of_a_folder_are_its_files_and_with_a_gpu_the_usual_ones(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "vae").mkdir(parents=True)
    (tmp_path / "models" / "vae" / "mine.safetensors").touch()
    assert client.get("/models/vae") == ["mine.safetensors"]
    monkeypatch.setenv(GPU_VARIABLE, "A40")
    assert client.get("/api/models/vae") == ["mine.safetensors", "wan2.2_vae.safetensors", "wan_2.1_vae.safetensors"]
    assert client.request("GET", "/models/none").status_code == 404


def test_a_users_files_stay_in_their_folder(client: Client, tmp_path: Path) -> None:
    for name in ("..%2F..%2Finput%2Fx", "%2Fetc%2Fpasswd"):
        for method in ("GET", "POST", "DELETE"):
            assert client.request(method, f"/userdata/{name}", data=b"1").status_code == 403, name
    assert client.request("GET", "/userdata?dir=..%2F..").status_code == 403
    assert list((tmp_path / "input").iterdir()) == []
    assert client.request("DELETE", "/userdata/nothing").status_code == 404


def test_settings_are_what_lies_among_the_users_files(client: Client) -> None:
    settings = {"Comfy.ColorPalette": "light"}
    assert client.post("/userdata/comfy.settings.json", settings).json() == "comfy.settings.json"
    assert client.get("/settings") == settings
    assert client.get("/users")["migrated"] is True
    assert client.get("/userdata?dir=") == ["comfy.settings.json"]


def test_the_page_says_what_this_is(client: Client) -> None:
    assert "Built-in engine" in client.request("GET", "/").text


def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    answer = client.request("POST", "/prompt", data=b" " * (104857600 + 1))
    assert answer.status_code == 413
    assert answer.text.startswith("Maximum request body size 104857600 exceeded")


def test_a_log_line_reaches_its_subscriber(client: Client) -> None:
    with client.listening("me") as listener:
        for enabled in (True, False):
            body = {"clientId": "me", "enabled": enabled}
            assert client.request("PATCH", "/internal/logs/subscribe", json=body).status_code == 200
            listener.wait_end(client.submit(text_job(int(enabled)), "me"))
        lines = [entry["m"] for f in listener.frames if f["type"] == "logs" for entry in f["data"]["entries"]]
        assert lines[0] == "got prompt\n"
        assert lines.count("got prompt\n") == 1
    assert client.get("/internal/logs").count("got prompt\n") == 2
