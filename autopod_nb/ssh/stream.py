"""Bytes into a channel and out of one, which can be stopped at any moment."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import paramiko

from autopod_nb.errors import SshError, TransferError
from autopod_nb.ssh.line import SshConnection
from autopod_nb.ssh.pace import Pace

_BLOCK_BYTES = 256 << 10
_LOOK_S = 0.5
_STALL_S = 60.0


def write(channel: paramiko.Channel, data: bytes, pace: Pace) -> bool:
    """Write all of it. Returns False when nobody reads any more.

    Raises:
        TransferError: stopped or out of time.
        TimeoutError: nothing was taken for a minute.
    """
    channel.settimeout(_LOOK_S)
    patient_until_s = time.monotonic() + _STALL_S
    while data:
        try:
            sent = channel.send(data)
        except TimeoutError:
            pace.check()
            if time.monotonic() >= patient_until_s:
                raise
            continue
        except OSError:  # closed
            return False
        if not sent:
            return False
        patient_until_s = time.monotonic() + _STALL_S
        data = data[sent:]
    return True


def read(channel: paramiko.Channel, pace: Pace, *, stall_s: float | None = None) -> bytes:
    """What comes next, at most 256 KiB; nothing at the end.

    Raises:
        TransferError: stopped or out of time.
        TimeoutError: nothing came for *stall_s* seconds.
    """
    channel.settimeout(_LOOK_S)
    end_s = None if stall_s is None else time.monotonic() + stall_s
    while True:
        with contextlib.suppress(TimeoutError):
            return channel.recv(_BLOCK_BYTES)
        pace.check()
        if end_s is not None and time.monotonic() >= end_s:
            raise TimeoutError


def receive(connection: SshConnection, command: str, pace: Pace) -> Iterator[bytes]:
    """What a command prints, until its output ends or the connection is lost."""
    with contextlib.closing(connection.start(command)) as channel:
        while data := read(channel, pace, stall_s=_STALL_S):
            yield data


@contextlib.contextmanager
def translated(doing: str, connection: SshConnection) -> Iterator[None]:
    """Faults of a transfer come out as ours.

    Args:
        doing: begins the sentence.
        connection: tells whether it stands.
    """
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
