"""Workflow templates: ComfyUI graphs in API format with placeholders in them.

The graph is filled as parsed JSON and never as text, so that quotes, braces and newlines in a value need no care.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from autopod_nb.comfyui.graph import Graph, find_input, map_texts, node_title, read_graph, unused_nodes
from autopod_nb.comfyui.placeholders import REQUIRED, Kind, Placeholder, Required, fill_text, parse_text
from autopod_nb.errors import TemplateError, nearest
from autopod_nb.models.job import JsonScalar, JsonValue

_OUTPUT_TITLE = re.compile(r"output\.(.+)", re.DOTALL)
_FRAME_TITLE = re.compile(r"frame (\d+)", re.IGNORECASE)
_OUTPUT_CLASS = re.compile(r"(?:Save|Preview)\w*|MaskPreview\w*|VHS_VideoCombine", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowTemplate:
    """A workflow with placeholders.

    Which nodes are output nodes only the server's node list tells for certain. Here a node is one if it is titled
    ``output.NAME``, or its class is a known one: it begins with ``Save`` or ``Preview``, or is ``MaskPreview`` or
    ``VHS_VideoCombine``. If there is no such node, every node is one that no other node takes a value from.

    Attributes:
        name: file name without ``.json``.
        path: the file.
        graph: as read; not to be changed.
        placeholders: each once, in order of appearance.
        outputs: name → node id; the name is ``NAME`` of the title ``output.NAME``, else the node id.
    """

    name: str
    path: Path
    graph: Graph
    placeholders: tuple[Placeholder, ...]
    outputs: Mapping[str, str]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the files that a job must give."""
        return tuple(placeholder.name for placeholder in self.placeholders if placeholder.kind is Kind.INPUT)

    @property
    def params(self) -> Mapping[str, JsonScalar | Required]:
        """Name of each parameter → its default, or :data:`REQUIRED`."""
        return {each.name: each.default for each in self.placeholders if each.kind is Kind.PARAM}

    @property
    def frame_nodes(self) -> tuple[str, ...]:
        """Ids of the nodes titled ``frame N``, by N: each makes one frame."""
        found = ((_FRAME_TITLE.fullmatch(self.node_title(node_id)), node_id) for node_id in self.graph)
        return tuple(node_id for _, node_id in sorted((int(match[1]), node_id) for match, node_id in found if match))

    def node_title(self, node_id: str) -> str:
        """A node's title, else its class, else (an id that the graph does not know) the id."""
        node = self.graph.get(node_id)
        return node_id if node is None else node_title(node)

    def resolve_output(self, name: str) -> str:
        """The id of the node that *name* means: titled ``output.NAME``, or the id, or the only output node.

        Raises:
            TemplateError: no output node is called so.
        """
        if name in self.outputs:
            return self.outputs[name]
        if name in self.outputs.values() or name in unused_nodes(self.graph):
            return name
        if len(self.outputs) == 1:
            return next(iter(self.outputs.values()))
        known = ", ".join(self.outputs)
        raise TemplateError(
            f"Template {self.name!r} has no output {name!r}.{nearest(name, self.outputs)} It has: {known}. "
            f"Title a node output.{name} to name it so."
        )


def list_templates(cwd: Path) -> Mapping[str, Path]:
    """Template name → file, by name. Those in *cwd*/templates hide shipped ones of the same name."""
    folders = (_shipped_dir(), cwd / "templates")
    found = {path.stem: path for folder in folders for path in folder.glob("*.json") if path.is_file()}
    return MappingProxyType(dict(sorted(found.items())))


def find_template(name: str, *, cwd: Path) -> Path:
    """The file of a template.

    Args:
        name: path of a file (relative to *cwd*; ``~`` is expanded), else a name: NAME.json in *cwd*/templates, else
            among the shipped ones.
        cwd: the user's folder.

    Raises:
        TemplateError: there is none.
    """
    try:
        path = cwd / Path(name).expanduser()
        if path.is_file():
            return path
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, ~nobody
        raise TemplateError(f"{name!r} cannot be the name of a template: {error}.") from error
    templates = list_templates(cwd)
    stem = name.removesuffix(".json")
    if stem in templates:
        return templates[stem]
    listed = ", ".join(templates) or "none"
    raise TemplateError(
        f"There is no workflow template {name!r}.{nearest(stem, templates)} Known: {listed}. "
        f"Put your own into {cwd / 'templates'}, or give the path of a file."
    )


