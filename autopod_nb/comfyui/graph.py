"""A ComfyUI workflow in API format: reading it, its shape, its links and titles."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeGuard

from autopod_nb.errors import TemplateError, nearest
from autopod_nb.models.job import JsonValue

Graph: TypeAlias = dict[str, dict[str, Any]]
"""API format: node id → ``{"class_type": …, "inputs": {…}, "_meta": {"title": …}}``."""


def read_graph(path: Path) -> Graph:
    """Read a file and check its shape.

    Raises:
        TemplateError: it cannot be read, or is no workflow in API format. The message does not name the file.
        RecursionError: nested too deeply.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TemplateError(f"cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise TemplateError("is not UTF-8 text; export the workflow from ComfyUI again.") from error
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise TemplateError(f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}.") from error
    except ValueError as error:  # a number of thousands of digits
        raise TemplateError(f"not JSON that can be used: {error}.") from error
    _check_shape(data)
    graph: Graph = data
    return graph


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise TemplateError(f"the key {twice!r} stands twice in one object; remove one.")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise TemplateError(f"{name} is no JSON number; write a finite one.")


def _check_shape(data: Any) -> None:
    if isinstance(data, dict) and isinstance(data.get("nodes"), list) and "links" in data:
        raise TemplateError(
            "this is a workflow as ComfyUI's editor saves it; export it in API format: "
            "menu Workflow → Export (API) in ComfyUI, then use that file."
        )
    if isinstance(data, dict) and isinstance(data.get("prompt"), dict) and "class_type" not in data["prompt"]:
        raise TemplateError("the workflow lies inside the key 'prompt'; save the value of that key as the template.")
    if not isinstance(data, dict) or not data:
        raise TemplateError("expected an object of nodes, as ComfyUI's menu Workflow → Export (API) writes it.")
    for node_id, node in data.items():
        _check_node(node_id, node, data)


def _check_node(node_id: str, node: Any, graph: Mapping[str, Any]) -> None:
    if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
        raise TemplateError(
            f"node {node_id!r} has no 'class_type', so this is not ComfyUI's API format; "
            "export it with the menu Workflow → Export (API)."
        )
    if not isinstance(node.get("inputs"), dict):
        raise TemplateError(f"node {node_id!r} ({node['class_type']}) needs an object 'inputs'.")
    for name, value in node["inputs"].items():
        if is_link(value) and value[0] not in graph:
            raise TemplateError(f"node {node_id!r}, input {name!r}: linked to node {value[0]!r}, which is missing.")


def node_title(node: Mapping[str, Any]) -> str:
    """The title of a node, else its class."""
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return (title.strip() if isinstance(title, str) else "") or str(node["class_type"])


def is_link(value: Any) -> TypeGuard[list[Any]]:
    """Whether an input's value is a link ``["NODE_ID", slot]``."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int


def find_input(graph: Graph, key: str) -> tuple[str, str]:
    """The node and the input that ``NODE_ID.input`` or ``Title.input`` means.

    A node without a title has its class for one. An id comes before a title. Titles and inputs may hold dots; the
    shortest name of a node that fits is taken.

    Returns:
        (node id, input)

    Raises:
        TemplateError: there is no such node, several have that title, or the node has no such input.
    """
    dots = (place for place, character in enumerate(key) if character == ".")
    named = [(key[:dot], _nodes_called(graph, key[:dot]), key[dot + 1 :]) for dot in dots]
    known = [found for found in named if found[1]]
    fitting = (found for found in known if any(found[2] in graph[node_id]["inputs"] for node_id in found[1]))
    name, node_ids, wanted = next(fitting, known[0] if known else ("", [], ""))
    if not node_ids:
        raise TemplateError(_no_such_node(graph, key))
    if len(node_ids) > 1:
        choices = ", ".join(f"{node_id}.{wanted}" for node_id in node_ids)
        raise TemplateError(f"{len(node_ids)} nodes are titled {name!r}; name one by its id: {choices}.")
    node = graph[node_ids[0]]
    if wanted not in node["inputs"]:
        has = ", ".join(node["inputs"]) or "none"
        raise TemplateError(
            f"node {node_ids[0]!r} ({node_title(node)}) has no input {wanted!r} in the workflow."
            f"{nearest(wanted, node['inputs'])} It has: {has}."
        )
    return node_ids[0], wanted


def _nodes_called(graph: Graph, name: str) -> list[str]:
    return [name] if name in graph else [node_id for node_id, node in graph.items() if node_title(node) == name]


def _no_such_node(graph: Graph, key: str) -> str:
    name = key.rpartition(".")[0]
    hint = nearest(name, {*graph, *(node_title(node) for node in graph.values())})
    return f"no node has the id or the title {name!r}.{hint} A node's input is NODE_ID.input or Title.input."


def map_texts(value: Any, change: Callable[[str], JsonValue]) -> Any:
    """A copy of an input value with each text changed, at any depth; keys stay as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_texts(item, change) for item in value]
    return value


def unused_nodes(graph: Graph) -> list[str]:
    """Nodes that no other node takes a value from, in order."""
    used = {value[0] for node in graph.values() for value in node["inputs"].values() if is_link(value)}
    return [node_id for node_id in graph if node_id not in used]
