"""What the nodes of a ComfyUI take and give, as far as a job can be checked by it: a small view of ``/object_info``.

Whatever is not as expected there is left out of the view and then not checked: a job must never be refused for a
reason that ComfyUI would not have. Shapes as seen in ComfyUI 0.12.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from autopod_nb.models.job import JsonScalar

CHOICE = "COMBO"
"""The type of an input that is one of several values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInput:
    """One input of a node class.

    Attributes:
        kind: ComfyUI's type: ``INT``, ``IMAGE``, ``COMBO`` …; several with commas between; ``*`` for any.
        required: the node does not run without it.
        least: smallest number, None if there is no limit.
        most: largest number, None if there is no limit.
        choices: the values that are taken, None if that is not known: an input for uploaded files takes others too.
        typed_choices: linked to a choice it may be of any type (an old way of writing choices).
    """

    kind: str
    required: bool = False
    least: float | None = None
    most: float | None = None
    choices: tuple[JsonScalar, ...] | None = None
    typed_choices: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKind:
    """One node class.

    Attributes:
        inputs: by name, without hidden ones.
        outputs: type of each output, None if that is not known.
        is_output: ComfyUI runs it for its own sake.
    """

    inputs: Mapping[str, NodeInput]
    outputs: tuple[str, ...] | None
    is_output: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeList:
    """The node classes of one ComfyUI.

    Attributes:
        kinds: class → what it takes and gives.
    """

    kinds: Mapping[str, NodeKind]

    @classmethod
    def from_object_info(cls, info: Mapping[str, Any]) -> NodeList:
        """Read ComfyUI's answer to ``GET /object_info``; nothing in it can make this fail."""
        return cls(kinds=MappingProxyType({str(name): _kind(entry) for name, entry in info.items()}))


def _kind(entry: Any) -> NodeKind:
    entry = entry if isinstance(entry, Mapping) else {}
    sections = entry.get("input")
    sections = sections if isinstance(sections, Mapping) else {}
    inputs: dict[str, NodeInput] = {}
    for section in ("optional", "required"):
        described = sections.get(section)
        for name, description in described.items() if isinstance(described, Mapping) else ():
            inputs[str(name)] = _input(description, required=section == "required")
    outputs = entry.get("output")
    return NodeKind(
        inputs=MappingProxyType(inputs),
        outputs=tuple(_type(each) for each in outputs) if isinstance(outputs, list | tuple) else None,
        is_output=entry.get("output_node") is True,
    )


def _input(description: Any, *, required: bool) -> NodeInput:
    """``[type]`` or ``[type, options]``; a list of choices may stand in place of the type."""
    parts = description if isinstance(description, list | tuple) and description else ["*"]
    options = parts[1] if len(parts) > 1 and isinstance(parts[1], Mapping) else {}
    old = isinstance(parts[0], list | tuple)
    kind = _type(parts[0])
    return NodeInput(
        kind=kind,
        required=required,
        least=_number(options.get("min")),
        most=_number(options.get("max")),
        choices=_choices(parts[0] if old else options.get("options"), options) if kind == CHOICE else None,
        typed_choices=old,
    )


def _type(value: Any) -> str:
    if isinstance(value, list | tuple):
        return CHOICE
    return value if isinstance(value, str) and value else "*"


def _number(value: Any) -> float | None:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    return value if usable else None


def _choices(values: Any, options: Mapping[str, Any]) -> tuple[JsonScalar, ...] | None:
    open_ended = any(str(name).endswith("_upload") for name in options) or {"remote", "multiselect"} & {
        name for name, value in options.items() if value
    }
    if open_ended or not isinstance(values, list | tuple):
        return None
    if not all(each is None or isinstance(each, str | int | float) for each in values):
        return None
    return tuple(values)
