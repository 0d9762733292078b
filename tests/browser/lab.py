"""A JupyterLab of the tests' own: a process with its own home and settings, and a kernel specification a notebook."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from autopod_nb.clock import Deadline, SystemClock
from tests.leftovers import command_of, left_of

ROOT = Path(__file__).resolve().parents[2]
_START_S = 60.0
_END_S = 20.0
_CALL_S = 60.0  # a kernel has some seconds to end its pods
_LOOK_S = 0.05
_OURS = ("AUTOPOD_", "RUNPOD_", "JUPYTER", "JPY_", "IPYTHON", "PYTHONPATH", "VSCODE_", "COLAB_")
_NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}


def ipykernel_folder(version: str) -> Path:
    """Where ``make test`` has put an ipykernel beside the one of the environment, such as 7.3."""
    return Path(sys.prefix) / f"ipykernel-{version}"


class Lab:
    """JupyterLab as a user starts it, but that it opens no browser and asks about no news.

    Args:
        folder: new; everything of it is below.
        base_url: where it answers, with slashes at both ends, as behind a hub.
        python: in whose environment it runs; that of the tests if left out.
        root: what its file browser shows; a new folder if left out.
        environ: variables of it, beside those that it needs.

    Attributes:
        root: what its file browser shows.
        url: of its start, with the base URL and a slash at the end.
        token: opens it.
        log: what it and its kernels wrote to their standard error.
    """

    def __init__(
        self,
        folder: Path,
        base_url: str = "/",
        *,
        python: Path | None = None,
        root: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.base_url = base_url
        self.root = self._make("root") if root is None else root
        self._python = sys.executable if python is None else str(python)
        self._more = dict(environ or {})
        self.token = secrets.token_hex(16)
        self.log = self.folder / "lab.log"
        self._lock = threading.Lock()
        self._settings = self._make("settings") / "@jupyterlab" / "apputils-extension"
        self._settings.mkdir(parents=True)
        (self._settings / "notification.jupyterlab-settings").write_text(json.dumps(_NO_NEWS))
        self._process = self._start()
        self._web = requests.Session()
        self._web.trust_env = False  # no proxy between us
        self._web.headers["Authorization"] = f"token {self.token}"
        self.url = ""
        try:
            self._wait_for_start()
        except BaseException:
            self.close()
            raise

    def _make(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(parents=True)
        return path

    def _environ(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return (
            inherited
            | self._more
            | {
                "HOME": str(self._make("user")),
                "JUPYTER_CONFIG_DIR": str(self._make("config")),
                "JUPYTER_DATA_DIR": str(self._make("data")),
                "JUPYTER_RUNTIME_DIR": str(self._make("runtime")),
                "JUPYTERLAB_SETTINGS_DIR": str(self.folder / "settings"),
                "JUPYTERLAB_WORKSPACES_DIR": str(self._make("workspaces")),
                "IPYTHONDIR": str(self._make("ipython")),
                "AUTOPOD_HOME": str(self.folder / "no-home"),  # a kernel that is told none must not find the user's
                "JUPYTER_TOKEN": self.token,  # not in the command line, where every process can read it
            }
        )

    def _start(self) -> subprocess.Popen[bytes]:
        command = [self._python, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
        command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", "--ServerApp.port_retries=0"]
        command += [f"--ServerApp.base_url={self.base_url}", f"--ServerApp.root_dir={self.root}"]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command, cwd=self.root, env=self._environ(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait_for_start(self) -> None:
        deadline, pause = Deadline(SystemClock(), _START_S), threading.Event()
        facts = self.folder / "runtime" / f"jpserver-{self._process.pid}.json"
        while not (facts.exists() and self._answers(facts)):
            assert self._process.poll() is None, f"JupyterLab did not start: {self.log.read_text()}"
            assert not deadline.passed, f"JupyterLab is not there after {_START_S:g} s: {self.log.read_text()}"
            pause.wait(_LOOK_S)

    def _answers(self, facts: Path) -> bool:
        try:
            self.url = json.loads(facts.read_text())["url"]
            return bool(self._web.get(f"{self.url}api/status", timeout=_CALL_S).ok)
        except (ValueError, requests.ConnectionError):  # it is being written, or does not listen yet
            return False

    @property
    def pid(self) -> int:
        """Of the server."""
        return self._process.pid

    def add_kernel(self, name: str, version: str, environ: dict[str, str]) -> None:
        """Let a notebook choose a kernel with this ipykernel and these variables.

        Args:
            name: of the specification.
            version: of ipykernel, as the folder of :func:`ipykernel_folder` is named.
            environ: beside those of the server. They are in no notebook and in no command line.
        """
        folder = self.folder / "data" / "kernels" / name
        folder.mkdir(parents=True)
        paths = os.pathsep.join([str(ipykernel_folder(version)), str(ROOT)])
        spec = {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": f"ipykernel {version}",
            "language": "python",
            "env": {"PYTHONPATH": paths, **environ},
        }
        (folder / "kernel.json").write_text(json.dumps(spec))

    def page_url(self, path: str, *, reset: bool = True) -> str:
        """Where a browser that was never here opens a file.

        Args:
            path: below :attr:`root`.
            reset: forget what was open in the workspace.
        """
        return f"{self.url}lab/tree/{quote(path)}?token={self.token}{'&reset' if reset else ''}"

    def api(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to the server; *path* is below the base URL. One at a time, whichever thread asks."""
        with self._lock:
            return self._web.request(method, f"{self.url}{path}", timeout=_CALL_S, **options)

    @contextmanager
    def setting(self, plugin: str, **values: object) -> Iterator[None]:
        """Have other settings of a plug-in meanwhile, for pages that are loaded then."""
        self._put_setting(plugin, values)
        yield
        self._put_setting(plugin, {})

    def _put_setting(self, plugin: str, values: dict[str, object]) -> None:
        answer = self.api("PUT", f"lab/api/settings/{plugin}", json={"raw": json.dumps(values)})
        assert answer.ok, answer.text

    def forget_theme(self) -> None:
        """Show pages that are loaded from now on in the theme that a new user gets."""
        (self._settings / "themes.jupyterlab-settings").unlink(missing_ok=True)

    def sessions(self, path: str) -> list[dict[str, Any]]:
        """The server's sessions of a notebook: its kernel is ``["kernel"]["id"]``."""
        return [each for each in self.api("GET", "api/sessions").json() if each["path"] == path]

    def shut_down(self, path: str) -> None:
        """End the kernels of a notebook as *Shut Down Kernel* does; they have their time to end pods."""
        for each in self.sessions(path):
            self.api("DELETE", f"api/sessions/{each['id']}")

    def close(self) -> None:
        """End it and its kernels; an error when a process is left. Safe to call twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(_END_S)
        self._web.close()
        left = left_of(self.folder / "no-home", _END_S)
        assert not left, f"left by JupyterLab: {'; '.join(f'{pid} ({command_of(pid)})' for pid in sorted(left))}"
