"""Threads with a name, an end, and a failure that is kept."""

from __future__ import annotations

import contextvars
import logging
import threading

import pytest

from autopod_nb.threads import ServiceThread

_WITHIN_S = 10.0


def _until_stopped(stop: threading.Event) -> None:
    stop.wait(_WITHIN_S)


def test_it_is_a_named_daemon_that_ends_soon_after_it_is_asked_to() -> None:
    seen: list[threading.Thread] = []
    running = threading.Event()

    def body(stop: threading.Event) -> None:
        seen.append(threading.current_thread())
        running.set()
        stop.wait(_WITHIN_S)

    thread = ServiceThread("autopod-under-test", body).start()
    assert running.wait(_WITHIN_S)
    assert (seen[0].name, seen[0].daemon, thread.alive) == ("autopod-under-test", True, True)
    thread.stop()
    thread.stop()
    assert thread.join(_WITHIN_S)
    assert not thread.alive
    assert thread.failure is None


def test_a_join_is_bounded_and_says_whether_it_ended() -> None:
    thread = ServiceThread("autopod-under-test", _until_stopped).start()
    assert thread.join(0.01) is False
    thread.stop()
    assert thread.join(_WITHIN_S) is True
    assert thread.join(0) is True


def test_what_never_started_has_ended() -> None:
    assert ServiceThread("autopod-under-test", _until_stopped).join(0) is True


def test_a_thread_that_joins_itself_does_not_hang() -> None:
    answers: list[bool] = []
    own: list[ServiceThread] = []
    thread = ServiceThread("autopod-under-test", lambda _: answers.append(own[0].join(_WITHIN_S)))
    own.append(thread)
    thread.start()
    assert thread.join(_WITHIN_S)
    assert answers == [True]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_the_body_raises_is_kept_told_and_logged(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    told: list[BaseException] = []

    def body(_stop: threading.Event) -> None:
        raise error

    with caplog.at_level(logging.ERROR, logger="autopod_nb.threads"):
        thread = ServiceThread("autopod-under-test", body, on_failure=told.append).start()
        assert thread.join(_WITHIN_S)
    assert thread.failure is error
    assert told == [error]
    assert "thread autopod-under-test failed" in caplog.text


def test_it_runs_in_a_copy_of_the_context_that_made_it() -> None:
    variable = contextvars.ContextVar("variable", default="outside")
    seen: list[str] = []

    def body(_stop: threading.Event) -> None:
        seen.append(variable.get())
        variable.set("changed in the thread")

    token = variable.set("of the caller")
    thread = ServiceThread("autopod-under-test", body)
    variable.reset(token)
    thread.start()
    assert thread.join(_WITHIN_S)
    assert (seen, variable.get()) == (["of the caller"], "outside")
