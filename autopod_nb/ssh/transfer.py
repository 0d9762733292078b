"""Files to and from a pod: resumed, verified, and renamed into place only when they are whole."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from autopod_nb.clock import Deadline
from autopod_nb.errors import TransferError
from autopod_nb.ssh.content import content_of, local_sha256, remote_name
from autopod_nb.ssh.fetching import fetch
from autopod_nb.ssh.line import SshConnection
from autopod_nb.ssh.pace import OnBytes, Pace, Stop
from autopod_nb.ssh.pod_index import PodIndex
from autopod_nb.ssh.pod_shell import PARTS, PodShell
from autopod_nb.ssh.stream import translated
from autopod_nb.ssh.upload import Upload

__all__ = ["PART", "PARTS", "OnBytes", "PodFiles", "Stop", "local_sha256", "remote_name"]

PART = ".autopod-part"
"""Ends the name of a file here that is not whole yet."""


class PodFiles:
    """Sends and fetches files over one SSH connection. Every method may be called in any thread.

    Args:
        connection: stays the caller's.
        index: what is known of the pod's files; keep one a pod, so that it outlives connections.
    """

    def __init__(self, connection: SshConnection, index: PodIndex | None = None) -> None:
        self._connection = connection
        self._index = index or PodIndex()
        self._shell = PodShell(connection)

    def sha256_of(self, paths: Sequence[str], deadline: Deadline) -> dict[str, str]:
        """SHA-256 of files on the pod, by one command for all of them.

        Returns:
            Path → hex; files that are not there, or cannot be read, are left out.

        Raises:
            TransferError: the pod cannot do it.
            SshError: the connection is lost, or the time is over.
        """
        return {path: sha256 for path, (sha256, _) in self.look(paths, deadline).items()}

    def look(self, paths: Sequence[str], deadline: Deadline) -> dict[str, tuple[str, int]]:
        """The same with the size of each in bytes."""
        found = self._shell.sha256_of(paths, Pace(deadline))
        for path, (sha256, mark) in found.items():
            self._index.learn(path, sha256, mark.text)
        return {path: (sha256, mark.size) for path, (sha256, mark) in found.items()}

    def upload(
        self,
        path: Path,
        folder: str,
        *,
        deadline: Deadline,
        on_bytes: OnBytes | None = None,
        stop: Stop | None = None,
    ) -> str:
        """:meth:`upload_all` for one file. Returns its path on the pod."""
        return self.upload_all([path], folder, deadline=deadline, on_bytes=on_bytes, stop=stop)[0]

    def upload_all(
        self,
        paths: Sequence[Path],
        folder: str,
        *,
        deadline: Deadline,
        on_bytes: OnBytes | None = None,
        stop: Stop | None = None,
    ) -> list[str]:
        """Bring local files into a folder of the pod, as far as their content is not on the pod yet.

        They travel at the same time, large ones in several streams where the line has delay. Each goes to
        :data:`PARTS` first, where what has come is kept for the next attempt, is verified there by SHA-256, and is then
        renamed to :func:`remote_name`.

        Args:
            paths: the local files.
            folder: absolute, made if it is not there.
            deadline: for all of it.
            on_bytes: told about progress of all of it, also when nothing had to be sent.
            stop: ends the transfer; what was sent is kept for the next attempt.

        Returns:
            The paths on the pod, in the same order.

        Raises:
            TransferError: not readable here, not writable there, not the same after all, stopped or out of time.
            SshError: the connection is lost.
        """
        contents = {path: content_of(path) for path in paths}
        pace = Pace(deadline, stop, on_bytes, sum(each.size for each in contents.values()))
        Upload(self._connection, self._index, folder, pace).run(list(contents.values()))
        return [posixpath.join(folder, contents[path].name) for path in paths]

    def download(
        self,
        remote: str,
        path: Path,
        *,
        deadline: Deadline,
        on_bytes: OnBytes | None = None,
        stop: Stop | None = None,
    ) -> str:
        """Fetch one file of the pod.

        It goes to ``path`` plus ``.autopod-part``, which is resumed, verified by size and SHA-256, and renamed.

        Args:
            remote: the file on the pod.
            path: where to; must not exist, and its folder must.
            deadline: for all of it.
            on_bytes: told about progress.
            stop: ends the transfer; what came is kept for the next attempt.

        Returns:
            Its SHA-256 in hex.

        Raises:
            TransferError: not there, not writable here, damaged, stopped or out of time; or *path* exists.
            SshError: the connection is lost.
        """
        if path.exists():
            raise TransferError(f"{path} exists; a result is never overwritten, name another place.")
        part = path.with_name(path.name + PART)
        with translated(f"Fetching {remote} to {path}", self._connection):
            found = self._shell.sha256_of([remote], Pace(deadline, stop))
            if remote not in found:
                raise TransferError(f"There is no file {remote} on the pod that can be read.")
            sha256, mark = found[remote]
            self._index.learn(remote, sha256, mark.text)
            fetch(self._connection, remote, part, Pace(deadline, stop, on_bytes, mark.size), sha256)
            part.replace(path)
        return sha256
