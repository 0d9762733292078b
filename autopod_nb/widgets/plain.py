"""Texts and boxes without a look of their own, and looks to be shared: half of what opens a panel would be looks."""

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


_text_style = _Shared(HTMLStyle)
_button_style = _Shared(W.ButtonStyle)
_layouts: dict[tuple[tuple[str, str], ...], _Shared] = {}


def layout(**how: str) -> Any:
    """The layout of all that looks like this, and is never to look otherwise or to be hidden."""
    key = tuple(sorted(how.items()))
    return _layouts.setdefault(key, _Shared(lambda: W.Layout(**how))).get()


def text(look: Any = None) -> Any:
    """A piece of HTML, empty at first.

    Args:
        look: its layout; needed where it is to be hidden.
    """
    return W.HTML(layout=look or layout(), style=_text_style.get())


def box(*children: Any) -> Any:
    """Widgets below each other. It cannot be hidden."""
    return W.VBox(children, layout=layout())


def button_style() -> Any:
    """What a button has beside its colour."""
    return _button_style.get()
