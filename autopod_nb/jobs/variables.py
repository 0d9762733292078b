"""Values from Python in a job: ``$name`` takes a notebook variable, and what is no JSON becomes it or is refused.

Only a text that is exactly ``$name`` counts; ``$$name`` is the text ``$name``; ``$5`` and ``a $b`` are what they are.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from decimal import Decimal

from autopod_nb.errors import nearest
from autopod_nb.jobs.fault import DEEPEST, KeyPath, Places
from autopod_nb.models.job import JsonValue

_LONGEST_RANGE = 100_000  # a guess, far more than a job needs and little enough to be made a list
_VARIABLE = re.compile(r"\$+[^\W\d]\w*")


def take_variables(
    values: Mapping[str, JsonValue], *, namespace: Mapping[str, object] | None, places: Places
) -> dict[str, JsonValue]:
    """A copy of *values* in which each text ``$name``, at any depth, is the variable's value.

    Args:
        values: as read from text.
        namespace: name → value; None where there are no variables (a job file): then ``$name`` is refused.
        places: for messages.

    Raises:
        JobSpecError: there is no such variable, or its value cannot be part of a job.
    """

    def taken(value: JsonValue, path: KeyPath) -> JsonValue:
        if isinstance(value, dict):
            return {key: taken(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [taken(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
            return value
        if value.startswith("$$"):
            return value[1:]
        return plain(_look_up(value[1:], namespace, places, path), places=places, path=path)

    return {key: taken(value, (key,)) for key, value in values.items()}


def plain(value: object, *, places: Places, path: KeyPath = ()) -> JsonValue:
    """The value as JSON has it: tuples and ranges become lists, paths texts, numpy scalars numbers.

    A Decimal is taken only for limits in ``pod_config``, where it stays exact.

    Raises:
        JobSpecError: JSON has no such value, or a number is not finite.
    """
    if len(path) > DEEPEST:
        raise places.fault(f"lists and dicts are nested more than {DEEPEST} deep.", path[:1]).error()
    if isinstance(value, Mapping):
        return {_key(key, places, path): plain(item, places=places, path=(*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple) or (isinstance(value, range) and len(value) <= _LONGEST_RANGE):
        return [plain(item, places=places, path=(*path, index)) for index, item in enumerate(value)]
    return _scalar(value, places, path)


def _scalar(value: object, places: Places, path: KeyPath) -> JsonValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | os.PathLike):
        return str.__str__(os.fsdecode(value))  # a plain text, also of a subclass such as numpy's or an enum
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise places.not_finite(str(float(value)), path).error()
        return float(value)
    if isinstance(value, Decimal) and path[:1] == ("pod_config",):
        return str(value)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return _scalar(value.item(), places, path)  # type: ignore[attr-defined] # numpy is not imported for its types
    name = type(value).__name__
    message = f"a value of type {name} cannot be part of a job; give a number, a text, a list or a dict."
    raise places.fault(message, path).error()


def _key(key: object, places: Places, path: KeyPath) -> str:
    if isinstance(key, str):
        return key
    raise places.fault(f"the key {key!r} is no text; write {str(key)!r}.", path).error()


def _look_up(name: str, namespace: Mapping[str, object] | None, places: Places, path: KeyPath) -> object:
    if namespace is None:
        message = f"${name} takes a notebook variable, and a job file has none; write $${name} for the text itself."
        raise places.fault(message, path).error()
    if name in namespace:
        return namespace[name]
    hint = nearest(name, (known for known in namespace if not known.startswith("_")))
    message = f"there is no notebook variable {name!r}.{hint} Set it first, or write $${name} for the text itself."
    raise places.fault(message, path).error()
