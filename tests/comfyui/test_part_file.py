"""What came before a cut is not sent again, and nobody's halves get mixed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from autopod_nb.comfyui.outputs import download
from autopod_nb.comfyui.part_file import Arrival, part_file
from autopod_nb.errors import AnswerLost, TransferError
from autopod_nb.models.job import Verified
from tests.comfyui.media import picture
from tests.comfyui.servers import patience
from tests.comfyui.test_outputs import FILE, Connect, FileServer, Serve

pytestmark = pytest.mark.faults

CONTENT = picture(128)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DEAD = -1  # a line that is cut before the first byte


def leave_part(target: Path, content: bytes) -> None:
    """What a process left that was killed."""
    with part_file(target, SHA256) as (_, file):
        file.write(content)


def test_a_download_that_was_given_up_goes_on_where_it_ended(tmp_path: Path, connect: Connect, serve: Serve) -> None:
    """Each byte is asked for once, over two calls."""
    target, script = tmp_path / "a.png", FileServer(CONTENT, [20_000, DEAD, DEAD, DEAD])
    client = connect(serve(script).url)
    with pytest.raises(TransferError, match="did not arrive whole"):
        download(client, FILE, target, expected_sha256=SHA256, deadline=patience())
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    result = download(client, FILE, target, expected_sha256=SHA256, deadline=patience())
    assert result.path.read_bytes() == CONTENT
    assert (result.verified, result.sha256, result.bytes) == (Verified.SHA256, SHA256, len(CONTENT))
    assert script.starts == [0, 16_384, 16_384, 16_384, 16_384]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("left", "starts"),
    [
        (CONTENT[:1000], [1000]),
        (CONTENT, []),
        (b"x" * 1000, [1000, 0]),
        (b"x" * len(CONTENT), [len(CONTENT), 0]),
        (CONTENT + b"x", [len(CONTENT) + 1, 0]),
    ],
)
def test_whatever_was_left_the_file_is_right_in_the_end(
    left: bytes, starts: list[int], tmp_path: Path, connect: Connect, serve: Serve
) -> None:
    leave_part(tmp_path / "a.png", left)
    script = FileServer(CONTENT)
    result = download(connect(serve(script).url), FILE, tmp_path / "a.png", expected_sha256=SHA256, deadline=patience())
    assert result.path.read_bytes() == CONTENT
    assert script.starts == starts
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_what_fails_for_another_reason_than_the_line_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TransferError), part_file(tmp_path / "a.png", SHA256):
        raise TransferError("no space")
    assert list(tmp_path.iterdir()) == []


def test_without_a_checksum_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(TransferError), part_file(tmp_path / "a.png", None):
        raise TransferError("broken off") from AnswerLost("cut")
    assert list(tmp_path.iterdir()) == []


def test_two_that_fetch_the_same_content_do_not_write_into_one_file(tmp_path: Path) -> None:
    leave_part(tmp_path / "a.png", CONTENT[:100])
    with part_file(tmp_path / "a.png", SHA256) as (one, first):
        with part_file(tmp_path / "a-2.png", SHA256) as (other, second):
            assert one != other
            assert Arrival(second).size == 0
            other.unlink()
        assert Arrival(first).size == 100
        one.unlink()
    assert list(tmp_path.iterdir()) == []
