"""The text of a job: JSON, or else YAML 1.2, as plain values that know their lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ruamel.yaml.error import YAMLError

from autopod_nb.errors import JobSpecError
from autopod_nb.jobs.fault import Places
from autopod_nb.jobs.json_text import read_json
from autopod_nb.jobs.yaml_text import quotes_hint, read_yaml, yaml_error
from autopod_nb.models.job import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What was written.

    Attributes:
        value: the keys; only plain values, all numbers finite.
        places: where each key stands.
    """

    value: Mapping[str, JsonValue]
    places: Places


def read_body(text: str, *, source: str, json_only: bool = False) -> Body:
    """Read a job's text.

    What starts with a brace is taken for JSON; if it is none, it may be YAML in braces.

    Args:
        text: JSON or YAML 1.2; nothing but space and comments means no keys.
        source: for messages.
        json_only: YAML is no way out of a fault in the JSON.

    Raises:
        JobSpecError: it cannot be read; names the line.
    """
    places = Places(source)
    try:
        value = _read(text, places, json_only=json_only)
    except RecursionError as error:
        raise JobSpecError("lists or keys are nested too deeply.", source=source) from error
    if value is None:
        value = {}
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "a single value"
        message = f"expected keys such as `inputs:` and `params:`, got {kind}; write `key: value` with a space between."
        raise JobSpecError(message, source=source)
    return Body(value=value, places=places)


def _read(text: str, places: Places, *, json_only: bool) -> JsonValue:
    if not json_only and not text.lstrip().startswith("{"):
        return _read_yaml(text, places)
    try:
        return read_json(text, places)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} (column {error.colno}). {quotes_hint(text, error.lineno)}"
        fault = places.fault(message, (), error.lineno).error()
        if json_only:
            raise fault from error
        return _read_braces(text, places, fault)


def _read_yaml(text: str, places: Places) -> JsonValue:
    try:
        return read_yaml(text, places)
    except YAMLError as error:
        raise yaml_error(text, places, error) from error


def _read_braces(text: str, places: Places, fault: JobSpecError) -> JsonValue:
    try:
        return read_yaml(text, places)
    except YAMLError:
        raise fault from None
