"""Names that cannot do harm, places that nothing loses, downloads that are whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.clock import Deadline
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.comfyui.outputs import download, place, safe_name, targets
from autopod_nb.errors import TransferError
from autopod_nb.models.job import RemoteFile, Verified
from tests.comfyui.media import picture
from tests.comfyui.servers import CLOCK, Answer, Request, Script, ScriptedServer, patience

Connect = Callable[..., ComfyClient]
Serve = Callable[[Script], ScriptedServer]
NASTY = st.text(alphabet=st.sampled_from("ab.. /\\:\0\n\u202e\ud800é漢~*?<>|\"'CONnul1"), max_size=40)


def remote(*names: str) -> list[RemoteFile]:
    return [RemoteFile(node_id="7", filename=name) for name in names]


@settings(max_examples=500)
@given(NASTY | st.text(max_size=300))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    """Whatever the server calls a file, it is one plain, visible name of bounded length, and stays so."""
    safe = safe_name(name)
    assert safe
    assert Path("/place", safe).parent == Path("/place")
    assert os.path.normpath(f"/place/{safe}") == f"/place/{safe}"
    assert len(safe.encode()) <= 201
    assert not safe.startswith((".", " "))
    assert not safe.endswith((".", " "))
    assert not set(safe) & set('/\\\0:*?"<>|\n\u202e')
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("seed_00001_.png", "seed_00001_.png"),
        ("96x64 høst 漢 (1).png", "96x64 høst 漢 (1).png"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/abs/x.png", "x.png"),
        ("C:x.png", "x.png"),
        ("C:\\x.png", "x.png"),
        ("..", "result"),
        ("", "result"),
        ("a/", "result"),
        (".ssh", "ssh"),
        ("x\0y.png", "x_y.png"),
        ("nul.png", "_nul.png"),
        ("COM1", "_COM1"),
        ("fi\u202egnp.exe", "fignp.exe"),
        ("%2e%2e%2fx.png", "%2e%2e%2fx.png"),
        ("a" * 400 + ".webp", "a" * 195 + ".webp"),
        ("漢" * 100 + ".png", "漢" * 65 + ".png"),
    ],
)
def test_names_become(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    ("wanted", "names", "expected"),
    [
        ("out/a.mp4", ["v_00001_.mp4"], ["out/a.mp4"]),
        ("out/a.mp4", ["v_00001_.webp"], ["out/a.webp"]),
        ("out/a", ["v.mp4"], ["out/a.mp4"]),
        ("out/a.jpeg", ["v.JPG"], ["out/a.jpeg"]),
        ("out/a.mp4", ["no kind"], ["out/a.mp4"]),
        ("out/shot.2", ["v.png"], ["out/shot.2.png"]),
        ("out/a.png", ["x.png", "y.png", "z.webp"], ["out/a-00001.png", "out/a-00002.png", "out/a-00003.webp"]),
        ("out/", ["../x.png", "sub/y.png"], ["out/x.png", "out/y.png"]),
        ("out/", ["x.png", "X.png", "x.png"], ["out/x.png", "out/X-2.png", "out/x-3.png"]),
        ("out/a.png", [], []),
    ],
)
def test_files_of_an_output_go_to(wanted: str, names: Sequence[str], expected: Sequence[str]) -> None:
    assert [str(path) for path in targets(wanted, remote(*names))] == expected


def test_a_folder_that_exists_is_a_folder_without_a_slash(tmp_path: Path) -> None:
    assert targets(tmp_path, remote("x.png")) == [tmp_path / "x.png"]


@settings(max_examples=500)
@given(st.lists(NASTY, max_size=6), st.sampled_from(["out/", "out/a.png", "out/a"]))
def test_each_file_has_a_place_of_its_own_below_the_wanted_one(names: list[str], wanted: str) -> None:
    paths = targets(wanted, remote(*names))
    assert len(paths) == len(names)
    assert len({str(path).casefold() for path in paths}) == len(paths)
    assert all(path.parent == Path("out") for path in paths)


def part(folder: Path, content: bytes) -> Path:
    path = folder / f".part-{content.hex()}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("links", [True, False])
def test_an_existing_result_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool) -> None:
    """Also on a file system that knows no links."""
    if not links:

        def refuse(*_args: object) -> None:
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "a.png"
    names = [place(part(tmp_path, bytes([number])), target).name for number in range(3)]
    assert names == ["a.png", "a-2.png", "a-3.png"]
    assert [(tmp_path / name).read_bytes() for name in names] == [b"\0", b"\1", b"\2"]
    assert len(list(tmp_path.iterdir())) == 3


def test_threads_that_race_for_a_name_all_keep_their_file(tmp_path: Path) -> None:
    parts = [part(tmp_path, bytes([number])) for number in range(12)]
    threads = [threading.Thread(target=place, args=(one, tmp_path / "a.png")) for one in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == [bytes([number]) for number in range(12)]


class FileServer:
    """The script of a ``/view`` that cuts its answers after some bytes, and knows ranges."""

    def __init__(self, content: bytes, cuts: Sequence[int] = (), *, ranges: bool = True) -> None:
        self.content = content
        self.etag = '"one"'
        self.starts: list[int] = []
        self._cuts = list(cuts)
        self._ranges = ranges

    def __call__(self, request: Request) -> Answer:
        wanted = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")
        start = int(wanted) if self._ranges else 0
        self.starts.append(int(wanted))
        headers = {"ETag": self.etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        cut_after = self._cuts.pop(0) if self._cuts else None
        return Answer(self.content[start:], 206 if start else 200, headers, "image/png", cut_after)


FILE = RemoteFile(node_id="7", filename="a.png", subfolder="s")


def test_a_file_is_fetched_checked_and_renamed(tmp_path: Path, connect: Connect, serve: Serve) -> None:
    content = picture()
    server = serve(FileServer(content))
    heard: list[tuple[int, int | None]] = []
    result = download(
        connect(server.url), FILE, tmp_path / "new" / "a.png", expected_sha256=hashlib.sha256(content).hexdigest(),
        deadline=patience(), output="still", on_bytes=lambda got, size: heard.append((got, size)),
    )  # fmt: skip
    assert result.path.read_bytes() == content
    assert (result.output, result.bytes, result.sha256) == ("still", len(content), hashlib.sha256(content).hexdigest())
    assert (result.verified, result.source) == (Verified.SHA256, FILE)
    assert heard[-1] == (len(content), len(content))
    assert server.paths("GET") == ["/view?filename=a.png&subfolder=s&type=output"]
    assert list((tmp_path / "new").iterdir()) == [result.path]
    umask = os.umask(0)
    os.umask(umask)
    assert result.path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_second_download_keeps_the_first(tmp_path: Path, connect: Connect, serve: Serve) -> None:
    client = connect(serve(FileServer(picture())).url)
    paths = [download(client, FILE, tmp_path / "a.png", expected_sha256=None, deadline=patience()).path.name
             for _ in range(2)]  # fmt: skip
    assert paths == ["a.png", "a-2.png"]


@pytest.mark.faults
@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_is_resumed(tmp_path: Path, connect: Connect, serve: Serve, *, ranges: bool) -> None:
    """From where it stopped; from the first byte with a server that knows no ranges. Every byte is right."""
    content = picture(128)
    script = FileServer(content, [20_000, 20_000, 10_000], ranges=ranges)
    result = download(connect(serve(script).url), FILE, tmp_path / "a.png", expected_sha256=None, deadline=patience())
    assert result.path.read_bytes() == content
    assert result.verified is Verified.DECODED
    assert script.starts == ([0, 16_384, 32_768, 32_768] if ranges else [0, 16_384, 16_384, 0])


@pytest.mark.faults
def test_a_file_that_changed_between_two_tries_is_fetched_anew(tmp_path: Path, connect: Connect, serve: Serve) -> None:
    """Halves of two files must never be put together."""
    old, new = picture(100), picture(90)
    script = FileServer(old, [20_000])

    def answer(request: Request) -> Answer:
        if script.starts:
            script.content, script.etag = new, '"two"'
        return script(request)

    result = download(connect(serve(answer).url), FILE, tmp_path / "a.png", expected_sha256=None, deadline=patience())
    assert result.path.read_bytes() == new
    assert script.starts == [0, 16_384, 0]


@pytest.mark.faults
def test_three_tries_without_a_new_piece_are_the_end_and_leave_nothing(
    tmp_path: Path, connect: Connect, serve: Serve
) -> None:
    script = FileServer(picture(128), [20_000, 0, 0, 0])
    with pytest.raises(TransferError, match=r"'a.png' did not arrive whole, 3 tries: The line to ComfyUI"):
        download(connect(serve(script).url), FILE, tmp_path / "a.png", expected_sha256=None, deadline=patience())
    assert script.starts == [0, 16_384, 16_384, 16_384]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
def test_a_download_ends_with_its_deadline(tmp_path: Path, connect: Connect, serve: Serve) -> None:
    hold = threading.Event()
    server = serve(lambda _request: Answer(hold=hold))
    try:
        with pytest.raises(TransferError, match="did not arrive in time: 0 bytes came"):
            download(connect(server.url), FILE, tmp_path / "a.png", expected_sha256=None,
                     deadline=Deadline(CLOCK, 0.2))  # fmt: skip
    finally:
        hold.set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (picture()[:-200], r"\.png file that came is damaged"),
        (b"<html>not found</html>", r"is no \.png file: it begins with 3c68746d6c"),
        (b"", r"is no \.png file"),
    ],
)
def test_a_damaged_file_is_not_kept(content: bytes, said: str, tmp_path: Path, connect: Connect, serve: Serve) -> None:
    client = connect(serve(FileServer(content)).url)
    with pytest.raises(TransferError, match=said):
        download(client, FILE, tmp_path / "a.png", expected_sha256=None, deadline=patience())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
def test_a_file_with_another_checksum_than_on_the_pod_is_not_kept(
    tmp_path: Path, connect: Connect, serve: Serve
) -> None:
    client = connect(serve(FileServer(picture())).url)
    with pytest.raises(TransferError, match="another checksum"):
        download(client, FILE, tmp_path / "a.png", expected_sha256="0" * 64, deadline=patience())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
def test_a_file_that_the_server_no_longer_has_is_not_asked_for_again(
    tmp_path: Path, connect: Connect, serve: Serve
) -> None:
    server = serve(lambda _request: Answer(b"", 404))
    with pytest.raises(TransferError, match=r"no longer has the file 'a.png'"):
        download(connect(server.url), FILE, tmp_path / "a.png", expected_sha256=None, deadline=patience())
    assert len(server.requests) == 1


@pytest.mark.faults
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, connect: Connect, serve: Serve) -> None:
    client = connect(serve(FileServer(picture())).url)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TransferError, match="cannot be written"):
        download(client, FILE, tmp_path / "file" / "a.png", expected_sha256=None, deadline=patience())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.faults
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, connect: Connect, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's error is made, as a test can fill no disk: it comes when the last bytes are to be kept."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    client = connect(serve(FileServer(picture())).url)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TransferError, match=r"No space left for .*a\.png: free some") as failed:
        download(client, FILE, tmp_path / "a.png", expected_sha256=None, deadline=patience())
    assert "\n" not in str(failed.value)
    assert list(tmp_path.iterdir()) == []
