"""A file of the pod on its way here."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from autopod_nb.errors import SshError, TransferError
from autopod_nb.ssh.line import SshConnection, quote
from autopod_nb.ssh.pace import Pace
from autopod_nb.ssh.stream import receive

_BLOCK_BYTES = 1 << 20


def fetch(connection: SshConnection, remote: str, part: Path, pace: Pace, sha256: str) -> None:
    """Fetch what is not in *part* yet, and verify the whole.

    The bytes come from a command: one stream is three times as fast as SFTP's questions and answers.

    Raises:
        TransferError: it is not the same in the end; *part* is removed then.
        SshError: the connection is lost; *part* is kept.
    """
    resumed = part.exists() and 0 < part.stat().st_size <= pace.size
    if not resumed:
        part.unlink(missing_ok=True)
    if _fetch_rest(connection, remote, part, pace) == sha256:
        return
    part.unlink()
    if resumed:  # what was there was no beginning of it
        pace.step(-pace.size)
        if _fetch_rest(connection, remote, part, pace) == sha256:
            return
        part.unlink()
    raise TransferError(f"{remote} arrived damaged, or it changed meanwhile; try again.")


def _fetch_rest(connection: SshConnection, remote: str, part: Path, pace: Pace) -> str:
    """Fetch what is not here yet. Returns the SHA-256 of the whole."""
    digest = hashlib.sha256()
    with part.open("a+b") as sink:
        sink.seek(0)
        while data := sink.read(_BLOCK_BYTES):
            digest.update(data)
        done = sink.tell()
        pace.step(done)
        for data in receive(connection, f"tail -c +{done + 1} <{quote(remote)}", pace):
            sink.write(data)
            digest.update(data)
            done += len(data)
            pace.step(len(data))
        sink.flush()
        os.fsync(sink.fileno())
    if done != pace.size:
        if not connection.alive:
            raise SshError(f"Fetching {remote} failed: the connection was lost; try again.")
        raise TransferError(f"{remote} has {pace.size} bytes but {done} arrived; try again.")
    return digest.hexdigest()
