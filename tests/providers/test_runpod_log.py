from __future__ import annotations

from datetime import datetime, timezone

import pytest

from autopod_nb.providers.runpod_log import LogLine, fatal_line, host_key, read_events

_OLD = "SHA256:" + "o" * 43
_NEW = "SHA256:" + "n" * 43
_START = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def _at(minute: int) -> datetime:
    return _START.replace(minute=minute)


def test_events_are_read_whatever_comes_between_them() -> None:
    stream = (
        b": keep-alive\n\nid: 1\r\nevent: log\r\ndata: "
        b'{"source":"container","line":"h\xc3\xa9llo  ","ts":"2026-11-24T12:00:00Z"}\r\n\r\n'
        b'data:{"source":"system",\ndata: "line":"two","ts":null}\n\ndata: plain words\n\ndata: ["x"]\n\ndata: unfinish'
    )
    assert list(read_events(stream.split(b"\n"))) == [
        LogLine("container", "héllo", _START),
        LogLine("system", "two", None),
        LogLine("", "plain words", None),
        LogLine("", '["x"]', None),
    ]


@pytest.mark.parametrize(
    ("lines", "since", "key"),
    [
        ([(1, f"256 {_NEW} root@p (ED25519)")], _START, _NEW),
        ([(1, f"3072 {_OLD} root@p (RSA)"), (1, f"256 {_NEW} root@p (ED25519)")], _START, _NEW),
        ([(1, f"256 {_OLD} root@p (ED25519)"), (6, f"256 {_NEW} root@p (ED25519)")], _at(5), _NEW),
        ([(1, f"256 {_OLD} root@p (ED25519)")], _at(5), None),
        ([(1, f"3072 {_OLD} root@p (RSA)")], _START, None),
        ([(1, "256 SHA256:short root@p (ED25519)")], _START, None),
        ([], _START, None),
    ],
)
def test_the_host_key_is_the_one_that_this_run_of_the_pod_printed(
    lines: list[tuple[int, str]], since: datetime, key: str | None
) -> None:
    """One of a run before would make the real server look like somebody else."""
    assert host_key([LogLine("container", text, _at(minute)) for minute, text in lines], since) == key


def test_the_platforms_words_that_a_pod_will_never_come_up_are_found_and_not_those_of_a_program() -> None:
    bad = LogLine("system", "failed to pull image x: manifest unknown", None)
    fine = LogLine("container", "access denied", None)
    assert fatal_line([fine, bad, LogLine("system", "still fetching image x", None)]) == bad.text
    assert fatal_line([fine]) == ""
