"""A notebook in a browser, as a person has it before them, and what a person cannot see of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import ConsoleMessage, Dialog, Error, Locator, Page, Response, expect

from tests.browser import scripts
from tests.browser.lab import ROOT, Lab
from tests.browser.scripts import WAIT_MS

_KNOCK_MS = 8_000.0
_VERSION = "__import__('ipykernel').__version__"

SHOTS = ROOT / "demo-output" / "shots"


class Notebook:
    """One notebook in one tab.

    Args:
        page: the tab.
        lab: the server.
        path: of the notebook, below the server's root.

    Attributes:
        errors: what the browser's console called an error, and scripts that failed.
        dialogs: what scripts of the page asked in a box of the browser, such as an ``alert``.
        requests: address of each answer that the page got, in order.
    """

    def __init__(self, page: Page, lab: Lab, path: str) -> None:
        self.page, self.lab, self.path = page, lab, path
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.add_init_script(scripts.PRESSES)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(f"script: {error}"))
        page.on("dialog", self._on_dialog)
        page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _on_dialog(self, dialog: Dialog) -> None:
        if dialog.type != "beforeunload":
            self.dialogs.append(dialog.message)
        dialog.accept()

    def _on_response(self, response: Response) -> None:
        self.requests.append(response.url)

    # --- the tab ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Load it and wait for its kernel; the file browser is put away, for it takes half of a narrow page."""
        self.page.goto(self.lab.page_url(self.path))
        self.wait_ready()
        self.command("application:toggle-left-area")

    def wait_ready(self, *, kernel: bool = True) -> None:
        """Wait for the notebook, and for its kernel's answer: one that runs a cell gives none to a new page."""
        self.page.wait_for_function(scripts.READY if kernel else scripts.NOTEBOOK_READY, arg=self.path)

    def reload(self, *, kernel: bool = True) -> None:
        """Load the page anew. What was not saved is gone."""
        self.page.reload()
        self.wait_ready(kernel=kernel)

    def command(self, name: str, **arguments: object) -> Any:
        """Have JupyterLab do something, to its end."""
        code = "([name, given]) => window.jupyterapp.commands.execute(name, given).then(() => null)"
        return self.page.evaluate(code, [name, arguments])

    def theme(self, name: str) -> None:
        """Choose a theme, for this test: ``JupyterLab Dark``, ``JupyterLab Light``."""
        self.command("apputils:change-theme", theme=name)
        is_light = "false" if "Dark" in name else "true"
        expect(self.page.locator(f"body[data-jp-theme-light={is_light}]")).to_be_attached()
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)  # it fades, over everything

    def width(self, pixels: int) -> None:
        """Make the page so wide, 900 pixels high."""
        self.page.set_viewport_size({"width": pixels, "height": 900})

    def shot(self, name: str, of: Locator | None = None) -> Path:
        """Take a picture for a person to look at: ``demo-output/shots/NAME.png``."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        (self.page if of is None else of).screenshot(path=path)
        return path

    # --- cells ------------------------------------------------------------------------------------------------------

    def start(self, at: int) -> None:
        """Run a cell, counted from 0 with those of text; do not wait."""
        self.page.evaluate(scripts.START, ["notebook:run-cell", at])

    def wait(self, at: int) -> bool:
        """Wait for the end of a cell that was started since the page was loaded. Returns whether it ended well."""
        self.page.wait_for_function(scripts.OVER, arg=at)
        return bool(self.page.evaluate("at => window.autopodRuns.get(at).ok", at))

    def run(self, at: int) -> bool:
        """Run a cell to its end. Returns whether it ended well."""
        self.start(at)
        return self.wait(at)

    def run_all(self) -> bool:
        """Run all cells to their end. Returns whether all ended well."""
        self.start_all()
        return self.wait_all()

    def start_all(self) -> None:
        """Run all cells; do not wait."""
        self.page.evaluate(scripts.START, ["notebook:run-all-cells", None])

    def wait_all(self, within_s: float = WAIT_MS / 1000) -> bool:
        """Wait for the end of :meth:`start_all`. Returns whether all ended well."""
        self.page.wait_for_function("window.autopodRuns.get(null).over", timeout=within_s * 1000)
        return bool(self.page.evaluate("window.autopodRuns.get(null).ok"))

    def cell(self, at: int) -> Locator:
        """A cell on the page."""
        return self.page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{at}']")

    def output(self, at: int) -> Locator:
        """What is below a cell."""
        return self.cell(at).locator(".jp-Cell-outputWrapper")

    def button(self, name: str | re.Pattern[str], at: int | None = None) -> Locator:
        """The buttons of this name that can be seen, below one cell if *at* is given."""
        place = self.page.locator(".jp-Notebook") if at is None else self.output(at)
        return place.get_by_role("button", name=name, exact=isinstance(name, str)).locator("visible=true")

    def bar(self, at: int) -> Locator:
        """The first progress bar below a cell; its width says how far."""
        return self.output(at).locator(".widget-hprogress .progress-bar").first

    def watch(self, at: int) -> None:
        """Note from now on what moves below a cell, for :meth:`bar_widths` and :meth:`pictures`."""
        self.output(at).evaluate(scripts.WATCH)

    def bar_widths(self) -> list[float]:
        """The widths of the first bar since :meth:`watch`, in percent, each once in a row."""
        widths: list[float] = self.page.evaluate("window.autopodSeen.widths")
        return widths

    def pictures(self) -> int:
        """How many pictures stood there one after the other since :meth:`watch`."""
        count: int = self.page.evaluate("window.autopodSeen.pictures.size")
        return count

    def plays(self, video: Locator) -> None:
        """Have a video play, and see that it does."""
        video.evaluate("video => { video.muted = true; return video.play() }")
        self.page.wait_for_function(
            "video => video.currentTime > 0 && video.videoWidth > 0", arg=video.element_handle()
        )

    def outputs(self, at: int) -> list[dict[str, Any]]:
        """The outputs of a cell as the notebook will be saved."""
        found: list[dict[str, Any]] = self.page.evaluate(
            f"at => {scripts.PANEL}.content.widgets[at].model.outputs.toJSON()", at
        )
        return found

    def text(self, at: int) -> str:
        """What a cell printed, and the plain text of its displays."""
        outputs = self.outputs(at)
        parts = [each.get("text") or each.get("data", {}).get("text/plain", "") for each in outputs]
        return "".join("".join(part) for part in parts)  # of lines, or one text

    def press(self, locator: Locator) -> float:
        """Click. Returns when the page saw it, in seconds since 1970."""
        locator.click()
        pressed: float = self.page.evaluate("window.autopodPresses.at(-1)")
        return pressed

    # --- the kernel -------------------------------------------------------------------------------------------------

    def knock(self) -> str:
        """The version of ipykernel. What is sent first to a kernel that has just begun may be lost: then once more."""
        for within_ms in (_KNOCK_MS, _KNOCK_MS):
            with suppress(Error):
                return str(self.ask(_VERSION, within_ms))
        return str(self.ask(_VERSION))

    def ask(self, expression: str, within_ms: float = WAIT_MS) -> Any:
        """The value of a Python expression in the kernel, a literal; waits while a cell runs."""
        ok, text = self.page.evaluate(scripts.ASK, [expression, within_ms])
        assert ok, f"{expression}: {text}"
        return ast.literal_eval(text)

    def restart(self) -> None:
        """Restart the kernel, without the question that JupyterLab asks before."""
        self.page.evaluate(f"{scripts.PANEL}.sessionContext.session.kernel.restart()")
        self.wait_ready()

    def interrupt(self) -> None:
        """Press the notebook's stop button, in effect."""
        self.page.evaluate(f"{scripts.PANEL}.sessionContext.session.kernel.interrupt()")

    # --- the file ---------------------------------------------------------------------------------------------------

    @property
    def file(self) -> Path:
        """The notebook's file."""
        return self.lab.root / self.path

    def save(self) -> None:
        """Save the notebook."""
        self.command("docmanager:save")

    def saved(self) -> Any:
        """The notebook in its file."""
        return nbformat.read(self.file, as_version=4)  # type: ignore[no-untyped-call] # it has no types

    # --- how it looks -----------------------------------------------------------------------------------------------

    def unreadable(self, of: Locator, at_least: float = 3.0) -> list[str]:
        """The texts that stand out from their ground by less than this (WCAG's contrast ratio), each with its ratio."""
        found: Sequence[str] = of.evaluate(scripts.CONTRAST, at_least)
        return list(found)

    def overflowing(self, of: Locator) -> list[str]:
        """What reaches out of an area to the right, and the page itself if it can be scrolled sideways.

        A wide table in a box of ours that scrolls by itself does not.
        """
        found: Sequence[str] = of.evaluate(scripts.OVERFLOW)
        return list(found)
