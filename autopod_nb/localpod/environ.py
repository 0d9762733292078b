"""The pod's variables, and the bare environment that its commands get instead."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_COMMAND_MARK = "HOME"
_ENGINE_MARK = "AUTOPOD_POD_DIR"
_OF_A_KERNEL = frozenset(
    {"MPLBACKEND", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "JPY_PARENT_PID", "JPY_SESSION_NAME"}
)
"""Variables of a notebook's kernel that do harm elsewhere: a backend that is not installed there, colours in a log."""


def pod_marks(pod_dir: Path) -> list[str]:
    """``NAME=VALUE`` of which every process of a pod has one; the guard finds strays by them."""
    return [f"{name}={pod_dir}" for name in (_COMMAND_MARK, _ENGINE_MARK)]


def write_environ(path: Path, variables: Mapping[str, str]) -> None:
    """Write the variables as ``/proc/1/environ`` shows them: ``KEY=VALUE`` with a NUL after each; mode 0600.

    Raises:
        ValueError: a name is empty or holds ``=``, or there is a NUL in a name or value.
    """
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"{name!r} cannot be a variable: no empty name, no = in it, no NUL in name or value.")
    data = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in variables.items())
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def bare_environ(pod_dir: Path) -> dict[str, str]:
    """What a command by SSH gets: no variable of the pod, as on a rented pod, and none of the process that started it.

    ``AUTOPOD_HOME`` is passed on, for every process of a pod carries it.
    """
    environ = {"PATH": _PATH, _COMMAND_MARK: str(pod_dir)}
    if "AUTOPOD_HOME" in os.environ:
        environ["AUTOPOD_HOME"] = os.environ["AUTOPOD_HOME"]
    return environ


def engine_environ(pod_dir: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """What ComfyUI gets: the pod's variables over those of this process, as it needs the user's Python.

    ``HOME`` stays the user's, for packages and downloaded models may lie below it.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_A_KERNEL}
    return {**inherited, **variables, _ENGINE_MARK: str(pod_dir)}
