"""The way to a connection: try until the pod is up, check who answers, log in with one key."""

from __future__ import annotations

import logging
import random
import socket
import threading
from collections.abc import Callable

import paramiko

from autopod_nb.clock import Clock, Deadline
from autopod_nb.errors import SshError
from autopod_nb.ssh.counted_socket import CountedSocket
from autopod_nb.ssh.line import SshConnection
from autopod_nb.ssh.target import HostKeyPin, SshTarget, fingerprint_of

__all__ = ["LONGEST_PAUSE_S", "HostKeyPin", "SshConnection", "SshTarget", "connect"]

_log = logging.getLogger(__name__)

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
_WINDOW_BYTES = 8 << 20  # what may be on its way in one channel: enough for 80 MB/s at 100 ms
_PACKET_BYTES = 128 << 10
_ATTEMPT_S = 15.0
_DIAL_S = 3.0  # of that, until the other side picks up: a call that got lost is soon made again
_FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
"""Between two attempts, unless the caller is in more of a hurry."""
_KEEPALIVE_S = 15
_QUIET_S = 1.0  # how long the library's thread waits for more before it looks up; its own 0.1 s is a load with 50 pods
_CLOSE_S = 2.0
_UNANSWERED_MS = 60_000  # bytes that the other side's machine did not confirm for this long: the line is dead
_LIBRARY_LOG = f"{__name__}.paramiko"  # below ours, so that it lands in our file and never in a cell
logging.getLogger(_LIBRARY_LOG).setLevel(logging.CRITICAL)  # each attempt at a dead line is a page of errors to it


def connect(
    target: SshTarget,
    key: paramiko.PKey,
    *,
    clock: Clock,
    timeout_s: float,
    stop: threading.Event | None = None,
    look: Callable[[], SshTarget] | None = None,
    longest_pause_s: float = LONGEST_PAUSE_S,
) -> SshConnection:
    """Connect to a pod; try again while it is not up yet.

    A line that is refused, reset or silent is tried again, with pauses that grow from 0.25 s; a key or a host key that
    is no good is not. Only *key* is offered: no agent, no other keys, no password.

    Args:
        target: where.
        key: our private key.
        clock: whose seconds count.
        timeout_s: for everything.
        stop: ends the wait.
        look: says before each attempt but the first where the pod is now.
        longest_pause_s: between two attempts.

    Raises:
        SshError: refused, another host key, not reached in time, or stopped.
    """
    deadline = Deadline(clock, timeout_s)
    stop = stop or threading.Event()
    pause_s = _FIRST_PAUSE_S
    while True:
        where = f"{target.host}:{target.port}"
        found = _attempt(target, key, min(_ATTEMPT_S, max(0.1, deadline.left_s())))
        if not isinstance(found, Exception):
            return SshConnection(*found, target, clock)
        _log.info("no SSH connection to %s yet: %s", where, found)
        if clock.wait(stop, min(pause_s * random.uniform(0.8, 1.2), deadline.left_s())):  # noqa: S311 - a jitter
            raise SshError(f"Stopped while connecting to {where}.") from found
        if deadline.passed:
            raise SshError(f"No SSH connection to {where} within {timeout_s:g} s: {found}") from found
        pause_s = min(longest_pause_s, pause_s * 2)
        target = target if look is None else look()


def _attempt(
    target: SshTarget, key: paramiko.PKey, timeout_s: float
) -> tuple[paramiko.Transport, CountedSocket] | Exception:
    """One attempt: what stands, or what is worth another attempt."""
    try:
        sock = _dial(target, timeout_s)
        return _log_in(sock, target, key, timeout_s), sock
    except paramiko.AuthenticationException as error:
        raise SshError(
            f"{target.host}:{target.port} refused the SSH key {fingerprint_of(key)} of user {target.user}; "
            f"give the provider its public half, or name another key."
        ) from error
    except (OSError, EOFError, paramiko.SSHException) as error:  # refused, reset, silent: it may still be booting
        return error


def _dial(target: SshTarget, timeout_s: float) -> CountedSocket:
    plain = socket.create_connection((target.host, target.port), timeout=min(_DIAL_S, timeout_s))
    sock = CountedSocket(plain.family, plain.type, plain.proto, plain.detach())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MS)
    return sock


def _log_in(sock: CountedSocket, target: SshTarget, key: paramiko.PKey, timeout_s: float) -> paramiko.Transport:
    transport = paramiko.Transport(sock, default_window_size=_WINDOW_BYTES, default_max_packet_size=_PACKET_BYTES)
    try:
        transport.name = f"autopod-ssh-{target.port}"
        transport.set_log_channel(_LIBRARY_LOG)
        options = transport.get_security_options()
        options.ciphers = [name for name in _CIPHERS if name in options.ciphers]
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = timeout_s
        transport.start_client(timeout=timeout_s)
        target.pin.check(fingerprint_of(transport.get_remote_server_key()))
        transport.auth_publickey(target.user, key)
        transport.set_keepalive(_KEEPALIVE_S)
        sock.settimeout(_QUIET_S)
    except BaseException:
        transport.close()
        transport.join(_CLOSE_S)
        sock.close()
        raise
    return transport
