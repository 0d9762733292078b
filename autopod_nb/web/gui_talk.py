"""One connection of a browser, from its first request to its end."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus

from autopod_nb.web import gui_headers
from autopod_nb.web.gui_address import relative_location
from autopod_nb.web.gui_door import Asked, Door, Refused
from autopod_nb.web.gui_head import NO_BODY, BadMessage, End, Head, make_head, parse_head, response_body, status_line
from autopod_nb.web.gui_pod import NO_ANSWER, PodEnd, Times, make_chunk, too_large
from autopod_nb.web.gui_socket import carry
from autopod_nb.web.gui_wire import Cut, Wire

_NOT_OURS = "The pod's ComfyUI sends the browser to another place, which is refused."


class Talk:
    """Answers one browser connection, request by request. Its own thread.

    Args:
        client: the connection; closed at the end.
        door: judges.
        pod: the pod's side; closed at the end.
        times: how long it waits.
    """

    def __init__(self, client: Wire, door: Door, pod: PodEnd, times: Times) -> None:
        self._client = client
        self._door = door
        self._pod = pod
        self._times = times
        self._policy = ""  # of the request that is answered; empty as long as it was not let in

    def run(self, stop: threading.Event) -> None:
        """Answer until the browser ends, or *stop* is set and the connection cut."""
        try:
            while not stop.is_set() and self._one():
                pass
        except Cut:
            pass  # a browser may go at any time, and a pod, too
        finally:
            self._client.close()
            self._pod.close()

    def _one(self) -> bool:
        """One request. Returns whether another may come."""
        self._policy, method = "", ""
        try:
            data = self._client.read_head(self._times.idle_s, self._times.head_s)
            if data is None:
                return False
            asked = self._door.judge(parse_head(data))
            self._policy, method = asked.policy, asked.method
            if asked.nonce is not None:
                return self._pong(asked, asked.nonce)
            if asked.socket:
                return self._join(asked)
            return self._pass_on(asked)
        except BadMessage:
            return self._refuse(400, "")
        except Refused as refused:
            return self._refuse(refused.status, "" if method == "HEAD" else refused.text)

    # what we answer ourselves

    def _refuse(self, status: int, text: str) -> bool:
        fields = [("Content-Type", "text/plain; charset=utf-8")] if text else []
        self._say(status, fields, text.encode(), lasts=False)
        self._client.close_politely()
        return False

    def _pong(self, asked: Asked, nonce: str) -> bool:
        """Answer the panel, which looks for the address that works."""
        if asked.method not in ("GET", "OPTIONS"):
            raise Refused(405)
        fields = [("Vary", "Origin")]
        if asked.origin:
            fields += [("Access-Control-Allow-Origin", asked.origin), ("Access-Control-Allow-Methods", "GET")]
        if asked.origin and asked.private:
            fields.append(("Access-Control-Allow-Private-Network", "true"))
        if asked.method == "OPTIONS":
            self._say(204, fields, b"", lasts=asked.lasts and asked.body.none)
        else:
            fields.append(("Content-Type", "application/json"))
            self._say(200, fields, json.dumps({"nonce": nonce}).encode(), lasts=asked.lasts and asked.body.none)
        return asked.lasts and asked.body.none

    def _say(self, status: int, fields: gui_headers.Fields, body: bytes, *, lasts: bool) -> None:
        own = gui_headers.ours(self._policy) if self._policy else []
        sized = [] if status == 204 else [("Content-Length", str(len(body)))]
        head = [*fields, *own, ("Cache-Control", "no-store"), *sized, ("Connection", _lasting(lasts))]
        self._client.send(make_head(_status(status), head) + body)

    # what the pod answers

    def _pass_on(self, asked: Asked) -> bool:
        if not asked.body.none:
            limit = self._pod.limit.bytes()
            if asked.body.length > limit:
                raise too_large(limit)
            if asked.expects:
                self._client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return self._answer(asked, self._pod.ask(asked, self._client))
        except BadMessage as error:
            raise Refused(502, NO_ANSWER) from error
        finally:
            self._pod.rest()

    def _answer(self, asked: Asked, head: Head) -> bool:
        """Pass an answer on, its body as it comes. Returns whether another request may come."""
        status, minor = status_line(head)
        if status < 200:
            raise BadMessage("an answer that was not asked for")
        body = response_body(head, asked.method)
        fields = [*gui_headers.to_browser(head), *self._location(asked, head, status), *gui_headers.ours(asked.policy)]
        chunked = asked.http11 and body.end is not End.LENGTH
        if chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        elif body is not NO_BODY:
            fields += [("Content-Length", str(body.length))] if body.end is End.LENGTH else []
        elif asked.method == "HEAD":
            fields += [("Content-Length", length) for length in head.every("content-length")[:1]]
        lasts = asked.lasts and not self._pod.unread and (chunked or body.end is End.LENGTH)
        self._client.send(make_head(_status(status), [*fields, ("Connection", _lasting(lasts))]))
        try:
            for data in self._pod.read(body):
                self._client.send(make_chunk(data) if chunked else data)
        except BadMessage as error:  # too late for words
            raise Cut(self._client) from error
        if chunked:
            self._client.send(b"0\r\n\r\n")
        if body.end is not End.CLOSE and minor and "close" not in head.words("connection"):
            self._pod.keep()
        if not lasts:
            self._client.close_politely()
        return lasts

    def _location(self, asked: Asked, head: Head, status: int) -> gui_headers.Fields:
        told = head.one("location")
        if told is None:
            return []
        there = relative_location(told, asked.path, port=self._pod.port)
        if there is not None:
            return [("Location", there)]
        if 300 <= status < 400:
            raise Refused(502, _NOT_OURS)
        return []

    # WebSockets

    def _join(self, asked: Asked) -> bool:
        """Pass a handshake on and then be a pipe. Returns whether another request may come."""
        try:
            head = self._pod.ask(asked, self._client)
            if status_line(head)[0] != 101:
                return self._answer(asked, head)
            fields = [*gui_headers.socket_to_browser(head), *gui_headers.ours(asked.policy)]
            self._client.send(make_head(_status(101), fields))
            carry(self._client, self._pod.wire)
        except BadMessage as error:
            raise Refused(502, NO_ANSWER) from error
        finally:
            self._pod.rest()
        return False


def _lasting(lasts: bool) -> str:  # noqa: FBT001 - one bit, two words
    return "keep-alive" if lasts else "close"


def _status(status: int) -> str:
    """A status line; the words are ours, for a pod's could be anything."""
    try:
        return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP/1.1 {status} Unknown"
