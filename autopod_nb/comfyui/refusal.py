"""Why ComfyUI refused a workflow, in one line for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from autopod_nb.errors import PromptRefused

_SHOWN_CHOICES = 5
_SHOWN_VALUE = 60  # characters
_OLD_MISSING = "invalid_prompt"  # what 0.3.64 calls a missing node class; the class is only in its text
Choices = Mapping[tuple[str, str], tuple[str, ...]]
"""(node class, input) → what it takes, for lists that the server found too long to send along."""


def explain(
    workflow: Mapping[str, object], body: Mapping[str, object], choices: Choices | None = None
) -> PromptRefused:
    """The error for the body of a 400.

    Args:
        workflow: what was posted; titles are taken from it.
        body: ``{"error": …, "node_errors": …}`` as far as it is there.
        choices: of long lists, see :func:`unnamed_choices`.
    """
    error = _mapping(body.get("error"))
    error_type = str(error.get("type", ""))
    faults = node_faults(workflow, body.get("node_errors"), choices)
    if faults:
        first, *others = faults.values()
        more = f" ({len(others)} more: node {', '.join(list(faults)[1:])})" if others else ""
        return PromptRefused(f"ComfyUI refused the workflow: {first}{more}", error_type=error_type, node_errors=faults)
    node_errors = {}
    said = _said(error.get("message"), error.get("details"))
    if error_type == "missing_node_type":
        extra = _mapping(error.get("extra_info"))
        node_id, missing = str(extra.get("node_id", "")), extra.get("class_type")
        if missing:
            said = (
                f"{_node(workflow, node_id)}: this ComfyUI has no node class {str(missing)!r}. Install the custom node "
                "that brings it on the pod, or use another workflow."
            )
        else:
            said = f"{_node(workflow, node_id)} has no class_type: export the workflow again, in API format."
        node_errors = {node_id: said}
    elif error_type == "prompt_no_outputs":
        said = "it has no output node. Add one that saves something, such as SaveImage or SaveVideo."
    elif error_type == _OLD_MISSING and "not exist" in said:
        said += " Install the custom node that brings it on the pod, or use another workflow."
    elif error_type == "prompt_outputs_failed_validation" and not error.get("details"):
        said = "its nodes do not fit together, perhaps they are linked in a circle."
    return PromptRefused(
        f"ComfyUI refused the workflow: {said or 'it does not say why.'}",
        error_type=error_type,
        node_errors=node_errors,
    )


def node_faults(workflow: Mapping[str, object], node_errors: object, choices: Choices | None = None) -> dict[str, str]:
    """Node id → one line, for the ``node_errors`` of a 400, or of a 200 that leaves out some outputs."""
    faults = {}
    for node_id, told in _mapping(node_errors).items():
        errors = [error for error in _list(_mapping(told).get("errors")) if isinstance(error, dict)]
        node_class = str(_mapping(told).get("class_type", ""))
        lines = [_fault(node_class, error, choices or {}) for error in errors]
        faults[node_id] = f"{_node(workflow, node_id, node_class)}: {'; '.join(lines) or 'no reason given'}"
    return faults


def unnamed_choices(body: Mapping[str, object]) -> set[tuple[str, str]]:
    """(node class, input) of values that are in no list, where the list itself was too long to be sent along."""
    wanted = set()
    for told in _mapping(body.get("node_errors")).values():
        for error in _list(_mapping(told).get("errors")):
            extra = _mapping(_mapping(error).get("extra_info"))
            if _mapping(error).get("type") == "value_not_in_list" and extra.get("input_config") is None:
                wanted.add((str(_mapping(told).get("class_type", "")), str(extra.get("input_name", ""))))
    return wanted


def input_choices(config: object) -> tuple[str, ...]:
    """The choices in an input's entry of ``/object_info``, in either spelling; empty if it is no choice."""
    if not isinstance(config, list) or not config:
        return ()
    listed = config[0]
    if listed == "COMBO" and len(config) > 1:
        listed = _mapping(config[1]).get("options")
    return tuple(str(choice) for choice in _list(listed))


def _fault(node_class: str, error: Mapping[str, object], choices: Choices) -> str:
    extra = _mapping(error.get("extra_info"))
    kind, name = str(error.get("type", "")), str(extra.get("input_name", ""))
    details = _said(error.get("details"))
    if kind == "value_not_in_list":
        listed = choices.get((node_class, name)) or input_choices(extra.get("input_config"))
        return f"input {name}: {_not_in_list(extra.get('received_value'), listed)}"
    if kind == "required_input_missing":
        return f"input {name or details} is missing"
    if kind == "return_type_mismatch":
        linked = _list(extra.get("linked_node"))
        source = f" from node {linked[0]}" if linked else ""
        expected = _list(extra.get("input_config"))
        wants = f", it takes {expected[0]}" if expected else ""
        return f"input {name}: gets {extra.get('received_type')}{source}{wants}"
    if kind == "exception_during_validation":
        return f"a link leads to a node or slot that does not exist, or inputs are missing ({details})"
    return _plain_fault(name, _said(error.get("message")), details)


def _plain_fault(name: str, message: str, details: str) -> str:
    if name and details.startswith(f"{name} - "):
        return f"input {name}: {details[len(name) + 3 :]}"
    if name and details in {name, ""}:
        return f"input {name}: {message}"
    return f"{f'input {name}: ' if name else ''}{message}{f' ({details})' if details else ''}"


def _not_in_list(value: object, listed: Iterable[str]) -> str:
    choices = list(listed)
    shown = repr(value) if len(repr(value)) <= _SHOWN_VALUE else repr(value)[:_SHOWN_VALUE] + "…"
    if not choices:
        return f"{shown} is not on the pod, and neither is anything else of its kind"
    lower = {choice.lower(): choice for choice in choices}
    near = [lower[one] for one in get_close_matches(str(value).lower(), lower, n=_SHOWN_CHOICES, cutoff=0.5)]
    if not near and len(choices) <= _SHOWN_CHOICES:
        near = choices
    hint = f"nearest: {', '.join(near)}" if near else f"there are {len(choices)}, such as {choices[0]}"
    return f"{shown} is not in its list ({hint})"


def _node(workflow: Mapping[str, object], node_id: str, node_class: str = "") -> str:
    """``node 3 "Resize" (ImageScale)`` as far as it is known."""
    node = _mapping(workflow.get(node_id))
    title = str(_mapping(node.get("_meta")).get("title", ""))
    node_class = node_class or str(node.get("class_type") or "")
    return f"node {node_id}{f' {title!r}' if title and title != node_class else ''}" + (
        f" ({node_class})" if node_class else ""
    )


def _said(*texts: object) -> str:
    """The texts that say something, each once, on one line."""
    lines = [" ".join(str(text).split()) for text in texts if text]
    return ": ".join(dict.fromkeys(line for line in lines if line))


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
