"""The one way in which panels write widget traits: only what differs, several as one message, counted for the pump."""

from __future__ import annotations

import threading
from typing import Any


class _Tally:
    """Counts messages; any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def add(self) -> None:
        with self._lock:
            self._count += 1

    def take(self) -> int:
        with self._lock:
            count, self._count = self._count, 0
        return count


_sent = _Tally()


def assign(widget: Any, *, heal: bool = False, **traits: Any) -> None:
    """Set traits. What is the same already is not sent; with *heal* it is sent once more.

    A front end that lost a message (a server drops them above its rate) is put right by the next heal. In the pump's
    thread only, once the widget is shown.

    Args:
        widget: any ipywidget.
        heal: send what did not change, too.
        traits: name → value.
    """
    changed = {name: value for name, value in traits.items() if getattr(widget, name) != value}
    if changed:
        _sent.add()
        with widget.hold_sync():
            for name, value in changed.items():
                setattr(widget, name, value)
    elif heal and widget.comm is not None:
        _sent.add()
        widget.send_state(list(traits))


def show(widget: Any, *, shown: bool) -> None:
    """Let a widget be seen, or not."""
    display = None if shown else "none"
    if widget.layout.display != display:
        _sent.add()
        widget.layout.display = display


def put(widget: Any, html: str, *, heal: bool = False) -> None:
    """Let an HTML widget show *html*, with lines as close as in a card."""
    value = f'<div style="line-height:1.5;overflow-wrap:anywhere">{html}</div>' if html else ""
    assign(widget, heal=heal, value=value)


def take_away(*roots: Any) -> None:
    """Close widgets and all that are in them, in every front end: what is only dropped lives on in both processes."""
    for root in roots:
        for widget in reversed(everything(root)):
            _sent.add()
            widget.close()


def everything(widget: Any) -> list[Any]:
    """A widget and all that are in it, itself first."""
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in everything(child))]


def count_sent() -> int:
    """How many messages were written since this was asked last, by all panels together. The pump asks."""
    return _sent.take()


def tell(widget: Any, content: dict[str, Any]) -> None:
    """Send a custom message, which no notebook keeps: the way for what may not be saved."""
    _sent.add()
    widget.send(content)
