"""The pod's side of one browser connection: requests go out, the heads of answers come back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autopod_nb.errors import reason_of
from autopod_nb.web.gui_door import Asked, Refused
from autopod_nb.web.gui_head import Body, End, Head, make_head, parse_head, status_line
from autopod_nb.web.gui_upload import UploadLimit
from autopod_nb.web.gui_wire import Cut, Wire, answers_before

_log = logging.getLogger(__name__)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # may be asked twice
NO_ANSWER = "The pod's ComfyUI gives no answer: it may still be starting, or the line to the pod is down. Try again."


@dataclass(frozen=True, slots=True)
class Times:
    """How long the proxy waits, in seconds; all of them guessed.

    Attributes:
        head_s: for all of a request's head, from its first byte on.
        idle_s: for the next request of an open connection.
        patience_s: for a single byte in the middle of a body; a paused video takes none.
        answer_s: for the pod's answer; installing a node through ComfyUI's page takes minutes.
    """

    head_s: float = 10.0
    idle_s: float = 60.0
    patience_s: float = 120.0
    answer_s: float = 900.0


class PodEnd:
    """Asks the pod. The thread of the browser's connection only.

    Args:
        dial: opens a connection to the pod; raises :class:`OSError`.
        port: of the tunnel.
        limit: of uploads.
        times: how long it waits.

    Attributes:
        unread: whether a part of the last request's body still lies in the browser's connection.
    """

    def __init__(self, dial: Callable[[], Wire], *, port: int, limit: UploadLimit, times: Times) -> None:
        self.port = port
        self.limit = limit
        self.unread = False
        self._dial = dial
        self._times = times
        self._wire: Wire | None = None  # in use
        self._kept: Wire | None = None  # from an earlier request, for the next one

    @property
    def wire(self) -> Wire:
        """The connection on which the last answer came."""
        assert self._wire is not None  # noqa: S101 - there was an answer
        return self._wire

    def read(self, body: Body) -> Iterator[bytes]:
        """The bytes of the answer's body."""
        return self.wire.body(body)

    def keep(self) -> None:
        """The answer was read to its end: the connection may serve the next request."""
        if not self.wire.held():  # something that nobody asked for would be taken for the next answer
            self._kept, self._wire = self._wire, None

    def rest(self) -> None:
        """Close the connection, if it is not kept."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def close(self) -> None:
        """Close what is open."""
        self.rest()
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def ask(self, asked: Asked, client: Wire) -> Head:
        """Ask, and wait for the head of the answer.

        Args:
            asked: what.
            client: where the request's body is read, and who waits.

        Raises:
            Refused: there is no answer, or the body is too large.
            Cut: the client went away.
        """
        self.unread = not asked.body.none
        self._wire, self._kept = self._kept, None
        if self._wire is not None and asked.body.none and asked.method in _SAFE:
            head = self._try(asked, client)
            if head is not None:
                return head
        self.rest()  # it was old, or does not fit
        try:
            self._wire = self._dial()
        except OSError as error:
            _log.info("no way to the pod's ComfyUI: %s", reason_of(error))
            raise Refused(502, f"No way to the pod's ComfyUI: {reason_of(error)}. The line may be down.") from error
        head = self._try(asked, client)
        if head is None:
            raise Refused(502, NO_ANSWER)
        return head

    def _try(self, asked: Asked, client: Wire) -> Head | None:
        """The head of the answer; None if there is none."""
        pod = self.wire
        try:
            self._send(pod, asked, client)
            answers_before(pod, client, self._times.answer_s)
            return self._final_head(pod)
        except Cut as cut:
            if cut.wire is client:
                raise
            return None

    def _send(self, pod: Wire, asked: Asked, client: Wire) -> None:
        """Send a request, its body as it comes.

        Raises:
            Refused: the body grows too large.
        """
        chunked = asked.body.end is End.CHUNKS
        fields = list(asked.fields)
        if chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        elif not asked.body.none or asked.method in ("POST", "PUT", "PATCH"):
            fields.append(("Content-Length", str(asked.body.length)))
        pod.send(make_head(f"{asked.method} {asked.target} HTTP/1.1", fields))
        if asked.body.none:
            return
        limit, sent = self.limit.bytes(), 0
        for data in client.body(asked.body):
            sent += len(data)
            if sent > limit:
                raise too_large(limit)
            try:
                pod.send(make_chunk(data) if chunked else data)
            except Cut:
                return  # it may have answered before it had all
        self.unread = False
        if chunked:
            pod.send(b"0\r\n\r\n")

    def _final_head(self, pod: Wire) -> Head:
        """The head of an answer, behind those that only say that one will come."""
        while True:
            data = pod.read_head(self._times.patience_s, self._times.patience_s)
            if data is None:
                raise Cut(pod)
            head = parse_head(data)
            status, _ = status_line(head)
            if status >= 200 or status == 101:
                return head


def too_large(limit: int) -> Refused:
    """The answer to a body that is larger than *limit* bytes."""
    return Refused(413, f"The pod's ComfyUI takes at most {limit} bytes at once (--max-upload-size).")


def make_chunk(data: bytes) -> bytes:
    """A part of a body whose length nobody knows."""
    return b"%x\r\n%b\r\n" % (len(data), data)
