"""The contract that every provider keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol

from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.models.pod import PodRecord
from autopod_nb.models.reconciliation import Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a provider can do.

    Attributes:
        can_stop: a pod can be stopped and keeps its files.
        can_bill: :meth:`Provider.billing` tells what was really charged.
        fate: what ends a pod when this Python is gone, in words for a person.
        outlives: a pod bills on when every process of ours is gone, so it needs a reaper and a watchdog.
        watchdog_url: base of the API that a watchdog on the pod calls with the pod's own key; None: no watchdog.
        no_end: why a pod can be neither stopped nor terminated, in words for a person; empty if it can.
    """

    can_stop: bool
    can_bill: bool
    fate: str
    outlives: bool = False
    watchdog_url: str | None = None
    no_end: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOrder:
    """What is asked of :meth:`Provider.create`.

    Attributes:
        name: unique; the pod can be found by it when the answer is lost.
        offer: what to rent.
        public_key: the OpenSSH line that may log in.
        env: variables of the pod. No secrets: providers show them.
    """

    name: str
    offer: Offer
    public_key: str
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What an account has and spends. None: the provider does not say.

    Attributes:
        balance_usd: left to spend.
        spend_per_hour_usd: of all that bills now.
        spend_limit_per_hour_usd: more than that the provider does not rent out at the same time.
    """

    balance_usd: Decimal | None = None
    spend_per_hour_usd: Decimal | None = None
    spend_limit_per_hour_usd: Decimal | None = None


class Provider(Protocol):
    """One who rents out pods. Called from the effect lanes only, by several threads at the same time.

    Every call is bounded in time. Silence is never "stopped": what could not be read raises. No error carries a
    ``pod_id``, for that is ours, and a provider knows its own ids only.
    """

    @property
    def name(self) -> str:
        """The name that `--provider` takes."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; no network."""
        ...

    def authenticate(self) -> None:
        """Check that the account can be used. Called before the first rent; safe to repeat.

        Raises:
            AuthFailed: key missing or refused.
        """
        ...

    def credentials(self) -> str:
        """Where its key was found, in words, and never the key; empty if it needs none. No network; safe to repeat."""
        ...

    def account(self) -> Account:
        """What the account has and spends. Called to plan and to warn; safe to repeat.

        Raises:
            ProviderError: it could not be read.
        """
        ...

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """What can be rented, with what is out of stock, too. Called to plan; safe to repeat.

        Raises:
            UsageError: the query names what the provider does not know; the nearest is named.
            ProviderError: the list could not be read.
        """
        ...

    def create(self, order: PodOrder) -> PodRecord:
        """Rent a pod. Called once per name, after the intent is in the ledger; NEVER repeated blindly.

        Raises:
            NoCapacity: nothing was made; another offer may do.
            AuthFailed: nothing was made.
            LowBalance: nothing was made.
            RateLimited: nothing was made.
            Uncertain: it may have been made; look for the name with :meth:`list`.
        """
        ...

    def describe(self, provider_id: str) -> PodRecord:
        """How a pod is now. Called while it boots and after a lost line; safe to repeat.

        Raises:
            Gone: there is no such pod any more.
            ProviderError: it could not be read.
        """
        ...

    def list(self) -> tuple[PodRecord, ...]:
        """Every pod of the account, whole or not at all. Called after a lost answer and by the orphan check.

        Raises:
            ProviderError: the list could not be read; never an empty list instead.
        """
        ...

    def stop(self, provider_id: str) -> None:
        """Stop a pod and keep its files. Called by the money lane; stopping a stopped pod is fine.

        Raises:
            Gone: there is no such pod any more.
            ProviderError: it may still run.
        """
        ...

    def start(self, provider_id: str) -> None:
        """Start a stopped pod; starting a running one is fine.

        Raises:
            NoCapacity: its machine has no free GPU now.
            Gone: there is no such pod any more.
        """
        ...

    def terminate(self, provider_id: str) -> None:
        """End a pod for good. Called by the money lane, repeated until it is sure; a pod that is gone is fine.

        Raises:
            ProviderError: it may still run.
        """
        ...

    def adopt(self, provider_id: str) -> None:
        """Take over a running pod that another process rented. Called once by whoever adopts it; safe to repeat.

        Raises:
            Gone: there is no such pod any more.
        """
        ...

    def logs(self, provider_id: str, lines: int) -> tuple[str, ...]:
        """The last lines of the pod's own log, oldest first; empty if there is none."""
        ...

    def billing(self, since: datetime) -> tuple[Stretch, ...]:
        """What was charged since then, oldest first; empty unless ``capabilities.can_bill``."""
        ...

    def close(self) -> None:
        """Let go of threads and connections; pods live on as ``capabilities.fate`` says. Safe to call twice."""
        ...
