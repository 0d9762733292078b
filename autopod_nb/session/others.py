"""Pods of others that may bill: those of other processes in the ledger, and those that only the provider knows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from autopod_nb.clock import Clock
from autopod_nb.config import LEDGER_NAME, Settings
from autopod_nb.errors import AutopodError, ProviderError
from autopod_nb.models.money import MoneyKind, cost_usd
from autopod_nb.models.pod import ObservedState, PodRecord, PodState
from autopod_nb.providers.base import Provider
from autopod_nb.providers.registry import make_provider
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import PodRow
from autopod_nb.threads import ServiceThread

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

ASK_S = 15.0  # a guess: longer than a list ever took, shorter than a person's patience


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangePod:
    """A pod that the provider lists and that the ledger does not know, or believes to be gone.

    Nothing of ours touches it unless a person names it.

    Attributes:
        provider: name of the provider.
        provider_id: the provider's own id.
        name: the name that it has there.
        state: what the provider says.
        gpu: its GPUs; empty if that is not said.
        price_per_hour_usd: just now; None if that is not said.
        age_s: since it was rented, seconds; None if that is not said.
        pod_id: our id, of one that the ledger believes to be gone; else empty.
    """

    provider: str
    provider_id: str
    name: str
    state: ObservedState
    gpu: str = ""
    price_per_hour_usd: Decimal | None = None
    age_s: float | None = None
    pod_id: str = ""

    @property
    def cost_usd(self) -> Decimal | None:
        """What it has cost if it always cost what it costs now; None if price or age is unknown."""
        if self.price_per_hour_usd is None or self.age_s is None:
            return None
        return cost_usd(self.price_per_hour_usd, Decimal(str(round(self.age_s, 3))))


def look_for_strangers(settings: Settings, *, clock: Clock, within_s: float = ASK_S) -> tuple[StrangePod, ...]:
    """Ask the provider for the pods of the account that the ledger does not know. Changes nothing.

    Args:
        settings: name the provider and where the ledger is.
        clock: for the pods' ages.
        within_s: how long the provider may take.

    Raises:
        ProviderError: the provider could not be asked, or not in time; that is never an empty list.
        LedgerError: the ledger cannot be read.
    """
    ledger = Ledger(settings.home / LEDGER_NAME)
    gone = {row.pod_id for row in ledger.read_pods() if row.state is PodState.TERMINATED}  # before the list: one that
    records = _ask(lambda: make_provider(settings, clock), within_s)  # ends meanwhile is no stranger
    rows = [row for row in ledger.read_pods() if row.provider == settings.provider]  # after it: one that begins
    known = {key: row for row in rows for key in (row.provider_id, row.name) if key is not None}
    found = []
    for record in records:
        row = known.get(record.provider_id) or known.get(record.name)
        if record.state is not ObservedState.TERMINATED and (row is None or row.pod_id in gone):
            found.append(_stranger(record, settings.provider, clock.now(), "" if row is None else row.pod_id))
    return tuple(found)


def _stranger(record: PodRecord, provider: str, now: datetime, pod_id: str) -> StrangePod:
    return StrangePod(
        provider=provider,
        provider_id=record.provider_id,
        name=record.name,
        state=record.state,
        gpu=record.gpu,
        price_per_hour_usd=record.price_per_hour_usd,
        age_s=None if record.created is None else max(0.0, (now - record.created).total_seconds()),
        pod_id=pod_id,
    )


def _ask(make: Callable[[], Provider], within_s: float) -> tuple[PodRecord, ...]:
    """The provider's list, in a thread of its own, so that whoever asks is not held up longer than they want.

    A thread that is given up ends when the provider's own call does, whose time is bounded.
    """
    provider = make()
    answer: Future[tuple[PodRecord, ...]] = Future()

    def body(_: object) -> None:
        try:
            records = provider.list()
        except AutopodError as error:
            answer.set_exception(error)
        except BaseException:
            answer.set_exception(ProviderError(f"The list of {provider.name} could not be read; see the log."))
            raise
        else:
            answer.set_result(records)
        finally:
            provider.close()

    thread = ServiceThread("autopod-ask-provider", body).start()
    try:
        records = answer.result(within_s)
    except FutureTimeout:
        raise ProviderError(f"The provider {provider.name} did not list its pods within {within_s:g} s.") from None
    thread.join(within_s)
    return records
