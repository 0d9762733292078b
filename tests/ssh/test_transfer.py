from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import SshError, TransferError
from autopod_nb.ssh.connection import SshConnection
from autopod_nb.ssh.content import content_of, name_for
from autopod_nb.ssh.transfer import PART, PARTS, PodFiles, local_sha256, remote_name
from tests.ssh.live_pod import LivePod

_NAMES = [
    "plain.png",
    "with space.png",
    'it\'s "quoted".png',
    "фото é.png",
    "new\nline.png",
    "back\\slash.png",
    "-n.png",
    "$(id).png",
]


def _soon() -> Deadline:
    return Deadline(SystemClock(), 30)


@pytest.fixture
def files(connection: SshConnection) -> PodFiles:
    return PodFiles(connection)


@pytest.fixture
def folder(pod: LivePod, tmp_path: Path) -> str:
    return f"{pod.folder}/{tmp_path.name}/a folder/it's"


def _whole(folder: str) -> list[str]:
    """The files that are to be seen there; and that nothing is left of the way there."""
    assert list((Path(folder) / PARTS).iterdir()) == []
    return [entry.name for entry in Path(folder).iterdir() if entry.name != PARTS]


@pytest.mark.parametrize("name", _NAMES)
def test_a_file_of_any_name_arrives_under_a_name_that_its_content_decides(
    files: PodFiles, folder: str, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(os.urandom(100_000))
    there = files.upload(path, folder, deadline=_soon())
    assert Path(there).read_bytes() == path.read_bytes()
    assert Path(there).name == remote_name(path)
    assert _whole(folder) == [remote_name(path)]


def test_an_empty_file_arrives(files: PodFiles, folder: str, tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.touch()
    assert Path(files.upload(path, folder, deadline=_soon())).read_bytes() == b""


def test_the_same_content_is_not_sent_again(files: PodFiles, folder: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(os.urandom(3_000_000))
    seen: list[tuple[int, int]] = []
    first = files.upload(path, folder, deadline=_soon(), on_bytes=lambda done, size: seen.append((done, size)))
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert seen[-1] == (3_000_000, 3_000_000)
    made = Path(first).stat()
    seen.clear()
    assert files.upload(path, folder, deadline=_soon(), on_bytes=lambda done, size: seen.append((done, size))) == first
    assert seen == [(3_000_000, 3_000_000)]
    assert (Path(first).stat().st_ino, Path(first).stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


def test_who_sends_the_same_file_at_the_same_time_waits_and_sends_nothing(
    connection: SshConnection, folder: str, tmp_path: Path
) -> None:
    """As the jobs of a sweep do; each may have an object of its own over the one connection."""
    path = tmp_path / "a.png"
    path.write_bytes(os.urandom(1_000_000))
    began, seen = threading.Barrier(4), []

    def send() -> str:
        sent: list[int] = []
        began.wait()
        there = PodFiles(connection).upload(path, folder, deadline=_soon(), on_bytes=lambda done, _: sent.append(done))
        seen.append(len(sent))
        return there

    with ThreadPoolExecutor(4) as pool:
        places = {each.result() for each in [pool.submit(send) for _ in range(4)]}
    assert len(places) == 1
    assert Path(places.pop()).read_bytes() == path.read_bytes()
    assert sorted(seen)[:3] == [1, 1, 1], "only one of them had something to send"


def test_who_waits_for_the_same_file_can_be_stopped(connection: SshConnection, folder: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(os.urandom(300_000))
    holds, ends, stop = threading.Event(), threading.Event(), threading.Event()

    def hold(_done: int, _size: int) -> None:
        holds.set()
        ends.wait(30)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(PodFiles(connection).upload, path, folder, deadline=_soon(), on_bytes=hold)
        assert holds.wait(30)
        second = pool.submit(PodFiles(connection).upload, path, folder, deadline=_soon(), stop=stop)
        stop.set()
        with pytest.raises(TransferError, match="stopped"):
            second.result(30)
        ends.set()
        assert Path(first.result(30)).read_bytes() == path.read_bytes()


def test_a_file_that_is_damaged_there_is_replaced(files: PodFiles, folder: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(os.urandom(300_000))
    there = Path(files.upload(path, folder, deadline=_soon()))
    there.write_bytes(b"damaged")
    assert Path(files.upload(path, folder, deadline=_soon())).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("lies_there", ["the beginning", "something else", "more than all"])
def test_an_upload_goes_on_where_it_ended_or_begins_anew(
    files: PodFiles, folder: str, tmp_path: Path, lies_there: str
) -> None:
    """Whatever lies there under the name of the part, the file comes out right."""
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(400_000))
    part = Path(folder) / PARTS / remote_name(path)
    part.parent.mkdir(parents=True)
    found = {
        "the beginning": path.read_bytes()[:300_000],
        "something else": b"x" * 300_000,
        "more than all": b"x" * 500_000,
    }
    part.write_bytes(found[lies_there])
    seen: list[int] = []
    there = files.upload(path, folder, deadline=_soon(), on_bytes=lambda done, _: seen.append(done))
    assert Path(there).read_bytes() == path.read_bytes()
    assert (seen[0] == 262_144) is (lies_there != "more than all"), "whole blocks of what lies there count"
    assert (seen == sorted(seen)) is (lies_there != "something else"), "until it is found out"
    assert seen[-1] == 400_000
    assert _whole(folder) == [remote_name(path)]


def test_a_whole_part_that_was_not_renamed_is_not_sent_again(files: PodFiles, folder: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(400_000))
    part = Path(folder) / PARTS / remote_name(path)
    part.parent.mkdir(parents=True)
    part.write_bytes(path.read_bytes())
    inode, seen = part.stat().st_ino, []
    there = files.upload(path, folder, deadline=_soon(), on_bytes=lambda done, _: seen.append(done))
    assert Path(there).stat().st_ino == inode
    assert seen == [400_000]


def test_parts_that_nobody_went_on_with_are_removed(files: PodFiles, folder: str, tmp_path: Path) -> None:
    old, young = (Path(folder) / PARTS / name for name in ("old-part", "young-part"))
    old.parent.mkdir(parents=True)
    for part, days in [(old, 4), (young, 1)]:
        part.write_bytes(b"half of it")
        os.utime(part, (time.time() - days * 86_400,) * 2)
    path = tmp_path / "new.bin"
    path.write_bytes(b"new")
    files.upload(path, folder, deadline=_soon())
    assert [part.name for part in old.parent.iterdir()] == ["young-part"]


def test_a_stopped_upload_leaves_no_finished_file(files: PodFiles, folder: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(300_000))
    stop = threading.Event()
    with pytest.raises(TransferError, match="stopped"):
        files.upload(path, folder, deadline=_soon(), stop=stop, on_bytes=lambda _done, _size: stop.set())
    assert [entry.name for entry in Path(folder).iterdir()] == [PARTS]


def test_a_folder_that_cannot_be_made_is_an_error_in_words(files: PodFiles, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"data")
    with pytest.raises(TransferError, match=r"Cannot make /dev/null/x on the pod: mkdir: .*Not a directory"):
        files.upload(path, "/dev/null/x", deadline=_soon())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_an_error_in_the_pods_words(files: PodFiles, folder: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(9_000_000))
    part = Path(folder) / PARTS / content_of(path).mark
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(TransferError, match=r"a\.bin cannot be written on the pod: No space left on device$"):
        files.upload(path, folder, deadline=_soon())
    part.unlink()
    assert Path(files.upload(path, folder, deadline=_soon())).read_bytes() == path.read_bytes()


def test_a_file_that_is_changed_meanwhile_is_not_taken_for_what_it_was(
    files: PodFiles, folder: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(9_000_000))

    def change(done: int, _size: int) -> None:
        if done < 1_000_000:
            path.write_bytes(os.urandom(9_000_000))

    with pytest.raises(TransferError, match="was changed"):
        files.upload(path, folder, deadline=_soon(), on_bytes=change)
    assert [entry.name for entry in Path(folder).iterdir()] == [PARTS]
    assert Path(files.upload(path, folder, deadline=_soon())).read_bytes() == path.read_bytes()


def test_a_local_file_that_cannot_be_read_is_named(files: PodFiles, folder: str, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"Cannot read .*none\.png"):
        files.upload(tmp_path / "none.png", folder, deadline=_soon())


def test_one_command_sums_many_files_of_any_name(files: PodFiles, folder: str) -> None:
    place = Path(folder)
    place.mkdir(parents=True)
    expected = {}
    for name in _NAMES:
        (place / name).write_text(name)
        expected[str(place / name)] = hashlib.sha256(name.encode()).hexdigest()
    asked = [*expected, str(place / "missing"), str(place)]
    assert files.sha256_of(asked, _soon()) == expected
    assert files.sha256_of([], _soon()) == {}


def test_thousands_of_files_are_no_too_long_command(files: PodFiles, folder: str) -> None:
    asked = [f"{folder}/{'x' * 200}{number}" for number in range(2000)]
    assert files.sha256_of(asked, _soon()) == {}


def test_a_file_comes_back_the_same(files: PodFiles, pod: LivePod, tmp_path: Path) -> None:
    there, here = pod.folder / "wide load.bin", tmp_path / "here.bin"
    there.write_bytes(os.urandom(9_000_001))
    seen: list[tuple[int, int]] = []
    found = files.download(str(there), here, deadline=_soon(), on_bytes=lambda done, size: seen.append((done, size)))
    assert here.read_bytes() == there.read_bytes()
    assert found == local_sha256(there)
    assert seen[-1] == (9_000_001, 9_000_001)
    assert [entry.name for entry in tmp_path.iterdir()] == ["here.bin"]


@pytest.mark.parametrize("is_beginning", [True, False])
def test_a_download_goes_on_where_it_ended_or_begins_anew(
    files: PodFiles, pod: LivePod, tmp_path: Path, *, is_beginning: bool
) -> None:
    there, here = pod.folder / "resumed.bin", tmp_path / "here.bin"
    there.write_bytes(os.urandom(500_000))
    (tmp_path / f"here.bin{PART}").write_bytes(there.read_bytes()[:200_000] if is_beginning else b"x" * 200_000)
    files.download(str(there), here, deadline=_soon())
    assert here.read_bytes() == there.read_bytes()


def test_an_existing_file_is_never_overwritten(files: PodFiles, pod: LivePod, tmp_path: Path) -> None:
    here = tmp_path / "here.bin"
    here.write_bytes(b"mine")
    with pytest.raises(TransferError, match="never overwritten"):
        files.download(str(pod.folder / "pod.json"), here, deadline=_soon())
    assert here.read_bytes() == b"mine"


def test_a_file_that_is_not_there_is_named(files: PodFiles, pod: LivePod, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match=r"no file .*none\.bin"):
        files.download(str(pod.folder / "none.bin"), tmp_path / "x", deadline=_soon())
    assert list(tmp_path.iterdir()) == []


def test_a_lost_connection_is_an_error_of_the_line(pod: LivePod, tmp_path: Path) -> None:
    connection = pod.connect()
    connection.close()
    with pytest.raises(SshError, match="lost"):
        PodFiles(connection).download(str(pod.folder / "pod.json"), tmp_path / "x", deadline=_soon())


@given(st.text(min_size=1, max_size=300))
def test_a_name_on_the_pod_is_always_harmless(name: str) -> None:
    found = name_for(Path("/") / name.replace("\0", ""), "0123456789abcdef")
    assert found.isascii()
    assert "0123456789ab" in found
    assert 0 < len(found) <= 120
    assert not found.startswith((".", "-"))
    assert not set(found) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
