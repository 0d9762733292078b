"""Histories of any length, without a ledger."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.session.frame import HistoryFrame, category, text, time_ns

_NOON_US = 1_767_268_800_000_000  # 2026-01-01 12:00 UTC
_HOUR_US = 3_600_000_000
STATES = [state.value for state in JobState]
KINDS = [kind.value for kind in MoneyKind]


def history(count: int, *, errors: Sequence[str] = ("CUDA out of memory",)) -> HistoryFrame:
    """So many attempts, one an hour, newest first: each third failed, each fourth real money, the newest waits.

    The columns are those of a real history; the number of a job is its age in hours.
    """
    rows = range(count)
    failed = [number % 3 == 2 for number in rows]
    submitted = [_NOON_US - number * _HOUR_US for number in rows]
    frame: HistoryFrame = HistoryFrame(
        {
            "job_id": text([f"job-{number}" for number in rows]),
            "attempt": pd.Series([1] * count, dtype="int64"),
            "session": text(["s1"] * count),
            "template": text([("img2vid-basic", "txt2img")[number % 2] for number in rows]),
            "state": category(
                ["queued" if number == 0 else "failed" if failed[number] else "done" for number in rows], STATES
            ),
            "gpu": category([None if number == 0 else ("A40", "RTX 4090")[number % 2] for number in rows]),
            "gpu_count": pd.Series([None if number == 0 else 1 for number in rows], dtype="Int64"),
            "provider": category([None if number == 0 else "local" for number in rows]),
            "kind": category([None if number == 0 else KINDS[number % 4 != 1] for number in rows], KINDS),
            "submitted": time_ns(submitted),
            "started": time_ns(submitted),
            "ended": time_ns([moment + 12_500_000 for moment in submitted]),
            "seconds": pd.Series([12.5] * count, dtype="float64"),
            "cost_usd": pd.Series([0.0 if number == 0 else 0.1 for number in rows], dtype="float64"),
            "outputs": pd.Series(
                [[f"outputs/clip-{number}.mp4"] if number and not failed[number] else [] for number in rows],
                dtype="object",
            ),
            "error": text([errors[number % len(errors)] if failed[number] else "" for number in rows]),
        }
    )
    return frame
