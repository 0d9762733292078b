"""A filled workflow against ComfyUI's node list, by the rules of ComfyUI's own check of a prompt (0.12.1).

ComfyUI looks at nodes that an output needs, so other nodes may have any values; but an unknown class anywhere makes it
refuse the whole. It makes numbers of texts such as ``"64"``, and takes no notice of inputs that a class does not have.
Not checked, since it cannot be known from here: what a class checks by code of its own, files in ComfyUI's input
folder, inputs whose type is made up by their node, and model files when the list has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autopod_nb.comfyui.graph import Graph, find_input, is_link
from autopod_nb.comfyui.placeholders import Kind, Placeholder, parse_text
from autopod_nb.comfyui.workflow import WorkflowTemplate, fill, is_node_input
from autopod_nb.errors import nearest
from autopod_nb.jobs.node_list import CHOICE, NodeInput, NodeKind, NodeList
from autopod_nb.models.job import JobSpec

_FILE = re.compile(r".*\.[A-Za-z][A-Za-z0-9]{1,11}", re.DOTALL)
_MADE_UP = re.compile(r"COMFY_\w+_V\d+")  # types such as COMFY_AUTOGROW_V3: their inputs have other names
_MOST_SHOWN = 8  # choices that a message lists; a guess at what a person reads


def graph_troubles(spec: JobSpec, template: WorkflowTemplate, nodes: NodeList) -> Iterator[tuple[str, str]]:
    """(key of the job that it comes from, what is wrong and the fix) for everything that ComfyUI would refuse.

    Args:
        spec: a job that fits the template.
        template: the workflow.
        nodes: what the nodes take.
    """
    graph = fill(template, inputs={name: path.name for name, path in spec.inputs.items()}, params=spec.params)
    origins = _Origins(spec, template)
    for node_id, node in graph.items():
        name = node["class_type"]
        if name not in nodes.kinds:
            hint = nearest(name, nodes.kinds) or " Add the custom node that has it to the pod."
            yield "workflow_template", f"{_node(template, node_id)}: this ComfyUI has no node class {name!r}.{hint}"
    needed = _needed(graph, nodes)
    if not needed:
        yield "workflow_template", "no node of the workflow is an output node; add one such as SaveImage or SaveVideo."
    for node_id in needed:
        for name, trouble in _Check(graph, nodes, node_id, origins).troubles():
            yield origins.key(node_id, name), f"{_node(template, node_id)}, input {name!r}: {trouble}"


def _node(template: WorkflowTemplate, node_id: str) -> str:
    title, name = template.node_title(node_id), template.graph[node_id]["class_type"]
    return f"node {node_id!r} ({title if title == name else f'{title}, {name}'})"


def _needed(graph: Graph, nodes: NodeList) -> list[str]:
    """The nodes that an output node needs, in the order of the workflow; one of unknown class may be an output."""
    found: set[str] = set()
    waiting = [
        node_id
        for node_id, node in graph.items()
        if (kind := nodes.kinds.get(node["class_type"])) is None or kind.is_output
    ]
    while waiting:
        node_id = waiting.pop()
        if node_id not in found and node_id in graph:
            found.add(node_id)
            waiting += [value[0] for value in graph[node_id]["inputs"].values() if is_link(value)]
    return [node_id for node_id in graph if node_id in found]


class _Origins:
    """Which key of the job an input's value comes from."""

    def __init__(self, spec: JobSpec, template: WorkflowTemplate) -> None:
        self._template = template
        self._set = {find_input(template.graph, name): name for name in spec.params if is_node_input(name)}

    def key(self, node_id: str, name: str) -> str:
        """``params.steps``, ``params.3.steps``, ``inputs.image``, or the template as a whole."""
        if (node_id, name) in self._set:
            return f"params.{self._set[node_id, name]}"
        first = next(self._placeholders(node_id, name), None)
        return "workflow_template" if first is None else f"{first.kind.value}s.{first.name}"

    def is_upload(self, node_id: str, name: str) -> bool:
        """Whether the value is the name of a file of the job, which only gets its name on the pod."""
        written = (node_id, name) not in self._set
        return written and any(each.kind is Kind.INPUT for each in self._placeholders(node_id, name))

    def _placeholders(self, node_id: str, name: str) -> Iterator[Placeholder]:
        text = self._template.graph[node_id]["inputs"].get(name)
        for part in parse_text(text) if isinstance(text, str) else ():
            if isinstance(part, Placeholder):
                yield part


