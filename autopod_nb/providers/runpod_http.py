"""HTTP to RunPod: a key that goes nowhere else, bounded waits, and retries for what may be done twice only."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from autopod_nb.clock import Clock, Deadline, SystemClock
from autopod_nb.config import Secret
from autopod_nb.errors import AuthFailed, ConfigError, ProviderError, RateLimited, Uncertain, reason_of
from autopod_nb.providers.runpod_answer import Answer
from autopod_nb.providers.runpod_limits import RateLimits

_log = logging.getLogger(__name__)
DEFAULT_BASE_URL = "https://api.runpod.io"
USER_AGENT = "autopod-nb"
"""Ours: Cloudflare in front of RunPod refuses the usual ones of Python before it looks at the key."""
_CONNECT_S = 6.0
_CHUNK_BYTES = 64 * 1024
_MOST_BYTES = 64 * 1024 * 1024  # 1000 pods are 2 MB; a guess with much room
_WHOLE_ANSWER = 3  # times the time-out, for all pieces together; a guess
_TRIES = 3
_MOST_WAIT_S = 65.0  # one window of a minute, and a little
_USUAL_WAIT_S = 5.0  # after 429 without Retry-After; a guess
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Bearer(AuthBase):
    """Sets the key itself, as requests would else take one from ``.netrc``."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        return request


