from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from autopod_nb.clock import SystemClock, TestClock
from autopod_nb.config import Secret
from autopod_nb.errors import ConfigError, ProviderError, RateLimited, Uncertain
from autopod_nb.providers.runpod_http import USER_AGENT, RunPodHttp
from tests.comfyui.servers import Answer, Request, ScriptedServer, free_port
from tests.providers.runpod_side import KEY

_GOOD = Answer(b'{"pods": []}')
_HTML = Answer(b"<html>error code: 1010</html>", 403, content_type="text/html")
_CUT = Answer(cut_after=-1)


def _http(url: str, *, timeout_s: float = 5.0) -> RunPodHttp:
    return RunPodHttp(url, lambda: Secret(KEY), clock=SystemClock(), timeout_s=timeout_s, retry_pause_s=0.01)


def _in_turn(*answers: Answer) -> Callable[[Request], Answer]:
    left = list(answers)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


def test_a_request_carries_our_own_name_and_the_key_as_a_bearer_whatever_netrc_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with ScriptedServer(_in_turn(_GOOD)) as server:
        http = _http(f"{server.url}/v2/")
        http.safe("GET", "/v2/pods", query={"limit": "1"})
        http.once("POST", "/v2/pods", content={"a": "é"})
        http.close()
    for request in server.requests:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert request.headers["User-Agent"] == USER_AGENT
        assert KEY not in request.path
    assert [request.path for request in server.requests] == ["/v2/pods?limit=1", "/v2/pods"]


@pytest.mark.parametrize(
    "bad",
    [
        _HTML,
        _CUT,
        Answer(b"", 200),
        Answer(b"[]", 200),
        Answer(b'{"a": ', 200),
        Answer(b'{"pods": []}', cut_after=5),
        Answer(b'{"detail": "x"}', 500),
        Answer(b"{}", 302, {"Location": "/elsewhere"}),
        Answer(b"{}", 429, {"Retry-After": "0"}),
    ],
)
def test_what_may_be_done_twice_is_asked_again_after_a_useless_answer(bad: Answer) -> None:
    with ScriptedServer(_in_turn(bad, bad, _GOOD)) as server:
        http = _http(server.url)
        assert http.safe("GET", "/v2/pods").json == {"pods": []}
        http.close()
    assert len(server.requests) == 3
    assert {request.path for request in server.requests} == {"/v2/pods"}, "a redirect is not followed"


@pytest.mark.parametrize("bad", [_HTML, _CUT, Answer(b"{}", 500)])
def test_after_three_useless_answers_it_gives_up_with_an_error_that_is_not_uncertain(bad: Answer) -> None:
    with ScriptedServer(_in_turn(bad)) as server:
        http = _http(server.url)
        with pytest.raises(ProviderError) as raised:
            http.safe("GET", "/v2/pods")
        http.close()
    assert type(raised.value) is ProviderError
    assert len(server.requests) == 3


@pytest.mark.parametrize("bad", [_CUT, Answer(b'{"id": "p1"}', 201, cut_after=3)])
def test_what_must_be_done_once_is_sent_once_and_is_uncertain_without_an_answer(bad: Answer) -> None:
    with ScriptedServer(_in_turn(bad)) as server:
        http = _http(server.url)
        with pytest.raises(Uncertain):
            http.once("POST", "/v2/pods", content={})
        http.close()
    assert len(server.requests) == 1


def test_an_answer_that_takes_too_long_is_uncertain() -> None:
    hold = threading.Event()
    with ScriptedServer(_in_turn(Answer(hold=hold))) as server:
        http = _http(server.url, timeout_s=0.2)
        with pytest.raises(Uncertain, match="timed out"):
            http.once("POST", "/v2/pods", content={})
        hold.set()
        http.close()
    assert len(server.requests) == 1


def test_a_request_that_was_never_sent_is_sure_to_have_done_nothing() -> None:
    http = _http(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ProviderError, match="cannot be reached") as raised:
        http.once("POST", "/v2/pods", content={})
    assert not isinstance(raised.value, Uncertain)
    http.close()


def test_an_order_goes_over_a_line_of_its_own_so_that_an_old_one_cannot_make_it_uncertain() -> None:
    """A kept line that its other end has closed unseen breaks when the next request is sent."""
    with ScriptedServer(_in_turn(_GOOD, Answer(b"{}", 201))) as server:
        http = _http(server.url)
        http.safe("GET", "/v2/pods")
        assert http.once("POST", "/v2/pods", content={}).status == 201
        http.close()


def test_a_wait_that_is_longer_than_a_minute_is_told_and_not_waited_for() -> None:
    with ScriptedServer(_in_turn(Answer(b"{}", 429, {"Retry-After": "300"}))) as server:
        http = _http(server.url)
        with pytest.raises(RateLimited) as raised:
            http.safe("GET", "/v2/pods")
        http.close()
    assert raised.value.retry_after_s == 300
    assert len(server.requests) == 1


@pytest.mark.parametrize("streams", [False, True])
def test_a_read_waits_where_a_window_is_nearly_used_up_and_what_saves_money_does_not(*, streams: bool) -> None:
    """The clock stands still, so whoever waits for it waits for ever."""
    clock = TestClock()
    used_up = Answer(b"{}", headers={"RateLimit": '"minute";r=2;t=30'})
    with ScriptedServer(_in_turn(used_up)) as server:
        http = RunPodHttp(server.url, lambda: Secret(KEY), clock=clock, timeout_s=5)

        def look() -> None:
            if streams:
                http.open_stream("/v2/pods/p/logs", {}).close()
            else:
                http.safe("GET", "/v2/pods")

        look()
        http.safe("POST", "/v2/pods/p/action", content={"action": "stop"})
        read = threading.Thread(target=look)
        read.start()
        read.join(0.3)
        assert read.is_alive()
        assert len(server.requests) == 2
        clock.advance(31)
        read.join(10)
        http.close()
    assert [request.method for request in server.requests] == ["GET", "POST", "GET"]


def test_closing_ends_a_pause_and_what_comes_later_works() -> None:
    with ScriptedServer(_in_turn(Answer(b"{}", 429, {"Retry-After": "50"}), _GOOD)) as server:
        http = _http(server.url)
        found: list[int] = []
        waits = threading.Thread(target=lambda: found.append(http.safe("GET", "/v2/pods").status))
        waits.start()
        while waits.is_alive():
            http.close()  # again and again, as the pause may not have begun yet
            waits.join(0.01)
        assert found == [200]
        assert http.safe("GET", "/v2/pods").status == 200
        http.close()


@pytest.mark.parametrize("url", ["http://api.example", "ftp://127.0.0.2", "api.example", ""])
def test_the_key_is_sent_to_an_https_address_or_to_this_machine_only(url: str) -> None:
    http = _http(url)
    with pytest.raises(ConfigError, match="RUNPOD_API_BASE_URL"):
        http.once("GET", "/v2/pods")
    http.close()


def test_threads_share_one_client() -> None:
    with ScriptedServer(_in_turn(_GOOD)) as server:
        http = _http(server.url)
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(http.safe("GET", "/v2/pods").status)) for _ in range(8)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join(10)
        http.close()
    assert statuses == [200] * 8
