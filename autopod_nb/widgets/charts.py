"""Figures that say in words what they show, with the table behind them. Knows no plotly: the figure is made elsewhere.

JupyterLab draws the figure from ``application/vnd.plotly.v1+json`` and gives a screen reader nothing of it. So the
sentence and the folded table stand below it as an output of their own, which nbconvert, GitHub and a terminal show
as well, where the figure itself is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

from autopod_nb.widgets import card, words
from autopod_nb.widgets.safe import safe
from autopod_nb.widgets.table import Table, table_html, table_text

PLOTLY_TYPE = "application/vnd.plotly.v1+json"
"""What JupyterLab, Notebook and VS Code draw; the part of plotly that does it comes with each of them, from no CDN."""
_CONFIG = {  # not "responsive": JupyterLab fits a figure to its page, and both together make it vanish at first
    "displaylogo": False,
    "plotlyServerURL": "",  # plotly has a button by default that sends the figure to its makers' server
    "showSendToCloud": False,
    "modeBarButtonsToRemove": ["sendChartToCloud", "sendDataToCloud", "select2d", "lasso2d"],
}
Bundle = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Chart:
    """A static figure, what it shows in a sentence, and the table behind it.

    Attributes:
        figure: a ``plotly.graph_objects.Figure``.
        name: what it is called.
        alt: a whole sentence with the figures that matter.
        table: the same as rows.
    """

    figure: Any
    name: str
    alt: str
    table: Table

    def __repr__(self) -> str:
        return f"{self._caption}\n{table_text(self.table)}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:  # noqa: ARG002 - IPython's
        return self._drawn() | {"text/plain": repr(self), "text/html": self._caption_html() + table_html(self.table)}

    def bundles(self) -> tuple[Bundle, Bundle]:
        """Two outputs: the figure, and below it its sentence with the table folded."""
        summary = f"<summary>Table: {safe(self.name)}</summary>"
        said = f"{self._caption_html()}<details>{summary}{table_html(self.table)}</details>"
        told = f"Figure “{self.name}”: JupyterLab draws it here; what it shows stands below."
        return (
            self._drawn() | {"text/plain": words.clean(told), "text/html": card.text_line(told, card.QUIET)},
            {"text/plain": repr(self), "text/html": said},
        )

    @property
    def _caption(self) -> str:
        return words.clean(f"{self.name}. {self.alt}")

    def _caption_html(self) -> str:
        return f"<p><b>{safe(self.name)}.</b> {safe(self.alt)}</p>"

    def _drawn(self) -> Bundle:
        drawn = json.loads(self.figure.to_json())
        return {PLOTLY_TYPE: {"data": drawn["data"], "layout": drawn["layout"], "config": _CONFIG}}


@dataclass(frozen=True, slots=True, repr=False)
class Charts(Sequence[Chart]):
    """Figures below each other, each with its sentence and its table.

    Attributes:
        charts: the figures.
        notes: lines below them, such as what could not be drawn, and why.
    """

    charts: tuple[Chart, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.charts)

    @overload
    def __getitem__(self, index: int) -> Chart: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Chart, ...]: ...
    def __getitem__(self, index: int | slice) -> Chart | tuple[Chart, ...]:
        return self.charts[index]

    def __repr__(self) -> str:
        return "\n\n".join([*map(repr, self.charts), *map(words.clean, self.notes)])

    def bundles(self) -> list[Bundle]:
        """Every output by media type, in order."""
        found = [bundle for chart in self.charts for bundle in chart.bundles()]
        found += [{"text/plain": words.clean(note), "text/html": card.text_line(note)} for note in self.notes]
        return found

    def _ipython_display_(self) -> None:
        from IPython.display import display  # noqa: PLC0415 - a terminal of ours does without IPython

        for bundle in self.bundles():
            display(bundle, raw=True)  # type: ignore[no-untyped-call]  # IPython is half typed
