"""The floors: who may import whom, what the models may know, and how long a module or a function may be.

Read with ``ast``, so that imports inside functions and under ``TYPE_CHECKING`` count, too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PACKAGE = "autopod_nb"
_LOCALPOD = "localpod"
_FLOORS: dict[str, int] = {
    **dict.fromkeys(("errors", "clock", "threads", "listener", "config", "config_file", "config_model", "log"), 0),
    "models": 1,
    **dict.fromkeys(("providers", "ssh", "comfyui", "storage", "web"), 2),
    **dict.fromkeys(("pods", "jobs"), 3),
    "session": 4,
    **dict.fromkeys(("magics", "widgets", "cli", "tui", "verb", "verbs", "reaper"), 5),
    "__init__": 6,  # the door, which opens onto every floor
}
_EDGES = {name for name, floor in _FLOORS.items() if floor == 2}
_FACES = {"magics", "widgets", "cli", "tui", "verb", "verbs"}
_NO_NEIGHBOURS = {2, 3}
_NOT_FOR_MODELS = {"time", "threading", "socket", "subprocess", "os", "requests", "random", "asyncio", "io", "logging"}
_CLOCK_CALLS = {"now", "utcnow", "today"}
_MODULE_LINES = 320
_FUNCTION_LINES = 45


def _sources() -> dict[str, str]:
    """Module below the package, as ``session.reducer`` → its text."""
    folder = _ROOT / _PACKAGE
    paths = [path for path in folder.rglob("*.py") if "__pycache__" not in path.parts]
    return {".".join(path.relative_to(folder).with_suffix("").parts): path.read_text() for path in paths}


def _part(module: str) -> str:
    """The package or module directly below ours: ``session`` for ``session.reducer``."""
    return module.partition(".")[0]


def _imports(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of everything that is imported, also by a constant name at run time."""
    here = [_PACKAGE, *module.split(".")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else []
            names = [*base, *(node.module or "").split(".")] if node.module else base
            yield from ((node.lineno, ".".join([*names, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and _name_of(node.func) in {"import_module", "__import__"}:
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _ours(name: str) -> str | None:
    """Which part of ours a dotted name leads to; None if it is not ours."""
    parts = name.split(".")
    if parts[0] != _PACKAGE:
        return None
    known = len(parts) > 1 and (parts[1] in _FLOORS or parts[1] == _LOCALPOD)
    return parts[1] if known else "__init__"


def _import_fault(module: str, name: str) -> str | None:
    """What is wrong with *module* importing *name*; None if nothing is."""
    mine, theirs = _part(module), _ours(name)
    if theirs is None or theirs == mine:
        return None
    if _LOCALPOD in (mine, theirs):
        return "localpod is a program of its own"
    rules = {
        "imports go down only": _FLOORS[theirs] > _FLOORS[mine],
        "neighbours meet on a floor above": _FLOORS[theirs] == _FLOORS[mine] and _FLOORS[mine] in _NO_NEIGHBOURS,
        "a face never imports an edge": mine in _FACES and theirs in _EDGES,
        "models know nothing but models and errors": mine == "models" and theirs != "errors",
    }
    return next((rule for rule, broken in rules.items() if broken), None)


def _model_fault(node: ast.AST) -> str | None:
    """Whether a model asks a clock."""
    if isinstance(node, ast.Call) and _name_of(node.func) in _CLOCK_CALLS:
        return "models know no clock"
    return None


def faults(sources: Mapping[str, str]) -> list[str]:
    """Every import and every clock that is where it must not be, as ``module:line name: rule``."""
    found = []
    for module, text in sorted(sources.items()):
        tree = ast.parse(text)
        for line, name in _imports(module, tree):
            fault = _import_fault(module, name)
            if fault is None and _part(module) == "models" and name.partition(".")[0] in _NOT_FOR_MODELS:
                fault = "models know no clock, file, network, thread or shell"
            found += [f"{module}:{line} {name}: {fault}"] if fault else []
        if _part(module) == "models":
            asked = ((getattr(node, "lineno", 0), _model_fault(node)) for node in ast.walk(tree))
            found += [f"{module}:{line} {fault}" for line, fault in asked if fault]
    return found


def _function_lengths(module: str, text: str) -> Iterator[tuple[str, int]]:
    """(module.function, lines without its docstring)."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.end_lineno:
                lines -= first.end_lineno - first.lineno + 1
            yield f"{module}.{node.name}", lines


def test_every_module_has_a_floor() -> None:
    """A new package must say where it belongs: in the design, and in the table above."""
    parts = {_part(module) for module in _sources()}
    assert parts - {_LOCALPOD} <= set(_FLOORS)
    assert {"errors", "models", "providers", "session", "magics", _LOCALPOD} <= parts, "this looks at the real thing"


def test_imports_go_down_and_models_know_nothing_of_the_world() -> None:
    assert faults(_sources()) == []


@pytest.mark.parametrize(
    ("module", "text", "rule"),
    [
        ("models.pod", "from autopod_nb.session import reducer", "imports go down only"),
        ("clock", "import autopod_nb.models.pod", "imports go down only"),
        ("pods.meter", "def f():\n    from autopod_nb.session.step import Step", "imports go down only"),
        ("pods.meter", "if TYPE_CHECKING:\n    from autopod_nb.session.step import Step", "imports go down only"),
        ("pods.meter", "from ..session import step", "imports go down only"),
        ("pods.meter", "import importlib\nimportlib.import_module('autopod_nb.session.step')", "imports go down only"),
        ("session.step", "from autopod_nb import open_session", "imports go down only"),
        ("ssh.line", "from autopod_nb.comfyui.client import ComfyClient", "neighbours meet"),
        ("jobs.run", "from autopod_nb.pods.launch import PodLink", "neighbours meet"),
        ("magics.actions", "from autopod_nb.storage.ledger import Ledger", "a face never imports an edge"),
        ("widgets.card", "from autopod_nb import providers", "a face never imports an edge"),
        ("verbs", "import autopod_nb.ssh", "a face never imports an edge"),
        ("providers.local", "from autopod_nb.localpod import pod", "a program of its own"),
        ("localpod.pod", "from autopod_nb.errors import AutopodError", "a program of its own"),
        ("models.pod", "from autopod_nb.clock import Clock", "models know nothing but"),
        ("models.pod", "import time", "models know no clock, file"),
        ("models.pod", "from os import path", "models know no clock, file"),
        ("models.pod", "import random, json", "models know no clock, file"),
        ("models.pod", "from datetime import datetime\nx = datetime.now()", "models know no clock"),
    ],
)
def test_each_rule_bites(module: str, text: str, rule: str) -> None:
    found = faults({module: text})
    assert len(found) == 1, found
    assert rule in found[0]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("models.pod", "from autopod_nb.errors import AutopodError\nfrom autopod_nb.models.money import Charge"),
        ("models.pod", "from . import money\nfrom datetime import datetime, timezone"),
        ("session.work", "from autopod_nb.providers.base import Provider\nfrom autopod_nb.jobs import run"),
        ("magics.actions", "from autopod_nb.widgets import card\nfrom autopod_nb.verbs import VERBS"),
        ("magics.actions", "from autopod_nb.jobs.spec import make_spec\nfrom autopod_nb.session.build import x"),
        ("localpod.pod", "from autopod_nb.localpod.sshd import HOST\nimport os"),
        ("config", "from autopod_nb.errors import ConfigError\nimport os"),
        ("__init__", "from autopod_nb.session.handle import Job"),
        ("pods.meter", "import autopod_nb_of_somebody_else"),
    ],
)
def test_what_is_allowed_passes(module: str, text: str) -> None:
    assert faults({module: text}) == []


def test_no_module_is_two_nouns() -> None:
    lengths = {module: len(text.splitlines()) for module, text in _sources().items()}
    assert {module: lines for module, lines in lengths.items() if lines > _MODULE_LINES} == {}


def test_no_function_does_two_things() -> None:
    lengths = dict(pair for module, text in _sources().items() for pair in _function_lengths(module, text))
    assert {name: lines for name, lines in lengths.items() if lines > _FUNCTION_LINES} == {}


def test_a_function_is_measured_without_its_docstring() -> None:
    text = 'class A:\n    def f(self) -> None:\n        """One.\n\n        Two.\n        """\n        return None\n'
    assert dict(_function_lengths("m", text)) == {"m.f": 2}
