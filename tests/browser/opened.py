"""Opens the notebooks of one test, and leaves nothing of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, BrowserContext

from tests.browser.lab import ROOT, Lab
from tests.browser.page import Notebook
from tests.leftovers import command_of, left_of
from tests.session.graphs import GRAPHS

BOTH = ("7.4", "7.3")
"""The ipykernels that treat a click during a cell in different ways."""
_SIZE = {"width": 1280, "height": 900}
_LEFT_WITHIN_S = 40.0  # the reaper of rented pods lingers for some seconds; a localpod whose kernel was killed 15


class Opener:
    """Call it with cells, and a notebook with them is open.

    Args:
        lab: the server.
        browser: each notebook gets a window of its own, with cookies of its own.
        version: of ipykernel.
        name: no other test has it.

    Attributes:
        folder: of the notebooks, below the server's root: their working folder.
        home: ``AUTOPOD_HOME`` of their kernels.
        environ: variables of their kernels; to be changed before the first notebook is opened.
    """

    def __init__(self, lab: Lab, browser: Browser, *, version: str, name: str) -> None:
        self.lab, self.version, self.name = lab, version, name
        self.folder = lab.root / name
        self.folder.mkdir()
        self.home = lab.folder / f"home-{name}"
        self.environ = {"AUTOPOD_HOME": str(self.home)}
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._paths: list[str] = []
        self._has_kernel = False

    def __call__(self, *cells: str) -> Notebook:
        """Write a notebook with these code cells and open it."""
        notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call] # it has no types
        notebook.cells = [nbformat.v4.new_code_cell(code) for code in cells]  # type: ignore[no-untyped-call]
        path = self.folder / f"nb{len(self._paths) + 1}.ipynb"
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        return self.open(path)

    def shipped(self, name: str) -> Notebook:
        """Open a copy of one of our notebooks, without its outputs, with the inputs that it finds beside itself."""
        shutil.copytree(ROOT / "jobs", self.folder / "jobs", dirs_exist_ok=True)
        path = self.folder / "notebooks" / name
        path.parent.mkdir(exist_ok=True)
        notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)  # type: ignore[no-untyped-call]
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        return self.open(path)

    def template(self, name: str) -> Path:
        """One of :data:`tests.session.graphs.GRAPHS` as a file: ``slow`` has a sampler whose steps take 0.18 s each."""
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(GRAPHS[name]))
        return path

    def open(self, path: Path) -> Notebook:
        """Open a notebook's file in a window of its own; its kernel is this test's."""
        self._choose_kernel(path)
        opened = self.again(str(path.relative_to(self.lab.root)))
        assert opened.knock().startswith(f"{self.version}.")
        return opened

    def again(self, path: str) -> Notebook:
        """Open a notebook that may be open already, as a second person does; *path* is below the server's root."""
        if path not in self._paths:
            self._paths.append(path)
        context = self._browser.new_context(viewport=_SIZE)  # type: ignore[arg-type] # a plain dict will do
        self._contexts.append(context)
        opened = Notebook(context.new_page(), self.lab, path)
        opened.open()
        return opened

    def _choose_kernel(self, path: Path) -> None:
        if not self._has_kernel:
            self._has_kernel = True
            self.lab.add_kernel(self.name, self.version, self.environ)
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        notebook.metadata["kernelspec"] = {"name": self.name, "display_name": self.name, "language": "python"}
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the windows, end the kernels, and wait until everything that they started has ended by itself."""
        for context in self._contexts:
            context.close()
        self.lab.forget_theme()
        for path in self._paths:
            self.lab.shut_down(path)
        left = left_of(self.home, _LEFT_WITHIN_S)
        assert not left, f"left by {self.name}: {'; '.join(f'{pid} ({command_of(pid)})' for pid in sorted(left))}"