class RunPodHttp:
    """Requests to one base address, which serves ``/v2`` and ``/graphql``. Thread-safe.

    Each thread has a session of its own, all share one pool of connections. Redirects are not followed, for the key
    would go along.

    Args:
        base_url: scheme, host and port.
        key: gives the key, or raises AuthFailed.
        clock: for pauses between tries.
        timeout_s: until an answer begins, and between two pieces of it.
        retry_pause_s: before the second try; doubles, with jitter.
    """

    def __init__(
        self,
        base_url: str,
        key: Callable[[], Secret],
        *,
        clock: Clock,
        timeout_s: float = 25.0,
        retry_pause_s: float = 0.5,
    ) -> None:
        self.base_url = base_url.rstrip("/").removesuffix("/v2").removesuffix("/graphql")
        self.limits = RateLimits()
        self._key = key
        self._clock = clock
        self._timeout_s = timeout_s
        self._retry_pause_s = retry_pause_s
        self._adapter = HTTPAdapter(pool_maxsize=8)
        self._local = threading.local()
        self._closing = threading.Event()

    def once(self, method: str, path: str, *, content: object = None, query: Mapping[str, str] | None = None) -> Answer:
        """One request over a connection of its own, so that no kept one that ended unseen makes it uncertain.

        Raises:
            Uncertain: it was sent, and there is no answer to it.
            ProviderError: it was not sent.
        """
        with closing(self._new_session(HTTPAdapter())) as session:
            return self._send(session, method, path, content, query)

    def safe(self, method: str, path: str, *, content: object = None, query: Mapping[str, str] | None = None) -> Answer:
        """A request that may be carried out twice: repeated while there is hope, at most three times.

        After 429 it waits as long as it is told, a minute in all. A read also waits where the last requests of a
        window are kept for what saves money.

        Returns:
            What can be read and is no failure of the service: its status is below 500 and not 429.

        Raises:
            RateLimited: it would have to wait longer.
            ProviderError: no such answer.
        """
        waited = Deadline(self._clock, _MOST_WAIT_S)
        if method == "GET":
            self._pause(min(self.limits.hold_s(self._clock.monotonic()), waited.left_s()))
        failures = 0
        while True:
            answer = self._tried(waited, method, path, content, query)
            if isinstance(answer, Answer):
                return answer
            failures += 1
            if failures == _TRIES or waited.passed:
                raise ProviderError(str(answer)) from answer
            _log.info("asking again: %s", answer)
            self._pause(self._retry_pause_s * 2 ** (failures - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - jitter

    def _tried(
        self, waited: Deadline, method: str, path: str, content: object, query: Mapping[str, str] | None
    ) -> Answer | ProviderError:
        """One try; that it is Uncertain matters not to what may be done twice."""
        try:
            return self._patient(waited, method, path, content, query)
        except (RateLimited, AuthFailed):
            raise
        except ProviderError as error:
            return error

    def _patient(
        self, waited: Deadline, method: str, path: str, content: object, query: Mapping[str, str] | None
    ) -> Answer:
        """One request that is sent again as often as the answer is 429 and the time allows."""
        while True:
            answer = self._send(self._session(), method, path, content, query)
            if answer.status == requests.codes.too_many_requests:
                self._wait_for_room(answer, waited)
            elif answer.is_of_runpod and answer.status < 500:
                return answer
            else:
                raise ProviderError(f"RunPod's answer to {method} {path} is no good: {answer.words}.")

    def _wait_for_room(self, answer: Answer, waited: Deadline) -> None:
        told_s = answer.retry_after_s(self._clock.now())
        wait_s = _USUAL_WAIT_S if told_s is None else told_s
        if wait_s >= waited.left_s():
            raise RateLimited(f"RunPod was asked too often; ask again in {wait_s:.0f} s.", retry_after_s=wait_s)
        self._pause(max(0.1, wait_s))

    def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until :meth:`close`."""
        if seconds > 0:
            self._clock.wait(self._closing, seconds)

    def open_stream(self, path: str, query: Mapping[str, str]) -> requests.Response:
        """An answer whose body is still to come, of whatever status; the caller closes it.

        It counts like any other read, and waits like one where the last requests of a window are kept.

        Raises:
            ProviderError: there is none.
        """
        self._require_privacy()
        self._pause(min(self.limits.hold_s(self._clock.monotonic()), _MOST_WAIT_S))
        try:
            response = self._session().get(
                self.base_url + path,
                params=dict(query),
                headers={"Accept": "text/event-stream"},
                auth=_Bearer(self._key()),
                timeout=(_CONNECT_S, self._timeout_s),
                stream=True,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise ProviderError(f"RunPod did not answer GET {path}: {reason_of(error)}.") from error
        self.limits.note(response.headers, self._clock.monotonic())
        return response

    def _send(
        self, session: requests.Session, method: str, path: str, content: object, query: Mapping[str, str] | None
    ) -> Answer:
        self._require_privacy()
        where = f"{method} {path}"
        try:
            with session.request(
                method,
                self.base_url + path,
                params=dict(query or {}),
                json=content,
                headers={"Accept": "application/json"},
                auth=_Bearer(self._key()),
                timeout=(_CONNECT_S, self._timeout_s),
                stream=True,
                allow_redirects=False,
            ) as response:
                answer = Answer(response.status_code, response.headers, self._body(response, where))
        except requests.RequestException as error:
            if _was_never_sent(error):
                raise ProviderError(f"RunPod at {self.base_url} cannot be reached: {reason_of(error)}.") from error
            raise Uncertain(f"RunPod gave no answer to {where}: {reason_of(error)}.") from error
        self.limits.note(answer.headers, self._clock.monotonic())
        return answer

    def _body(self, response: requests.Response, where: str) -> bytes:
        parts, size = [], 0
        deadline = Deadline(SystemClock(), _WHOLE_ANSWER * self._timeout_s)
        for chunk in response.iter_content(_CHUNK_BYTES):
            parts.append(chunk)
            size += len(chunk)
            if size > _MOST_BYTES or deadline.passed:
                raise Uncertain(f"RunPod's answer to {where} does not end.")
        return b"".join(parts)

    def _require_privacy(self) -> None:
        """The key goes over a line that others can read to this machine only."""
        parts = urlsplit(self.base_url)
        if not parts.hostname or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
            raise ConfigError(
                f"RUNPOD_API_BASE_URL={self.base_url!r} is no https address: set it to one, or unset it for"
                f" {DEFAULT_BASE_URL}."
            )

    def _session(self) -> requests.Session:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._new_session(self._adapter)
        return cast("requests.Session", session)

    def _new_session(self, adapter: HTTPAdapter) -> requests.Session:
        session = requests.Session()
        session.headers["User-Agent"] = USER_AGENT
        if urlsplit(self.base_url).hostname in _LOOPBACK:
            session.trust_env = False  # a proxy cannot reach this machine
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def close(self) -> None:
        """Close kept connections and end pauses; a later call opens new ones. Safe to call twice, in any thread."""
        self._closing.set()
        self._closing = threading.Event()
        self._adapter.close()


def _was_never_sent(error: requests.RequestException) -> bool:
    """Whether no byte of the request can have reached the service: there was no connection."""
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError)):
        return True
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(error)  # others may come in the middle of an answer
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError)) or isinstance(
        error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
    )
