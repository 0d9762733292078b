"""The few channels of a connection that carry files, and whose turn it is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator
from weakref import WeakKeyDictionary

from autopod_nb.errors import SshError
from autopod_nb.ssh.line import SshConnection
from autopod_nb.ssh.pace import Pace
from autopod_nb.ssh.shell import Shell
from autopod_nb.ssh.stream import translated

LANES = 4
"""At once over one connection. OpenSSH opens 10 sessions at most, and gives each a window of 2 MiB."""

_QUESTIONS = 3
_LOOK_S = 0.1  # how long it may take to see that nobody wants the file any more
_lanes: WeakKeyDictionary[SshConnection, Lanes] = WeakKeyDictionary()  # which must not hold their connections
_guard = threading.Lock()


def lanes_of(connection: SshConnection) -> Lanes:
    """Those of a connection, which are the same for everybody who asks."""
    with _guard:
        return _lanes.setdefault(connection, Lanes())


class Lanes:
    """Shells of one connection, opened when they are needed, which end with it. Thread-safe."""

    def __init__(self) -> None:
        self._idle: list[Shell] = []
        self._open = 0
        self._most = LANES
        self._changed = threading.Condition()
        self._turns: dict[str, threading.Lock] = {}
        self._delay_s: float | None = None

    @contextlib.contextmanager
    def shell(self, connection: SshConnection, check: Callable[[], None]) -> Iterator[Shell]:
        """A shell that nobody else uses meanwhile.

        Args:
            connection: these lanes' own.
            check: called again and again while there is none; what it raises ends the wait.

        Raises:
            SshError: none can be opened, or the connection is lost in the block.
            TransferError: what else goes wrong in the block.
        """
        shell = self._take(connection, check)
        try:
            with translated("The transfer", connection):
                yield shell
        finally:
            with self._changed:
                if shell.usable:
                    self._idle.append(shell)
                else:
                    self._open -= 1
                self._changed.notify()
            if not shell.usable:
                shell.close()

    def _take(self, connection: SshConnection, check: Callable[[], None]) -> Shell:
        while (shell := self._idle_one(check) or self._opened(connection)) is None:
            pass
        return shell

    def _opened(self, connection: SshConnection) -> Shell | None:
        """A new one; None if the pod opens no more of them, so that another must be waited for."""
        try:
            return Shell(connection)
        except SshError:
            with self._changed:
                self._open -= 1
                if not (self._open and connection.alive):
                    raise
                self._most = self._open
        return None

    def _idle_one(self, check: Callable[[], None]) -> Shell | None:
        """Wait for one; None if another may be opened, which counts as open then."""
        while True:
            with self._changed:
                while self._idle:
                    if (shell := self._idle.pop()).usable:
                        return shell
                    self._open -= 1  # the pod has ended it
                if self._open < self._most:
                    self._open += 1
                    return None
                self._changed.wait(_LOOK_S)
            check()

    def delay_s(self, connection: SshConnection, pace: Pace) -> float:
        """How long the shortest question takes, there and back, in seconds; asked once.

        Raises:
            SshError, TransferError: as :meth:`shell`.
        """
        if self._delay_s is None:
            took_s = []
            with self.shell(connection, pace.check) as shell:
                for _ in range(_QUESTIONS):
                    begin_s = time.perf_counter()
                    shell.run(":", pace)
                    took_s.append(time.perf_counter() - begin_s)
            self._delay_s = min(took_s)
        return self._delay_s

    @contextlib.contextmanager
    def turn(self, paths: Collection[str], check: Callable[[], None]) -> Iterator[None]:
        """Nobody else who asks here sends to one of these meanwhile: jobs of a sweep begin with the same picture.

        Args:
            paths: on the pod.
            check: called again and again while others are at it; what it raises ends the wait.
        """
        with contextlib.ExitStack() as held:
            for path in sorted(set(paths)):  # in one order, so that two do not wait for each other
                with self._changed:
                    lock = self._turns.setdefault(path, threading.Lock())
                while not lock.acquire(timeout=_LOOK_S):
                    check()
                held.callback(lock.release)
            yield
