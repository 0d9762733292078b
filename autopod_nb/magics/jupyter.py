"""What shows this notebook, and where its server is, as far as a kernel can tell. Knows no IPython."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path


class FrontEnd(Enum):
    """What shows the notebook."""

    JUPYTER = "Jupyter"
    COLAB = "Colab"
    VSCODE = "VS Code"


def front_end(env: Mapping[str, str]) -> FrontEnd:
    """The best guess."""
    if "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in env:
        return FrontEnd.COLAB
    return FrontEnd.VSCODE if "VSCODE_PID" in env or "VSCODE_CWD" in env else FrontEnd.JUPYTER


def server_pid(env: Mapping[str, str]) -> int | None:
    """The process of the Jupyter server that started this kernel, None if none did or it is gone."""
    pid = env.get("JPY_PARENT_PID", "")
    return int(pid) if pid.isdigit() and Path(f"/proc/{pid}").exists() == Path("/proc").exists() else None


def server_prefix(env: Mapping[str, str]) -> Path | None:
    """The Python environment in which that server runs; None if it cannot be told.

    A virtual environment's Python is a link, so that the command line says more than the process's own file does.
    """
    pid = server_pid(env)
    try:
        python = Path(os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]))
        if not python.is_absolute() and len(python.parts) > 1:  # as typed: relative to where it was started
            python = Path(f"/proc/{pid}/cwd").readlink() / python
    except OSError:
        return None
    folder = python.parent
    return folder.parent if folder.name == "bin" and folder.is_absolute() else None


def base_url(env: Mapping[str, str]) -> str | None:
    """The path below which that server answers, with slashes at both ends; None if it cannot be told.

    A hub says it; else the server's file among Jupyter's runtime files does, which also holds its token: nothing but
    the path is taken from it.
    """
    if prefix := env.get("JUPYTERHUB_SERVICE_PREFIX"):
        return f"/{prefix.strip('/')}/"
    pid = server_pid(env)
    if pid is None:
        return None
    try:
        from jupyter_core.paths import jupyter_runtime_dir  # noqa: PLC0415 - not there without Jupyter

        facts = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{pid}.json").read_text())
    except (ImportError, OSError, ValueError):
        return None
    path = facts.get("base_url") if isinstance(facts, dict) else None
    return path if isinstance(path, str) and path.startswith("/") else None
