"""What a local file holds, and what it is called on a pod."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from autopod_nb.errors import TransferError

_BLOCK_BYTES = 1 << 20
_FILES_KEPT = 4096
_SETTLED_NS = 2_000_000_000  # two changes within one tick of a file system's clock look like one; FAT's is the longest


@dataclass(frozen=True, slots=True)
class Stamp:
    """By which a file is known to be as it was."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int  # nobody can set it, so that a new content with an old date is seen

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        """What `found`, an `os.stat` of a file, tells apart."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Content:
    """A local file as it was when somebody looked at it. Thread-safe.

    Attributes:
        path: where it lies.
        size: bytes.
        mark: names this state of this file, as long as nobody has read it.
        settled: it had rested for a while: whatever changes it from now on changes its stamp.
    """

    def __init__(self, path: Path, stamp: Stamp, sha256: str | None = None) -> None:
        self.path = path
        self.size = stamp.size
        self.mark = f"~{hashlib.sha256(repr(stamp).encode()).hexdigest()[:24]}"
        self.stamp = stamp
        self.settled = time.time_ns() - max(stamp.mtime_ns, stamp.ctime_ns) > _SETTLED_NS
        self._lock = threading.Lock()
        self._sha256 = sha256

    @property
    def is_read(self) -> bool:
        """Whether :attr:`sha256` is at hand."""
        return self._sha256 is not None

    @property
    def sha256(self) -> str:
        """In hex; see :meth:`read`."""
        return self.read()

    def read(self, check: Callable[[], None] = lambda: None) -> str:
        """Its SHA-256. The first who asks reads the file, while others wait for it.

        Args:
            check: called again and again; what it raises ends the reading.

        Raises:
            TransferError: it was changed since, or cannot be read.
        """
        with self._lock:
            if self._sha256 is None:
                found = _sha256(self.path, check)
                self.check()
                self._sha256 = found
            return self._sha256

    @property
    def name(self) -> str:
        """What it is called on a pod; see :func:`remote_name`."""
        return name_for(self.path, self.sha256)

    def open(self) -> FileIO:
        """Open it for reading.

        Raises:
            TransferError: it cannot be read any more.
        """
        try:
            return self.path.open("rb", buffering=0)
        except OSError as error:
            raise TransferError(f"Cannot read {self.path}: {error.strerror}") from error

    def check(self) -> None:
        """Do nothing as long as the file is as it was.

        Raises:
            TransferError: it was changed, or cannot be read any more.
        """
        if _look(self.path) != self.stamp:
            raise TransferError(f"{self.path} was changed while it was sent; try again.")


_contents: OrderedDict[Path, Content] = OrderedDict()  # what was asked for last comes last
_guard = threading.Lock()


def content_of(path: Path) -> Content:
    """A local file as it is now; the same object as long as it surely did not change, so that it is read once.

    Raises:
        TransferError: it cannot be read.
    """
    path = path.absolute()
    stamp = _look(path)
    with _guard:
        found = _contents.get(path)
        if found is None or found.stamp != stamp or not found.settled:
            found = _contents[path] = Content(path, stamp)
        _contents.move_to_end(path)
        if len(_contents) > _FILES_KEPT:
            _contents.popitem(last=False)
    return found


def local_sha256(path: Path) -> str:
    """SHA-256 of a file here, in hex.

    Raises:
        TransferError: it cannot be read.
    """
    return content_of(path).sha256


def remote_name(path: Path) -> str:
    """What a local file is called on a pod: ``<stem>-<first 12 hex of its SHA-256><suffix>``.

    The content decides, so a name never stands for two pictures. Only ASCII letters, digits, ``.``, ``_`` and ``-`` are
    kept, so that every program on the pod can read it.

    Raises:
        TransferError: the file cannot be read.
    """
    return content_of(path).name


def name_for(path: Path, sha256: str) -> str:
    """The same for a hash that is known."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem).strip("._-")[:80]
    suffix = re.sub(r"[^A-Za-z0-9.]+", "", path.suffix)[:16].lower()
    return f"{stem or 'file'}-{sha256[:12]}{suffix}"


def _look(path: Path) -> Stamp:
    try:
        return Stamp.of(path.stat())
    except OSError as error:
        raise TransferError(f"Cannot read {path}: {error.strerror}") from error


def _sha256(path: Path, check: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while data := file.read(_BLOCK_BYTES):
                digest.update(data)
                check()
    except OSError as error:
        raise TransferError(f"Cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()
