"""Texts and boxes without a look of their own. They share one: half of the messages that open a panel were looks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import ipywidgets as W  # noqa: N812 - as its own documentation does
from ipywidgets.widgets.widget_string import HTMLStyle


class _Shared:
    """A widget of which one is enough. Any thread.

    Args:
        make: makes it when it is first wanted, and again when somebody has closed it.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Any = None

    def get(self) -> Any:
        with self._lock:
            if self._made is None or self._made.comm is None:
                self._made = self._make()
            return self._made


_layout = _Shared(W.Layout)
_text_style = _Shared(HTMLStyle)
_button_style = _Shared(W.ButtonStyle)


def text(*, layout: Any = None) -> Any:
    """A piece of HTML, empty at first.

    Args:
        layout: of its own, or shared by others; needed where it is to be hidden.
    """
    return W.HTML(layout=layout or _layout.get(), style=_text_style.get())


def box(*children: Any) -> Any:
    """Widgets below each other. It cannot be hidden."""
    return W.VBox(children, layout=_layout.get())


def button_style() -> Any:
    """What a button has beside its colour."""
    return _button_style.get()
