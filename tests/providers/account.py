"""An account with a provider, as the contract suite wants it: with a key that may log in, and emptied in the end."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autopod_nb.clock import Clock, Deadline, SystemClock, TestClock
from autopod_nb.errors import ProviderError
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import ObservedState, PodAddress, PodRecord
from autopod_nb.pods.launch import wait_address
from autopod_nb.providers.base import PodOrder, Provider
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key, own_key_path, public_line

BOOT_S = 60.0
_NO_EVENT = threading.Event()


def _as_told(record: PodRecord) -> PodAddress:
    assert record.address is not None
    return record.address


def _nothing() -> None:
    """There is nothing to shut."""


@dataclass(frozen=True, slots=True)
class Account:
    """A provider, and what a test does with it in few words.

    Attributes:
        provider: the one under test.
        clock: of its bills.
        home: where our key lies.
        advance: lets seconds go by on that clock, where the clock itself cannot.
        bills_hourly: its bill has a row for each hour, and some time of its clock goes by by itself; else a row for
            each stretch at one price, exact.
        places: where things are on a pod, for a provider that leaves it to the caller to look.
        shut: ends what the account stands on.
    """

    provider: Provider
    clock: Clock
    home: Path
    advance: Callable[[float], None] | None = None
    bills_hourly: bool = False
    places: Callable[[PodRecord], PodAddress] = _as_told
    shut: Callable[[], None] = _nothing

    def order(self, *, env: Mapping[str, str] | None = None, name: str = "") -> PodOrder:
        """What a session would order: the cheapest offer."""
        offer = min(self.provider.offers(OfferQuery()), key=lambda offer: offer.price_per_hour_usd)
        key = load_key(own_key_path(self.home))
        unique = name or f"autopod-test-{secrets.token_hex(4)}"
        return PodOrder(name=unique, offer=offer, public_key=public_line(key), env=env or {})

    def running(self, provider_id: str) -> PodRecord:
        """Wait until the pod has an address."""
        clock = SystemClock()
        deadline = Deadline(clock, BOOT_S)
        wait_address(self.provider, provider_id, deadline=deadline, clock=clock, abort=_NO_EVENT)
        return self.provider.describe(provider_id)

    def pass_time(self, seconds: float) -> None:
        """Let time go by, where it is the test's."""
        if self.advance is not None:
            self.advance(seconds)
        elif isinstance(self.clock, TestClock):
            self.clock.advance(seconds)

    def log_in(self, record: PodRecord) -> SshConnection:
        """Open SSH to a pod that runs."""
        address = record.address
        assert address is not None
        pin = HostKeyPin(address.host_key_sha256)
        target = SshTarget(host=address.host, port=address.port, user=address.user, pin=pin)
        return connect(target, load_key(own_key_path(self.home)), clock=SystemClock(), timeout_s=BOOT_S)

    def close(self) -> None:
        """Terminate every pod, close the provider and what it stands on."""
        try:
            for record in self.provider.list():
                if record.state is not ObservedState.TERMINATED:
                    self.provider.terminate(record.provider_id)
        except ProviderError as error:
            raise AssertionError(f"pods may be left: {error}") from error
        finally:
            self.provider.close()
            self.shut()
