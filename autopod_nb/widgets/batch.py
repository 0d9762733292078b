"""Several jobs that belong together, as text and as HTML: how far all of them are, a row each, and a gallery. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from autopod_nb.models.job import JobState, JsonValue, ResultFile
from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.models.snapshot import JobView, Snapshot
from autopod_nb.widgets import card, media, render, words

_ROWS = 30
_GALLERY = 24
_MAX_VALUE = 40  # characters of a value that tells jobs of a sweep apart
_FILE = re.compile(r".*/[^/]+\.[A-Za-z][A-Za-z0-9]{1,4}", re.DOTALL)  # a prompt may hold a slash, too
_TELLING_PERCENT = 3.0  # before that, no end can be told; a guess
_ORDER = {state: place for place, state in enumerate(reversed(JobState))}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """Several jobs at one moment.

    Attributes:
        name: of the batch.
        views: its jobs, in order of submission.
    """

    name: str
    views: tuple[JobView, ...]

    @property
    def over(self) -> bool:
        """Whether all of them have their end states."""
        return all(view.over for view in self.views)

    @property
    def percent(self) -> float:
        """Of all the work, 0 to 100: the mean of the jobs, where one that is over counts as whole."""
        whole = sum(100.0 if view.over else words.bounded(view.progress.percent) for view in self.views)
        return whole / len(self.views) if self.views else 100.0

    @property
    def failed(self) -> bool:
        """Whether one of them failed."""
        return any(view.state is JobState.FAILED for view in self.views)


def batch_view(name: str, job_ids: Sequence[str], snapshot: Snapshot) -> BatchView:
    """The jobs of a batch as far as the session has them already."""
    return BatchView(name=name, views=tuple(snapshot.jobs[job_id] for job_id in job_ids if job_id in snapshot.jobs))


def left_s(percent: float, elapsed_s: float) -> float | None:
    """Seconds until all of it is over at the pace so far, None as long as that cannot be told."""
    return elapsed_s * (100.0 - percent) / percent if _TELLING_PERCENT <= percent < 100 else None


def summary_parts(batch: BatchView, *, left: float | None = None) -> list[str]:
    """How many jobs are in which state, what they cost, how long it takes."""
    counts = Counter(view.state for view in batch.views)
    states = [f"{counts[state]} {state.value}" for state in sorted(counts, key=_ORDER.__getitem__)]
    parts = [f"{len(batch.views)} jobs", *states, *costs(batch.views)]
    return parts if left is None or batch.over else [*parts, f"about {words.duration(left)} left"]


def costs(views: Sequence[JobView]) -> list[str]:
    """What several jobs cost, each kind of money by itself."""
    sums: dict[MoneyKind, Decimal] = {}
    for view in views:
        if view.kind is not None:
            sums[view.kind] = sums.get(view.kind, Decimal(0)) + view.cost_usd
    return [show_usd(amount, kind) for kind, amount in sums.items()]


def swept(view: JobView) -> str:
    """What sets a job of a sweep apart: ``seed=1, image=a.jpg``; empty if it is of none."""
    return ", ".join(f"{words.clipped(name, _MAX_VALUE)}={_value(value)}" for name, value in view.swept.items())


def _value(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and _FILE.fullmatch(value):
        text = Path(value).name
    return words.clipped(text, _MAX_VALUE)


def shown_rows(batch: BatchView) -> tuple[list[JobView], str]:
    """The rows of a list, in order of submission: all, or in a long batch those that matter now; and the rest."""
    if len(batch.views) <= _ROWS:
        return list(batch.views), ""
    ranked = sorted(enumerate(batch.views), key=lambda pair: (_rank(pair[1]), pair[0]))
    chosen = sorted(ranked[:_ROWS])
    return [view for _, view in chosen], f"and {len(batch.views) - _ROWS} more; `%autopod jobs` has all"


def _rank(view: JobView) -> int:
    """Failed and running jobs come before waiting ones, and what is well done comes last."""
    if view.state is JobState.FAILED:
        return 0
    if view.over:
        return 3
    return 2 if view.state is JobState.QUEUED else 1


def batch_text(batch: BatchView) -> str:
    """Everything, on lines."""
    lines = [f"{words.clean(batch.name)}: {' · '.join(summary_parts(batch))}"]
    if not batch.over:
        lines.append(f"  [{render.bar(batch.percent)}] {batch.percent:.0f} %")
    rows, rest = shown_rows(batch)
    lines += [f"  {_row_text(view)}" for view in rows]
    return "\n".join([*lines, *([f"  {rest}"] if rest else [])])


def _row_text(view: JobView) -> str:
    parts = [f"{words.clean(view.job_id)}: {words.short_state(view)}", swept(view), *render.job_parts(view)]
    return " · ".join(part for part in parts if part)


def head_html(batch: BatchView) -> str:
    """Its name, and what it does as a whole."""
    state, colour = "running", card.ACTIVE
    if batch.over:
        bad = sum(view.state is not JobState.DONE for view in batch.views)
        state, colour = (f"{bad} of {len(batch.views)} not done", card.BAD) if bad else ("all done", card.OK)
    return f"<div><b>{card.safe(batch.name)}</b> {card.badge(state, colour)}</div>"


def rows_html(batch: BatchView) -> str:
    """A row each."""
    rows, rest = shown_rows(batch)
    last = f'<li style="color:{card.QUIET}">{card.safe(rest)}</li>' if rest else ""
    items = "".join(map(_row_html, rows)) + last
    return (
        f'<ul aria-label="Jobs of {card.label(batch.name)}" style="list-style:none;padding:0;margin:4px 0">{items}</ul>'
    )


def _row_html(view: JobView) -> str:
    state = card.badge(words.job_state(view), card.JOB_COLOURS.get(view.state, card.ACTIVE))
    if view.state is JobState.QUEUED:
        state = f'<span style="color:{card.QUIET}">○ {card.safe(words.short_state(view))}</span>'
    values = f' <span style="color:{card.QUIET}">{card.safe(swept(view))}</span>' if view.swept else ""
    line = "".join(f" · {card.safe(part)}" for part in render.job_parts(view))
    works = view.state in (JobState.SUBMITTED, JobState.RUNNING)
    progress = card.bar(view.progress.percent, f"Progress of {view.job_id}") if works else ""
    reasons = "".join(card.text_line(line, card.BAD) for line in render.failure_lines(view)[1:])
    return f"<li><b>{card.safe(view.job_id)}</b>{values} {state}{line}{progress}{reasons}</li>"


def gallery_html(batch: BatchView) -> str:
    """The results themselves side by side, each with what sets it apart, as many as may stand in a notebook."""
    results = [(view, result) for view in batch.views for result in view.results]
    shown = {id(result) for result in media.shown_inline([result for _, result in results], most=_GALLERY)}
    figures = [_figure(view, result) for view, result in results if id(result) in shown]
    sheet = f'<div style="display:flex;flex-wrap:wrap;gap:8px">{"".join(figures)}</div>' if figures else ""
    left, gone = len(results) - len(figures), sum(not result.path.is_file() for _, result in results)
    words = [f"{left - gone} more result{'s' if left - gone > 1 else ''} not shown here."] if left > gone else []
    words += [f"{gone} result{'s are' if gone > 1 else ' is'} not there any more."] if gone else []
    return sheet + "".join(card.text_line(line, card.QUIET) for line in words)


def _figure(view: JobView, result: ResultFile) -> str:
    caption = card.safe(swept(view) or view.job_id)
    return (
        f'<figure style="margin:0;max-width:200px">{media.results_html([result])}'
        f'<figcaption style="font-size:12px;overflow-wrap:anywhere">{caption}</figcaption></figure>'
    )


def batch_html(batch: BatchView, *, gallery: bool = False) -> str:
    """The whole batch as a card, with the results themselves if *gallery*."""
    progress = "" if batch.over else card.bar(batch.percent, f"Progress of {batch.name}")
    summary = card.text_line(" · ".join(summary_parts(batch)))
    parts = [head_html(batch), progress, summary, gallery_html(batch) if gallery else "", rows_html(batch)]
    return card.section(f"Batch {batch.name}", parts)
