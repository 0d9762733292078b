"""The history as a table that shows itself: compact HTML in a notebook, plain text elsewhere.

Loads pandas; ``session/history.py`` imports it when the first table is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autopod_nb.log import redact
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, show_usd

_SHOWN_ROWS = 50
_SHOWN_ERROR = 100  # characters
_SHOWN_PATH = 40  # characters
_NONE = "–"
_NEEDED = frozenset({
    "job_id", "attempt", "template", "state", "gpu", "gpu_count", "kind", "submitted", "seconds", "cost_usd",
    "outputs", "error",
})  # fmt: skip
_NEVER_MISSING = ["job_id", "attempt", "template", "state", "submitted", "outputs", "error"]
_HEADINGS = ("Job", "Template", "State", "GPU", "Submitted (UTC)", "Time", "Cost", "Result")
_COLOURS = {
    JobState.DONE.value: "var(--jp-success-color1, #2e7d32)",
    JobState.FAILED.value: "var(--jp-error-color1, #c62828)",
    JobState.CANCELLED.value: "var(--jp-ui-font-color2, #757575)",
}
_ACTIVE_COLOUR = "var(--jp-brand-color1, #1565c0)"


def text(values: Sequence[str]) -> pd.Series[str]:
    """A column of texts, of pandas' own text type."""
    return pd.Series(list(values), dtype="str")


def category(values: Sequence[str | None], categories: Sequence[str] | None = None) -> pd.Series[Any]:
    """A column of few different words; the categories are those given, or those that occur, sorted."""
    known = sorted({value for value in values if value is not None}) if categories is None else list(categories)
    column: pd.Series[Any] = pd.Series(
        pd.Categorical(list(values), dtype=pd.CategoricalDtype(pd.Index(known, dtype="str")))
    )
    return column


def time_ns(values_us: Sequence[int]) -> pd.Series[pd.Timestamp]:
    """A column of times in UTC from microseconds since 1970; the smallest number is "not a time"."""
    moments = np.array(values_us, dtype="int64").view("datetime64[us]").astype("datetime64[ns]")
    column: pd.Series[pd.Timestamp] = pd.Series(moments).dt.tz_localize("UTC")
    return column


class HistoryFrame(pd.DataFrame):
    """A DataFrame in every way, but that it shows jobs as a person wants to see them.

    Rows that are taken out of it (``head``, ``query``, a mask, a sort) show themselves the same way; what has not all
    of its columns any more is a plain DataFrame.
    """

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return _same_or_plain

    @property
    def is_history(self) -> bool:
        """Whether it still has the columns, of the types, that a table for a person is made of."""
        if not (self.columns.is_unique and _NEEDED.issubset(self.columns)):
            return False
        numbers = all(pd.api.types.is_numeric_dtype(self[name].dtype) for name in ("cost_usd", "seconds"))
        dates = isinstance(self["submitted"].dtype, pd.DatetimeTZDtype)
        return numbers and dates and bool(self[_NEVER_MISSING].notna().all(axis=None))

    def __repr__(self) -> str:
        if not self.is_history:
            return super().__repr__()
        if self.empty:
            return self.summary
        rows = pd.DataFrame([_texts(row) for row in _rows(self)], columns=list(_HEADINGS))
        table = rows.to_string(index=False, justify="left", max_colwidth=_SHOWN_ERROR)
        return "\n".join(part for part in (table, _more(self), self.summary) if part)

    def _repr_html_(self) -> str:
        if not self.is_history:
            plain: str = super()._repr_html_()  # type: ignore[misc] # the stubs do not know it
            return plain
        head = "".join(f'<th scope="col" style="text-align:left">{heading}</th>' for heading in _HEADINGS)
        body = "".join(_html_row(row) for row in _rows(self))
        note = _safe(" ".join(part for part in (_more(self), self.summary) if part))
        table = f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>' if body else ""
        return f"<div>{table}<p>{note}</p></div>"

    @property
    def summary(self) -> str:
        """One line: how many attempts in which state, and what the jobs cost, each kind of money by itself."""
        return "No jobs yet." if self.empty else f"{_attempts(len(self))}{summary_of(self)}"


