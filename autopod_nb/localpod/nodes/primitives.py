"""Nodes for numbers and texts."""

from __future__ import annotations

import json

from .base import NodeContext, NodeResult
from .node import Node


def primitive(_ctx: NodeContext, *, value: object) -> NodeResult:
    """Pass a value on; the engine has converted it to the type of the shape."""
    return NodeResult((value,))


def string_concatenate(_ctx: NodeContext, *, string_a: str, string_b: str, delimiter: str) -> NodeResult:
    """Join two texts."""
    return NodeResult((string_a + delimiter + string_b,))


def preview_any(_ctx: NodeContext, *, source: object) -> NodeResult:
    """Show any value as text: texts and numbers as they are, other values as JSON where that is possible."""
    if isinstance(source, str):
        text = source
    elif isinstance(source, int | float | bool):
        text = str(source)
    else:
        text = _as_json(source)
    return NodeResult(ui={"text": [text]})


def _as_json(source: object) -> str:
    if source is None:
        return "None"
    try:
        return json.dumps(source)
    except (TypeError, ValueError):
        return str(source)


NODES = (
    Node("PrimitiveInt", primitive),
    Node("PrimitiveFloat", primitive),
    Node("PrimitiveString", primitive),
    Node("PrimitiveStringMultiline", primitive),
    Node("PrimitiveBoolean", primitive),
    Node("StringConcatenate", string_concatenate),
    Node("PreviewAny", preview_any),
)
