"""How much more than its limit a session costs at the provider."""

from __future__ import annotations

import statistics
from decimal import Decimal

from tests.bench.rented import a_service, a_tenant
from tests.bench.run import Row, row
from tests.session.rented_world import Tenant

_ROUNDS = 5
_LASTS_S = 120
_AIM_S = 2


def measure(rounds: int = _ROUNDS) -> Row:
    """The worst of several sessions that run into their limit while they render, on the bill of the provider.

    Time passes as it does in real use in the last seconds before the limit; before, the clock jumps.
    """
    over: list[float] = []
    seconds: list[float] = []
    with a_service() as (service, folder):
        for number in range(rounds):
            service.reset()
            with a_tenant(service, folder / f"tenant{number}") as tenant:
                price = tenant.session.plan(tenant.request()).offer.price_per_hour_usd
                limit = (price * _LASTS_S / 3600).quantize(Decimal("0.000001"))
                billed_usd, rate_usd = _run_into_limit(tenant, limit)
            over.append(max(0.0, float(billed_usd - limit)))
            seconds.append(over[-1] / float(rate_usd) * 3600)
    aim = _AIM_S * float(rate_usd) / 3600
    note = f"worst of {rounds}: {max(over):.6f} USD, {max(seconds):.2f} s of the rate"
    note += f", median {statistics.median(seconds):.2f} s"
    return row("overshoot_usd", max(over), "USD", aim, note)


def _run_into_limit(tenant: Tenant, limit: Decimal) -> tuple[Decimal, Decimal]:
    """What the pod cost, and what it cost an hour."""
    pod_id = tenant.rent(limit_usd=str(limit))
    tenant.until(lambda snapshot: snapshot.pods[pod_id].armed is not None)  # its time is bounded by the same clock
    tenant.until_rendering(tenant.submit("slow", "long"))
    tenant.jump(_LASTS_S - 20)
    tenant.follow(lambda: not tenant.is_billed(), within_s=60.0, step_s=0.0)
    (bill,) = tenant.bills()
    rate_usd = sum((Decimal(each) for each in bill["segments"][0]["usd_per_hour"].values()), Decimal(0))
    return Decimal(bill["total_usd"]), rate_usd