def load_template(path: Path) -> WorkflowTemplate:
    """Read and check a template.

    Raises:
        TemplateError: the file cannot be read, is no workflow in API format, or has a bad placeholder.
    """
    try:
        graph = read_graph(path)
        placeholders = _find_placeholders(graph)
        outputs = _find_outputs(graph)
    except RecursionError as error:
        raise TemplateError(f"{path}: lists or objects are nested too deeply.") from error
    except TemplateError as error:
        raise TemplateError(f"{path}: {error}") from error.__cause__
    return WorkflowTemplate(
        name=path.stem, path=path, graph=graph, placeholders=placeholders, outputs=MappingProxyType(outputs)
    )


def fill(template: WorkflowTemplate, *, inputs: Mapping[str, str], params: Mapping[str, JsonValue]) -> Graph:
    """The graph ready for ``POST /prompt``; the template stays as it is.

    Args:
        template: the workflow.
        inputs: name → the file's name on the pod, relative to ComfyUI's input folder.
        params: name → value; those left out take their default. ``NODE_ID.input`` and ``Title.input``
            (:func:`~autopod_nb.comfyui.graph.find_input`) set an input of a node, whatever the template has there.

    Raises:
        TemplateError: a value is missing, or the template has no such placeholder or input.
    """
    own = {find_input(template.graph, name): value for name, value in params.items() if is_node_input(name)}
    given: dict[str, JsonValue] = {f"input.{name}": value for name, value in inputs.items()}
    given |= {f"param.{name}": value for name, value in params.items() if not is_node_input(name)}
    values: dict[str, JsonValue] = {}
    for each in template.placeholders:
        value = given.pop(each.key, each.default)
        if isinstance(value, Required):
            raise TemplateError(f"Template {template.name!r} needs {each.key}: give it a value in the job.")
        values[each.key] = value
    for key in given:
        hint = nearest(key, values)
        raise TemplateError(f"Template {template.name!r} has no placeholder {{{key}}}.{hint}")
    graph: Graph = {
        node_id: copy.deepcopy({key: value for key, value in node.items() if key != "inputs"})
        | {"inputs": map_texts(node["inputs"], lambda text: fill_text(text, values))}
        for node_id, node in template.graph.items()
    }
    for (node_id, name), value in own.items():
        graph[node_id]["inputs"][name] = copy.deepcopy(value)
    return graph


def is_node_input(name: str) -> bool:
    """Whether a name in ``params`` means an input of a node; the name of a placeholder has no dot."""
    return "." in name


def _shipped_dir() -> Path:
    """The shipped templates: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"


def _find_placeholders(graph: Graph) -> tuple[Placeholder, ...]:
    found: dict[str, Placeholder] = {}

    def collect(text: str) -> str:
        for part in parse_text(text):
            if isinstance(part, Placeholder):
                found[part.key] = _merged(found.get(part.key, part), part)
        return text

    def scan(node_id: str, name: str, value: object) -> None:
        try:
            map_texts(value, collect)
        except TemplateError as error:
            title = node_title(graph[node_id])
            raise TemplateError(f"node {node_id!r} ({title}), input {name!r}: {error}") from None

    for node_id, node in graph.items():
        for name, value in node["inputs"].items():
            scan(node_id, name, value)
    return tuple(found.values())


def _merged(first: Placeholder, second: Placeholder) -> Placeholder:
    """The same placeholder in two places: a default in one of them counts for both."""
    if second.default is REQUIRED:
        return first
    if first.default is REQUIRED:
        return second
    if (type(first.default), first.default) != (type(second.default), second.default):
        raise TemplateError(
            f"{{{first.key}}} has two defaults, {first.default!r} and {second.default!r}; keep one of them."
        )
    return first


def _find_outputs(graph: Graph) -> dict[str, str]:
    outputs: dict[str, str] = {}
    for node_id, node in graph.items():
        titled = _OUTPUT_TITLE.fullmatch(node_title(node))
        if titled is None and not _OUTPUT_CLASS.fullmatch(node["class_type"]):
            continue
        name = titled[1] if titled else node_id
        if name in outputs:
            raise TemplateError(f"nodes {outputs[name]!r} and {node_id!r} are both the output {name!r}; rename one.")
        outputs[name] = node_id
    return outputs or {node_id: node_id for node_id in unused_nodes(graph)}
