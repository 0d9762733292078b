"""The ledger as tables: one row an attempt of a job, or one row a pod with what it cost.

pandas is loaded when the first table is made, which takes most of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.reports import attempt_columns, pod_costs

if TYPE_CHECKING:
    import pandas as pd

    from autopod_nb.session.frame import HistoryFrame

_MICRO = 1_000_000


def history_frame(ledger: Ledger | Path, *, limit: int | None = None, session: str | None = None) -> HistoryFrame:
    """Every attempt of every job, newest first.

    Columns: ``job_id``, ``attempt``, ``session``, ``template``, ``state`` (category), ``gpu`` (category),
    ``gpu_count`` (Int64), ``provider`` (category), ``kind`` (category: real or simulated money), ``submitted``,
    ``started``, ``ended`` (datetime64[ns, UTC]), ``seconds`` from start to end (float), ``cost_usd`` (float, of the
    exact sum), ``outputs`` (list of paths), ``error``. A job that no pod has taken has no GPU, provider and kind.

    ``cost_usd`` is what was booked for the job. What its pod cost while it booted, idled and was stored is in
    :func:`costs_frame`.

    Args:
        ledger: the ledger or its path; need not be open, and where there is none the table is empty.
        limit: at most so many rows.
        session: only jobs of this session.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    import numpy as np  # noqa: PLC0415 - heavy
    import pandas as pd  # noqa: PLC0415 - heavy

    from autopod_nb.session.frame import HistoryFrame, category, text, time_ns  # noqa: PLC0415 - loads pandas

    columns, pods = attempt_columns(_ledger(ledger), limit=limit, session_id=session)
    row_of_pod, pod_ids = pd.factorize(np.array(columns.pod_id, dtype=object))  # -1 for none, which takes the last
    facts = [*(pods[pod_id] for pod_id in pod_ids), None]

    def of_pod(values: pd.Series[Any]) -> pd.Series[Any]:
        taken: pd.Series[Any] = values.take(row_of_pod).reset_index(drop=True)
        return taken

    started, ended = time_ns(columns.started_us), time_ns(columns.ended_us)
    data = {
        "job_id": text(columns.job_id),
        "attempt": pd.Series(columns.attempt, dtype="int64"),
        "session": text(columns.session_id),
        "template": text(columns.template),
        "state": category(columns.state, [state.value for state in JobState]),
        "gpu": of_pod(category([pod.gpu_type if pod else None for pod in facts])),
        "gpu_count": of_pod(pd.Series([pod.gpu_count if pod else None for pod in facts], dtype="Int64")),
        "provider": of_pod(category([pod.provider if pod else None for pod in facts])),
        "kind": of_pod(
            category([pod.kind.value if pod else None for pod in facts], [kind.value for kind in MoneyKind])
        ),
        "submitted": time_ns(columns.submitted_us),
        "started": started,
        "ended": ended,
        "seconds": (ended - started).dt.total_seconds(),
        "cost_usd": _dollars(columns.cost_micro_usd),
        "outputs": pd.Series(columns.outputs, dtype="object"),
        "error": text(columns.error),
    }
    frame: HistoryFrame = HistoryFrame(data)
    return frame


def costs_frame(ledger: Ledger | Path, *, session: str | None = None) -> pd.DataFrame:
    """What each pod has cost and for what, newest first.

    Columns: ``pod_id``, ``name``, ``session``, ``gpu`` (category), ``gpu_count``, ``provider`` (category), ``kind``
    (category: real or simulated money; do not add the two), ``state`` (category), ``created`` (datetime64[ns, UTC]),
    ``boot_usd``, ``job_usd``, ``idle_usd``, ``storage_usd``, ``total_usd`` (float, of exact sums).

    Args:
        ledger: the ledger or its path; need not be open, and where there is none the table is empty.
        session: only pods that this session asked for.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    import pandas as pd  # noqa: PLC0415 - heavy

    from autopod_nb.session.frame import category, text, time_ns  # noqa: PLC0415 - loads pandas

    pods = pod_costs(_ledger(ledger), session_id=session)
    data = {
        "pod_id": text([pod.pod_id for pod in pods]),
        "name": text([pod.name for pod in pods]),
        "session": text([pod.session_id for pod in pods]),
        "gpu": category([pod.facts.gpu_type for pod in pods]),
        "gpu_count": pd.Series([pod.facts.gpu_count for pod in pods], dtype="int64"),
        "provider": category([pod.facts.provider for pod in pods]),
        "kind": category([pod.facts.kind.value for pod in pods], [kind.value for kind in MoneyKind]),
        "state": category([pod.state.value for pod in pods], [state.value for state in PodState]),
        "created": time_ns([pod.created_us for pod in pods]),
        "boot_usd": _dollars([pod.boot_micro_usd for pod in pods]),
        "job_usd": _dollars([pod.job_micro_usd for pod in pods]),
        "idle_usd": _dollars([pod.idle_micro_usd for pod in pods]),
        "storage_usd": _dollars([pod.storage_micro_usd for pod in pods]),
        "total_usd": _dollars([pod.total_micro_usd for pod in pods]),
    }
    frame: pd.DataFrame = pd.DataFrame(data)
    return frame


def _ledger(ledger: Ledger | Path) -> Ledger:
    return ledger if isinstance(ledger, Ledger) else Ledger(ledger)


def _dollars(micro_usd: Sequence[int]) -> pd.Series[float]:
    import pandas as pd  # noqa: PLC0415 - heavy

    return pd.Series(micro_usd, dtype="int64") / _MICRO
