"""A line that breaks in the middle: what has arrived is not sent again. Bytes are counted on the line."""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace
from io import FileIO
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import SshError, TransferError
from autopod_nb.ssh import sending
from autopod_nb.ssh.connection import SshConnection, connect
from autopod_nb.ssh.content import Content, Stamp, content_of
from autopod_nb.ssh.keys import load_key
from autopod_nb.ssh.lanes import LANES
from autopod_nb.ssh.pace import Pace
from autopod_nb.ssh.send_plan import plan
from autopod_nb.ssh.sending import Sending
from autopod_nb.ssh.shell import BLOCK_BYTES
from autopod_nb.ssh.transfer import PARTS, PodFiles
from tests.fakes.relay import Relay
from tests.ssh.live_pod import LivePod

_QUESTIONS_BYTES = 60_000
_LOST_BYTES = LANES * BLOCK_BYTES  # a block of which a part has come is sent again

pytestmark = pytest.mark.faults


def _soon() -> Deadline:
    return Deadline(SystemClock(), 60)


def _dial(pod: LivePod, line: Relay) -> SshConnection:
    return connect(replace(pod.target(), port=line.port), load_key(pod.key_path), clock=SystemClock(), timeout_s=20)


def _cut_upload(pod: LivePod, line: Relay, paths: list[Path], folder: str, *, after: int) -> None:
    """An upload that is cut once so many bytes have gone through."""
    connection = _dial(pod, line)
    line.cut_after(after, down=False)
    with pytest.raises(SshError, match="lost"):
        PodFiles(connection).upload_all(paths, folder, deadline=_soon())
    connection.close()


def _upload(pod: LivePod, line: Relay, paths: list[Path], folder: str) -> tuple[list[str], int]:
    """Where they are in the end, and how many bytes went through."""
    before, connection = line.bytes_up, _dial(pod, line)
    remote = PodFiles(connection).upload_all(paths, folder, deadline=_soon())
    connection.close()
    return remote, line.bytes_up - before


def _blocks_there(part: Path, source: Path) -> int:
    """Bytes of *source* that lie in *part* at their place, in whole blocks."""
    there, here = part.read_bytes(), source.read_bytes()
    starts = range(0, len(here), BLOCK_BYTES)
    return sum(
        len(here[at : at + BLOCK_BYTES]) for at in starts if there[at : at + BLOCK_BYTES] == here[at : at + BLOCK_BYTES]
    )


@pytest.mark.parametrize("delay_s", [0.0, 0.02])
def test_a_large_file_is_cut_twice_and_no_block_is_sent_again(pod: LivePod, tmp_path: Path, delay_s: float) -> None:
    """It travels as a whole first, or in pieces, as the line is near or far."""
    path, folder = tmp_path / "big.bin", f"{pod.folder}/{tmp_path.name}"
    path.write_bytes(os.urandom(30_000_000))
    with Relay(pod.facts["ssh_port"], delay_s=delay_s, bytes_per_s=40e6) as line:
        _cut_upload(pod, line, [path], folder, after=12_000_000)
        (part,) = (Path(folder) / PARTS).iterdir()
        first = _blocks_there(part, path)
        _cut_upload(pod, line, [path], folder, after=8_000_000)
        arrived = _blocks_there(part, path)
        (remote,), sent = _upload(pod, line, [path], folder)
    assert Path(remote).read_bytes() == path.read_bytes()
    assert arrived > first > 0, "the second attempt went on where the first one ended"
    assert sent < 30_000_000 - arrived + _LOST_BYTES + _QUESTIONS_BYTES


def test_zeros_in_a_file_are_no_sign_that_it_ended(pod: LivePod, tmp_path: Path) -> None:
    path, folder = tmp_path / "big.bin", f"{pod.folder}/{tmp_path.name}"
    path.write_bytes(b"".join(os.urandom(500_000) + bytes(500_000) for _ in range(12)) + bytes(5_000_000))
    with Relay(pod.facts["ssh_port"], bytes_per_s=40e6) as line:
        _cut_upload(pod, line, [path], folder, after=7_000_000)
        (remote,), _ = _upload(pod, line, [path], folder)
    assert Path(remote).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kept", [5_000_001, 9_000_000, 13_000_000])
