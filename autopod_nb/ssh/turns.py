"""One sender a file: jobs of a sweep begin with the same picture at the same time, over one connection."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from weakref import WeakKeyDictionary

from autopod_nb.ssh.line import SshConnection

_LOOK_S = 0.1  # how long it may take to see that nobody wants the file any more
_locks: WeakKeyDictionary[SshConnection, dict[str, threading.Lock]] = WeakKeyDictionary()  # path on the pod → lock
_guard = threading.Lock()


@contextlib.contextmanager
def turn(connection: SshConnection, path: str, check: Callable[[], None]) -> Iterator[None]:
    """Nobody else who asks here sends to *path* meanwhile.

    Args:
        connection: to the pod.
        path: on the pod.
        check: called again and again while others are at it; what it raises ends the wait.
    """
    with _guard:
        lock = _locks.setdefault(connection, {}).setdefault(path, threading.Lock())
    while not lock.acquire(timeout=_LOOK_S):
        check()
    try:
        yield
    finally:
        lock.release()
