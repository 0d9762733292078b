"""Files to and from a pod: resumed, verified, and renamed into place only when they are whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import paramiko

from autopod_nb.clock import Deadline
from autopod_nb.errors import SshError, TransferError
from autopod_nb.ssh.line import SshConnection, quote
from autopod_nb.ssh.turns import turn

PART = ".autopod-part"
_CHUNK_BYTES = 32 << 10  # the most that one SFTP request carries
_BLOCK_BYTES = 256 << 10
_STALL_S = 60.0
_HEX = re.compile(r"[0-9a-f]{64}")
# One process for all files, named through stdin: no name can be misread, and no command line grows too long.
# The hash is taken of the standard input, so that no name is in the output either. macOS has only shasum.
_HASH_SCRIPT = (
    "command -v sha256sum >/dev/null || sha256sum() { shasum -a 256; }; "
    'for f do sha256sum <"$f" || echo missing; done 2>/dev/null'
)

OnBytes = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


def local_sha256(path: Path) -> str:
    """SHA-256 of a file here, in hex.

    Raises:
        TransferError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while data := file.read(1 << 20):
                digest.update(data)
    except OSError as error:
        raise TransferError(f"Cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


def remote_name(path: Path) -> str:
    """What a local file is called on a pod: ``<stem>-<first 12 hex of its SHA-256><suffix>``.

    The content decides, so a name never stands for two pictures. Only ASCII letters, digits, ``.``, ``_`` and ``-`` are
    kept, so that every program on the pod can read it.

    Raises:
        TransferError: the file cannot be read.
    """
    return _name_for(path, local_sha256(path))


def _name_for(path: Path, sha256: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem).strip("._-")[:80]
    suffix = re.sub(r"[^A-Za-z0-9.]+", "", path.suffix)[:16].lower()
    return f"{stem or 'file'}-{sha256[:12]}{suffix}"


class PodFiles:
    """Sends and fetches files over one SSH connection. Every method may be called in any thread.

    Args:
        connection: stays the caller's.
    """

    def __init__(self, connection: SshConnection) -> None:
        self._connection = connection

    def sha256_of(self, paths: Sequence[str], deadline: Deadline) -> dict[str, str]:
        """SHA-256 of files on the pod, by one command for all of them.

        Returns:
            Path → hex; files that are not there, or cannot be read, are left out.

        Raises:
            TransferError: the pod cannot do it.
            SshError: the connection is lost, or the time is over.
        """
        if not paths:
            return {}
        names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        found = self._connection.run(
            f"xargs -0 sh -c {quote(_HASH_SCRIPT)} sh",
            deadline.left_s(),
            stdin=names,
            max_output_bytes=len(paths) * 100,
        )
        lines = found.stdout.decode(errors="replace").splitlines()
        if len(lines) != len(paths):
            reason = found.stderr.decode(errors="replace")[:200]
            raise TransferError(f"The pod cannot make SHA-256 sums (status {found.exit_status}): {reason}")
        hashes = (line.split()[0] for line in lines)
        return {path: sha256 for path, sha256 in zip(paths, hashes, strict=True) if _HEX.fullmatch(sha256)}

    def upload(
        self,
        path: Path,
        folder: str,
        *,
        deadline: Deadline,
        on_bytes: OnBytes | None = None,
        stop: threading.Event | None = None,
    ) -> str:
        """Bring a local file into a folder of the pod, if the same content is not there yet.

        It goes to a name that ends in ``.autopod-part``, which is resumed if it is there from an earlier attempt,
        verified by size and SHA-256, and then renamed to :func:`remote_name`.

        Args:
            path: the local file.
            folder: absolute, made if it is not there.
            deadline: for all of it.
            on_bytes: told about progress, also when nothing had to be sent.
            stop: ends the transfer; what was sent is kept for the next attempt.

        Returns:
            The path on the pod.

        Raises:
            TransferError: not readable here, not writable there, not the same after all, stopped or out of time.
            SshError: the connection is lost.
        """
        sha256 = local_sha256(path)
        target = posixpath.join(folder, _name_for(path, sha256))
        pace = _Pace(deadline, stop, on_bytes or (lambda _done, _size: None), path.stat().st_size)
        with turn(self._connection, target, pace.check):
            if self.sha256_of([target], deadline).get(target) == sha256:
                pace.step(pace.size)
            else:
                self._bring(path, target, sha256, pace)
        return target

    def _bring(self, path: Path, target: str, sha256: str, pace: _Pace) -> None:
        part, deadline = target + PART, pace.deadline
        with self._session(f"Sending {path.name} to {target}", deadline) as sftp:
            self._make_folder(posixpath.dirname(target), deadline)
            resumed = self._send(sftp, path, part, pace)
            if resumed and self.sha256_of([part], deadline).get(part) != sha256:
                sftp.remove(part)  # what was there was no beginning of this file
                self._send(sftp, path, part, pace)
            if self.sha256_of([part], deadline).get(part) != sha256:
                sftp.remove(part)
                raise TransferError(f"{path.name} arrived damaged on the pod; it was removed there, try again.")
            sftp.posix_rename(part, target)

    def download(
        self,
        remote: str,
        path: Path,
        *,
        deadline: Deadline,
        on_bytes: OnBytes | None = None,
        stop: threading.Event | None = None,
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
        doing = f"Fetching {remote} to {path}"
        with _translated(doing, self._connection):
            expected, size = self._look(remote, deadline)
            pace = _Pace(deadline, stop, on_bytes or (lambda _done, _size: None), size)
            resumed = self._fetch(remote, part, pace)
            if resumed and local_sha256(part) != expected:
                part.unlink()
                self._fetch(remote, part, pace)
            if local_sha256(part) != expected:
                part.unlink()
                raise TransferError(f"{remote} arrived damaged, or it changed meanwhile; try again.")
            part.replace(path)
        return expected

    def _look(self, remote: str, deadline: Deadline) -> tuple[str, int]:
        """SHA-256 and size of a file on the pod."""
        sha256 = self.sha256_of([remote], deadline).get(remote)
        found = self._connection.run(f"wc -c <{quote(remote)}", deadline.left_s())
        if sha256 is None or found.exit_status != 0:
            raise TransferError(f"There is no file {remote} on the pod that can be read.")
        return sha256, int(found.stdout)

    def _send(self, sftp: paramiko.SFTPClient, path: Path, part: str, pace: _Pace) -> bool:
        """Send what is not there yet. Returns whether some of it was there."""
        start = _remote_size(sftp, part)
        if start > pace.size:
            start = 0
        with path.open("rb") as source, sftp.open(part, "ab" if start else "wb") as sink:
            sink.set_pipelined(True)
            source.seek(start)
            done = start
            while data := source.read(_CHUNK_BYTES):
                sink.write(data)
                done += len(data)
                pace.step(done)
            sink.set_pipelined(False)  # so that closing it waits for its answer
        found = _remote_size(sftp, part)
        if found != pace.size:
            raise TransferError(f"{path.name} has {pace.size} bytes but {found} arrived; is the pod's disk full?")
        return start > 0

    def _fetch(self, remote: str, part: Path, pace: _Pace) -> bool:
        """Fetch what is not here yet. Returns whether some of it was here.

        The bytes come from a command: one stream is three times as fast as SFTP's questions and answers.
        """
        start = part.stat().st_size if part.exists() else 0
        if start > pace.size:
            start = 0
        with (
            part.open("ab" if start else "wb") as sink,
            contextlib.closing(self._connection.start(f"tail -c +{start + 1} <{quote(remote)}")) as source,
        ):
            source.settimeout(_STALL_S)
            done = start
            while data := source.recv(_BLOCK_BYTES):
                sink.write(data)
                done += len(data)
                pace.step(done)
            sink.flush()
            os.fsync(sink.fileno())
        if done < pace.size:
            if not self._connection.alive:
                raise SshError(f"Fetching {remote} failed: the connection was lost; try again.")
            raise TransferError(f"{remote} has {pace.size} bytes but {done} arrived; try again.")
        return start > 0

    def _make_folder(self, folder: str, deadline: Deadline) -> None:
        made = self._connection.run(f"mkdir -p -- {quote(folder)}", deadline.left_s())
        if made.exit_status != 0:
            raise TransferError(f"Cannot make {folder} on the pod: {made.stderr.decode(errors='replace')}")

    @contextlib.contextmanager
    def _session(self, doing: str, deadline: Deadline) -> Iterator[paramiko.SFTPClient]:
        """An SFTP session whose faults come out as ours."""
        with contextlib.closing(self._connection.open_sftp()) as sftp, _translated(doing, self._connection):
            channel = sftp.get_channel()
            if channel is not None:
                channel.settimeout(max(0.1, deadline.left_s(_STALL_S)))
            yield sftp


@contextlib.contextmanager
def _translated(doing: str, connection: SshConnection) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise TransferError(f"{doing} made no progress for too long; try again.") from error
    except (EOFError, paramiko.SSHException) as error:
        raise SshError(f"{doing} failed: the connection was lost ({error}).") from error
    except OSError as error:
        if not connection.alive:
            raise SshError(f"{doing} failed: the connection was lost ({error}).") from error
        raise TransferError(f"{doing} failed: {error.strerror or error}") from error


class _Pace:
    """Reports progress, and ends a transfer that is stopped or out of time."""

    def __init__(self, deadline: Deadline, stop: threading.Event | None, report: OnBytes, size: int) -> None:
        self.size = size
        self.deadline = deadline
        self._stop = stop
        self._report = report

    def step(self, done: int) -> None:
        self._report(done, self.size)
        self.check()

    def check(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise TransferError("The transfer was stopped; the next attempt goes on where it ended.")
        if self.deadline.passed:
            raise TransferError("The transfer ran out of time; the next attempt goes on where it ended.")


def _remote_size(sftp: paramiko.SFTPClient, path: str) -> int:
    try:
        return sftp.stat(path).st_size or 0
    except FileNotFoundError:
        return 0
