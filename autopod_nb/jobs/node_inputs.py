"""Node inputs that a job sets beside the template's parameters: ``3.seed`` or ``Sampler.steps`` in ``params``.

A value must be of the kind that stands in the workflow. A number may be whole or not, since a workflow has 8 for 8.0.
An input that is linked takes only another link, ``["NODE_ID", slot]``, so that no link is cut by accident; an input
that is not linked takes none. What a node takes beyond that only ComfyUI's node list tells (:mod:`graph_check`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autopod_nb.comfyui.graph import find_input, is_link
from autopod_nb.comfyui.placeholders import REQUIRED, Placeholder, Required, parse_text
from autopod_nb.comfyui.workflow import WorkflowTemplate, is_node_input
from autopod_nb.errors import TemplateError
from autopod_nb.models.job import JobSpec, JsonScalar, JsonValue


def node_input_troubles(spec: JobSpec, template: WorkflowTemplate) -> Iterator[tuple[str, str]]:
    """(name in ``params``, what is wrong with it) for each that cannot be set."""
    first: dict[tuple[str, str], str] = {}
    for key, value in spec.params.items():
        if not is_node_input(key):
            continue
        try:
            place = find_input(template.graph, key)
        except TemplateError as error:
            yield key, f"template {template.name!r}: {error}"
            continue
        if (other := first.setdefault(place, key)) != key:
            yield key, f"is the same input as {other!r}; keep one of them."
        elif trouble := _trouble(template, *place, value):
            yield key, f"node {place[0]!r} ({template.node_title(place[0])}), input {place[1]!r}: {trouble}"


def _trouble(template: WorkflowTemplate, node_id: str, name: str, value: JsonValue) -> str:
    """Why the input cannot have this value, empty if it can."""
    present = template.graph[node_id]["inputs"][name]
    if is_link(value) and (is_link(present) or present is None):
        known = value[0] in template.graph
        return "" if known else f"there is no node {value[0]!r} to link it to."
    if is_link(present):
        source = present[0]
        inputs = ", ".join(f"{source}.{each}" for each in template.graph[source]["inputs"])
        instead = f"set an input of that node ({inputs})" if inputs else "change the template"
        return f'is linked to node {source!r} ({template.node_title(source)}); {instead}, or give a link ["ID", slot].'
    wanted = wanted_instead(_kind_of(present), value, any_number=True)
    return f"needs {wanted}, not {value!r:.80}." if wanted else ""


def _kind_of(present: Any) -> Any:
    """A value of the kind that the input has; None for any."""
    if not isinstance(present, str):
        return present
    parts = parse_text(present)
    if len(parts) != 1 or not isinstance(parts[0], Placeholder):
        return present
    default: JsonScalar | Required = parts[0].default
    return None if default is REQUIRED else default


def wanted_instead(example: JsonValue, value: JsonValue, *, any_number: bool = False) -> str:
    """What is wanted in place of *value*, empty if it will do.

    Args:
        example: a value of the kind that is wanted; None takes anything.
        value: what was given.
        any_number: a whole number does not ask for a whole one.
    """
    if isinstance(example, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(example, int) and not any_number:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return "" if whole and not isinstance(value, bool) else "a whole number"
    if isinstance(example, int | float):
        return "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
    if isinstance(example, str):
        return "" if isinstance(value, str) else "a text (in quotes)"
    if isinstance(example, list):
        return "" if isinstance(value, list) else "a list"
    return "" if example is None or isinstance(value, dict) else "a mapping"
