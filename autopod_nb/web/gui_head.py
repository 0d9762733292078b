"""The head of an HTTP/1 message, read strictly: what two readers could understand differently is refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

MAX_HEAD_BYTES = 64 << 10
_MAX_FIELDS = 200
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_DIGITS = re.compile(r"[0-9]{1,18}")
_REQUEST = re.compile(r"([A-Z]{1,20}) ([!-~]+) HTTP/1\.([01])")
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?")


class BadMessage(ValueError):
    """A message that is not HTTP/1, or that can be understood in two ways."""


class End(Enum):
    """How the end of a body is known."""

    LENGTH = "length"
    CHUNKS = "chunks"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Body:
    """Where a body ends.

    Attributes:
        end: how that is known.
        length: in bytes, if it is known by its length.
    """

    end: End
    length: int = 0

    @property
    def none(self) -> bool:
        """Whether there is nothing to come."""
        return self.end is End.LENGTH and self.length == 0


NO_BODY = Body(End.LENGTH, 0)


@dataclass(frozen=True, slots=True)
class Head:
    """First line and fields; names in lower case, values as they came (ISO 8859-1)."""

    start: str
    fields: tuple[tuple[str, str], ...]

    def every(self, name: str) -> list[str]:
        """The values of all fields of one name (in lower case), in order."""
        return [value for field, value in self.fields if field == name]

    def words(self, name: str) -> list[str]:
        """The comma-separated parts of all fields of one name, in lower case."""
        return [word for value in self.every(name) for part in value.split(",") if (word := part.strip().lower())]

    def one(self, name: str) -> str | None:
        """The value of a field that may come once; None if it is missing.

        Raises:
            BadMessage: it came twice.
        """
        found = self.every(name)
        if len(found) > 1:
            raise BadMessage(f"{name} came twice")
        return found[0] if found else None


def parse_head(data: bytes) -> Head:
    """Read a head.

    Args:
        data: everything before the empty line.

    Raises:
        BadMessage: a line that is no field: a folded one, a name with a space, a bare CR or NUL.
    """
    first, *lines = data.split(b"\r\n")
    if len(lines) > _MAX_FIELDS or not _VALUE.fullmatch(first):
        raise BadMessage("no HTTP head")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadMessage("a line of the head is no field")
        fields.append((name.decode().lower(), value.strip(b" \t").decode("latin-1")))
    return Head(first.decode("latin-1"), tuple(fields))


def request_line(head: Head) -> tuple[str, str, int]:
    """Method, target, and 1 or 0 for HTTP/1.1 or 1.0.

    Raises:
        BadMessage: it is none.
    """
    found = _REQUEST.fullmatch(head.start)
    if found is None:
        raise BadMessage("no request line")
    return found[1], found[2], int(found[3])


def status_line(head: Head) -> tuple[int, int]:
    """Status, and 1 or 0 for HTTP/1.1 or 1.0. The words of an answer are not kept.

    Raises:
        BadMessage: it is none.
    """
    found = _STATUS.fullmatch(head.start)
    if found is None:
        raise BadMessage("no status line")
    return int(found[2]), int(found[1])


def _length(head: Head) -> int | None:
    found = set(head.every("content-length"))
    if not found:
        return None
    if len(found) > 1 or not _DIGITS.fullmatch(value := found.pop()):
        raise BadMessage("Content-Length is no number")
    return int(value)


def _is_chunked(head: Head) -> bool:
    coding = head.words("transfer-encoding")
    if coding not in ([], ["chunked"]):
        raise BadMessage("an unknown Transfer-Encoding")
    return bool(coding)


def request_body(head: Head) -> Body:
    """Where the body of a request ends.

    Raises:
        BadMessage: that can be understood in two ways (RFC 9112, section 6.3).
    """
    length, chunked = _length(head), _is_chunked(head)
    if chunked and length is not None:
        raise BadMessage("both Content-Length and Transfer-Encoding")
    return Body(End.CHUNKS) if chunked else Body(End.LENGTH, length or 0)


def response_body(head: Head, method: str) -> Body:
    """Where the body of an answer to *method* ends.

    Raises:
        BadMessage: that cannot be told.
    """
    status, _ = status_line(head)
    length, chunked = _length(head), _is_chunked(head)
    if method == "HEAD" or status < 200 or status in (204, 304):
        return NO_BODY
    if chunked:
        return Body(End.CHUNKS)
    return Body(End.CLOSE) if length is None else Body(End.LENGTH, length)


def make_head(start: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """The bytes of a head, with the empty line."""
    return "\r\n".join([start, *(f"{name}: {value}" for name, value in fields), "", ""]).encode("latin-1")
