"""Placeholders in the texts of a workflow: ``{input.NAME}``, ``{param.NAME}`` and ``{param.NAME=DEFAULT}``.

- A name starts with a letter or ``_`` and goes on with letters, digits, ``_`` and ``-``.
- A default is what stands after ``=``: a number, ``true``, ``false``, ``null`` or a quoted text as JSON writes it, else
  the text as it stands. Only a quoted text may hold braces. An input has no default.
- A text that is one placeholder and nothing else becomes the value and keeps its type. Inside a longer text a value is
  inserted as text: texts as they are, all else as JSON writes it.
- ``{{input.NAME}}`` stands for the literal text ``{input.NAME}``.
- All other braces (``{red|blue}``, ``{"a": 1}``) are left as they are.
- A value is never looked at again: what looks like a placeholder in it arrives as it is.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from autopod_nb.errors import TemplateError
from autopod_nb.models.job import JsonScalar, JsonValue


class Required(Enum):
    """The type of :data:`REQUIRED`."""

    REQUIRED = "required"


REQUIRED: Final = Required.REQUIRED
"""Stands where a default would: there is none."""


class Kind(str, Enum):
    """Where the value of a placeholder comes from."""

    INPUT = "input"
    PARAM = "param"


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One placeholder.

    Attributes:
        kind: a file or a parameter.
        name: what the job calls it.
        default: the value when the job names none, or :data:`REQUIRED`.
    """

    kind: Kind
    name: str
    default: JsonScalar | Required = REQUIRED

    @property
    def key(self) -> str:
        """For messages and look-up: ``input.image``."""
        return f"{self.kind.value}.{self.name}"


Part: TypeAlias = str | Placeholder

_NAME = r"[^\W\d][\w-]*"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rf"\{{\{{(?P<literal>(?:input|param)\.(?:{_NAME}={_QUOTED}|[^{{}}]*))\}}\}}"
    rf"|\{{(?P<kind>input|param)\.(?P<name>{_NAME})(?:=(?P<default>{_QUOTED}|[^{{}}]*))?\}}",
    re.DOTALL,
)
_ALMOST = re.compile(r"\{(?:input|param)\.[^{}]{0,40}\}?")


def parse_text(text: str) -> tuple[Part, ...]:
    """Split a text into literal texts and placeholders, in order.

    Raises:
        TemplateError: something starts like a placeholder and is none, or an input has a default.
    """
    parts: list[Part] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts.append(_checked_literal(text[end : token.start()]))
        parts.append(f"{{{token['literal']}}}" if token["literal"] is not None else _placeholder(token))
        end = token.end()
    parts.append(_checked_literal(text[end:]))
    return tuple(part for part in parts if part != "")


def fill_text(text: str, values: Mapping[str, JsonValue]) -> JsonValue:
    """The text with its placeholders filled.

    Args:
        text: a text that :func:`parse_text` accepts.
        values: :attr:`Placeholder.key` → value, for each placeholder in the text.

    Returns:
        A copy of the value itself if the text is one placeholder and nothing else, else a text.
    """
    parts = parse_text(text)
    if len(parts) == 1 and isinstance(parts[0], Placeholder):
        return copy.deepcopy(values[parts[0].key])
    return "".join(part if isinstance(part, str) else _as_text(values[part.key]) for part in parts)


def _checked_literal(text: str) -> str:
    almost = _ALMOST.search(text)
    if almost:
        raise TemplateError(
            f"{almost[0]!r} is no placeholder: write {{input.NAME}}, {{param.NAME}} or {{param.NAME=DEFAULT}}, "
            "with quotes around a default that holds braces, and double the braces for the text itself."
        )
    return text


def _placeholder(token: re.Match[str]) -> Placeholder:
    kind, name, default = Kind(token["kind"]), token["name"], token["default"]
    if default is None:
        return Placeholder(kind, name)
    if kind is Kind.INPUT:
        raise TemplateError(f"{token[0]!r}: an input is a file of the job and has no default; write {{input.{name}}}.")
    return Placeholder(kind, name, _default(default))


def _default(text: str) -> JsonScalar:
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):  # not JSON, or a number of thousands of digits
        return text
    if isinstance(value, list | dict) or (isinstance(value, float) and not math.isfinite(value)):
        return text
    return value  # type: ignore[no-any-return] # json.loads is untyped; only scalars are left


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
