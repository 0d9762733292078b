"""What every live panel is made of: a pump that draws it, a line to the kernel, a place for answers, a root."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autopod_nb.widgets import plain
from autopod_nb.widgets.controls import Answer, Root
from autopod_nb.widgets.line import make_line
from autopod_nb.widgets.pump import FULL, Beat, Pump, the_pump
from autopod_nb.widgets.traits import put, take_away

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session


class SessionPanel:
    """A panel of a session. What it shows is :meth:`_draw`, of whoever inherits.

    Args:
        session: its snapshots are read and its commands posted.
        pump: draws it; the one of this process if left out.

    Attributes:
        root: the widget to be shown; made by :meth:`_make_root`.
    """

    root: Root

    def __init__(self, session: Session, pump: Pump | None) -> None:
        self._session = session
        self._pump = pump or the_pump()
        self._answer = Answer(self._wake)
        self._message = plain.text()
        self._line = make_line(session.control, self._wake)

    def _wake(self) -> None:
        self._pump.add(self)

    def _make_root(
        self, children: list[Any], fallback: Callable[[], tuple[str, str]], *, width_px: int | None = None
    ) -> None:
        """Put the parts together; the line and what it brings come last."""
        line = [self._line.widget] if self._line is not None else []
        width = {} if width_px is None else {"width_px": width_px}
        self.root = Root([*children, self._message, *line], fallback, **width)

    @property
    def seen(self) -> bool:
        """Whether it surely came to life in a browser. Any thread."""
        return self._line is not None and self._line.seen

    def show(self) -> Any:
        """Draw it once, and from now on. Returns the widget."""
        self._draw(FULL)
        self._pump.add(self)
        return self.root

    def close(self) -> None:
        """Take it away, in every front end. Not from the pump's thread."""
        self._pump.remove(self)
        take_away(self.root)

    def draw(self, beat: Beat) -> bool:
        """See :class:`autopod_nb.widgets.pump.Panel`."""
        lives = self._draw(beat)
        put(self._message, self._answer.html, heal=beat.heal)
        if self._line is not None:
            self._line.draw(rests=not lives)
        return lives

    def _draw(self, beat: Beat) -> bool:
        """Draw what is due. Returns whether more is to come; False only after everything was drawn."""
        raise NotImplementedError