def test_stretches_that_go_on_at_the_same_time_leave_each_other_alone(pod: LivePod, tmp_path: Path, kept: int) -> None:
    """All of them are written into one part, of which the beginning is there; zeros may be missing at its end."""
    path, folder = tmp_path / "big.bin", f"{pod.folder}/{tmp_path.name}"
    with Relay(pod.facts["ssh_port"]) as line:
        for number in range(10):
            path.write_bytes(os.urandom(kept - 300_000) + bytes(600_000) + os.urandom(16_000_000 - kept))
            part = Path(folder) / PARTS / content_of(path).mark
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(path.read_bytes()[:kept].rstrip(b"\0"))
            (remote,), _ = _upload(pod, line, [path], folder)
            assert Path(remote).read_bytes() == path.read_bytes(), number


def test_of_many_small_files_those_that_arrived_are_not_sent_again(pod: LivePod, tmp_path: Path) -> None:
    folder, paths = f"{pod.folder}/{tmp_path.name}", [tmp_path / f"{number}.bin" for number in range(60)]
    for path in paths:
        path.write_bytes(os.urandom(200_000))
    with Relay(pod.facts["ssh_port"], bytes_per_s=40e6) as line:
        _cut_upload(pod, line, paths, folder, after=9_000_000)
        arrived = sum(part.stat().st_size for part in (Path(folder) / PARTS).iterdir())
        remote, sent = _upload(pod, line, paths, folder)
    assert [Path(each).read_bytes() for each in remote] == [path.read_bytes() for path in paths]
    assert arrived > 200_000
    assert sent < 12_000_000 - arrived + _LOST_BYTES + _QUESTIONS_BYTES
    assert list((Path(folder) / PARTS).iterdir()) == []


class _SlowDisk(Content):
    """A file that other threads than the first one can read only once *ends* is set."""

    ends = threading.Event()

    def open(self) -> FileIO:
        if threading.current_thread().name == "autopod-upload":
            self.ends.wait(30)
        return super().open()


def test_a_lane_that_takes_long_for_its_last_piece_is_waited_for(
    pod: LivePod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the patience is with lanes that are to end: on a slow line a piece may take minutes."""
    monkeypatch.setattr(sending, "_JOIN_S", 0.01)
    monkeypatch.setattr(sending, "_LOOK_S", 0.01)
    path, parts = tmp_path / "big.bin", pod.folder / tmp_path.name / PARTS
    path.write_bytes(os.urandom(20_000_000))
    parts.mkdir(parents=True)
    content = _SlowDisk(path, Stamp.of(path.stat()))
    connection = pod.connect()
    with contextlib.closing(connection), ThreadPoolExecutor(1) as pool:
        sent = pool.submit(Sending(connection, str(parts.parent), Pace(_soon())).run, plan([content], frozenset()))
        with pytest.raises(NotYet):
            sent.result(2)
        content.ends.set()
        sent.result(30)
    assert (parts / content.mark).read_bytes() == path.read_bytes()


def test_a_silent_line_does_not_keep_a_stopped_upload(pod: LivePod, tmp_path: Path) -> None:
    path, stop, moving = tmp_path / "big.bin", threading.Event(), threading.Event()
    path.write_bytes(os.urandom(60_000_000))
    with Relay(pod.facts["ssh_port"], bytes_per_s=20e6) as line, ThreadPoolExecutor(1) as pool:
        connection = _dial(pod, line)
        upload = pool.submit(
            PodFiles(connection).upload_all,
            [path],
            f"{pod.folder}/{tmp_path.name}",
            deadline=_soon(),
            stop=stop,
            on_bytes=lambda done, _: moving.set() if done > 1_000_000 else None,
        )
        assert moving.wait(30)
        line.stall()
        stop.set()
        connection.close()
        with pytest.raises((TransferError, SshError)):
            upload.result(20)
