from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from autopod_nb.errors import TransferError
from autopod_nb.ssh import content as content_module
from autopod_nb.ssh.content import content_of, local_sha256, remote_name


@pytest.fixture
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests write counts as old at once."""
    monkeypatch.setattr(content_module, "_SETTLED_NS", -1_000_000_000)


@pytest.mark.usefixtures("_settled")
def test_a_file_is_read_once_as_long_as_it_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    assert content_of(path) is content_of(path)
    assert local_sha256(path) == hashlib.sha256(b"one").hexdigest()


def test_two_changes_within_one_tick_of_the_file_systems_clock_are_told_apart(tmp_path: Path) -> None:
    """Their dates and sizes are the same, so a file that was just written is read again."""
    path = tmp_path / "a.png"
    for number in range(200):
        data = f"{number:03}".encode()
        path.write_bytes(data)
        assert local_sha256(path) == hashlib.sha256(data).hexdigest()


def test_reading_can_be_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    content = content_of(path)

    def stop() -> None:
        raise TransferError("stopped")

    with pytest.raises(TransferError, match="stopped"):
        content.read(stop)
    assert not content.is_read
    assert content.sha256 == hashlib.sha256(b"one").hexdigest()


@pytest.mark.usefixtures("_settled")
def test_the_same_file_by_a_shorter_way_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"one")
    assert content_of(Path("a.png")) is content_of(tmp_path / "a.png")


@pytest.mark.parametrize("way", ["over it", "beside it", "with the old date"])
def test_a_change_of_the_same_length_is_seen(tmp_path: Path, way: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    before, name = path.stat(), remote_name(path)
    assert name == f"a-{hashlib.sha256(b'one').hexdigest()[:12]}.png"
    content = content_of(path)
    if way == "beside it":
        (tmp_path / "b").write_bytes(b"two")
        (tmp_path / "b").replace(path)
    else:
        while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of the file system is coarse
            path.write_bytes(b"two")
    if way == "with the old date":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(TransferError, match=r"a\.png was changed"):
        content.check()
    assert local_sha256(path) == hashlib.sha256(b"two").hexdigest()
    assert remote_name(path) != name


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"Cannot read .*none\.png: No such file"):
        content_of(tmp_path / "none.png")
    (tmp_path / "a.png").write_bytes(b"one")
    content = content_of(tmp_path / "a.png")
    (tmp_path / "a.png").unlink()
    with pytest.raises(TransferError, match=r"a\.png"):
        content.check()
