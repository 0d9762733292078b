"""What panels share: the root that saves well, buttons, and the answer to a press."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.errors import AutopodError
from autopod_nb.widgets import card, plain

_log = logging.getLogger(__name__)
_WIDTH_PX = 720


class Root(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """The outermost box of a panel, with a text and an HTML form for where no widget can be shown.

    Args:
        children: the widgets in it.
        fallback: makes (text, HTML) at the moment of showing.
        width_px: the most that it takes; it takes less in a narrow page.
    """

    def __init__(
        self, children: list[Any], fallback: Callable[[], tuple[str, str]], *, width_px: int = _WIDTH_PX
    ) -> None:
        self._fallback = fallback
        border = "1px solid var(--jp-border-color2, #bdbdbd)"
        layout = W.Layout(max_width=f"{width_px}px", padding="6px 12px 8px", border=border)
        super().__init__(children, layout=layout, _dom_classes=("autopod-panel",))

    def __repr__(self) -> str:
        return "<autopod panel>"  # ipywidgets would look through all that is in it, at each showing

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        bundle["text/plain"], bundle["text/html"] = self._fallback()
        return bundle


def free_comm(widget: Any) -> None:
    """Let clicks on *widget* run while a cell runs.

    ipykernel 7.4 sends a front end's message to the shell that spoke last, which is the busy one, and drops the
    subshell that the front end chose. Its hook is private, so it is only used where it exists.
    """
    comm = widget.comm
    if comm is not None and hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default  # noqa: ARG005 - see above


def button(text: str, help_: str, press: Callable[[], None], *, style: str = "", layout: Any = None) -> Any:
    """A button.

    Args:
        text: on it.
        help_: said by its tooltip.
        press: may run in any thread and must return at once.
        style: of ipywidgets: ``danger``.
        layout: shared with other buttons, where there are many.
    """
    look = {"button_style": style, "style": plain.button_style(), "layout": layout or W.Layout(width="auto")}
    made = W.Button(description=text, tooltip=help_, **look)
    made.on_click(lambda _: press())
    free_comm(made)
    return made


class Answer:
    """What the last press of a button brought, for the pump to draw. A press may come in any thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.html = ""
        self._wake = wake

    def to(self, act: Callable[[], str]) -> None:
        """Do what a button stands for. What goes wrong is shown, for an exception in a callback is seen by nobody."""
        try:
            self.html = card.message_html(act())
        except AutopodError as error:
            self.html = card.message_html(str(error), bad=True)
        except Exception as error:  # noqa: BLE001 - logged and shown
            _log.exception("a button failed")
            self.html = card.message_html(f"That failed: {type(error).__name__}. The log says more.", bad=True)
        self._wake()
