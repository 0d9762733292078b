"""JSON that knows its lines: the standard reader makes the values, a walk over the tokens finds the lines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

from autopod_nb.jobs.fault import KeyPath, Places
from autopod_nb.models.job import JsonValue

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


def read_json(text: str, places: Places) -> JsonValue:
    """The value of a text; the line of each key is noted in *places*.

    Raises:
        json.JSONDecodeError: the text is no JSON.
        JobSpecError: a key stands twice, or a number is not finite.
        RecursionError: nested too deeply.
    """
    try:
        value: JsonValue = json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # only for a whole number of thousands of digits
        raise places.fault("a whole number has too many digits.", ()).error() from error
    _Walk(text, places).value(())
    return value


class _Walk:
    """One pass over the tokens of a text that is known to be JSON."""

    def __init__(self, text: str, places: Places) -> None:
        self._places = places
        self._tokens = _numbered(text)

    def value(self, path: KeyPath) -> None:
        self._value(next(self._tokens), path)

    def _value(self, token: tuple[str, int], path: KeyPath) -> None:
        text, line = token
        if text == "{":
            self._object(path)
        elif text == "[":
            self._array(path)
        elif text[0] in "-0123456789NI" and not math.isfinite(float(text)):  # NaN and Infinity are read as numbers
            raise self._places.not_finite(text, path, line).error()

    def _object(self, path: KeyPath) -> None:
        for text, line in self._tokens:
            if text == "}":
                break
            if text != ",":
                child = (*path, json.loads(text))
                self._places.note(child, line)
                next(self._tokens)  # the colon
                self.value(child)

    def _array(self, path: KeyPath) -> None:
        index = 0
        for text, line in self._tokens:
            if text == "]":
                break
            if text != ",":
                self._places.note((*path, index), line)
                self._value((text, line), (*path, index))
                index += 1


def _numbered(text: str) -> Iterator[tuple[str, int]]:
    """Each token with its line from 1."""
    line, seen = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        yield match[0], line
