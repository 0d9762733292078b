"""Uploads and downloads on every ComfyUI-compatible server."""

from __future__ import annotations

import uuid

import pytest

from tests.contract.material import picture
from tests.localpod.comfy_harness import Client

pytestmark = pytest.mark.contract


@pytest.fixture
def name() -> str:
    """Return a name that no file has yet, with a space and a letter beyond ASCII."""
    return f"høld {uuid.uuid4().hex}.png"


def test_the_same_bytes_keep_the_name_and_others_get_a_number(client: Client, name: str) -> None:
    stem = name.removesuffix(".png")
    expected = [
        (b"a", name),
        (b"a", name),
        (b"b", f"{stem} (1).png"),
        (b"b", f"{stem} (1).png"),
        (b"c", f"{stem} (2).png"),
    ]
    for data, kept in expected:
        assert client.upload(name, data).json() == {"name": kept, "subfolder": "", "type": "input"}


@pytest.mark.parametrize(("word", "replaces"), [("true", True), ("1", True), ("True", False), ("yes", False)])
def test_overwrite_wants_its_exact_word(client: Client, name: str, word: str, *, replaces: bool) -> None:
    client.upload(name, b"a")
    kept = client.upload(name, b"b", overwrite=word).json()["name"]
    assert (kept == name) is replaces
    assert client.request("GET", "/view", params={"filename": kept, "type": "input"}).content == b"b"


def test_a_subfolder_is_made_and_named(client: Client, name: str) -> None:
    answer = client.upload(name, b"a", subfolder="a b/c", type="temp").json()
    assert answer == {"name": name, "subfolder": "a b/c", "type": "temp"}
    where = {"filename": name, "subfolder": "a b/c", "type": "temp"}
    assert client.request("GET", "/view", params=where).content == b"a"


def test_an_upload_that_leads_out_or_nowhere_is_refused(client: Client, name: str) -> None:
    assert client.upload(name, b"a", subfolder="../x").status_code == 400
    assert client.upload(f"../{name}", b"a").status_code == 400
    assert client.upload(f"no/such/{name}", b"a").status_code == 500
    assert client.upload(name, b"a", type="bogus").status_code == 500
    assert client.request("POST", "/upload/image", files={"other": (name, b"a")}).status_code == 400


def test_a_file_comes_whole_in_part_or_not_at_all(client: Client, name: str) -> None:
    client.upload(name, b"0123456789")
    where = {"filename": name, "type": "input"}
    whole = client.request("GET", "/view", params=where)
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["Content-Type"] == "image/png"
    part = client.request("GET", "/view", params=where, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    tail = client.request("GET", "/view", params=where, headers={"Range": "bytes=7-"})
    assert (tail.status_code, tail.content) == (206, b"789")
    same = client.request("GET", "/view", params=where, headers={"If-None-Match": whole.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    head = client.request("HEAD", "/view", params=where)
    assert (head.status_code, head.headers["Content-Length"]) == (200, "10")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("filename=", 400),
        ("filename=nope.png", 404),
        ("filename=../x", 400),
        ("filename=/etc/passwd", 400),
        ("filename=a.png&type=bogus", 400),
        ("filename=a.png&subfolder=../..", 403),
    ],
)
def test_a_file_that_may_not_be_seen_has_its_status(client: Client, query: str, status: int) -> None:
    answer = client.request("GET", f"/view?{query}")
    assert (answer.status_code, answer.content) == (status, b"")


def test_a_folder_in_the_name_is_cut_off_and_an_annotation_counts(client: Client, name: str) -> None:
    client.upload(name, b"a")
    for filename in (f"no/such/{name}", f"{name} [input]"):
        where = {"filename": filename, **({"type": "input"} if "[" not in filename else {})}
        assert client.request("GET", "/view", params=where).content == b"a"


def test_a_picture_can_be_asked_for_in_another_form(client: Client, name: str) -> None:
    client.upload(name, picture())
    where = {"filename": name, "type": "input"}
    webp = client.request("GET", "/view", params=where | {"preview": "webp;50"})
    assert (webp.headers["Content-Type"], webp.content[:4]) == ("image/webp", b"RIFF")
    jpeg = client.request("GET", "/view", params=where | {"preview": "jpeg;50"})
    assert (jpeg.headers["Content-Type"], jpeg.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    for channel in ("rgb", "a"):
        png = client.request("GET", "/view", params=where | {"channel": channel})
        assert (png.headers["Content-Type"], png.content[:4]) == ("image/png", b"\x89PNG")
    client.upload("contract.txt", b"text", overwrite="true")
    text = {"filename": "contract.txt", "type": "input", "preview": "webp"}
    assert client.request("GET", "/view", params=text).status_code == 500


def test_what_a_browser_would_act_on_is_sent_as_bytes(client: Client) -> None:
    for kind in ("html", "css"):
        client.upload(f"contract.{kind}", b"x", overwrite="true")
        answer = client.request("GET", "/view", params={"filename": f"contract.{kind}", "type": "input"})
        assert answer.headers["Content-Type"] == "application/octet-stream"


def test_the_newest_file_is_listed_first(client: Client, name: str) -> None:
    client.upload(name, b"a")
    assert name in client.get("/internal/files/input")
    assert client.request("GET", "/internal/files/bogus").status_code == 400


def test_an_upload_can_be_loaded_and_its_change_is_noticed(client: Client, name: str) -> None:
    """LoadImage looks at the content: the same name with other bytes runs again."""
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "contract/loaded"}},
    }
    names = []
    for file in ("start_image_alpha.png", "start_image.png"):
        client.upload(name, picture(file), overwrite="true")
        entry = client.past(client.submit(graph, "nobody"))
        names.append(entry["outputs"]["2"]["images"][0]["filename"])
    assert names[0] != names[1]
