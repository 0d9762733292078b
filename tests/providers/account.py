"""An account with a provider, as the contract suite wants it: with a key that may log in, and emptied in the end."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autopod_nb.clock import Clock, Deadline, SystemClock
from autopod_nb.errors import ProviderError
from autopod_nb.models.offer import OfferQuery
from autopod_nb.models.pod import ObservedState, PodRecord
from autopod_nb.pods.launch import wait_address
from autopod_nb.providers.base import PodOrder, Provider
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key, own_key_path, public_line

BOOT_S = 60.0
_NO_EVENT = threading.Event()


@dataclass(frozen=True, slots=True)
class Account:
    """A provider, and what a test does with it in few words.

    Attributes:
        provider: the one under test.
        clock: of its bills.
        home: where our key lies.
    """

    provider: Provider
    clock: Clock
    home: Path

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

    def log_in(self, record: PodRecord) -> SshConnection:
        """Open SSH to a pod that runs."""
        address = record.address
        assert address is not None
        pin = HostKeyPin(address.host_key_sha256)
        target = SshTarget(host=address.host, port=address.port, user=address.user, pin=pin)
        return connect(target, load_key(own_key_path(self.home)), clock=SystemClock(), timeout_s=BOOT_S)

    def close(self) -> None:
        """Terminate every pod and close the provider."""
        try:
            for record in self.provider.list():
                if record.state is not ObservedState.TERMINATED:
                    self.provider.terminate(record.provider_id)
        except ProviderError as error:
            raise AssertionError(f"pods may be left: {error}") from error
        finally:
            self.provider.close()
