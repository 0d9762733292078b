"""SFTP that sees real absolute paths, and nothing outside of the pod's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import asyncssh


class PodFiles(asyncssh.SFTPServer):
    """An SFTP session bound to one folder.

    Paths are those of the machine, so that SFTP, commands and ComfyUI mean the same file by the same name; relative
    ones begin at the folder. It guards against mistakes, not against an attacker, who has a shell anyway.

    Args:
        chan: given by asyncssh.
        root: the pod's folder, without symbolic links in its path.
    """

    def __init__(self, chan: Any, root: Path) -> None:
        super().__init__(chan)
        self._root = os.fsencode(root)

    def map_path(self, path: bytes) -> bytes:
        """The real path; refused when it, or what a link there points to, lies outside of the folder."""
        whole = os.path.join(self._root, path)  # noqa: PTH118 - SFTP paths are bytes
        if not self._inside(os.path.realpath(whole)):
            raise asyncssh.SFTPPermissionDenied(f"{os.fsdecode(path)} is outside of the pod's folder")
        folder, name = os.path.split(whole)
        if name in (b"", b".", b".."):
            return os.path.realpath(whole)
        return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118 - the last part is kept: it may be a link

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        """Make a link; its target is kept as given, and must be inside, too."""
        link = self.map_path(newpath)
        self.map_path(os.path.join(os.path.dirname(link), oldpath))  # noqa: PTH118, PTH120 - SFTP paths are bytes
        os.symlink(oldpath, link)  # noqa: PTH211 - SFTP paths are bytes

    def _inside(self, path: bytes) -> bool:
        return path == self._root or path.startswith(self._root + b"/")
