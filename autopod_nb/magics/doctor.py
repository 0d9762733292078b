"""The verb ``doctor``: is everything there that this needs, and is anything left that should not be."""

# ruff: noqa: PLC0415 - what is heavy is imported when a verb needs it

from __future__ import annotations

import json
import os
import platform
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from autopod_nb.magics.jupyter import FrontEnd, front_end, server_pid, server_prefix
from autopod_nb.magics.listing import page
from autopod_nb.magics.text import Page, Text
from autopod_nb.widgets import card, words
from autopod_nb.widgets.table import Cell, Table

if TYPE_CHECKING:
    from autopod_nb.session.checkup import Check

_OLDEST_PYTHON = (3, 10)
_MANAGER = Path("share", "jupyter", "labextensions", "@jupyter-widgets", "jupyterlab-manager")


def doctor(args: Namespace) -> Page | Text:
    """Look at everything; each line says what to do."""
    from autopod_nb.session.checkup import check_up

    checks = (*environment(os.environ), *check_up())
    return Text(_as_json(checks)) if args.json else page(_as_table(checks))


def environment(env: Mapping[str, str]) -> tuple[Check, ...]:
    """What can be told of Python, the kernel and the Jupyter server."""
    return (_python(), _kernel(), _widgets(), _manager(env), _proxy(env))


def _check(topic: str, finding: str, *, fix: str = "", problem: bool = False) -> Check:
    from autopod_nb.session.checkup import Check, Level

    level = Level.PROBLEM if problem else Level.WARNING if fix else Level.OK
    return Check(topic=topic, level=level, finding=finding, fix=fix)


def _python() -> Check:
    finding = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return _check("Python", finding, fix="autopod_nb wants Python 3.10 or newer", problem=True)
    return _check("Python", finding)


def _kernel() -> Check:
    if "ipykernel" not in sys.modules:
        return _check("Kernel", "none: this is not a notebook, so panels are texts")
    found = version("ipykernel")
    if int(found.split(".")[0]) < 7:
        fix = "`%pip install -U ipykernel` (7 or newer), or buttons wait while a cell runs; ■ always works"
        return _check("Kernel", f"ipykernel {found}", fix=fix)
    return _check("Kernel", f"ipykernel {found}")


def _widgets() -> Check:
    try:
        found = version("ipywidgets")
    except PackageNotFoundError:
        fix = "`%pip install 'ipywidgets>=8'`, then restart the kernel; until then panels are still pictures"
        return _check("Widgets in the kernel", "ipywidgets is missing", fix=fix)
    if int(found.split(".")[0]) < 8:
        return _check("Widgets in the kernel", f"ipywidgets {found}", fix="`%pip install -U 'ipywidgets>=8'`")
    return _check("Widgets in the kernel", f"ipywidgets {found}")


def _manager(env: Mapping[str, str]) -> Check:
    topic = "Widgets in the page"
    if (brought := _brought_along(env)) is not None:
        return _check(topic, brought)
    prefix = server_prefix(env)
    if prefix is None:
        return _check(topic, "cannot be seen from here: if panels are texts, install ipywidgets where Jupyter runs")
    if (prefix / _MANAGER).exists() or any(path.exists() for path in _user_managers()):
        return _check(topic, f"the widget manager is there for the Jupyter server in {prefix}")
    fix = f"`{prefix}/bin/python -m pip install ipywidgets`, then restart the Jupyter server"
    return _check(topic, f"the Jupyter server in {prefix} has no widget manager", fix=fix)


def _brought_along(env: Mapping[str, str]) -> str | None:
    """What is to be said where no Jupyter server of the usual kind is in between."""
    place = front_end(env)
    if place is not FrontEnd.JUPYTER:
        return f"{place.value} brings its own"
    return "no notebook" if server_pid(env) is None and "ipykernel" not in sys.modules else None


def _user_managers() -> list[Path]:
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:
        return []
    return [Path(folder, *_MANAGER.parts[3:]) for folder in jupyter_path("labextensions")]


def _proxy(env: Mapping[str, str]) -> Check:
    topic = "Server proxy"
    if (brought := _brought_along(env)) is not None:
        return _check(topic, f"not needed: {brought}")
    prefix = server_prefix(env)
    if prefix is None:
        return _check(topic, "cannot be seen from here; it matters where the browser runs on another machine")
    if any(prefix.glob("lib/python*/site-packages/jupyter_server_proxy")):
        return _check(topic, f"jupyter-server-proxy is there for the Jupyter server in {prefix}")
    fix = f"`{prefix}/bin/python -m pip install jupyter-server-proxy` if the browser runs on another machine"
    return _check(topic, f"the Jupyter server in {prefix} has none", fix=fix)


def _as_table(checks: Sequence[Check]) -> Table:
    colours = {"ok": card.OK, "warning": card.WARN, "problem": card.BAD}
    rows = [
        (
            Cell(check.level.value, colours[check.level.value]),
            Cell(check.topic),
            Cell(f"{check.finding}. Fix: {check.fix}." if check.fix else check.finding),
        )
        for check in checks
    ]
    bad = [check.topic for check in checks if check.level.value != "ok"]
    note = f"To look at: {', '.join(bad)}." if bad else "All is well."
    return Table(name="Doctor", headings=("", "What", "Found"), rows=rows, notes=(note,))


def _as_json(checks: Sequence[Check]) -> str:
    rows = [
        {
            "topic": check.topic,
            "level": check.level.value,
            "finding": words.clean(check.finding),
            "fix": words.clean(check.fix),
        }
        for check in checks
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)
