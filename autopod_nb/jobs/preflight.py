"""What can be told of a job before anything is rented: the job against its template, and its files.

Nothing is made by looking.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from autopod_nb.comfyui.placeholders import REQUIRED, Required
from autopod_nb.comfyui.workflow import WorkflowTemplate, is_node_input
from autopod_nb.errors import TemplateError, nearest
from autopod_nb.jobs.fault import Fault, raise_faults
from autopod_nb.jobs.graph_check import graph_troubles
from autopod_nb.jobs.node_inputs import node_input_troubles, wanted_instead
from autopod_nb.jobs.node_list import NodeList
from autopod_nb.models.job import JobSpec


def preflight(spec: JobSpec, template: WorkflowTemplate, nodes: NodeList | None = None) -> tuple[Fault, ...]:
    """What is wrong with a job and its template, without a look at any file.

    Args:
        spec: the job.
        template: what it names.
        nodes: what the nodes of the ComfyUI that it will run on take, if that is known. It is asked only when nothing
            else is wrong.

    Returns:
        Names that the template does not know, values that it needs and does not get, parameters whose type is not that
        of the template's default, inputs of nodes that are not there or cannot have that value, outputs that are no
        output nodes, and two outputs of one path or node. Else what :func:`graph_troubles` finds.
    """
    found = (
        *_name_faults(spec, "input", spec.inputs, template, template.inputs),
        *_name_faults(spec, "param", _placeholders(spec), template, _required(template)),
        *_type_faults(spec, template),
        *(_fault(spec, f"params.{name}", trouble) for name, trouble in node_input_troubles(spec, template)),
        *_output_faults(spec, template),
    )
    if found or nodes is None:
        return found
    return tuple(_fault(spec, key, trouble) for key, trouble in graph_troubles(spec, template, nodes))


def check_files(spec: JobSpec) -> tuple[Fault, ...]:
    """What is wrong with the files of a job: inputs that cannot be uploaded, outputs that could not be written."""
    inputs = ((f"inputs.{name}", _input_trouble(path)) for name, path in spec.inputs.items())
    outputs = ((f"outputs.{name}", _output_trouble(path)) for name, path in spec.outputs.items())
    default = [] if spec.outputs else [("outputs", _folder_trouble(Path("outputs", spec.job_id).absolute()))]
    found = (*inputs, *outputs, *default)
    return tuple(_fault(spec, key, trouble) for key, trouble in found if trouble)


def require(faults: Iterable[Fault]) -> None:
    """Do nothing if there are none.

    Raises:
        JobSpecError: names them all in one line.
    """
    raise_faults(tuple(faults))


def _fault(spec: JobSpec, key: str, message: str) -> Fault:
    section = key.partition(".")[0]
    line = spec.lines.get(key, spec.lines.get(section))
    return Fault(message=message, source=spec.source, line=line, key=key)


def _placeholders(spec: JobSpec) -> Mapping[str, object]:
    return {name: value for name, value in spec.params.items() if not is_node_input(name)}


def _required(template: WorkflowTemplate) -> tuple[str, ...]:
    return tuple(name for name, default in template.params.items() if default is REQUIRED)


def _name_faults(
    spec: JobSpec, kind: str, given: Mapping[str, object], template: WorkflowTemplate, required: Iterable[str]
) -> Iterator[Fault]:
    """*kind* is ``input`` or ``param``; *required*: names without which the template cannot be filled."""
    known = template.inputs if kind == "input" else tuple(template.params)
    for name in given:
        if name not in known:
            listed = ", ".join(known) or "none"
            hint = nearest(name, known) or (_node_hint(name, template) if kind == "param" else "")
            message = f"template {template.name!r} has no {kind} {name!r}.{hint} It has: {listed}."
            yield _fault(spec, f"{kind}s.{name}", message)
    for name in required:
        if name not in given:
            message = f"template {template.name!r} needs it; add {name!r} to the {kind}s."
            yield _fault(spec, f"{kind}s.{name}", message)


def _node_hint(name: str, template: WorkflowTemplate) -> str:
    """What to write instead if nodes have such an input."""
    found = [f"{node_id}.{name}" for node_id, node in template.graph.items() if name in node["inputs"]]
    return f" To set the input of a node, write {' or '.join(found[:3])}." if found else ""


def _type_faults(spec: JobSpec, template: WorkflowTemplate) -> Iterator[Fault]:
    for name, value in spec.params.items():
        default = template.params.get(name, REQUIRED)
        wanted = "" if isinstance(default, Required) else wanted_instead(default, value)
        if wanted:
            message = f"needs {wanted} as in the template ({default!r}), not {value!r:.80}."
            yield _fault(spec, f"params.{name}", message)


def _output_faults(spec: JobSpec, template: WorkflowTemplate) -> Iterator[Fault]:
    paths: dict[Path, str] = {}
    nodes: dict[str, str] = {}
    for name, path in spec.outputs.items():
        key = f"outputs.{name}"
        if (other := paths.setdefault(Path(os.path.normpath(path)), name)) != name:
            yield _fault(spec, key, f"has the same path as the output {other!r}: {path}; give each its own.")
        try:
            node_id = template.resolve_output(name)
        except TemplateError as error:
            yield _fault(spec, key, str(error))
            continue
        if (other := nodes.setdefault(node_id, name)) != name:
            title = template.node_title(node_id)
            yield _fault(spec, key, f"is node {node_id!r} ({title}), and so is the output {other!r}; keep one of them.")


def _input_trouble(path: Path) -> str:
    """Why the file cannot be uploaded, empty if it can."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return f"{path} is a folder; name a file."
        if not stat.S_ISREG(mode):
            return f"{path} is no regular file; name one."
        with path.open("rb") as file:
            return "" if file.read(1) else f"{path} is empty."
    except FileNotFoundError:
        beside = (each.name for each in path.parent.iterdir()) if path.parent.is_dir() else ()
        return f"there is no file {path}.{nearest(path.name, beside)}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}."


def _output_trouble(path: Path) -> str:
    """Why a result could not be written there, empty if it could. An existing file is never overwritten."""
    try:
        if path.is_dir():
            return f"{path} is a folder; add a file name."
    except OSError as error:
        return f"{path} cannot be written: {error.strerror or error}."
    return _folder_trouble(path.parent)


def _folder_trouble(folder: Path) -> str:
    """Why the folder could not be made or written into, empty if it could."""
    try:
        existing = next(each for each in (folder, *folder.parents) if each.exists())
        if not existing.is_dir():
            return f"{existing} is a file, not a folder; choose another path."
    except OSError as error:
        return f"{folder} cannot be made: {error.strerror or error}."
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"{existing} cannot be written into; choose another path or change its permissions."
    return ""
