"""A file that comes from a ComfyUI server."""

from __future__ import annotations

from collections.abc import Iterator

import requests

from autopod_nb.errors import ComfyError

_PIECE_BYTES = 16 * 1024  # what came of a piece is lost when the line breaks in the middle of it


class Download:
    """A file on its way, from :meth:`~autopod_nb.comfyui.client.ComfyClient.view`.

    Attributes:
        start: first byte that comes; 0 when the server does not resume.
        total_bytes: size of the whole file, None if the server does not tell.
        etag: names this content of the file, empty if the server has none.
    """

    def __init__(self, answer: requests.Response) -> None:
        self._answer = answer
        self.etag = answer.headers.get("ETag", "")
        self.start, self.total_bytes = 0, _whole_number(answer.headers.get("Content-Length"))
        if answer.status_code == requests.codes.partial_content:
            span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            start = _whole_number(span.partition("-")[0])
            if start is None:
                raise ComfyError("ComfyUI sent a part of a file without saying which.")
            self.start, self.total_bytes = start, _whole_number(total)

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, in pieces of at most 16 KiB."""
        return iter(self._answer.iter_content(_PIECE_BYTES))


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
