"""The built-in engine against what a real ComfyUI 0.12.1 was recorded to do.

Each recording is played to the engine; every answer (status, content type, JSON or text, sizes and first bytes of
files) and every socket's messages must be the recorded ones, under the normalisation that `normal` states. Beside it:

- answers of `GET` may come later than in the recording, which waited a second where this does not;
- of generated files only the first bytes count, of uploaded ones the size too;
- `/system_stats` is compared in its shape; the versions of the GUI's parts are left out, since there is no GUI.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.localpod.nodes import NODES
from tests.localpod.comfy_harness import Client, EngineThread
from tests.localpod.normal import Normal, stories
from tests.localpod.replay import RECORDINGS, Pace, Played, Player, Record, load, paced

CALM = (
    *("image_to_animation", "video_with_audio", "text_and_seed", "fails_while_running", "no_client_id"),
    *("stale_socket_same_client_id", "slow_progress", "logs_subscription", "invalid_at_submission"),
)
"""Recordings whose jobs do not overlap, so that their `status` messages can be compared too."""
BUSY = ("interrupt_running", "queue_order_and_delete", "duplicate_prompt_id", "reconnect_same_client", "burst_30_jobs")
WITHOUT_JOBS = ("http_errors", "uploads_and_view", "other_routes")
UNPLAYABLE = {
    "sampler_previews_old_frames": "needs the node ProbeConditioning and a model file that were never shipped",
    "sampler_previews_with_metadata": "the same",
    "text_frames_and_subgraph": "needs the nodes ProbeSlow and ProbeExpand, which were never shipped",
    "server_killed_mid_job": "needs the node ProbeSlow, and a process to kill",
}
"""What its previews and frames show is tested with nodes of our own in `test_comfy_api`."""
UNSERVED = frozenset(
    {
        "/v2/userdata",
        "/api/assets",
    }
)
"""Requests that the engine does not answer: lists that the GUI alone asks for, recorded only when they were empty."""


@contextmanager
def played(name: str, tmp_path: Path) -> Iterator[Player]:
    pace = Pace()
    with EngineThread(tmp_path, paced(NODES, pace)) as engine:
        client = Client(engine.url)
        player = Player(load(name), client, pace, UNSERVED)
        if name == "uploads_and_view":  # its server had this file from before
            client.upload("start_image.png", (RECORDINGS / "inputs" / "start_image.png").read_bytes())
        try:
            player.play()
            yield player
        finally:
            client.close()


def check_answer(answer: Played, normal: Normal) -> None:
    record = answer.record
    assert answer.status == record["status"], answer.label
    content_type = answer.content_type or "application/octet-stream"
    if "content_type" in record:
        assert content_type == (record["content_type"] or "application/octet-stream"), answer.label
    if "response_json" in record:
        check_json(record, json.loads(answer.body), normal, answer.label)
    elif "response_text" in record:
        assert answer.body.decode() == record["response_text"], answer.label
    elif record["response_bytes"] == 0:
        assert answer.body == b"", answer.label
    else:
        check_file(record, answer)


def check_json(record: Record, body: Any, normal: Normal, label: str) -> None:
    wanted = record["response_json"]
    if record["path"].endswith("/system_stats"):
        left_out = {"required_frontend_version", "installed_templates_version", "required_templates_version"}
        assert set(body["system"]) - {"autopod_engine"} == set(wanted["system"]) - left_out
        assert body["system"]["comfyui_version"] == wanted["system"]["comfyui_version"]
        assert [set(device) for device in body["devices"]] == [set(device) for device in wanted["devices"]]
    elif record["path"] == "/internal/logs":
        assert normal.text(body).endswith(normal.text(wanted).partition(" - ")[2]), label
    elif record["path"] == "/internal/logs/raw":
        lines = [normal.text(entry["m"]) for entry in body["entries"][-4:]]
        assert lines == [normal.text(entry["m"]) for entry in wanted["entries"][-4:]], label
        assert body["size"] == wanted["size"]
    elif record["path"].startswith("/internal/files/output"):
        assert isinstance(body, list)  # what other recordings had written
    else:
        assert normal.json(body) == Normal({}).json(wanted), label


def check_file(record: Record, answer: Played) -> None:
    head = bytes.fromhex(record["response_first16_hex"])
    uploaded = record["path"].startswith("/view") and "output of node" not in record.get("note", "")
    if uploaded and "preview=" not in record["path"] and "channel=" not in record["path"]:
        assert len(answer.body) == record["response_bytes"], answer.label
        assert answer.body.startswith(head), answer.label
    elif record["content_type"].startswith("image/"):
        assert answer.body[:4] == head[:4], answer.label
    else:
        assert answer.body, answer.label


def recorded(player: Player, socket: str) -> list[dict[str, Any]]:
    return [r["message"] for r in player.records if r["kind"] == "ws" and r["client"] == socket]


def ends_with_a_post(player: Player, socket: str) -> bool:
    """Say whether a socket closes right after a post: it may or may not hear how that job begins."""
    closing = {"kind": "ws_close_by_client", "client": socket}
    index = next(i for i, r in enumerate(player.records) if closing.items() <= r.items())
    return player.records[index - 1].get("path") == "/prompt"


def statuses(frames: list[dict[str, Any]]) -> list[int]:
    return [f["data"]["status"]["exec_info"]["queue_remaining"] for f in frames if f["type"] == "status"]


def log_lines(frames: list[dict[str, Any]], normal: Normal) -> list[Any]:
    entries = [(e, f["data"]["size"]) for f in frames if f["type"] == "logs" for e in f["data"]["entries"]]
    return [(normal.text(entry["m"]), size) for entry, size in entries]


def is_only_the_end(story: Any) -> bool:
    """A socket that opens as a job ends unseen may just catch its last word: it comes after the history entry."""
    _, messages, _ = story
    return [kind for kind, _ in messages] == ["executing"] and messages[0][1]["node"] is None


def check_sockets(player: Player, normal: Normal) -> None:
    for socket, listener in player.sockets.items():
        wanted = stories(recorded(player, socket), Normal({}))
        heard = stories(listener.frames, normal)
        if ends_with_a_post(player, socket):
            heard = heard[: len(wanted)]
        told = [story.comparable() for story in heard]
        if not wanted:
            told = [each for each in told if not is_only_the_end(each)]
        assert told == [story.comparable() for story in wanted], socket
        greetings = [f["type"] for f in listener.frames[:3] if f["type"] in {"status", "feature_flags"}]
        assert greetings[0] == "status"
        assert log_lines(listener.frames, normal) == log_lines(recorded(player, socket), Normal({}))


@pytest.mark.parametrize("name", CALM + BUSY + WITHOUT_JOBS)
def test_the_engine_answers_and_tells_what_the_real_server_did(name: str, tmp_path: Path) -> None:
    with played(name, tmp_path) as player:
        normal = player.normal()
        for answer in player.played:
            check_answer(answer, normal)
        check_sockets(player, normal)
        if name in CALM:
            for socket, listener in player.sockets.items():
                assert statuses(listener.frames) == statuses(recorded(player, socket)), socket


def test_every_recording_is_played_or_is_named_with_its_reason() -> None:
    names = {path.stem for path in (RECORDINGS / "recordings").iterdir()}
    assert names == {*CALM, *BUSY, *WITHOUT_JOBS, *UNPLAYABLE}


def test_what_is_named_as_unserved_is_not_there(tmp_path: Path) -> None:
    """The list of requests that are not played stays honest: each of them is refused."""
    with EngineThread(tmp_path) as engine:
        client = Client(engine.url)
        requests = [r for name in WITHOUT_JOBS for r in load(name) if r["kind"] == "http" and r["path"] in UNSERVED]
        assert {r["path"] for r in requests} == UNSERVED
        for record in requests:
            assert client.request(record["method"], record["path"]).status_code in {404, 405}
        client.close()
