"""The hand that cares for pods while they work: their GPUs, their watchdogs, and the reaper on this machine."""

from __future__ import annotations

from collections.abc import Callable

from autopod_nb.clock import Clock
from autopod_nb.config import Settings
from autopod_nb.errors import PodError
from autopod_nb.models.pod import ObservedState
from autopod_nb.pods import guard
from autopod_nb.pods.gpu import read_gpu_use
from autopod_nb.pods.launch import PodLink
from autopod_nb.providers.base import Provider
from autopod_nb.session import events
from autopod_nb.session.effects import ArmWatchdog, BeatWatchdog, CheckAccount, KeepReaper, LookAtGpu
from autopod_nb.session.events import Message
from autopod_nb.session.guardian import ensure_reaper, reaper_state
from autopod_nb.storage.ledger import Ledger


class CareWork:
    """Its methods raise; :class:`autopod_nb.session.work.Worker` tells the session.

    Args:
        settings: for the reaper.
        provider: who rents out pods.
        ledger: only read.
        link: our id of a pod → what is open to it.
        clock: the time.
        post: puts a message into the session's inbox.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        provider: Provider,
        ledger: Ledger,
        link: Callable[[str], PodLink],
        clock: Clock,
        post: Callable[[Message], None],
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._ledger = ledger
        self._link = link
        self._clock = clock
        self._post = post

    def look_at_gpu(self, effect: LookAtGpu) -> None:
        """Ask a pod how busy its GPUs are; a line that is down is another matter, and told elsewhere."""
        connection = self._link(effect.pod_id).connection
        if connection is not None:
            self._post(events.GpuSeen(pod_id=effect.pod_id, use=read_gpu_use(connection)))

    def arm(self, effect: ArmWatchdog) -> None:
        """Start the watchdog; that it cannot be started is told, not raised: the pod works all the same."""
        url = self._provider.capabilities.watchdog_url
        if url is None:
            return
        try:
            report = guard.arm(self._link(effect.pod_id), effect.wish, api_base_url=url, now=self._clock.now())
        except (PodError, ValueError) as error:
            self._post(events.PodGuarded(pod_id=effect.pod_id, armed=False, can_act=None, words=str(error)))
            return
        if report is not None:
            told = events.PodGuarded(
                pod_id=effect.pod_id, armed=report.running, can_act=report.can_act, words=report.words
            )
            self._post(told)

    def beat(self, effect: BeatWatchdog) -> None:
        """Somebody still cares."""
        guard.beat(self._link(effect.pod_id), effect.wish, now=self._clock.now())

    def keep_reaper(self, _effect: KeepReaper) -> None:
        """It outlives this process."""
        running = reaper_state(self._settings.home).running
        if not running:
            ensure_reaper(self._settings)
        self._post(events.ReaperSeen(running=running))

    def check_account(self, _effect: CheckAccount) -> None:
        """Balance, and pods that no ledger of ours knows; that it cannot be asked now changes nothing."""
        bills = [record for record in self._provider.list() if record.state is not ObservedState.TERMINATED]
        known = {row.name for row in self._ledger.read_pods()}  # after the list: one that begins is no stranger
        account = self._provider.account()
        seen = events.AccountSeen(
            balance_usd=account.balance_usd,
            spend_per_hour_usd=account.spend_per_hour_usd,
            strangers=tuple(record.name or record.provider_id for record in bills if record.name not in known),
        )
        self._post(seen)
