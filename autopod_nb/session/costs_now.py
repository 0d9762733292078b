"""What things cost up to this moment, with the stretches that run: pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from autopod_nb.models.money import MoneyKind, Spent
from autopod_nb.pods.meter import running_usd
from autopod_nb.session.state import JobData, PodData


def job_cost(job: JobData, pod: PodData | None, now_s: float) -> Decimal:
    """What the job has cost, with the stretch that runs."""
    running = pod is not None and pod.meter.activity is not None and pod.meter.activity.job_id == job.job_id
    return job.spent_usd + (running_usd(pod.meter, now_s) if running and pod is not None else Decimal(0))


def pod_cost(pod: PodData, now_s: float) -> Decimal:
    """What the pod has cost, with the stretch that runs."""
    return pod.spent_usd + running_usd(pod.meter, now_s)


def day_and_month_cost(spent: Spent | None, session_usd: Decimal) -> tuple[Decimal, Decimal]:
    """What all sessions have cost on this UTC day and in this month.

    Args:
        spent: what the ledger held when it was read last; None before that.
        session_usd: what this session has cost by now, in the same kind of money.
    """
    if spent is None:
        return session_usd, session_usd
    since = session_usd - spent.ours_usd
    return spent.day_usd + since, spent.month_usd + since


def session_cost(spent: Decimal, pods: Iterable[PodData], kind: MoneyKind, now_s: float) -> Decimal:
    """What the session has cost in one kind of money, with the stretches that run."""
    return spent + sum((running_usd(pod.meter, now_s) for pod in pods if pod.offer.kind is kind), Decimal(0))
