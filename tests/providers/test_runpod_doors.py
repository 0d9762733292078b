from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import ProviderError
from autopod_nb.models.pod import PodAddress
from autopod_nb.providers.runpod_doors import Doors
from autopod_nb.providers.runpod_log import LogLine
from autopod_nb.providers.runpod_pods import direct_address

_KEY = "SHA256:" + "k" * 43
_LATER = datetime(2026, 11, 24, 13, tzinfo=timezone.utc)


def _pod(port: int = 40022, started: str = "2026-11-24T12:00:00Z", uptime: int = 3) -> dict[str, Any]:
    ssh = {"direct": {"host": "203.0.113.7", "port": port, "username": "root"}}
    return {"id": "p", "status": "RUNNING", "ssh": ssh, "startedAt": started, "runtime": {"uptime": uptime}}


def _address(pod: dict[str, Any]) -> PodAddress | None:
    return direct_address(pod, comfyui_port=0, comfyui_dir="")


def _until(ask: Callable[[], PodAddress | None]) -> PodAddress | None:
    """What is given out in the end."""
    deadline, pause = Deadline(SystemClock(), 10), threading.Event()
    while (found := ask()) is None and not deadline.passed:
        pause.wait(0.01)
    return found


class _Log:
    def __init__(self) -> None:
        self.lines: tuple[LogLine, ...] = ()
        self.reads = 0
        self.fails = False

    def __call__(self, _pod_id: str) -> tuple[LogLine, ...]:
        self.reads += 1
        if self.fails:
            raise ProviderError("no log")
        return self.lines

    def print_key(self) -> None:
        self.lines = (LogLine("container", f"256 {_KEY} root@p (ED25519)", _LATER),)


def test_the_address_is_kept_back_until_the_log_has_the_host_key_and_is_the_same_from_then_on() -> None:
    log = _Log()
    doors, pod = Doors(log, ask_every_s=0.05), _pod()
    assert doors.open(pod, _address(pod)) is None
    assert doors.known(pod, _address(pod)) is None
    log.print_key()
    given = _until(lambda: doors.open(pod, _address(pod)))
    assert given is not None
    assert given.host_key_sha256 == _KEY
    assert doors.open(pod, _address(pod)) == doors.known(pod, _address(pod)) == given
    assert log.reads == 2, "once it is known nobody reads the log again"


def test_a_pod_that_runs_for_long_or_whose_log_cannot_be_read_is_given_without_a_key() -> None:
    log = _Log()
    log.fails = True
    pod = _pod(uptime=3600)
    given = Doors(log).open(pod, _address(pod))
    assert given is not None
    assert given.host_key_sha256 is None


def test_after_a_start_the_port_of_before_is_not_believed_and_the_key_is_looked_for_anew() -> None:
    log = _Log()
    log.print_key()
    doors, pod = Doors(log), _pod()
    assert doors.open(pod, _address(pod)) is not None
    doors.started("p")
    again = _pod(started="2026-11-24T12:30:00Z")
    assert doors.open(again, _address(again)) is None
    moved = _pod(port=40023, started="2026-11-24T12:30:00Z")
    given = doors.open(moved, _address(moved))
    assert given is not None
    assert given.port == 40023
    assert log.reads == 2


def test_a_log_without_a_host_key_is_read_a_few_times_and_then_the_address_is_given_without_one() -> None:
    log = _Log()
    doors, pod = Doors(log, key_within_s=0.3, ask_every_s=0.1), _pod()
    given = _until(lambda: doors.open(pod, _address(pod)))
    assert given is not None
    assert given.host_key_sha256 is None
    assert 2 <= log.reads <= 5


def test_a_pod_without_an_address_has_none() -> None:
    log = _Log()
    assert Doors(log).open(_pod(), None) is None
    assert log.reads == 0
