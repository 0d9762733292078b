"""Refusals of `POST /prompt`: what the real server says no to, and in which words.

Everything is checked from the shapes of `/object_info`. Inputs are converted in place on the way, so that queue and
history show `64` for a sent `"64"`, as they do on the real server.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .node_cache import is_link
from .nodes import NodeClass
from .running_job import type_name

LONG_LIST = 20  # a longer list of choices is not sent back
_CONVERSIONS: Mapping[str, type] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}

Fault = dict[str, Any]
"""`type`, `message`, `details`, `extra_info`."""


class MalformedPromptError(Exception):
    """The real server stumbles over such a prompt and answers 500; so is it here."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a check.

    Args:
        error: Why the prompt is refused; None if it is accepted.
        outputs: Output nodes that can run.
        node_errors: Faults by node; may be there although the prompt is accepted.
    """

    error: Fault | None
    outputs: tuple[str, ...] = ()
    node_errors: Mapping[str, Any] = field(default_factory=dict)


def check_prompt(
    graph: object, nodes: Mapping[str, NodeClass], input_dir: Path, targets: list[str] | None = None
) -> Verdict:
    """Check a prompt and convert its inputs in place.

    Args:
        graph: What was sent as `prompt`.
        nodes: Node classes by name.
        input_dir: Folder of uploads.
        targets: `partial_execution_targets`; None for all output nodes.

    Raises:
        MalformedPromptError: It is not a graph in API format at all.
    """
    if graph == []:
        graph = {}
    if not isinstance(graph, dict):
        raise MalformedPromptError("the prompt is not an object")
    outputs: list[str] = []
    for node_id, node in graph.items():
        if not isinstance(node, dict):
            raise MalformedPromptError(f"node {node_id!r} is not an object; was this saved in the GUI's format?")
        unknown = _unknown_class(node_id, node, nodes)
        if unknown is not None:
            return Verdict(unknown)
        if nodes[node["class_type"]].info["output_node"] and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return Verdict(_fault("prompt_no_outputs", "Prompt has no outputs", ""))
    return _Check(graph, nodes, input_dir).outputs(outputs)


def _fault(kind: str, message: str, details: str, **extra: object) -> Fault:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def _unknown_class(node_id: str, node: Mapping[str, Any], nodes: Mapping[str, NodeClass]) -> Fault | None:
    class_type = node.get("class_type")
    if "class_type" in node and class_type in nodes:
        return None
    title = node.get("_meta", {}).get("title", class_type)
    if "class_type" in node:
        message = f"Node '{title}' not found. The custom node may not be installed."
    else:
        name = title or f"ID #{node_id}"
        message = f"Node '{name}' has no class_type. The workflow may be corrupted or a custom node is missing."
    return _fault(
        "missing_node_type",
        message,
        f"Node ID '#{node_id}'",
        node_id=node_id,
        class_type=class_type,
        node_title=title,
    )


@dataclass(slots=True)
class _Input:
    """One declared input: its type and options as `input_config` shows them."""

    name: str
    kind: Any
    options: Mapping[str, Any]
    required: bool

    @property
    def config(self) -> list[Any]:
        return [self.kind, self.options]

    @property
    def choices(self) -> list[Any] | None:
        if isinstance(self.kind, list):
            return self.kind
        return list(self.options.get("options", [])) if self.kind == "COMBO" else None

    @property
    def names_a_file(self) -> bool:
        """The node's own check looks at it, and so neither range nor list does."""
        return any(name.endswith("_upload") and value for name, value in self.options.items())

    @property
    def dynamic(self) -> bool:
        """Its parts have names of their own, which the shape does not list."""
        return isinstance(self.kind, str) and self.kind.startswith("COMFY_")


def _declared(shape: Mapping[str, Any]) -> list[_Input]:
    return [
        _Input(name, spec[0], spec[1] if len(spec) > 1 else {}, group == "required")
        for group in ("required", "optional")
        for name, spec in shape.get(group, {}).items()
    ]


