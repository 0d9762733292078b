"""Files that nobody else may read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def make_private(path: Path) -> None:
    """Make folder and file if need be; nobody else may read what was rendered and what it cost."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _close_to_others(path.parent, 0o700)
    try:
        # Only ever opened when it is new: closing any descriptor of a database drops the locks of the whole process.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        _close_to_others(path, 0o600)


def _close_to_others(path: Path, mode: int) -> None:
    """Take the rights of others away, where it is ours to do: never from a shared folder or a home folder."""
    found = path.stat()
    shared = found.st_mode & stat.S_ISVTX or path == Path.home()
    if found.st_mode & 0o077 and found.st_uid == os.getuid() and not shared:
        path.chmod(mode)
