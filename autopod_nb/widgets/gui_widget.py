"""The widget that frames ComfyUI. Imported only where anywidget is installed."""

from __future__ import annotations

import anywidget
import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.widgets.controls import free_comm
from autopod_nb.widgets.line import static_text


class GuiWidget(anywidget.AnyWidget):
    """What ``static/gui_frame.js`` draws: the frame, once it knows the way, and a link to a tab of its own."""

    _esm = static_text("gui_frame.js")
    _css = static_text("gui_frame.css")

    def __init__(self) -> None:
        super().__init__(layout=W.Layout(width="100%"))
        free_comm(self)
