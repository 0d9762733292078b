"""Which workflow templates there are and what they take, for faces, which do not know ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autopod_nb.comfyui.placeholders import Required
from autopod_nb.comfyui.workflow import find_template, list_templates, load_template
from autopod_nb.errors import TemplateError
from autopod_nb.models.job import JsonScalar


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFacts:
    """What a workflow template takes and gives.

    Attributes:
        name: as `%%comfyjob` takes it.
        path: the file.
        inputs: names of the files that a job must give.
        required: names of the parameters that a job must give.
        defaults: name of each other parameter → its default.
        outputs: names of what it gives.
        nodes: how many it has.
        classes: the node classes that it needs, sorted.
        error: why it cannot be used; empty if it can.
    """

    name: str
    path: Path
    inputs: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    defaults: Mapping[str, JsonScalar]
    outputs: tuple[str, ...] = ()
    nodes: int = 0
    classes: tuple[str, ...] = ()
    error: str = ""


def all_templates(cwd: Path) -> tuple[TemplateFacts, ...]:
    """Those in *cwd*/templates and the shipped ones, by name. One that cannot be used says why."""
    return tuple(_facts(name, path) for name, path in list_templates(cwd).items())


def one_template(name: str, cwd: Path) -> TemplateFacts:
    """One template, by name or path.

    Raises:
        TemplateError: there is none, or it cannot be used.
    """
    return _loaded(find_template(name, cwd=cwd))


def _facts(name: str, path: Path) -> TemplateFacts:
    try:
        return _loaded(path)
    except TemplateError as error:
        return TemplateFacts(name=name, path=path, defaults={}, error=str(error))


def _loaded(path: Path) -> TemplateFacts:
    template = load_template(path)
    params = template.params
    return TemplateFacts(
        name=template.name,
        path=path,
        inputs=template.inputs,
        required=tuple(name for name, default in params.items() if isinstance(default, Required)),
        defaults={name: default for name, default in params.items() if not isinstance(default, Required)},
        outputs=tuple(template.outputs),
        nodes=len(template.graph),
        classes=tuple(sorted({str(node["class_type"]) for node in template.graph.values()})),
    )
