"""The provider's bill beside the ledger: reads both, changes neither."""

from __future__ import annotations

from datetime import timedelta

from autopod_nb.clock import Clock
from autopod_nb.config import LEDGER_NAME, Settings
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import is_over
from autopod_nb.models.reconciliation import KnownPod, Reconciliation, Stretch, compare
from autopod_nb.providers.base import Provider
from autopod_nb.providers.registry import make_provider
from autopod_nb.storage.columns import to_us
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.queries import stretches
from autopod_nb.storage.rows import PodRow

DAYS = 7


def reconcile(settings: Settings, *, clock: Clock, days: int = DAYS) -> Reconciliation | None:
    """Compare what a provider billed with what was booked here. Asks the provider, so it may take seconds.

    Args:
        settings: name the provider and where the ledger is.
        clock: the time.
        days: how far to look back.

    Returns:
        The comparison; None if this provider has no bill that could be read.

    Raises:
        ConfigError: no such provider.
        ProviderError: the bill cannot be read.
        LedgerError: the ledger cannot be read.
    """
    provider = make_provider(settings, clock)
    try:
        return reconcile_with(provider, Ledger(settings.home / LEDGER_NAME), clock=clock, days=days)
    finally:
        provider.close()


def reconcile_with(provider: Provider, ledger: Ledger, *, clock: Clock, days: int = DAYS) -> Reconciliation | None:
    """The same with a provider that is there already."""
    if not provider.capabilities.can_bill:
        return None
    now = clock.now()
    since = now - timedelta(days=days, hours=1)  # the first hour counts whole
    billed = provider.billing(since)
    rows = [row for row in ledger.read_pods() if row.provider == provider.name]  # after the bill: none is missed
    pods = [
        KnownPod(pod_id=row.pod_id, provider_id=_provider_id(row), kind=row.kind, over=is_over(row.state))
        for row in rows
    ]
    with ledger.reading() as db:
        found = stretches(db, provider.name, since_us=to_us(since))
    ids = {pod.pod_id: pod.provider_id for pod in pods}
    booked = [
        Stretch(
            provider_id=ids[each.pod_id],
            start=each.start,
            end=each.start + timedelta(microseconds=int(each.seconds * 1_000_000)),
            amount_usd=each.amount_usd,
        )
        for each in found
        if each.pod_id in ids
    ]
    return compare(pods, booked, billed, since=since, now=now, kind=kind_of(provider, rows))


def kind_of(provider: Provider, rows: list[PodRow]) -> MoneyKind:
    """Whether this provider's pods cost real money: as those in the ledger do, else as its offers say; else real."""
    for row in rows:
        return row.kind
    return next((offer.kind for offer in provider.offers(OfferQuery())), MoneyKind.REAL)


def _provider_id(row: PodRow) -> str:
    """The provider's id; a pod whose answer was lost has none, and its name stands for it."""
    return row.provider_id or row.name
