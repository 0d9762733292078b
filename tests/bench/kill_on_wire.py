"""How long a kill takes to the provider's socket while 20 pods are watched."""

from __future__ import annotations

import time

from autopod_nb.models.pod import PodState
from tests.bench.rented import a_service, a_tenant
from tests.bench.run import Row, row
from tests.session.rented_world import Tenant

_PODS = 20
_DELETE = "DELETE /v2/pods/{id}"
_BOOT_S = 180.0


def measure(pods: int = _PODS) -> Row:
    """The slowest of all kills, one after another, until the request is at the socket of the service."""
    with a_service() as (service, folder), a_tenant(service, folder / "tenant") as tenant:
        service.set(spend_limit_usd=1000.0)
        service.stock(100)
        pod_ids = _rent(tenant, pods)
        times = [_kill(tenant, pod_id, number) for number, pod_id in enumerate(pod_ids)]
    note = f"worst of {pods} kills, best {min(times):.1f}; {pods} real pods ready and watched at the first"
    return row("kill_on_wire_ms", max(times), "ms", 500, note)


def _rent(tenant: Tenant, count: int) -> list[str]:
    plan = tenant.session.plan(tenant.request(idle_minutes="1440"))
    pod_ids = [tenant.session.connect(plan) for _ in range(count)]
    tenant.until(lambda snapshot: all(snapshot.pods[each].state is PodState.READY for each in pod_ids), _BOOT_S)
    return pod_ids


def _kill(tenant: Tenant, pod_id: str, number: int) -> float:
    began_s = time.monotonic()
    tenant.session.kill(pod_id)
    tenant.follow(lambda: len(tenant.service.requests(_DELETE)) > number, step_s=0.0)
    delete = tenant.service.requests(_DELETE)[number]
    return float(1000 * (delete["monotonic_s"] - began_s))