@dataclass(frozen=True, slots=True)
class _Check:
    """The inputs of one node."""

    graph: Graph
    nodes: NodeList
    node_id: str
    origins: _Origins

    def troubles(self) -> Iterator[tuple[str, str]]:
        node = self.graph[self.node_id]
        kind = self.nodes.kinds.get(node["class_type"])
        inputs: Mapping[str, Any] = node["inputs"]
        for name, wanted in () if kind is None else kind.inputs.items():
            if _MADE_UP.fullmatch(wanted.kind):
                continue
            trouble = self._trouble(name, wanted, inputs[name]) if name in inputs else _missing(wanted)
            if trouble:
                yield name, trouble

    def _trouble(self, name: str, wanted: NodeInput, value: Any) -> str:
        if isinstance(value, list):
            return self._link_trouble(wanted, value)
        if isinstance(value, dict) and "__value__" in value:  # how ComfyUI writes a list that is no link
            value = value["__value__"]
        if wanted.kind in {"INT", "FLOAT"}:
            return _number_trouble(wanted, value)
        if self.origins.is_upload(self.node_id, name):
            return ""
        return _choice_trouble(wanted, value)

    def _link_trouble(self, wanted: NodeInput, value: list[Any]) -> str:
        if not is_link(value):
            return f'{value!r:.80} is no link ["NODE_ID", slot]; ComfyUI takes every list for one.'
        source, slot = value
        if source not in self.graph:
            return f"is linked to node {source!r}, which is not there."
        kind = self.nodes.kinds.get(self.graph[source]["class_type"])
        return "" if kind is None or kind.outputs is None else _slot_trouble(wanted, kind, source, slot)


def _missing(wanted: NodeInput) -> str:
    return f"is missing; the node needs it ({wanted.kind})." if wanted.required else ""


def _slot_trouble(wanted: NodeInput, source: NodeKind, source_id: str, slot: int) -> str:
    outputs = source.outputs or ()
    if not -len(outputs) <= slot < len(outputs):
        return f"is linked to output {slot} of node {source_id!r}, which has {len(outputs)} (counted from 0)."
    made = outputs[slot]
    if wanted.typed_choices or _fits(made, wanted.kind):
        return ""
    return f"needs {wanted.kind}, and output {slot} of node {source_id!r} is {made}; link it to another."


def _fits(made: str, wanted: str) -> bool:
    """Types may be several, with commas between; ``*`` and types that are made up fit all."""
    if any(_MADE_UP.fullmatch(kind) for kind in (made, wanted)):
        return True
    ours, theirs = ({each.strip() for each in kind.split(",")} for kind in (made, wanted))
    return "*" in ours | theirs or bool(ours & theirs)


def _number_trouble(wanted: NodeInput, value: Any) -> str:
    try:
        number: float = int(value) if wanted.kind == "INT" else float(value)
    except (TypeError, ValueError, OverflowError):
        return f"needs {'a whole number' if wanted.kind == 'INT' else 'a number'}, not {value!r:.80}."
    low = wanted.least is not None and number < wanted.least
    high = wanted.most is not None and number > wanted.most
    if not low and not high:
        return ""
    size = "small" if low else "large"
    if wanted.least is not None and wanted.most is not None:
        return f"{number} is too {size}; give {wanted.least} to {wanted.most}."
    return f"{number} is too {size}; give {f'{wanted.least} or more' if low else f'{wanted.most} or less'}."


def _choice_trouble(wanted: NodeInput, value: Any) -> str:
    choices = wanted.choices
    if wanted.kind != CHOICE or choices is None or isinstance(value, list) or value in choices:
        return ""
    if _is_file(value) and not any(_is_file(choice) for choice in choices):
        return ""  # no model of the kind is there yet, or was not when the list was read
    shown = ", ".join(str(choice) for choice in choices[:_MOST_SHOWN]) or "none"
    more = f" and {len(choices) - _MOST_SHOWN} more" if len(choices) > _MOST_SHOWN else ""
    what = "no such file is on the pod" if _is_file(value) else "is none of the choices"
    hint = nearest(value, (str(choice) for choice in choices)) if isinstance(value, str) else ""
    return f"{value!r:.80}: {what}.{hint} There are: {shown}{more}."


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and _FILE.fullmatch(value) is not None
