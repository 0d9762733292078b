"""Which rows of the history a person asks for: whole columns at once, so that 100,000 rows are no wait.

Imported only beside a history that is there already, and so is pandas.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timezone

import numpy as np
import numpy.typing as npt
import pandas as pd

Rows = npt.NDArray[np.intp]
_MOST_CHOICES = 100  # a list longer than this is searched faster by typing


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What is asked for; what is empty or None asks for nothing.

    Attributes:
        text: words that must all stand in job, template, error or file names; upper and lower case are one.
        state: a job's state.
        template: name or path of a workflow template.
        gpu: a GPU's name.
        kind: ``real`` or ``simulated`` money.
        since: submitted on this day (UTC) or later.
    """

    text: str = ""
    state: str | None = None
    template: str | None = None
    gpu: str | None = None
    kind: str | None = None
    since: date | None = None


class Finder:
    """Finds rows of one frame, which must not be changed meanwhile. One thread at a time.

    Args:
        frame: with the columns of a history.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._texts: list[str] | None = None  # made at the first search, which may never come

    def find(self, wanted: Filter) -> Rows:
        """The places of the rows that fit, in the order of the frame."""
        fits = np.ones(len(self._frame), dtype=bool)
        for name in ("state", "template", "gpu", "kind"):
            if (value := getattr(wanted, name)) is not None:
                fits &= (self._frame[name] == value).to_numpy(dtype=bool, na_value=False)
        if wanted.since is not None:
            begin = pd.Timestamp(datetime.combine(wanted.since, time(), timezone.utc))
            fits &= (self._frame["submitted"] >= begin).to_numpy()
        rows: Rows = np.flatnonzero(fits)
        for word in wanted.text.casefold().split():
            rows = self._with(word, rows)
        return rows

    def _with(self, word: str, rows: Rows) -> Rows:
        texts = self._texts if self._texts is not None else self._make_texts()
        left: Rows = rows[np.fromiter((word in texts[row] for row in rows), dtype=bool, count=len(rows))]
        return left

    def _make_texts(self) -> list[str]:
        columns = (self._frame[name] for name in ("job_id", "template", "error", "outputs"))
        self._texts = [
            "\n".join((job, template, error, *files)).casefold()
            for job, template, error, files in zip(*columns, strict=True)
        ]
        return self._texts

    def choices(self, name: str) -> list[str]:
        """What occurs in a column, the most frequent first; not more than a list can be chosen from."""
        counts = self._frame[name].value_counts()
        return [str(value) for value in counts[counts > 0].index[:_MOST_CHOICES]]
