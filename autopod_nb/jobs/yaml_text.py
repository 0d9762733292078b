"""YAML 1.2 that knows its lines: the library makes events, the values are made here by the core rules of YAML 1.2.

So ``1e-4`` is a number, and ``no``, ``1:30`` and ``2026-01-01`` are text. Left out on purpose: tags, anchors and
aliases, more than one document, and keys that are no scalar. A key is always text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from autopod_nb.errors import JobSpecError
from autopod_nb.jobs.fault import KeyPath, Places
from autopod_nb.models.job import JsonScalar, JsonValue

_CONSTANTS: Mapping[str, JsonScalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NO_COLON = re.compile(r"\{[^{}:]*[^\s{}:][^{}:]*\}")
_BARE_BRACE = re.compile(r"""(?:^|[:,\[]|-\s)\s*(\{[^{}:"',]+\}[^,\]{}"'#]*)""")

_FIXES = (  # what the library says → what to do
    (r"'\t'", "Indent with spaces, not with tabs."),
    ("cannot start any token", "A text that starts with this character needs quotes."),
    ("mapping values are not allowed", "A text with a colon and a space in it needs quotes."),
    ("could not find expected ':'", "Write `key: value`, with a space after the colon."),
    ("expected <block end>", "Keys of one level start in one column; quotes go around the whole text."),
    ("sequence entries are not allowed", "A list starts on a line of its own; a text that starts with - needs quotes."),
    ("found unexpected end of stream", "A quote is not closed."),
    ("special characters are not allowed", r'Inside double quotes it can be written as "\u0000".'),
)


def read_yaml(text: str, places: Places) -> JsonValue:
    """The value of a text, None if it is empty; the line of each key is noted in *places*.

    Raises:
        YAMLError: the text is no YAML; :func:`yaml_error` makes it readable.
        JobSpecError: it is YAML, but of a kind that a job cannot have.
        RecursionError: nested too deeply.
    """
    return _Reader(text, places).document()


def yaml_error(text: str, places: Places, error: YAMLError) -> JobSpecError:
    """The library's error in one line with the fix; its classes differ in what they know."""
    line = None
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        line = error.problem_mark.line + 1
    elif isinstance(position := getattr(error, "position", None), int):
        line = text.count("\n", 0, position) + 1
    said = getattr(error, "problem", None) or str(error).partition("\n")[0]
    fix = quotes_hint(text, line) or next((fix for part, fix in _FIXES if part in said), "")
    return places.fault(f"not YAML: {said}. {fix}", (), line).error()


def quotes_hint(text: str, line: int | None) -> str:
    """What to do about a value that starts with a brace and has no quotes in that line; empty if there is none."""
    written = text.split("\n")[line - 1 : line] if line else []
    found = _BARE_BRACE.search(written[0]) if written else None
    return f'A placeholder, or a text that starts with a brace, needs quotes: "{found[1].strip()}".' if found else ""


class _Reader:
    """Makes plain values of one text."""

    def __init__(self, text: str, places: Places) -> None:
        self._text, self._places = text, places
        self._events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)

    def document(self) -> JsonValue:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), StreamEndEvent):
            return None
        value = self._value(next(self._events), ())
        next(self._events)  # the end of the document
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            raise self._error("a second document starts here; a job is one.", after, ())
        return value

    def _value(self, event: Event, path: KeyPath) -> JsonValue:
        self._refuse_extras(event, path)
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path)

    def _mapping(self, start: MappingStartEvent, path: KeyPath) -> JsonValue:
        values: dict[str, JsonValue] = {}
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                self._refuse_bare_brace(start, event, path)
                break
            self._refuse_extras(event, path)
            if not isinstance(event, ScalarEvent):
                raise self._error("a key must be a text.", event, path)
            key = _whole_pairs(event.value)
            self._places.note((*path, key), _line(event))
            values[key] = self._value(next(self._events), (*path, key))
        return values

    def _sequence(self, path: KeyPath) -> JsonValue:
        values: list[JsonValue] = []
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                break
            child = (*path, len(values))
            self._places.note(child, _line(event))
            values.append(self._value(event, child))
        return values

    def _scalar(self, event: Any, path: KeyPath) -> JsonScalar:
        text: str = event.value
        if event.style:  # quoted, or a block: text
            return _whole_pairs(text)
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _NOT_FINITE.fullmatch(text):
            raise self._places.not_finite(text, path, _line(event)).error()
        if _INT.fullmatch(text):
            return self._int(text, event, path)
        if not _FLOAT.fullmatch(text):
            return text
        if not math.isfinite(number := float(text)):
            raise self._places.not_finite(text, path, _line(event)).error()
        return number

    def _int(self, text: str, event: Event, path: KeyPath) -> int:
        try:
            return int(text, 0 if text.startswith(("0o", "0x")) else 10)
        except ValueError as error:  # thousands of digits
            raise self._error("a whole number has too many digits.", event, path) from error

    def _refuse_extras(self, event: Any, path: KeyPath) -> None:
        mark = "*" if isinstance(event, AliasEvent) else "&" if event.anchor else "!" if event.tag else ""
        if mark:
            raise self._error(f"a text that starts with {mark} needs quotes.", event, path)

    def _refuse_bare_brace(self, start: Any, end: Any, path: KeyPath) -> None:
        """``{input.image}`` without quotes is to YAML a mapping: one key and no value."""
        written = self._text[start.start_mark.index : end.end_mark.index]
        if start.flow_style and _NO_COLON.fullmatch(written):
            fix = quotes_hint(self._text, _line(start)) or "Put them around the whole text."
            raise self._error(f"{written} has no quotes. {fix}", start, path)

    def _error(self, message: str, event: Event, path: KeyPath) -> JobSpecError:
        return self._places.fault(message, path, _line(event)).error()


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _whole_pairs(text: str) -> str:
    r"""JSON writes 😀 as ``\ud83d\ude00``; the library leaves the two halves as they are."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
