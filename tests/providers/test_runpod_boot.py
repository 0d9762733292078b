from __future__ import annotations

from typing import Any

import pytest

from autopod_nb.errors import ProviderError
from autopod_nb.providers.runpod_boot import BootWords
from autopod_nb.providers.runpod_log import LogLine

_BAD = LogLine("system", "failed to pull image x: manifest unknown", None)


def _pod(status: str = "STARTING", runtime: object = None) -> dict[str, Any]:
    return {"id": "p", "status": status, "runtime": runtime}


def test_a_pod_that_takes_long_says_why_it_will_never_come_up() -> None:
    boot = BootWords(lambda _pod_id: (_BAD,), patience_s=0, ask_every_s=100)
    assert boot.of(_pod()) == _BAD.text
    assert boot.of(_pod("RUNNING")) == _BAD.text, "RUNNING without a runtime is not up"
    assert boot.of(_pod("RUNNING", {"uptime": 1})) == ""


def test_the_log_is_not_read_while_a_pod_may_just_be_booting_and_seldom_later() -> None:
    reads: list[str] = []

    def log(pod_id: str) -> tuple[LogLine, ...]:
        reads.append(pod_id)
        return ()

    patient, asked = BootWords(log), BootWords(log, patience_s=0, ask_every_s=100)
    for _ in range(5):
        assert patient.of(_pod()) == ""
    assert reads == []
    for _ in range(5):
        assert asked.of(_pod()) == ""
    assert reads == ["p"]


@pytest.mark.parametrize("status", ["EXITED", "TERMINATED", "ERROR"])
def test_a_pod_that_does_not_boot_is_not_asked_about(status: str) -> None:
    def log(_pod_id: str) -> tuple[LogLine, ...]:
        raise AssertionError("nobody may ask")

    assert BootWords(log, patience_s=0).of(_pod(status)) == ""


def test_a_log_that_cannot_be_read_says_nothing() -> None:
    def log(_pod_id: str) -> tuple[LogLine, ...]:
        raise ProviderError("no log")

    assert BootWords(log, patience_s=0).of(_pod()) == ""