def summary_of(frame: pd.DataFrame) -> str:
    """What follows the number of attempts: in which state they are and what they cost, each kind of money by itself.

    Args:
        frame: with at least the columns ``state``, ``kind`` and ``cost_usd``.
    """
    counts = frame["state"].value_counts()
    states = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    costs = [
        show_usd(dollars_exactly(frame.loc[frame["kind"] == kind.value, "cost_usd"].sum()), kind)
        for kind in MoneyKind
        if (frame["kind"] == kind.value).any()
    ]
    money = f" The jobs cost {' and '.join(costs)}, without boot, idle and storage of their pods." if costs else ""
    return f": {states}.{money}" if states else "."


def _same_or_plain(*args: Any, **options: Any) -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame(*args, **options)
    return HistoryFrame(frame) if _NEEDED.issubset(frame.columns) else frame


def _rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    rows: list[dict[Any, Any]] = frame.head(_SHOWN_ROWS).to_dict("records")
    return rows


def _more(frame: pd.DataFrame) -> str:
    left = len(frame) - _SHOWN_ROWS
    return f"… and {left} more." if left > 0 else ""


def _attempts(count: int) -> str:
    return f"{count:,} {'attempt' if count == 1 else 'attempts'}"


def _plain(text: str) -> str:
    """*text* on one line, without secrets and without what would steer a terminal or turn the writing round."""
    return "".join(letter if letter.isprintable() else " " for letter in redact(text))


def _safe(text: str) -> str:
    """*text* for HTML. What a formula begins with gets a tag of its own, or a notebook takes two prices for one."""
    return escape(text).replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")


def _texts(row: dict[Any, Any]) -> tuple[str, ...]:
    """The cells of one row, in the order of the headings."""
    job = row["job_id"] if row["attempt"] == 1 else f"{row['job_id']} (attempt {row['attempt']})"
    gpu = _NONE if pd.isna(row["gpu"]) else f"{row['gpu']} × {row['gpu_count']}"
    cost = _NONE if pd.isna(row["kind"]) else show_usd(dollars_exactly(row["cost_usd"]), MoneyKind(row["kind"]))
    result = _plain(", ".join(short_path(path) for path in row["outputs"]) or row["error"] or _NONE)
    if len(result) > _SHOWN_ERROR:
        result = result[: _SHOWN_ERROR - 1] + "…"
    submitted = f"{row['submitted']:%Y-%m-%d %H:%M:%S}"
    took = show_seconds(row["seconds"])
    cells = (job, short_path(row["template"]), row["state"], gpu, submitted, took, cost, result)
    return tuple(map(_plain, cells))


def _html_row(row: dict[Any, Any]) -> str:
    cells = [_safe(cell) for cell in _texts(row)]
    colour = _COLOURS.get(row["state"], _ACTIVE_COLOUR)
    cells[2] = f'<span style="color:{colour};font-weight:600">{cells[2]}</span>'
    whole = escape("\n".join(map(_plain, [*row["outputs"], row["error"]])).strip())
    cells[-1] = f'<span title="{whole}">{cells[-1]}</span>'
    return "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>"


def dollars_exactly(dollars: float) -> Decimal:
    """A float that came of whole millionths, as the Decimal that it was."""
    return Decimal(f"{dollars:.6f}")


def show_seconds(seconds: float) -> str:
    """A duration for a person: ``12.3 s``, ``2 min 05 s``, ``1 h 02 min``; a dash for not a number."""
    if math.isnan(seconds):
        return _NONE
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def short_path(path: str) -> str:
    """A path as short as it is still plain: from the working folder, from home, or its last two parts."""
    for base, prefix in ((Path.cwd(), Path()), (Path.home(), Path("~"))):
        if Path(path).is_relative_to(base):
            path = str(prefix / Path(path).relative_to(base))
            break
    return path if len(path) <= _SHOWN_PATH else str(Path("…", *Path(path).parts[-2:]))
