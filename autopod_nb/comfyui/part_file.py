"""What has come of a result so far: a hidden file beside its place, which outlives a cut and a process that dies."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from autopod_nb.errors import AnswerLost

_PIECE_BYTES = 1 << 20


@contextmanager
def part_file(target: Path, sha256: str | None) -> Iterator[tuple[Path, BinaryIO]]:
    """The hidden file for what is to lie at *target*, open for reading and writing, and nobody else's meanwhile.

    If a line breaks it is kept for the next try, in this process or in another; by its checksum alone it can be known
    to be a part of the same file. What fails otherwise leaves nothing. Whoever succeeds gives it another name.

    Args:
        target: its folder is made.
        sha256: checksum of the whole, as the pod says; None if nobody knows it: then nothing is kept.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    path, file = _open(target, sha256)
    with file:  # which is locked until it is closed
        try:
            yield path, file
        except BaseException as error:
            if sha256 is None or not isinstance(error.__cause__, AnswerLost):
                path.unlink(missing_ok=True)
            raise


def _open(target: Path, sha256: str | None) -> tuple[Path, BinaryIO]:
    if sha256 is not None:
        path = target.with_name(f".autopod-{sha256[:16].lower()}.part")
        if (kept := _open_alone(path)) is not None:
            return path, kept
    path = target.with_name(f".autopod-{uuid4().hex[:12]}.part")
    return path, path.open("x+b")


def _open_alone(path: Path) -> BinaryIO | None:
    """The file, made if it is not there; None if somebody else has it: another job with the same result, say."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:  # whoever had it did not give it another name
            return file
    except OSError:  # taken; gone; or a file system that knows no locks
        pass
    file.close()
    return None


class Arrival:
    """What has arrived of a file.

    Attributes:
        size: in bytes.
        digest: SHA-256 of that.
        etag: the server's name for the content; None as long as nothing has come but what an earlier try left.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0
        self.etag: str | None = None
        file.seek(0)
        while data := file.read(_PIECE_BYTES):
            self.digest.update(data)
            self.size += len(data)

    def restart(self) -> None:
        """Forget it all."""
        self._file.seek(0)
        self._file.truncate()
        self.digest = hashlib.sha256()
        self.size = 0
        self.etag = None

    def add(self, piece: bytes) -> None:
        """Keep what has come."""
        self._file.write(piece)
        self.digest.update(piece)
        self.size += len(piece)

    def is_whole(self, sha256: str | None) -> bool:
        """Whether it is the file of that checksum."""
        return sha256 is not None and self.digest.hexdigest() == sha256.lower()
