"""Uploads beside ``scp``, and the same inputs once more.

A real OpenSSH server, one cipher (AES-GCM) on both sides; a line with delay is a relay, in a process of its own. Both
begin cold, without a hash that is known, into an empty folder; ours is the connection of a session, which stands. What
arrived is judged by SHA-256 here, whatever a program says of itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.ssh.pod_index import PodIndex
from autopod_nb.ssh.transfer import PodFiles
from tests.bench.run import Row, at_least, row
from tests.bench.transfer_rows import beside
from tests.bench.transfer_server import running
from tests.fakes.relay import Relay

_ROUNDS = 5
_BIG = (1, 256 << 20)
_MANY = (200, 100_000)
_WITHIN_S = 600.0


def big_0ms(rounds: int = _ROUNDS) -> Row:
    """One file of 256 MiB over loopback."""
    return _beside_scp("upload_big_vs_scp_0ms", 0, *_BIG, aim=0.95, rounds=rounds)


def big_40ms(rounds: int = _ROUNDS) -> Row:
    """The same with 20 ms each way."""
    return _beside_scp("upload_big_vs_scp_40ms", 20, *_BIG, aim=2.0, rounds=rounds)


def many_40ms(rounds: int = _ROUNDS) -> Row:
    """200 files of 100 kB with 20 ms each way."""
    return _beside_scp("upload_many_vs_scp_40ms", 20, *_MANY, aim=30.0, rounds=rounds)


def again() -> Row:
    """The same inputs over another connection: how many of their bytes travel once more."""
    count, size = _MANY
    with running() as server, Relay(server.port) as line:
        paths, goal, index = _made(server.folder / "here", count, size), server.folder / "pod", PodIndex()
        counts, places = [], []
        for _ in range(2):
            with contextlib.closing(replace(server, port=line.port).connect()) as connection:
                before = line.bytes_up
                PodFiles(connection, index).upload_all(paths, str(goal), deadline=_deadline())
                counts.append(line.bytes_up - before)
                places.append(sorted((path.name, path.stat().st_ino) for path in goal.iterdir()))
    first, questions = counts
    nothing = questions < size and places[0] == places[1]  # less than the smallest of them went up, and none is new
    note = (
        f"{count} files of {size} bytes, {first} bytes the first time; the second time, over another connection,"
        f" {questions} bytes of questions by their names"
    )
    return row("same_inputs_again_bytes", 0 if nothing else questions, "bytes", 0, note)


def _beside_scp(name: str, delay_ms: float, count: int, size: int, *, aim: float, rounds: int) -> Row:
    with running(delay_ms) as server, contextlib.closing(server.connect()) as connection:
        paths, goal = _made(server.folder / "here", count, size), server.folder / "there"
        _ours(PodFiles(connection), paths[:1], goal)  # opens what stays open in a session

        def theirs() -> float:
            return _timed(paths, goal, lambda: server.scp(paths, goal))

        def ours() -> float:
            return _timed(paths, goal, lambda: _ours(PodFiles(connection), paths, goal))

        ratio, theirs_s, ours_s = beside(theirs, ours, rounds=rounds)
    mib = count * size / (1 << 20)
    note = (
        f"{count} × {size} bytes, {2 * delay_ms:g} ms there and back; scp {statistics.median(theirs_s):.2f} s"
        f" ({mib / statistics.median(theirs_s):.0f} MiB/s), ours {statistics.median(ours_s):.2f} s"
        f" ({mib / statistics.median(ours_s):.0f} MiB/s), median of {rounds}"
    )
    return at_least(name, ratio, "×", aim, note)


def _made(folder: Path, count: int, size: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"input{number}.bin" for number in range(count)]
    for path in paths:
        path.write_bytes(os.urandom(size))
    return paths


def _ours(files: PodFiles, paths: Sequence[Path], goal: Path) -> None:
    files.upload_all(paths, str(goal), deadline=_deadline())


def _timed(paths: Sequence[Path], goal: Path, send: Callable[[], None]) -> float:
    """Seconds until all of them are there.

    Raises:
        RuntimeError: they are not.
    """
    shutil.rmtree(goal, ignore_errors=True)
    goal.mkdir()
    for path in paths:
        os.utime(path)  # so that it is hashed again
    begin = time.perf_counter()
    send()
    took_s = time.perf_counter() - begin
    if _sums(goal.glob("*.bin")) != _sums(paths):
        raise RuntimeError("the files that arrived are not those that were sent")
    return took_s


def _sums(paths: Iterable[Path]) -> list[str]:
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)


def _deadline() -> Deadline:
    return Deadline(SystemClock(), _WITHIN_S)
