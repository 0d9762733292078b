"""The widget of a panel's line. Imported only where anywidget is installed."""

from __future__ import annotations

import anywidget

from autopod_nb.widgets import plain
from autopod_nb.widgets.controls import free_comm
from autopod_nb.widgets.line import static_text


class LineWidget(anywidget.AnyWidget):
    """What ``static/line.js`` draws: whether the kernel lives, a link to the control page, the answer to a press."""

    _esm = static_text("line.js")
    _css = static_text("line.css")

    def __init__(self) -> None:
        super().__init__(layout=plain.layout())
        free_comm(self)
