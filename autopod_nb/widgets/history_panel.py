"""The history with filters, pages and downloads. It needs a kernel with widgets; elsewhere the frame shows itself.

It has no thread of its own: callbacks do the work and write the traits, one at a time under a lock, for a front end's
messages may run in a thread beside the main one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as W  # noqa: N812 - as its own documentation does
import pandas as pd

from autopod_nb.errors import AutopodError
from autopod_nb.session.frame import short_path, summary_of
from autopod_nb.widgets import card, words
from autopod_nb.widgets.controls import Root, button, free_comm
from autopod_nb.widgets.history_files import link
from autopod_nb.widgets.history_filter import Filter, Finder
from autopod_nb.widgets.history_html import page_html

if TYPE_CHECKING:
    from autopod_nb.session.frame import HistoryFrame

PAGE_ROWS = 25
"""Rows of a page, and so the most that is ever drawn."""

_WIDTH_PX = 1100
_ANY = ""  # not None, which is "nothing chosen" and an empty list to a front end
_log = logging.getLogger(__name__)


class HistoryPanel:
    """A history that can be filtered, leafed through and saved.

    Args:
        frame: shown in its own order, which is newest first as the history comes; what happens to it later is not seen.

    Attributes:
        root: the widget.
    """

    def __init__(self, frame: HistoryFrame) -> None:
        self._frame = frame.copy()
        self._finder = Finder(self._frame)
        self._rows = self._finder.find(Filter())
        self._page = 0
        self._paused = False  # several filters change as one
        self._lock = threading.RLock()
        newest_first = bool(self._frame["submitted"].is_monotonic_decreasing)
        self._order = ", newest first" if newest_first else ", in the order of the frame"
        self._filters = self._make_filters()
        self._total, self._table, self._note = W.HTML(), W.HTML(), W.HTML()
        self._back = button("◂ Newer" if newest_first else "◂ Back", "25 rows back", lambda: self._turn(-1))
        self._on = button("Older ▸" if newest_first else "On ▸", "25 rows on", lambda: self._turn(1))
        self._place = W.HTML()
        text, html = repr(frame), frame._repr_html_() + _how_to_come_back()
        self.root = Root(self._parts(), lambda: (text, html), width_px=_WIDTH_PX)
        self._draw()
        for control in self._filters.values():
            control.observe(self._filter_changed, names="value")
            free_comm(control)

    def close(self) -> None:
        """Take it away. Twice is as good as once."""
        for widget in _all(self.root):
            widget.close()

    # --- the parts ---------------------------------------------------------------------------------------------------

    def _make_filters(self) -> dict[str, Any]:
        look = {"style": {"description_width": "72px"}, "layout": W.Layout(flex="1 1 220px", width="auto")}
        tip = "job, template, error and file names; all words must be in them"
        text = W.Text(description="Search", placeholder="job, template, error, file", tooltip=tip, **look)
        since = W.DatePicker(description="Since", tooltip="submitted on this day (UTC) or later", **look)
        return {
            "text": text,
            "state": self._choice("State", "state", **look),
            "template": self._choice("Template", "template", **look),
            "gpu": self._choice("GPU", "gpu", **look),
            "kind": self._choice("Money", "kind", **look),
            "since": since,
        }

    def _choice(self, title: str, column: str, **look: Any) -> Any:
        known = [(words.clean(short_path(value)), value) for value in self._finder.choices(column)]
        return W.Dropdown(description=title, options=[("any", _ANY), *known], value=_ANY, **look)

    def _parts(self) -> list[Any]:
        wrap = W.Layout(flex_flow="row wrap", align_items="center", width="100%")
        grid = W.Layout(display="grid", grid_template_columns="repeat(auto-fill, minmax(240px, 1fr))", width="100%")
        clear = button("Clear filters", "show all rows again", self._clear)
        csv = button("Make CSV", "a file of the filtered rows", lambda: self._make("csv"))
        parquet = button("Make Parquet", "a file of the filtered rows", lambda: self._make("parquet"))
        return [
            W.HBox([*self._filters.values()], layout=grid),
            self._total,
            self._table,
            W.HBox([self._back, self._on, self._place, clear, csv, parquet], layout=wrap),
            self._note,
        ]

    # --- what a person does; in any thread ---------------------------------------------------------------------------

    def _filter_changed(self, _: object) -> None:
        if not self._paused:
            self._do(self._filter)

    def _clear(self) -> None:
        self._do(self._clear_now)

    def _turn(self, pages: int) -> None:
        self._do(lambda: self._turn_now(pages))

    def _make(self, format_: str) -> None:
        self._do(lambda: self._make_now(format_))

    def _do(self, act: Callable[[], None]) -> None:
        """Do it alone. What goes wrong is shown, for an exception in a callback is seen by nobody."""
        with self._lock:
            try:
                act()
            except AutopodError as error:
                self._note.value = card.message_html(str(error), bad=True)
            except Exception as error:  # noqa: BLE001 - logged and shown
                _log.exception("the history's panel failed")
                text = f"That failed: {type(error).__name__}. The log says more."
                self._note.value = card.message_html(text, bad=True)

    # --- under the lock ----------------------------------------------------------------------------------------------

    def _filter(self) -> None:
        wanted = {name: each.value for name, each in self._filters.items() if each.value != _ANY}
        self._rows = self._finder.find(Filter(**wanted))
        self._page = 0
        self._note.value = ""  # a file of other rows
        self._draw()

    def _clear_now(self) -> None:
        self._paused = True
        try:
            for name, control in self._filters.items():
                control.value = None if name == "since" else _ANY
        finally:
            self._paused = False
        self._filter()

    def _turn_now(self, pages: int) -> None:
        self._page = min(max(0, self._page + pages), self._last_page)
        self._draw()

    def _make_now(self, format_: str) -> None:
        html = link(pd.DataFrame(self._frame.iloc[self._rows]), format_)
        self._note.value = f'<div role="status" style="line-height:1.5">{html}</div>'

    @property
    def _last_page(self) -> int:
        return max(0, len(self._rows) - 1) // PAGE_ROWS

    def _draw(self) -> None:
        first, count = self._page * PAGE_ROWS, len(self._rows)
        shown = self._rows[first : first + PAGE_ROWS]
        place = f"Rows {first + 1:,}–{first + len(shown):,} of {count:,}{self._order}" if count else ""
        self._total.value = self._total_html()
        self._table.value = page_html(self._frame.iloc[shown])
        self._place.value = f'<span role="status" style="margin:0 8px">{place}</span>' if place else ""
        self._back.disabled, self._on.disabled = self._page == 0, self._page == self._last_page

    def _total_html(self) -> str:
        count, of = len(self._rows), len(self._frame)
        all_ = f"{count:,}" if count == of else f"{count:,} of {of:,}"
        found = self._frame[["state", "kind", "cost_usd"]].iloc[self._rows]
        line = f"{all_} {'attempt' if of == 1 else 'attempts'}{summary_of(found)}"
        return f'<div role="status" style="line-height:1.5">{card.text_line(line)}</div>'


def _how_to_come_back() -> str:
    return card.text_line("Filters and downloads are back after `%autopod history` in a running kernel.", card.QUIET)


def _all(widget: Any) -> list[Any]:
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in _all(child))]
