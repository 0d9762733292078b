"""What every ComfyUI-compatible server says no to, and how."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.material import text_job
from tests.localpod.comfy_harness import Client

pytestmark = pytest.mark.contract

IMAGE = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255}}
TROUBLE = "500 Internal Server Error\n\nServer got itself in trouble"


def saved(images: object, **inputs: object) -> dict[str, Any]:
    return {"class_type": "SaveImage", "inputs": {"images": images, "filename_prefix": "contract/x", **inputs}}


def image(**inputs: object) -> dict[str, Any]:
    return {"class_type": "EmptyImage", "inputs": IMAGE["inputs"] | inputs}  # type: ignore[operator] # a dict of dicts


def scaled(**inputs: object) -> dict[str, Any]:
    usual = {"image": ["1", 0], "upscale_method": "area", "width": 8, "height": 8, "crop": "disabled"}
    return {"class_type": "ImageScale", "inputs": usual | inputs}


@pytest.mark.parametrize(
    "body",
    [
        b"{bad",
        b"",
        b'{"prompt": null}',
        b'{"prompt": {"nodes": [], "links": [], "version": 0.4}}',
        b'{"prompt": {}, "number": "abc"}',
    ],
)
def test_what_is_no_prompt_at_all_is_answered_with_500(client: Client, body: bytes) -> None:
    answer = client.request("POST", "/prompt", data=body)
    assert (answer.status_code, answer.text) == (500, TROUBLE)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "no_prompt"),
        ([1], "no_prompt"),
        ({"prompt": {}}, "prompt_no_outputs"),
        ({"prompt": {"1": IMAGE}}, "prompt_no_outputs"),
        ({"prompt": text_job(), "partial_execution_targets": ["9"]}, "prompt_no_outputs"),
        ({"prompt": {"1": IMAGE, "2": {"class_type": "NoSuchNode", "inputs": {}}}}, "missing_node_type"),
        ({"prompt": {"1": {"inputs": {}}}}, "missing_node_type"),
    ],
)
def test_a_prompt_that_cannot_run_is_refused_as_a_whole(client: Client, body: object, kind: str) -> None:
    answer = client.post("/prompt", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == kind
    assert answer.json()["node_errors"] == {}


def test_an_unknown_class_is_named_with_its_node(client: Client) -> None:
    node = {"class_type": "NoSuchNode", "inputs": {}, "_meta": {"title": "My node"}}
    error = client.post("/prompt", {"prompt": {"7": node}}).json()["error"]
    assert error["message"] == "Node 'My node' not found. The custom node may not be installed."
    assert error["extra_info"] == {"node_id": "7", "class_type": "NoSuchNode", "node_title": "My node"}


@pytest.mark.parametrize(
    ("graph", "node", "kind", "details"),
    [
        ({"2": {"class_type": "SaveImage"}}, "2", "exception_during_validation", "'inputs'"),
        (
            {"2": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}},
            "2",
            "required_input_missing",
            "images",
        ),
        ({"2": saved(["9", 0])}, "2", "exception_during_validation", "'9'"),
        ({"1": IMAGE, "2": saved(["1", 5])}, "2", "exception_during_validation", "tuple index out of range"),
        ({"1": IMAGE, "2": saved([1, 0])}, "2", "exception_during_validation", "1"),
        ({"1": IMAGE, "2": saved(["1", 0, 0])}, "2", "bad_linked_input", "images"),
        ({"1": image(width=0), "2": saved(["1", 0])}, "1", "value_smaller_than_min", "width"),
        ({"1": image(width=99999), "2": saved(["1", 0])}, "1", "value_bigger_than_max", "width"),
        (
            {"1": image(width="abc"), "2": saved(["1", 0])},
            *("1", "invalid_input_type", "width, abc, invalid literal for int() with base 10: 'abc'"),
        ),
        (
            {"1": IMAGE, "3": scaled(crop="round"), "2": saved(["3", 0])},
            *("3", "value_not_in_list", "crop: 'round' not in ['disabled', 'center']"),
        ),
        (
            {"1": {"class_type": "PrimitiveInt", "inputs": {"value": 1}}, "2": saved(["1", 0])},
            *("2", "return_type_mismatch", "images, received_type(INT) mismatch input_type(IMAGE)"),
        ),
        (
            {"1": {"class_type": "LoadImage", "inputs": {"image": "nope.png"}}, "2": saved(["1", 0])},
            *("1", "custom_validation_failed", "image - Invalid image file: nope.png"),
        ),
        (
            {"1": {"class_type": "LoadAudio", "inputs": {"audio": "nope.wav"}}, "2": saved(["9", 0])},
            *("2", "exception_during_validation", "'9'"),
        ),
        (
            {"1": {"class_type": "ImageInvert", "inputs": {"image": ["9", 0]}}, "2": saved(["1", 0])},
            *("1", "exception_during_inner_validation", "'9'"),
        ),
    ],
)
def test_a_faulty_node_is_named(client: Client, graph: object, node: str, kind: str, details: str) -> None:
    answer = client.post("/prompt", {"prompt": graph})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "prompt_outputs_failed_validation"
    entry = answer.json()["node_errors"][node]
    assert [(fault["type"], fault["details"]) for fault in entry["errors"]] == [(kind, details)]
    assert entry["dependent_outputs"] == ["2"]


def test_a_long_list_of_choices_is_not_sent_back(client: Client) -> None:
    graph = {
        "1": {"class_type": "KSampler", "inputs": {"sampler_name": "magic"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    faults = client.post("/prompt", {"prompt": graph}).json()["node_errors"]["1"]["errors"]
    [fault] = [fault for fault in faults if fault["type"] == "value_not_in_list"]
    length = len(client.get("/object_info/KSampler")["KSampler"]["input"]["required"]["sampler_name"][0])
    assert fault["details"] == f"sampler_name: 'magic' not in (list of length {length})"
    assert fault["extra_info"]["input_config"] is None


def test_a_cycle_is_refused_without_naming_it(client: Client) -> None:
    def inverted(source: str) -> dict[str, Any]:
        return {"class_type": "ImageInvert", "inputs": {"image": [source, 0]}}

    answer = client.post("/prompt", {"prompt": {"1": inverted("3"), "3": inverted("1"), "2": saved(["1", 0])}})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"] == ""
    assert answer.json()["node_errors"] == {}


def test_one_good_output_is_enough_and_the_faults_of_the_rest_are_told(client: Client) -> None:
    graph = text_job() | {"3": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}}
    answer = client.post("/prompt", {"prompt": graph, "client_id": "nobody"})
    assert answer.status_code == 200
    assert list(answer.json()["node_errors"]) == ["3"]
    entry = client.past(answer.json()["prompt_id"])
    assert (entry["status"]["status_str"], list(entry["outputs"])) == ("success", ["2"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/interrupt", b"", 200),
        ("POST", "/interrupt", b"[]", 500),
        ("POST", "/queue", b"", 500),
        ("POST", "/queue", b'{"delete": ["nope"]}', 200),
        ("POST", "/history", b'{"delete": ["nope"]}', 200),
        ("POST", "/free", b"", 500),
        ("POST", "/free", b"{}", 200),
        ("GET", "/interrupt", b"", 404),
        ("GET", "/nope", b"", 404),
        ("GET", "/prompt/", b"", 404),
        ("GET", "/api/jobs/nope", b"", 404),
        ("GET", "/api/jobs?status=bogus", b"", 400),
        ("GET", "/api/jobs?limit=0", b"", 400),
        ("GET", "/api/jobs?limit=abc", b"", 400),
        ("GET", "/api/jobs?sort_by=abc", b"", 400),
        ("GET", "/api/jobs?sort_order=abc", b"", 400),
        ("GET", "/models/nope", b"", 404),
        ("OPTIONS", "/prompt", b"", 200),
        ("PATCH", "/api/internal/logs/subscribe", b"{}", 405),
    ],
)
def test_a_request_has_its_status(client: Client, method: str, path: str, body: bytes, status: int) -> None:
    assert client.request(method, path, data=body).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:9", 403), ("http://localhost:{port}", 403), ("http://127.0.0.1:{port}", 200), ("null", 200)],
)
def test_a_page_from_elsewhere_is_refused(client: Client, origin: str, status: int) -> None:
    headers = {"Origin": origin.format(port=client.url.rpartition(":")[2])}
    assert client.request("GET", "/prompt", headers=headers).status_code == status


def test_what_the_server_knows_of_itself_has_its_shape(client: Client) -> None:
    stats = client.get("/system_stats")
    version = [int(part) for part in stats["system"]["comfyui_version"].split(".")]
    assert version >= [0, 3]
    assert {"name", "type", "index", "vram_total", "vram_free"} <= set(stats["devices"][0])
    assert client.get("/object_info/NoSuchNode") == {}
    info = client.get("/object_info/EmptyImage")["EmptyImage"]
    assert info["input"]["required"]["width"] == ["INT", {"default": 512, "min": 1, "max": 16384, "step": 1}]
    assert info == client.get("/object_info")["EmptyImage"]
