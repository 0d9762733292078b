"""Pods of other processes that may bill, as the ledger knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from autopod_nb.models.money import MoneyKind, cost_usd
from autopod_nb.models.pod import PodState
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import PodRow

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPod:
    """A pod that may bill and that this session does not have.

    Attributes:
        pod_id: our id; `kill` takes it if somebody owns it, else `adopt` comes first.
        provider: name of the provider.
        gpu_type: GPU.
        gpu_count: GPUs.
        state: the last one written.
        kind: real or simulated money.
        price_per_hour_usd: in that state.
        cost_usd: what was booked, and what came since at that price.
        owner: the process that owns it and lives, in words; empty if nobody owns it.
    """

    pod_id: str
    provider: str
    gpu_type: str
    gpu_count: int
    state: PodState
    kind: MoneyKind
    price_per_hour_usd: Decimal
    cost_usd: Decimal
    owner: str


def look_at_others(session: Session) -> tuple[OtherPod, ...]:
    """Those pods, nobody's first. Reads the ledger; asks no provider, changes nothing.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    found = session.look_for_orphans()
    ledger, now = Ledger(session.ledger_path), session.clock.now()
    rows = [*(orphan.pod.row for orphan in found.orphans), *found.foreign]
    owned = {row.pod_id for row in found.foreign}
    return tuple(_other(row, ledger, now, owned=row.pod_id in owned) for row in rows)


def _other(row: PodRow, ledger: Ledger, now: datetime, *, owned: bool) -> OtherPod:
    stopped = row.state is PodState.STOPPED
    price = row.stopped_price_per_hour_usd if stopped else row.price_per_hour_usd
    charges = [each.charge for each in ledger.read_charges(pod_id=row.pod_id)]
    ends = [charge.start + timedelta(seconds=float(charge.seconds)) for charge in charges]
    since_s = max(0.0, (now - max(ends, default=row.created)).total_seconds())
    return OtherPod(
        pod_id=row.pod_id,
        provider=row.provider,
        gpu_type=row.gpu_type,
        gpu_count=row.gpu_count,
        state=row.state,
        kind=row.kind,
        price_per_hour_usd=price,
        cost_usd=sum((charge.amount_usd for charge in charges), Decimal(0)) + cost_usd(price, Decimal(str(since_s))),
        owner=_owner(row) if owned else "",
    )


def _owner(row: PodRow) -> str:
    if row.lease is None:
        return ""
    owner = row.lease.owner
    return f"{owner.role.value} {owner.pid} on {owner.host}"
