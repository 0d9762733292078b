"""The child process that has the ``runpod`` package: started when first needed, every wait for it bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from autopod_nb.config import Secret
from autopod_nb.errors import ConfigError
from autopod_nb.providers import runpod_sdk_child
from autopod_nb.providers.runpod_sdk_faults import LOST, NO_START, TIME_UP, Failure
from autopod_nb.threads import ServiceThread

_CHILD = runpod_sdk_child.__name__
_END_S = 3.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call.

    Attributes:
        result: of the package's function, JSON with exact numbers.
        failure: None if it went well.
    """

    result: Any = None
    failure: Failure | None = None


class _Life:
    """One child from its start to its end. A thread reads its answers and, when they end, buries it.

    Raises:
        OSError: no process can be made.
    """

    def __init__(self, key: Secret, environ: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Reply]] = {}
        self._last_id = runpod_sdk_child.READY_ID
        self._is_over = False
        self.ready = self._waiting[self._last_id] = Future()
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt of the kernel must not cut an order
            env=dict(environ),
        )
        self._reader = ServiceThread("autopod-runpod-sdk", self._read).start()
        self._write({"key": key.reveal(), "parent": os.getpid()})

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or will be ended."""
        return self._is_over or self.process.poll() is not None

    def ask(self, call: str, given: Mapping[str, Any]) -> Future[Reply]:
        """Send a call; the reply comes some time, at the latest when the child ends."""
        with self._lock:
            self._last_id += 1
            number, reply = self._last_id, Future[Reply]()
            if self._is_over:
                reply.set_result(Reply(failure=Failure(LOST, "it has just ended", is_sent=False)))
                return reply
            self._waiting[number] = reply
        if not self._write({"id": number, "call": call, "given": given}):
            self._settle(number, Reply(failure=Failure(LOST, "it had ended before", is_sent=False)))
        return reply

    def _settle(self, number: int, reply: Reply) -> None:
        """Tell the one who waits, if he has not been told."""
        with self._lock:
            waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.set_result(reply)

    def _write(self, message: Mapping[str, Any]) -> bool:
        """One line. That it cannot be written means that the child is at its end and gets none of it whole."""
        line = json.dumps(message).encode() + b"\n"
        stdin = self.process.stdin
        assert stdin is not None  # noqa: S101 - a pipe was asked for
        with self._lock, suppress(OSError, ValueError):
            stdin.write(line)
            stdin.flush()
            return True
        return False

    def _read(self, _stop: threading.Event) -> None:
        stdout = self.process.stdout
        assert stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            with stdout:
                for line in stdout:
                    self._take(json.loads(line, parse_float=Decimal))
        finally:
            self._bury()

    def _take(self, answer: Mapping[str, Any]) -> None:
        error = answer.get("error")
        self._settle(answer["id"], Reply(answer.get("result"), None if error is None else Failure(**error)))

    def _bury(self) -> None:
        """Wait for its end, and tell those who wait that nothing more will come."""
        self._shut()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with self._lock:
            left, self._waiting = self._waiting, {}
        for reply in left.values():
            reply.set_result(Reply(failure=Failure(LOST, f"it ended with status {self.process.returncode}")))

    def _shut(self) -> None:
        """Its input ends, and with it the child."""
        stdin = self.process.stdin
        with self._lock, suppress(OSError):
            self._is_over = True
            if stdin is not None:
                stdin.close()

    def end(self, *, now: bool) -> None:
        """End it: at once, or as soon as it sees that its input has ended. Safe to call twice."""
        self._is_over = True
        if now:
            self.process.kill()  # first, for a child that does not read would make the rest wait
        self._shut()
        if not self._reader.join(_END_S):
            self.process.kill()
            self._reader.join(_END_S)


class SdkProcess:
    """Calls functions of the package, in a child. Thread-safe; several calls may be under way at the same time.

    Times are of this machine, as they are about a process and calls over the network.

    Args:
        key: gives the key, or raises AuthFailed; it goes through the pipe.
        base_url: of the service, no slash at its end.
        start_s: until the package is imported.
        call_s: for a call; the package itself waits 30 s for each of its requests.
    """

    def __init__(
        self, key: Callable[[], Secret], *, base_url: str, start_s: float = 45.0, call_s: float = 45.0
    ) -> None:
        self._key = key
        self._base_url = base_url
        self._start_s = start_s
        self._call_s = call_s
        self._lock = threading.Lock()
        self._life: _Life | None = None

    @property
    def pid(self) -> int | None:
        """Of the child, if there is one."""
        life = self._life
        return None if life is None or life.is_over else life.process.pid

    def call(self, name: str, given: Mapping[str, Any]) -> Reply:
        """Call a function by its name.

        What takes too long ends the child: nothing of it may happen later, such as an order whose failure has been
        told long ago. Other calls that are under way are lost then, too.

        Raises:
            AuthFailed: there is no key.
            ConfigError: the key would go over a line that others can read.
        """
        found = self._started()
        if isinstance(found, Failure):
            return Reply(failure=found)
        reply = found.ask(name, given)
        try:
            return reply.result(self._call_s)
        except FutureTimeoutError:
            found.end(now=True)
            return Reply(failure=Failure(TIME_UP, f"no answer within {self._call_s:g} s"))

    def _started(self) -> _Life | Failure:
        """The child, ready."""
        key = self._key()
        require_private(self._base_url)
        if not self._lock.acquire(timeout=self._start_s):
            return Failure(NO_START, "another call still waits for its start", is_sent=False)
        try:
            if self._life is not None and not self._life.is_over:
                return self._life
            if self._life is not None:
                self._life.end(now=True)
                self._life = None
            return self._start(key)
        finally:
            self._lock.release()

    def _start(self, key: Secret) -> _Life | Failure:
        try:
            life = _Life(key, child_environ(self._base_url, os.environ))
        except OSError as error:
            return Failure(NO_START, str(error), is_sent=False)
        try:
            failure = life.ready.result(self._start_s).failure
        except FutureTimeoutError:
            failure = Failure(NO_START, f"it was not ready within {self._start_s:g} s", is_sent=False)
        if failure is None:
            self._life = life
            return life
        life.end(now=True)
        return Failure(NO_START, failure.text, is_sent=False) if failure.kind == LOST else failure

    def close(self) -> None:
        """End the child; a later call starts a new one. Safe to call twice, in any thread."""
        with self._lock:
            life, self._life = self._life, None
        if life is not None:
            life.end(now=False)


def require_private(base_url: str) -> None:
    """See that the key goes over a line that others can read to this machine only.

    Raises:
        ConfigError: it would go elsewhere.
    """
    parts = urlsplit(base_url)
    if not parts.hostname or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
        raise ConfigError(f"RUNPOD_API_BASE_URL={base_url!r} is no https address: set it to one, or unset it.")


def child_environ(base_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the child: those of this process, but for the vendor's, and no other source of a key.

    Args:
        base_url: of the service; the package reads it at each call, and takes an empty one at its word.
        environ: of this process.
    """
    found = {name: value for name, value in environ.items() if not name.startswith("RUNPOD_")}
    found["RUNPOD_API_BASE_URL"] = base_url
    found["RUNPOD_UA_INTEGRATION"] = "autopod-nb"
    found["NETRC"] = os.devnull  # requests prefers what stands there to the key that the package sends
    if urlsplit(base_url).hostname in _LOOPBACK:
        found["NO_PROXY"] = found["no_proxy"] = ",".join(_LOOPBACK)  # a proxy cannot reach this machine
    return found
