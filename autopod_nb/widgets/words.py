"""How faces say lengths, sizes, money and states; pure."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from autopod_nb.log import one_line, redact
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.models.pod import PodState
from autopod_nb.models.rate import Transfer
from autopod_nb.models.snapshot import GpuUse, JobView, PodView, Progress

_MOST_TITLE = 60  # characters of a node's title
_STEERS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


def clean(text: str) -> str:
    """*text* on one line: without secrets, control characters, terminal colours and direction marks."""
    return one_line(text)


def clipped(text: str, most: int) -> str:
    """The same, of at most so many characters: a pod's error may go on for pages."""
    line = clean(text)
    return line if len(line) <= most else line[: most - 1] + "…"


def clean_lines(text: str) -> str:
    """*text* cleaned likewise, but that its lines, their indents and tabs stay."""
    return _STEERS.sub("", redact(text))


def duration(seconds: float) -> str:
    """``0:08``, ``12:05`` or ``1:02:03``."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(bytes_: int) -> str:
    """``812 bytes``, ``1.4 MB``; a thousand of one is one of the next."""
    if bytes_ < 1000:
        return f"{bytes_} bytes"
    amount, unit = bytes_ / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if amount < 999.95:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}"


def place(path: Path) -> str:
    """A path as short as it can be said: relative if it lies below the current folder."""
    here = Path.cwd()
    return clean(str(path.relative_to(here) if path.is_relative_to(here) else path))


def price(usd_per_hour: Decimal, kind: MoneyKind) -> str:
    """``$0.40 an hour``, or ``$0.40 an hour simulated``."""
    text = f"${usd_per_hour:.2f} an hour"
    return text if kind is MoneyKind.REAL else f"{text} simulated"


def cost(view: JobView) -> str:
    """What a job has cost so far, its projected cost and its limit."""
    if view.kind is None:
        return "nothing yet" + (f", limit ${view.max_cost_usd:.2f}" if view.max_cost_usd else "")
    parts = [show_usd(view.cost_usd, view.kind)]
    if view.expected_cost_usd is not None and not view.over:
        parts.append(f"about {show_usd(view.expected_cost_usd, view.kind)} at its end")
    if view.max_cost_usd is not None:
        parts.append(f"limit ${view.max_cost_usd:.2f}")
    return ", ".join(parts)


def rate(progress: Progress) -> str:
    """``8.1 frames/s``, ``2.40 steps/s``, or an empty string."""
    if progress.rate_per_s is None:
        return ""
    digits = 1 if progress.rate_per_s >= 5 else 2
    return f"{progress.rate_per_s:.{digits}f} {'frames' if progress.frames else 'steps'}/s"


def percent(progress: Progress) -> str:
    """``40 %``, or that nothing is known."""
    return "progress unknown" if progress.percent is None else f"{bounded(progress.percent):.0f} %"


def bounded(value: float | None) -> float:
    """A percentage from 0 to 100 whatever came in; 0 for None and for what is no number."""
    return min(100.0, max(0.0, value)) if value is not None and value == value else 0.0  # noqa: PLR0124 - NaN


def job_state(view: JobView) -> str:
    """The state of a job in words."""
    if view.state is JobState.QUEUED:
        text = "queued, waits for a pod" if view.pod_id is None else "queued"
    elif view.state is JobState.COLLECTING:
        text = "fetching the results"
    else:
        text = view.state.value
    return f"{text} (attempt {view.attempt})" if view.attempt > 1 else text


def short_state(view: JobView) -> str:
    """The state of a job among others, where one that waits may only wait for those before it."""
    return view.state.value if view.state is JobState.QUEUED and view.attempt == 1 else job_state(view)


def doing(view: JobView) -> list[str]:
    """What a job does just now, in parts: node, percent, frame, rate, time left; or how far its files are."""
    if view.transfer is not None:
        return moving(view.transfer)
    progress = view.progress
    if view.state is not JobState.RUNNING:
        return []
    node = clipped(progress.node_title or progress.node_id, _MOST_TITLE)
    frame = f"frame {progress.frames_done} of {progress.frames}" if progress.frames else ""
    step = f"step {progress.step:g} of {progress.steps:g}" if progress.steps and not frame else ""
    left = time_left(progress)
    return [part for part in (percent(progress), node, frame, step, rate(progress), left) if part]


def moving(transfer: Transfer) -> list[str]:
    """``12.0 MB of 256.0 MB``, ``8.1 MB/s`` and ``0:30 left``, as far as they are known."""
    rate_ = "" if transfer.bytes_per_s is None else f"{size(int(transfer.bytes_per_s))}/s"
    left = "" if transfer.left_s is None else f"{duration(transfer.left_s)} left"
    return [part for part in (f"{size(transfer.done)} of {size(transfer.size)}", rate_, left) if part]


def time_left(progress: Progress) -> str:
    """``0:05 to 0:09 left``, ``0:04 left`` where both ends are the same, or an empty string."""
    if progress.left_s is None:
        return ""
    low, high = progress.left_low_s, progress.left_high_s
    if low is None or high is None or duration(low) == duration(high):
        return f"{duration(progress.left_s)} left"
    return f"{duration(low)} to {duration(high)} left"


def gpu_use(use: GpuUse | None) -> str:
    """``GPU 87 %, 12.1 of 48.0 GB``; empty if it cannot be told."""
    if use is None:
        return ""
    percent_ = "" if use.percent is None else f"{bounded(use.percent):.0f} %, "
    return f"GPU {percent_}{use.memory_used_gb:.1f} of {use.memory_total_gb:.1f} GB"


def pod_state(pod: PodView) -> str:
    """The state of a pod in words, with what it does just now."""
    phase = clean(pod.phase)
    text = pod.state.value if not phase or phase == pod.state.value else f"{pod.state.value}: {phase}"
    if pod.state in (PodState.TERMINATING, PodState.STOPPING, PodState.LOST):
        text += " – still billing until the provider confirms"
    return f"{text} ({clean(pod.error)})" if pod.error else text


def pod_end(pod: PodView) -> str:
    """What will end a pod, empty when it is over or that cannot be told."""
    if pod.over or pod.state in (PodState.TERMINATING, PodState.STOPPING):
        return ""
    if pod.detached:
        return "detached: stays when the session closes"
    if pod.ends_after_batch:
        return "ends after its jobs"
    return f"ends in {duration(pod.idle_left_s)} without work" if pod.idle_left_s is not None else ""
