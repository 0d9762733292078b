"""Where the rows about panels are measured: one JupyterLab and one Chromium for all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.chromium import NO_CHROMIUM, a_browser, find_chromium
from tests.browser.lab import Lab
from tests.browser.opened import Opener
from tests.browser.page import Notebook

EMPTY = """
import ipywidgets
ipywidgets.VBox([ipywidgets.HTML("an empty panel")], layout=ipywidgets.Layout(border="1px solid"))
"""
"""A cell with the baseline of the rows about whole panels."""


class Room:
    """Server and browser, started when they are first wanted, on ipykernel 7.4.

    Playwright's event loop runs in this thread from then on, which other rows mind: they are measured before.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._made: tuple[Lab, Browser] | None = None

    @contextmanager
    def opener(self, name: str) -> Iterator[Opener]:
        """Opens notebooks with an ``AUTOPOD_HOME`` of their own; in the end nothing of them is left.

        Args:
            name: no other one has it.

        Raises:
            RuntimeError: there is no Chromium.
        """
        lab, browser = self._made = self._made or self._make()
        opener = Opener(lab, browser, version="7.4", name=name)
        try:
            yield opener
        finally:
            opener.close()

    def _make(self) -> tuple[Lab, Browser]:
        program = find_chromium()
        if program is None:
            raise RuntimeError(NO_CHROMIUM)
        browser = self._stack.enter_context(a_browser(program))
        lab = Lab(Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="autopod-bench-"))))
        self._stack.callback(lab.close)
        return lab, browser

    def close(self) -> None:
        """End both. Safe to call twice."""
        self._made = None
        self._stack.close()


def run_cells(page: Notebook, *cells: int) -> None:
    """Run cells, one after the other.

    Raises:
        RuntimeError: one ended badly.
    """
    for at in cells:
        if not page.run(at):
            faults = [f"{each['ename']}: {each['evalue']}" for each in page.outputs(at) if "ename" in each]
            raise RuntimeError(f"cell {at} failed: {'; '.join(faults) or page.text(at)}")
