"""How far the books are from the bill after a day with several pods and jobs."""

from __future__ import annotations

from decimal import Decimal

from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from tests.bench.rented import a_service, a_tenant
from tests.bench.run import Row, row
from tests.session.rented_world import Tenant

_PODS = 3
_JOBS = 2
_IDLE_S = 1200.0


def measure(pods: int = _PODS) -> Row:
    """The sum of the ledger's charges beside the provider's exact bill, in percent of it."""
    with a_service() as (service, folder), a_tenant(service, folder / "tenant") as tenant:
        for number in range(pods):
            _use_a_pod(tenant, number)
        tenant.session.wait_written()
        booked_usd = tenant.ledger().total_usd(MoneyKind.REAL)
        billed_usd = sum((Decimal(pod["total_usd"]) for pod in tenant.bills()), Decimal(0))
    drift = float(abs(booked_usd - billed_usd) / billed_usd * 100)
    note = f"{pods} pods, {pods * _JOBS} jobs: booked {booked_usd:.6f}, billed {billed_usd:.6f} USD"
    return row("bill_drift_percent", drift, "%", 1, note)


def _use_a_pod(tenant: Tenant, number: int) -> None:
    """Some jobs, idle time between them, and the end."""
    pod_id = tenant.rent(idle_minutes="1440")
    for job in range(_JOBS):
        tenant.submit("noise", f"job-{number}-{job}", seed=10 * number + job).wait(60)
        tenant.jump(_IDLE_S)
        tenant.let_pass(1)
    tenant.session.stop(pod_id)
    tenant.until_pod(pod_id, PodState.TERMINATED)
