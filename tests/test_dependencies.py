"""What is declared is used, what is used is declared, what is heavy waits, and the wheel has all that it needs."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_TOML = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")  # pytest brings the latter
_ROOT = Path(__file__).parents[1]
_MODULES = {  # distribution → what is imported of it, where the two differ
    "ipython": {"IPython"},
    "jupyterlab": {"jupyterlab", "jupyter_core"},
    "pillow": {"PIL"},
    "pydantic": {"pydantic", "pydantic_core"},
    "requests": {"requests", "urllib3"},
    "ruamel-yaml": {"ruamel"},
    "websocket-client": {"websocket"},
}
_PROGRAMS = {"jupyterlab", "jupyter-server-proxy", "runpod"}  # run, or loaded by name in a child process
_HEAVY = {
    *("ipywidgets", "pandas", "paramiko", "requests", "pydantic", "ruamel", "websocket", "aiohttp", "asyncssh"),
    *("numpy", "PIL", "av", "plotly", "runpod", "cryptography"),
}


def _project() -> dict[str, list[str]]:
    """``core`` and each extra → names of the distributions, as pip normalises them."""
    with (_ROOT / "pyproject.toml").open("rb") as file:
        project = _TOML.load(file)["project"]
    groups = {"core": project["dependencies"], **project["optional-dependencies"]}
    return {group: [_normal(re.split(r"[\s<>=!~;\[]", line)[0]) for line in lines] for group, lines in groups.items()}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _modules_of(distribution: str) -> set[str]:
    return _MODULES.get(distribution, {distribution.replace("-", "_")})


def _imported(under: Path) -> Iterator[tuple[str, str]]:
    """(file, top-level module) of every import, wherever it stands."""
    for path in sorted(under.rglob("*.py")):
        where = str(path.relative_to(_ROOT))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((where, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                yield where, node.module.partition(".")[0]


def test_every_dependency_is_imported_somewhere() -> None:
    used = {module for _, module in _imported(_ROOT / "autopod_nb")}
    groups = _project()
    declared = {*groups["core"], *groups["local"], *groups.get("runpod-sdk", [])} - _PROGRAMS
    assert sorted(name for name in declared if not _modules_of(name) & used) == []


def test_everything_that_is_imported_is_declared_and_only_pods_need_the_extra() -> None:
    groups = _project()
    core = {module for name in groups["core"] for module in _modules_of(name)}
    extra = {module for name in [*groups["local"], *groups.get("runpod-sdk", [])] for module in _modules_of(name)}
    known = {*sys.stdlib_module_names, "autopod_nb", *core}
    missing = [
        (where, module)
        for where, module in _imported(_ROOT / "autopod_nb")
        if module not in known and not (module in extra and _may_use_extra(where, module))
    ]
    assert missing == []


def _may_use_extra(where: str, module: str) -> bool:
    """The pod program has what the extra brings; elsewhere a library of it is used where it is, and done without."""
    return where.startswith("autopod_nb/localpod/") or module in _OPTIONAL.get(where, set())


_OPTIONAL: dict[str, set[str]] = {
    "autopod_nb/comfyui/verification.py": {"PIL", "av"},  # decodes results where it can
}


def test_loading_the_extension_imports_nothing_heavy_and_starts_nothing() -> None:
    """In a fresh process with a real IPython shell, as ``%load_ext`` does it."""
    script = (
        "import sys, threading\nfrom IPython.core.interactiveshell import InteractiveShell\n"
        "from traitlets.config import Config\n"
        "shell = InteractiveShell.instance(config=Config({'HistoryManager': {'enabled': False}}))\n"
        f"heavy = {_HEAVY!r}\nbefore = set(sys.modules)\nthreads = threading.active_count()\n"
        "import autopod_nb\nautopod_nb.load_ipython_extension(shell)\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert 'autopod_nb' in new\nassert 'autopod' in shell.magics_manager.magics['line']\n"
        "print(*sorted(new & heavy), threading.active_count() - threads)\n"
    )
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["0"]


@pytest.mark.slow
def test_the_wheel_has_the_templates_and_finds_them(tmp_path: Path) -> None:
    """Built with pip, which fetches the build backend; then used from the wheel alone, far from this folder."""
    pip = [sys.executable, "-m", "pip", "wheel", str(_ROOT), "--no-deps", "-q", "-w", str(tmp_path)]
    subprocess.run(pip, timeout=300, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(installed)
    shipped = {f"autopod_nb/templates/{path.name}" for path in (_ROOT / "templates").glob("*.json")}
    sources = {str(path.relative_to(_ROOT)) for path in (_ROOT / "autopod_nb").rglob("*.py")}
    assert shipped
    assert shipped | sources | {"autopod_nb/localpod/nodes/object_info.json"} <= names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"autopod_nb"}, "nothing else is installed"

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    script = (
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[1])\n"
        "from autopod_nb.comfyui.workflow import find_template, load_template\n"
        "path = find_template('img2vid-basic', cwd=Path.cwd())\nprint(path, *load_template(path).inputs)\n"
    )
    command = [sys.executable, "-c", script, str(installed)]
    run = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == [str(installed / "autopod_nb" / "templates" / "img2vid-basic.json"), "image"]
