"""A ComfyUI that the user has: which Python runs it, how it is told to keep to the pod's folder, and on what.

Its flags were seen in runs of 0.12.1 and 0.3.64. Nothing is written into its own folder but what ComfyUI itself and its
custom nodes write there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from autopod_nb.localpod.failure import StartFailed

_log = logging.getLogger(__name__)

_VENVS = ("venv", ".venv")
_PROBE_S = 10.0  # a Python that starts from a slow disk, a driver that wakes up
_AMD_COMPUTE = Path("/dev/kfd")
_TORCH_KIND = """
import importlib.util, os, runpy
torch = importlib.util.find_spec("torch")
facts = runpy.run_path(os.path.join(torch.submodule_search_locations[0], "version.py"))
print(*(name for name in ("cuda", "hip") if facts.get(name)))
"""
"""Says what torch was built for without loading it, which would take seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComfyInstall:
    """What is started.

    Attributes:
        folder: where its ``main.py`` lies.
        python: the interpreter; a link is kept as it is, for it may be what makes a venv.
        arguments: added to the pod's own, for example ``--cpu``.
    """

    folder: Path
    python: Path
    arguments: tuple[str, ...]

    def command(self, base: Path, port: int, host: str) -> list[str]:
        """How it is started on *port*, once :meth:`prepare` was called for *base*."""
        models = _models_file(base)
        return [
            *(str(self.python), str(self.folder / "main.py")),
            *("--listen", host, "--port", str(port), "--base-directory", str(base)),
            # Its own default lies in the folder of the install: two pods would share it.
            *("--database-url", f"sqlite:///{base / 'user' / 'comfyui.db'}", "--disable-auto-launch"),
            *(("--extra-model-paths-config", str(models)) if models.exists() else ()),
            *self.arguments,
        ]

    def prepare(self, base: Path) -> None:
        """Make the base folder: places for files, the user's custom nodes, and where the user's models are.

        ``custom_nodes`` is a link to the user's own, so that they are found where they look for themselves; what is
        installed into it on the pod stays with the user. Models are only read there.
        """
        for name in ("input", "output", "temp", "user"):
            (base / name).mkdir(parents=True, exist_ok=True)
        _link_custom_nodes(base / "custom_nodes", self.folder / "custom_nodes")
        _models_file(base).unlink(missing_ok=True)
        models = self.folder / "models"
        kinds = sorted(path for path in models.iterdir() if path.is_dir()) if models.is_dir() else []
        if kinds:  # an empty file would be refused
            # JSON is YAML; whole paths, for what has a base path gets its $ and ~ expanded.
            paths = {"autopod": {path.name: str(path) for path in kinds}}
            _models_file(base).write_text(json.dumps(paths, ensure_ascii=False, indent=1), encoding="utf-8")


def find_install(folder: Path, python: str | None, arguments: str | None) -> ComfyInstall:
    """Look at a ComfyUI before it is started.

    Args:
        folder: where its ``main.py`` should lie.
        python: a path or a command; None for a venv inside the folder, or else the Python of this program.
        arguments: what is added, as in a shell; None for ``--cpu`` if :func:`has_gpu` finds none.

    Raises:
        StartFailed: there is no such file or program.
    """
    folder = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - a link stays as the user knows it, .. goes
    if not (folder / "main.py").is_file():
        raise StartFailed(f"{folder} is not a ComfyUI: there is no main.py in it.")
    found = _find_python(folder, python)
    extra = (() if has_gpu(found) else ("--cpu",)) if arguments is None else tuple(shlex.split(arguments))
    return ComfyInstall(folder=folder, python=found, arguments=extra)


def _find_python(folder: Path, python: str | None) -> Path:
    if python is None:
        venvs = [folder / name / "bin" / "python" for name in _VENVS]
        return next((path for path in venvs if os.access(path, os.X_OK)), Path(sys.executable))
    found = shutil.which(os.path.expanduser(python))  # noqa: PTH111 - as a Path, ./python would be looked for like python
    if found is None:
        raise StartFailed(f"{python} cannot run the ComfyUI in {folder}: it is not an executable Python.")
    return Path(found).absolute()


def has_gpu(python: Path) -> bool:
    """Whether the torch of *python* would find a GPU here. Takes a fraction of a second, as it loads no torch.

    Yes on Apple silicon; with a torch built for CUDA if ``nvidia-smi -L`` lists a GPU that is not hidden by
    ``CUDA_VISIBLE_DEVICES``; with one built for ROCm if the compute driver is loaded. A wrong yes ends ComfyUI's start,
    a wrong no makes it slow; other kinds of GPU count as none.
    """
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    kinds = _output([str(python), "-c", _TORCH_KIND]).split()
    if "hip" in kinds and _AMD_COMPUTE.exists():
        return True
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}
    return "cuda" in kinds and not hidden and "GPU 0" in _output(["nvidia-smi", "-L"])


def _output(command: list[str]) -> str:
    """What a command writes; nothing if it is not there, fails or hangs."""
    try:
        done = subprocess.run(  # noqa: S603 - the user's own Python, or a tool of the system
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def _models_file(base: Path) -> Path:
    return base / "extra_model_paths.yaml"


def _link_custom_nodes(link: Path, own: Path) -> None:
    """Make *link* the user's folder; an empty one if there is none, as ComfyUI does not start without."""
    if link.is_symlink():
        link.unlink()
    if own.is_dir():
        with contextlib.suppress(OSError):
            link.rmdir()  # the empty one of an earlier start
        if not link.exists():
            link.symlink_to(own, target_is_directory=True)
            return
        _log.warning("%s has custom nodes of its own; those in %s are left out", link, own)
    link.mkdir(exist_ok=True)
