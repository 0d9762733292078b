"""One SSH connection to a pod: commands, files and channels, each with a deadline."""

from __future__ import annotations

import contextlib
import logging
import selectors
import threading
from collections.abc import Callable
from dataclasses import dataclass

import paramiko

from autopod_nb.clock import Clock, Deadline
from autopod_nb.errors import SshError
from autopod_nb.ssh.alarm import alarm, channel_alarm
from autopod_nb.ssh.counted_socket import CountedSocket
from autopod_nb.ssh.target import SshTarget
from autopod_nb.threads import ServiceThread

_log = logging.getLogger(__name__)

_PROBE_EVERY_S = 3.0  # a line on which nothing came for so long is probed, and given up when
_PROBE_S = 5.0  # no byte came for so long again: silence is found within ten seconds
_CHANNEL_S = 15.0
_CLOSE_S = 2.0
_CHUNK_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command ended.

    Attributes:
        exit_status: 0 to 255, -1 if a signal ended it.
        stdout: its output, cut at the bound.
        stderr: the same for errors.
        cut: whether one of them was longer than the bound.
    """

    exit_status: int
    stdout: bytes
    stderr: bytes
    cut: bool = False


class SshConnection:
    """A connection that stands. Made by ``connection.connect``; every method may be called in any thread."""

    def __init__(self, transport: paramiko.Transport, sock: CountedSocket, target: SshTarget, clock: Clock) -> None:
        self._transport = transport
        self._sock = sock
        self._clock = clock
        self._where = f"{target.host}:{target.port}"
        self._lock = threading.Lock()
        self._closed = False
        self._lost = False
        self._on_lost: list[Callable[[], None]] = []
        self._watch = ServiceThread(f"autopod-ssh-watch-{target.port}", self._watch_transport).start()

    @property
    def alive(self) -> bool:
        """Whether it stands, as far as is known here."""
        return not self._closed and self._transport.is_active()

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Call *callback* once, in a thread of this connection, when it is lost; not when :meth:`close` ends it.

        If it is lost already, the callback is called at once in this thread.
        """
        with self._lock:
            if not self._lost:
                self._on_lost.append(callback)
                return
        callback()

    def forget(self, callback: Callable[[], None]) -> None:
        """Do not call *callback* any more."""
        with self._lock, contextlib.suppress(ValueError):
            self._on_lost.remove(callback)

    def run(
        self, command: str, timeout_s: float, *, stdin: bytes = b"", max_output_bytes: int = 1 << 20
    ) -> CommandResult:
        """Run *command* in the pod's shell and wait for its end.

        It finds a bare environment: for the pod's variables see :meth:`read_environ`.

        Args:
            command: for ``/bin/sh``; whoever builds it quotes it.
            timeout_s: for the whole of it; then the command is ended with its channel.
            stdin: what it reads.
            max_output_bytes: kept of each output; the rest is read and dropped.

        Raises:
            SshError: no channel, the connection was lost, or the time is over.
        """
        deadline = Deadline(self._clock, timeout_s)
        with contextlib.closing(self._open("session", None, deadline)) as channel:
            try:
                with channel_alarm(channel, self._transport, timeout_s + 1):
                    channel.settimeout(max(0.1, deadline.left_s()))
                    channel.exec_command(command)
                    _send(channel, stdin)
                    return self._collect(channel, deadline, max_output_bytes)
            except (OSError, EOFError, paramiko.SSHException) as error:
                if deadline.passed or isinstance(error, TimeoutError):
                    raise SshError(
                        f"A command on {self._where} took longer than {timeout_s:g} s: {command[:200]}"
                    ) from error
                raise SshError(f"The SSH connection to {self._where} was lost while a command ran: {error}") from error

    def start(self, command: str) -> paramiko.Channel:
        """Start *command* and leave its channel to the caller, who reads its output and closes it.

        Raises:
            SshError: no channel, or the connection is lost.
        """
        channel = self._open("session", None, Deadline(self._clock, _CHANNEL_S))
        try:
            with channel_alarm(channel, self._transport, _CHANNEL_S):
                channel.settimeout(_CHANNEL_S)
                channel.exec_command(command)
        except (OSError, EOFError, paramiko.SSHException) as error:
            channel.close()
            raise SshError(f"The SSH connection to {self._where} was lost while a command began: {error}") from error
        return channel

    def _collect(self, channel: paramiko.Channel, deadline: Deadline, bound: int) -> CommandResult:
        """Read both outputs to their end, then the status."""
        stdout, stderr = _Bounded(bound), _Bounded(bound)
        with selectors.DefaultSelector() as selector:
            selector.register(channel.fileno(), selectors.EVENT_READ)
            while not (channel.eof_received or channel.closed):
                if deadline.passed:
                    raise TimeoutError
                selector.select(deadline.left_s(1.0))
                _drain(channel, stdout, stderr)
        _drain(channel, stdout, stderr)
        if not self._clock.wait(channel.status_event, deadline.left_s()):
            raise TimeoutError
        if not self._transport.is_active() and channel.exit_status == -1:
            raise EOFError("the line was cut")
        return CommandResult(
            exit_status=channel.exit_status,
            stdout=bytes(stdout.kept),
            stderr=bytes(stderr.kept),
            cut=stdout.cut or stderr.cut,
        )

    def read_environ(self, path: str, timeout_s: float = 20.0) -> dict[str, str]:
        """The pod's own variables, which commands by SSH do not see.

        Args:
            path: ``/proc/1/environ`` on a rented pod.
            timeout_s: for the whole of it.

        Returns:
            Name → value; bytes that are no UTF-8 come as surrogates. A value may hold newlines.

        Raises:
            SshError: it cannot be read.
        """
        found = self.run(f"cat {quote(path)}", timeout_s)
        if found.exit_status != 0 or found.cut:
            reason = found.stderr.decode(errors="replace") or "it is too long"
            raise SshError(f"Cannot read the pod's environment: {reason}")
        entries = found.stdout.decode(errors="surrogateescape").split("\0")
        return dict(entry.split("=", 1) for entry in entries if "=" in entry)

    def open_sftp(self) -> paramiko.SFTPClient:
        """Open a new SFTP session; its owner closes it.

        Raises:
            SshError: the pod does not open one.
        """
        channel = self._open("session", None, Deadline(self._clock, _CHANNEL_S))
        try:
            with channel_alarm(channel, self._transport, _CHANNEL_S):
                channel.settimeout(_CHANNEL_S)
                channel.invoke_subsystem("sftp")
                return paramiko.SFTPClient(channel)
        except (OSError, EOFError, paramiko.SSHException) as error:
            channel.close()
            raise SshError(f"{self._where} offers no SFTP: {error}") from error

    def open_channel(self, host: str, port: int, timeout_s: float = _CHANNEL_S) -> paramiko.Channel:
        """Open a channel to a port as the pod sees it; its owner closes it.

        Raises:
            SshError: the pod refuses, nothing listens there, or the connection is lost.
        """
        return self._open("direct-tcpip", (host, port), Deadline(self._clock, timeout_s))

    def _open(self, kind: str, to: tuple[str, int] | None, deadline: Deadline) -> paramiko.Channel:
        try:
            return self._transport.open_channel(
                kind, to, ("127.0.0.1", 0) if to else None, timeout=max(0.1, deadline.left_s())
            )
        except paramiko.ChannelException as error:
            raise SshError(f"{self._where} refused a {kind} channel: {error}") from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise SshError(f"The SSH connection to {self._where} is lost: {error}; it must be made anew.") from error

    def close(self) -> None:
        """End it and its threads. Safe to call twice, in any thread."""
        with self._lock:
            self._closed = True
        self._transport.close()
        self._transport.join(_CLOSE_S)
        self._watch.stop()
        self._watch.join(_CLOSE_S)

    def _watch_transport(self, stop: threading.Event) -> None:
        """Wait for the transport's end; probe it when it is silent, for a line can be dead without a sign."""
        while self._transport.is_alive() and not stop.is_set():
            self._transport.join(max(0.01, _PROBE_EVERY_S - self._sock.silent_s))
            if self._sock.silent_s >= _PROBE_EVERY_S and self._transport.is_active() and not self._probe():
                _log.warning("SSH to %s gave no answer for %g s", self._where, _PROBE_S)
                self._abort()
        with self._lock:
            callbacks = [] if self._closed else self._on_lost
            self._on_lost, self._lost = [], True
        if callbacks:
            _log.warning("SSH to %s is lost: %s", self._where, self._transport.saved_exception)
        for callback in callbacks:
            callback()

    def _probe(self) -> bool:
        """Whether the other side still answers. A refusal is an answer, and so are bytes of any kind.

        They must count: over a slow line the answer may wait long behind a big upload.
        """
        before = self._sock.bytes_received
        with alarm(_PROBE_S * 1.2, lambda: self._close_if_silent_since(before)):  # sending may block as well
            try:
                self._transport.open_session(timeout=_PROBE_S).close()
            except paramiko.ChannelException:
                return True
            except (OSError, EOFError, paramiko.SSHException):
                return self._sock.bytes_received != before
        return True

    def _close_if_silent_since(self, before: int) -> None:
        if self._sock.bytes_received == before:
            self._abort()

    def _abort(self) -> None:
        """End it without a goodbye: what waits here to be sent must not arrive when something new was sent instead."""
        self._sock.drop_unsent()
        self._transport.close()


def quote(text: str) -> str:
    """*text* as one word for ``/bin/sh``.

    Raises:
        SshError: it holds a NUL, which no command can carry.
    """
    if "\0" in text:
        raise SshError(f"{text!r} holds a NUL and cannot be the name of anything on a pod.")
    return "'" + text.replace("'", "'\\''") + "'"


class _Bounded:
    """Bytes up to a bound; whether there were more."""

    def __init__(self, bound: int) -> None:
        self.kept = bytearray()
        self.cut = False
        self._bound = bound

    def add(self, data: bytes) -> None:
        room = self._bound - len(self.kept)
        self.kept += data[:room]
        self.cut = self.cut or len(data) > room


def _send(channel: paramiko.Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except TimeoutError:
        raise
    except OSError:  # the command ended before it read everything: its status says whether that is bad
        pass


def _drain(channel: paramiko.Channel, stdout: _Bounded, stderr: _Bounded) -> None:
    while channel.recv_ready():
        stdout.add(channel.recv(_CHUNK_BYTES))
    while channel.recv_stderr_ready():
        stderr.add(channel.recv_stderr(_CHUNK_BYTES))