class _Check:
    """The check of one graph; each node is looked at once."""

    def __init__(self, graph: dict[str, Any], nodes: Mapping[str, NodeClass], input_dir: Path) -> None:
        self._graph = graph
        self._nodes = nodes
        self._input_dir = input_dir
        self._seen: dict[str, tuple[bool, list[Fault]]] = {}
        self._open: set[str] = set()

    def outputs(self, outputs: list[str]) -> Verdict:
        good: list[str] = []
        lines: list[str] = []
        node_errors: dict[str, Any] = {}
        for output in outputs:
            try:
                valid, faults = self._node(output)
            except Exception as error:  # noqa: BLE001 - a prompt that trips the check is the sender's fault
                valid, faults = False, [_tripped("validation", "validating node", error)]
                self._seen[output] = (valid, faults)
            if valid:
                good.append(output)
                continue
            lines += [f"{fault['message']}: {fault['details']}" for fault in faults]
            self._blame(output, node_errors)
        if good:
            return Verdict(None, tuple(good), node_errors)
        message = "Prompt outputs failed validation"
        return Verdict(_fault("prompt_outputs_failed_validation", message, "\n".join(lines)), (), node_errors)

    def _blame(self, output: str, node_errors: dict[str, Any]) -> None:
        """Name an invalid output beside every faulty node seen so far, needed by it or not, as the real server does."""
        for node_id, (valid, faults) in self._seen.items():
            if valid or not faults:
                continue
            class_type = self._graph[node_id]["class_type"]
            entry = {"errors": faults, "dependent_outputs": [], "class_type": class_type}
            node_errors.setdefault(node_id, entry)["dependent_outputs"].append(output)

    def _node(self, node_id: str) -> tuple[bool, list[Fault]]:
        """Check a node and what it needs; a node that needs itself is invalid, without a fault that says so."""
        if node_id in self._seen:
            return self._seen[node_id]
        if node_id in self._open:
            return False, []
        self._open.add(node_id)
        inputs = self._graph[node_id]["inputs"]
        node = self._nodes[self._graph[node_id]["class_type"]]
        valid = True
        faults: list[Fault] = []
        declared = _declared(node.info_now(self._input_dir)["input"])
        for spec in declared:
            if spec.name not in inputs:
                if spec.required and not spec.dynamic:
                    fault = _fault("required_input_missing", "Required input is missing", spec.name)
                    faults.append(fault | {"extra_info": {"input_name": spec.name}})
            elif isinstance(inputs[spec.name], list):
                valid &= self._link(spec, inputs[spec.name], faults)
            else:
                faults += _value(spec, inputs)
        faults += self._own_check(node, declared, inputs)
        self._seen[node_id] = (valid and not faults, faults)
        self._open.discard(node_id)
        return self._seen[node_id]

    def _link(self, spec: _Input, link: list[Any], faults: list[Fault]) -> bool:
        """Check a link and the node behind it; False if that node is invalid."""
        known: dict[str, Any] = {"input_name": spec.name, "input_config": spec.config}
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            faults.append(_fault("bad_linked_input", message, spec.name, **known, received_value=link))
            return True
        source = self._nodes[self._graph[link[0]]["class_type"]]
        received = tuple(source.info["output"])[link[1]]
        if not _fits(received, spec.kind):
            details = f"{spec.name}, received_type({received}) mismatch input_type({spec.kind})"
            known |= {"received_type": received, "linked_node": link}
            faults.append(_fault("return_type_mismatch", "Return type mismatch between linked nodes", details, **known))
            return True
        try:
            return self._node(link[0])[0]
        except Exception as error:  # noqa: BLE001 - as above
            inner = _tripped("inner_validation", "validating inner node", error)
            inner["extra_info"] |= {**known, "exception_message": str(error), "linked_node": link}
            self._seen[link[0]] = (False, [inner])
            return False

    def _own_check(self, node: NodeClass, declared: list[_Input], inputs: Mapping[str, Any]) -> list[Fault]:
        """Let the node's class look at the file that it is to read.

        Raises:
            TypeError: No name is given, or not as a text; the real server stumbles over it, in other words.
        """
        named = [spec.name for spec in declared if spec.names_a_file]
        for name in named:
            if not isinstance(inputs.get(name), str):
                raise TypeError(f"{node.name} wants the name of a file as text in {name!r}")
        complaint = node.validate({k: v for k, v in inputs.items() if not is_link(v)}, self._input_dir)
        if complaint is None:
            return []
        name = named[0] if named else next(iter(inputs), "")
        details = f"{name} - {complaint}"
        return [_fault("custom_validation_failed", "Custom validation failed for node", details, input_name=name)]


def _tripped(kind: str, doing: str, error: Exception) -> Fault:
    known = {"exception_type": type_name(error), "traceback": traceback.format_tb(error.__traceback__)}
    return _fault(f"exception_during_{kind}", f"Exception when {doing}", str(error), **known)


def _fits(received: object, wanted: object) -> bool:
    """Say whether a type may be linked to an input; `*` fits all, `A,B` fits both."""
    if received == wanted or "*" in (received, wanted):
        return True
    if isinstance(received, list) or isinstance(wanted, list):
        return "COMBO" in (received, wanted) or isinstance(received, list)
    left, right = str(received), str(wanted)
    return (
        left.startswith("COMFY_") or right.startswith("COMFY_") or not set(left.split(",")).isdisjoint(right.split(","))
    )


def _value(spec: _Input, inputs: dict[str, Any]) -> list[Fault]:
    """Check a plain value and convert it in place; at most one fault."""
    value = inputs[spec.name]
    if isinstance(value, dict) and "__value__" in value:  # how a list is sent that is not a link
        value = inputs[spec.name] = value["__value__"]
    known: dict[str, Any] = {"input_name": spec.name, "input_config": spec.config, "received_value": value}
    convert = _CONVERSIONS.get(spec.kind) if isinstance(spec.kind, str) else None
    if convert is not None:
        try:
            value = inputs[spec.name] = convert(value)
        except Exception as error:  # noqa: BLE001 - the words of whatever error are sent back
            message = f"Failed to convert an input value to a {spec.kind} value"
            known["exception_message"] = str(error)
            return [_fault("invalid_input_type", message, f"{spec.name}, {value}, {error}", **known)]
    if spec.names_a_file:
        return []
    known["received_value"] = value
    low, high, choices = spec.options.get("min"), spec.options.get("max"), spec.choices
    if low is not None and value < low:
        return [_fault("value_smaller_than_min", f"Value {value} smaller than min of {low}", spec.name, **known)]
    if high is not None and value > high:
        return [_fault("value_bigger_than_max", f"Value {value} bigger than max of {high}", spec.name, **known)]
    if choices is None or value in choices:
        return []
    long = len(choices) > LONG_LIST
    if long:
        known["input_config"] = None
    listed = f"(list of length {len(choices)})" if long else str(choices)
    return [_fault("value_not_in_list", "Value not in list", f"{spec.name}: '{value}' not in {listed}", **known)]
