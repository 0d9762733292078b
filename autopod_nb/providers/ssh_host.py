"""A machine that the user already has: connect, run, let go. Nothing is rented, and nothing on it is ended.

What stands for a pod is a record in ``AUTOPOD_HOME/ssh_host``, which says that the machine is in use, and how it is
reached. The machine serves one at a time, since two sessions in one ComfyUI would be in each other's way.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime
from decimal import Decimal

from autopod_nb.clock import Clock
from autopod_nb.config import Settings
from autopod_nb.errors import AuthFailed, ConfigError, ProviderError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, OfferQuery, Stock
from autopod_nb.models.pod import PodRecord
from autopod_nb.models.reconciliation import Stretch
from autopod_nb.providers.base import Account, Capabilities, PodOrder
from autopod_nb.providers.ssh_host_use import MachineUse, UseFolder

GPU = "your machine"  # what is in it is not known without SSH, and providers do not use that
_NO_END = (
    "This machine is yours, so autopod neither stops nor terminates it: letting go of it ends the session here, and the"
    " machine and its ComfyUI run on."
)
_MAX_GPUS = 8
_ANSWER_S = 10.0  # an SSH server says who it is as soon as somebody comes; a guess
_KEY = "providers.ssh_host"


class SshHostProvider:
    """Gives out the one machine that the settings name.

    Args:
        settings: host, port, user, key and price of it, and where its ComfyUI is.
        clock: for when it was taken.
    """

    name = "ssh_host"
    capabilities = Capabilities(
        can_stop=False,
        can_bill=False,
        fate="This machine is yours: when this Python is gone, it and its ComfyUI run on.",
        outlives=False,
        no_end=_NO_END,
    )

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = UseFolder(settings.home / "ssh_host")

    def authenticate(self) -> None:
        """Check that the machine is named, that its key is there, and that an SSH server answers. Does not log in.

        Raises:
            ConfigError: no host is named.
            AuthFailed: there is no such key.
            ProviderError: no SSH server answers there.
        """
        host, key_path = self._host(), self._settings.ssh_key_path
        if key_path is not None and not os.access(key_path, os.R_OK):
            raise AuthFailed(
                f"There is no SSH key {key_path} that can be read: `%autopod config set {_KEY}.ssh_key_path PATH`"
                f" names the one that {host} accepts."
            )
        port = self._settings.port
        try:
            with socket.create_connection((host, port), timeout=_ANSWER_S) as line:
                line.settimeout(_ANSWER_S)
                first = line.recv(255)  # RFC 4253, 4.2: the longest that it may be
        except (OSError, UnicodeError) as error:  # of the second kind are names that cannot be host names
            raise ProviderError(
                f"No SSH server answers at {host}, port {port}: {_words(error)}. Is the machine on?"
                f" `%autopod config set {_KEY}.host HOST`, and .port likewise, name another."
            ) from error
        if not first.startswith(b"SSH-"):
            raise ProviderError(
                f"What answers at {host}, port {port} is no SSH server: `%autopod config set {_KEY}.port PORT`."
            )

    def credentials(self) -> str:
        """Which SSH key is used."""
        path = self._settings.ssh_key_path
        return "our own SSH key" if path is None else f"SSH key {path}"

    def account(self) -> Account:
        """There is none."""
        return Account()

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """The machine, with as many GPUs as are asked for: its user knows. It has neither cloud nor spot price.

        What it costs is real money if its user names a price. Without one nobody pays, which is what *simulated*
        says: real sums and limits must not fill with rows of zero.

        Raises:
            ConfigError: no host is named.
        """
        host, price = self._host(), self._settings.price_per_hour_usd
        elsewhere = query.region is not None and not host.lower().startswith(query.region.lower())
        if not 1 <= query.gpu_count <= _MAX_GPUS or elsewhere or query.cloud or query.spot:
            return ()
        offer = Offer(
            provider=self.name,
            gpu_type=GPU,
            gpu_count=query.gpu_count,
            vram_gb=0,
            price_per_hour_usd=price,
            stopped_price_per_hour_usd=Decimal(0),
            kind=MoneyKind.REAL if price > 0 else MoneyKind.SIMULATED,
            region=host,
            stock=Stock.UNKNOWN,
            shape=query.shape,
        )
        return (offer,)

    def create(self, order: PodOrder) -> PodRecord:
        """Take the machine. Nothing is sent to it: it must accept the order's key already, and gets no variables.

        Raises:
            ConfigError: no host is named.
            NoCapacity: it is in use under another name; nothing was made.
            Uncertain: it is in use under this name already.
            ProviderError: the record cannot be written; nothing was made.
        """
        use = self._use(order)
        self._folder.take(order.name, use)
        return use.record(order.name)

    def _use(self, order: PodOrder) -> MachineUse:
        settings = self._settings
        # Half an address would be taken for a whole one: it is looked for unless both are told.
        folder, port = settings.remote_comfyui_dir, settings.remote_comfyui_port
        known = folder is not None and port is not None
        return MachineUse(
            host=self._host(),
            port=settings.port,
            user=settings.user,
            comfyui_dir=(folder or "") if known else "",
            comfyui_port=(port or 0) if known else 0,
            price_per_hour_usd=str(order.offer.price_per_hour_usd),
            created=self._clock.now().isoformat(),
        )

    def describe(self, provider_id: str) -> PodRecord:
        """That it is in use; the machine itself is not asked.

        Raises:
            Gone: it is not in use under this name.
            ProviderError: the record cannot be read.
        """
        return self._folder.read(provider_id).record(provider_id)

    def list(self) -> tuple[PodRecord, ...]:
        """Every machine in use."""
        return tuple(use.record(name) for name, use in self._folder.uses())

    def stop(self, provider_id: str) -> None:
        """Refuse.

        Raises:
            Gone: it is not in use under this name.
            ProviderError: always otherwise, with the reason.
        """
        self._folder.read(provider_id)
        raise ProviderError(_NO_END)

    def start(self, provider_id: str) -> None:
        """Nothing to do, for it runs."""
        self._folder.read(provider_id)

    def terminate(self, provider_id: str) -> None:
        """Let go of the machine; nothing on it ends."""
        self._folder.let_go(provider_id)

    def adopt(self, provider_id: str) -> None:
        """Nothing to do: nobody's process keeps it."""
        self._folder.read(provider_id)

    def logs(self, provider_id: str, lines: int) -> tuple[str, ...]:  # noqa: ARG002 - the contract's
        """None that is the pod's own."""
        return ()

    def billing(self, since: datetime) -> tuple[Stretch, ...]:  # noqa: ARG002 - the contract's
        """Nobody sends a bill."""
        return ()

    def close(self) -> None:
        """Nothing is open."""

    def _host(self) -> str:
        if self._settings.host is None:
            raise ConfigError(f"No machine is named: `%autopod config set {_KEY}.host HOST`.")
        return self._settings.host


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def make(settings: Settings, clock: Clock) -> SshHostProvider:
    """The entry point."""
    return SshHostProvider(settings, clock)
