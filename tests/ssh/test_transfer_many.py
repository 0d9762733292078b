"""Many files at once, and those that need not travel at all. Bytes are counted on the line."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.ssh.connection import SshConnection, connect
from autopod_nb.ssh.keys import load_key
from autopod_nb.ssh.pod_index import PodIndex
from autopod_nb.ssh.transfer import PARTS, PodFiles, remote_name
from tests.fakes.relay import Relay
from tests.ssh.live_pod import LivePod

_QUESTIONS_BYTES = 30_000  # what may be said about some files without sending them


def _soon() -> Deadline:
    return Deadline(SystemClock(), 60)


@pytest.fixture
def line(pod: LivePod) -> Iterator[Relay]:
    with Relay(pod.facts["ssh_port"]) as line:
        yield line


@pytest.fixture
def dial(pod: LivePod, line: Relay) -> Iterator[Callable[[], SshConnection]]:
    """Connects over the line."""
    made: list[SshConnection] = []

    def dial() -> SshConnection:
        target = replace(pod.target(), port=line.port)
        made.append(connect(target, load_key(pod.key_path), clock=SystemClock(), timeout_s=20))
        return made[-1]

    yield dial
    for each in made:
        each.close()


@pytest.fixture
def files(dial: Callable[[], SshConnection]) -> PodFiles:
    return PodFiles(dial(), PodIndex())


@pytest.fixture
def folder(pod: LivePod, tmp_path: Path) -> str:
    return f"{pod.folder}/{tmp_path.name}/a folder/it's"


def _made(folder: Path, *sizes: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number} of {len(sizes)}.bin" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(os.urandom(size))
    return paths


def _sent(line: Relay, call: Callable[[], object]) -> int:
    """Bytes that went to the pod meanwhile."""
    before = line.bytes_up
    call()
    return line.bytes_up - before


def _same(remote: list[str], paths: list[Path]) -> bool:
    return [Path(each).read_bytes() for each in remote] == [path.read_bytes() for path in paths]


def test_files_of_all_sizes_arrive_together(files: PodFiles, folder: str, tmp_path: Path) -> None:
    paths = _made(tmp_path / "here", 0, 1, 511, 512, 513, 65_536, 70_000, 5_000_000, 9_437_184, 4_194_304, 30_000_001)
    seen: list[tuple[int, int]] = []
    remote = files.upload_all(paths, folder, deadline=_soon(), on_bytes=lambda done, size: seen.append((done, size)))
    assert [Path(each).name for each in remote] == [remote_name(path) for path in paths]
    assert _same(remote, paths)
    size = sum(path.stat().st_size for path in paths)
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)
    assert list((Path(folder) / PARTS).iterdir()) == []


def test_nothing_is_asked_about_no_files(files: PodFiles, folder: str, line: Relay) -> None:
    assert _sent(line, lambda: files.upload_all([], folder, deadline=_soon())) == 0
    assert not Path(folder).exists()


def test_the_names_of_many_small_files_are_no_too_long_command(files: PodFiles, folder: str, tmp_path: Path) -> None:
    paths = _made(tmp_path / "here", *[10] * 1500)
    assert _same(files.upload_all(paths, folder, deadline=_soon()), paths)


@pytest.mark.parametrize("is_known", [True, False])
def test_the_same_inputs_over_another_connection_are_questions_only(
    files: PodFiles, dial: Callable[[], SshConnection], line: Relay, folder: str, tmp_path: Path, *, is_known: bool
) -> None:
    """Whether this process sent them, and so knows them, or an earlier one: then the pod reads them once."""
    paths, index = _made(tmp_path / "here", *[200_000] * 20, 12_000_000), PodIndex()
    first = PodFiles(dial(), index).upload_all(paths, folder, deadline=_soon())
    connection, seen = dial(), list[tuple[int, int]]()
    again = PodFiles(connection, index if is_known else None)
    sent = _sent(
        line,
        lambda: seen.append((len(again.upload_all(paths, folder, deadline=_soon())), 0)),
    )
    assert seen == [(len(first), 0)]
    assert sent < _QUESTIONS_BYTES
    assert _sent(line, lambda: again.upload_all(paths, folder, deadline=_soon())) < _QUESTIONS_BYTES / 2


def test_a_known_file_that_was_changed_there_is_sent_again(files: PodFiles, folder: str, tmp_path: Path) -> None:
    """Whatever was done to it, as long as its size or date tells."""
    paths = _made(tmp_path / "here", 100_000, 100_000, 100_000, 100_000)
    there = [Path(each) for each in files.upload_all(paths, folder, deadline=_soon())]
    there[0].write_bytes(b"x" * 100_000)
    there[1].write_bytes(b"shorter")
    there[2].unlink()
    inode = there[3].stat().st_ino
    assert _same(files.upload_all(paths, folder, deadline=_soon()), paths)
    assert there[3].stat().st_ino == inode


def test_the_same_content_under_other_names_travels_once(
    files: PodFiles, line: Relay, folder: str, tmp_path: Path
) -> None:
    data = os.urandom(2_000_000)
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.jpg")]
    for path in paths:
        path.write_bytes(data)
    remote: list[str] = []
    sent = _sent(line, lambda: remote.extend(files.upload_all(paths, folder, deadline=_soon())))
    assert _same(remote, paths)
    assert len(set(remote)) == 3
    assert sent < 2_000_000 + _QUESTIONS_BYTES


def test_what_the_pod_made_itself_is_an_input_without_a_byte(
    files: PodFiles, line: Relay, pod: LivePod, folder: str, tmp_path: Path
) -> None:
    """A result of one job is the input of the next; its hash is known since it was fetched."""
    result = pod.folder / f"{tmp_path.name} it's a result.png"
    result.write_bytes(os.urandom(2_000_000))
    here = tmp_path / "here.png"
    here.write_bytes(result.read_bytes())
    files.sha256_of([str(result)], _soon())
    remote: list[str] = []
    sent = _sent(line, lambda: remote.extend(files.upload_all([here], folder, deadline=_soon())))
    assert _same(remote, [here])
    assert sent < _QUESTIONS_BYTES
    result.write_bytes(b"x" * 2_000_000)
    Path(remote[0]).unlink()
    assert _same(files.upload_all([here], folder, deadline=_soon()), [here]), "it is not what it was"


def test_jobs_that_share_some_of_their_inputs_send_each_once(
    dial: Callable[[], SshConnection], line: Relay, folder: str, tmp_path: Path
) -> None:
    paths = _made(tmp_path / "here", *[400_000] * 6, 6_000_000)
    connection, index = dial(), PodIndex()
    began = threading.Barrier(6)

    def job(number: int) -> bool:
        mine = [*paths[number:], *paths[:number]][:5]
        began.wait()
        return _same(PodFiles(connection, index).upload_all(mine, folder, deadline=_soon()), mine)

    before = line.bytes_up
    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(job, range(6)))
    assert line.bytes_up - before < sum(path.stat().st_size for path in paths) + 6 * _QUESTIONS_BYTES
