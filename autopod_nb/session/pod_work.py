"""The pod lanes' hand: rent, bring up, reconnect."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from autopod_nb.clock import Clock, Deadline
from autopod_nb.config import Settings
from autopod_nb.errors import AutopodError, BootFailed, Gone, ProviderError, SshError
from autopod_nb.models.pod import BootPhase, ObservedState, PodAddress, PodRecord
from autopod_nb.pods import launch
from autopod_nb.pods.comfy_place import place_comfyui
from autopod_nb.pods.launch import PodLink
from autopod_nb.pods.old_line import LineName
from autopod_nb.pods.phases import BUDGET_S
from autopod_nb.pods.reconnect import ENDED, Reconnection
from autopod_nb.providers.base import PodOrder, Provider
from autopod_nb.session import events
from autopod_nb.session.effects import (
    AdoptPod,
    AskOffers,
    BootPod,
    CreatePod,
    DropLine,
    FetchLogs,
    ReopenLine,
)
from autopod_nb.session.events import Message
from autopod_nb.ssh.keys import load_key, own_key_path, public_line

if TYPE_CHECKING:
    import paramiko

_ADOPT_S = 20.0
_ADOPT_PAUSE_S = 2.0
_LAST_WORDS_S = 10.0  # a pod whose line broke may take a moment until its provider knows why; a guess
_LOOK_S = 0.1


class PodWork:
    """Holds the lines to all pods. Its methods raise; :class:`autopod_nb.session.work.Worker` tells the session.

    Args:
        settings: home, ports, time allowed.
        provider: who rents out pods.
        clock: the time.
        post: puts a message into the session's inbox.
    """

    def __init__(
        self, settings: Settings, *, provider: Provider, clock: Clock, post: Callable[[Message], None]
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._clock = clock
        self._post = post
        self._lock = threading.Lock()
        self._links: dict[str, PodLink] = {}
        self._owner = secrets.token_hex(4)  # in the notes on pods; a process that adopts a pod takes it anyway
        self._key: paramiko.PKey | None = None

    def offers(self, effect: AskOffers) -> None:
        """Ask the provider what it has."""
        self._provider.authenticate()
        effect.reply.set_result(self._provider.offers(effect.query))

    def link(self, pod_id: str) -> PodLink:
        """What is open to a pod."""
        with self._lock:
            return self._links.setdefault(pod_id, self._made(pod_id))

    def _made(self, pod_id: str) -> PodLink:
        return PodLink(name=LineName(pod_id=pod_id, owner=self._owner))

    def _new_link(self, pod_id: str) -> PodLink:
        """A pod that was started again has another host key, and nothing of the old line is left."""
        with self._lock:
            self._links[pod_id] = self._made(pod_id)
            return self._links[pod_id]

    def _ssh_key(self) -> paramiko.PKey:
        with self._lock:
            if self._key is None:
                self._key = load_key(self._settings.ssh_key_path or own_key_path(self._settings.home))
            return self._key

    def logs(self, effect: FetchLogs) -> None:
        """Bring the last lines of a log."""
        if effect.provider_id is not None:
            effect.reply.set_result(self._provider.logs(effect.provider_id, effect.lines))
        else:
            effect.reply.set_result(launch.comfyui_log(self.link(effect.pod_id), effect.lines))

    def create(self, effect: CreatePod) -> None:
        """Rent it, once."""
        order = PodOrder(name=effect.name, offer=effect.offer, public_key=public_line(self._ssh_key()))
        closing = self.link(effect.pod_id).closing
        record = launch.create(self._provider, order, clock=self._clock, abort=closing)
        made = events.PodCreated(
            pod_id=effect.pod_id, provider_id=record.provider_id, price_per_hour_usd=record.price_per_hour_usd
        )
        self._post(made)

    def boot(self, effect: BootPod) -> None:
        """Wait for the address, open the line, wait for ComfyUI, open the socket."""
        pod_id = effect.pod_id
        link = self._new_link(pod_id) if effect.start else self.link(pod_id)
        deadline = Deadline(self._clock, float(effect.within_minutes) * 60)
        try:
            if effect.start:
                self._provider.start(effect.provider_id)
            address = launch.wait_address(
                self._provider,
                effect.provider_id,
                deadline=deadline,
                clock=self._clock,
                abort=link.abort,
                on_phase=lambda phase: self._post(events.PodPhase(pod_id=pod_id, phase=phase)),
            )
            self._post(events.PodAddressed(pod_id=pod_id, address=address))
            if effect.start and (price := self._provider.describe(effect.provider_id).price_per_hour_usd) is not None:
                self._post(events.PodPriced(pod_id=pod_id, price_per_hour_usd=price))
            address = self._open_line(effect, link, address, deadline)
            self._post(events.SshOpened(pod_id=pod_id))
            self._place_comfyui(pod_id, link, address, deadline)
            self._post(events.SshOpened(pod_id=pod_id))  # again: by now it is known which queue the watchdog looks at
            self._post(events.PodPhase(pod_id=pod_id, phase="waiting for ComfyUI"))
            self._open_comfyui(pod_id, link, deadline)
        except AutopodError as error:
            # a pod that ends while SSH is being opened looks like a line that was lost, or a key that was refused
            line_down = isinstance(error, SshError) or (link.connection is not None and not link.connection.alive)
            why = self._why_it_ended(effect.provider_id) if line_down and not link.abort.is_set() else ""
            link.close()
            raise BootFailed(why or str(error)) from error
        if link.abort.is_set() or link.tunnel is None:
            link.close()
            return
        self._post(events.PodReady(pod_id=pod_id, local_port=link.tunnel.port, comfyui_version=link.comfyui_version))

    def _open_line(self, effect: BootPod, link: PodLink, address: PodAddress, deadline: Deadline) -> PodAddress:
        """Open SSH. Returns where it stands, which may be another place than the one that was told first."""

        def look() -> PodAddress | None:
            try:
                return self._provider.describe(effect.provider_id).address
            except ProviderError:
                return None

        ssh = Deadline(self._clock, min(deadline.left_s(), BUDGET_S[BootPhase.SSH]))
        launch.open_line(link, address, self._ssh_key(), deadline=ssh, clock=self._clock, look=look)
        if link.address is None or link.address == address:
            return address
        self._post(events.PodAddressed(pod_id=effect.pod_id, address=link.address))
        return link.address

    def _why_it_ended(self, provider_id: str) -> str:
        """The provider's words for a pod whose line broke while it booted; empty if it does not know of an end."""
        deadline = Deadline(self._clock, _LAST_WORDS_S)
        pause = threading.Event()
        while not deadline.passed:
            try:
                record = self._provider.describe(provider_id)
            except ProviderError:
                return ""
            if record.state in ENDED:
                return f"it ended while it booted: {record.detail}"
            self._clock.wait(pause, _LOOK_S)
        return ""

    def adopt(self, effect: AdoptPod) -> None:
        """Find a pod that another process rented, open its lines, and follow the prompts that it left there."""
        link = self.link(effect.pod_id)
        while not link.abort.is_set():
            try:
                if self._try_adopt(effect, link):
                    return
            except AutopodError as error:
                self._post(events.PodPhase(pod_id=effect.pod_id, phase=f"adopting; {error}"))
                link.drop()
            self._clock.wait(link.abort, _ADOPT_PAUSE_S)

    def _try_adopt(self, effect: AdoptPod, link: PodLink) -> bool:
        """Returns whether it is decided what becomes of it."""
        try:
            record = launch.find(self._provider, effect.provider_id, effect.name)
            if self._has_ended(record, link):
                self._observed(effect.pod_id, record.state, record.detail)
                return True
            self._provider.adopt(record.provider_id)
        except Gone as error:
            self._observed(effect.pod_id, ObservedState.TERMINATED, str(error))
            return True
        deadline = Deadline(self._clock, _ADOPT_S)
        address = launch.wait_address(
            self._provider, record.provider_id, deadline=deadline, clock=self._clock, abort=link.abort
        )
        launch.open_line(
            link,
            address,
            self._ssh_key(),
            deadline=deadline,
            clock=self._clock,
            first=False,
            tell=lambda why: self._post(events.PodPhase(pod_id=effect.pod_id, phase=f"adopting; {why}")),
        )
        self._place_comfyui(effect.pod_id, link, address, deadline)
        self._open_comfyui(effect.pod_id, link, deadline, effect.prompt_ids)
        if link.tunnel is not None:
            self._post(
                events.PodAdopted(
                    pod_id=effect.pod_id,
                    provider_id=record.provider_id,
                    address=address,
                    local_port=link.tunnel.port,
                    comfyui_version=link.comfyui_version,
                )
            )
        return True

    def _open_comfyui(self, pod_id: str, link: PodLink, deadline: Deadline, prompt_ids: Sequence[str] = ()) -> None:
        launch.open_comfyui(
            link,
            wanted_port=self._settings.local_port,
            on_lost=lambda: self._line_lost(pod_id),
            on_event=lambda event: self._post(events.PodMessage(pod_id=pod_id, event=event)),
            prompt_ids=prompt_ids,
            deadline=deadline,
            clock=self._clock,
        )

    def _place_comfyui(self, pod_id: str, link: PodLink, address: PodAddress, deadline: Deadline) -> None:
        """Complete an address of which only SSH is known."""
        if link.connection is None or address.comfyui_port:
            return
        self._post(events.PodPhase(pod_id=pod_id, phase="looking for ComfyUI"))
        link.address = place_comfyui(
            link.connection,
            address,
            wanted_dir=self._settings.remote_comfyui_dir,
            wanted_port=self._settings.remote_comfyui_port,
            deadline=deadline,
            clock=self._clock,
            abort=link.abort,
        )

    def _line_lost(self, pod_id: str) -> None:
        if not self.link(pod_id).abort.is_set():
            self._post(events.LineLost(pod_id=pod_id, why="the SSH line was lost."))

    def reopen(self, effect: ReopenLine) -> None:
        """Until the line stands, the pod is gone, or it is being ended."""
        pod_id, link = effect.pod_id, self.link(effect.pod_id)
        way_back = Reconnection(
            self._provider,
            link,
            self._ssh_key(),
            provider_id=effect.provider_id,
            clock=self._clock,
            tell=lambda why: self._post(events.PodPhase(pod_id=pod_id, phase=f"reconnecting; {why}")),
        )
        end = way_back.run()
        if end is not None:
            self._observed(pod_id, end.state, end.detail)
        elif not link.abort.is_set():
            self._post(events.LineBack(pod_id=pod_id))

    def _has_ended(self, record: PodRecord, link: PodLink) -> bool:
        """Whether a pod has stopped, which must be said twice, or is gone."""
        if record.state is ObservedState.STOPPED:
            self._clock.wait(link.abort, launch.CERTAIN_S)
            return self._provider.describe(record.provider_id).state in ENDED
        return record.state in ENDED

    def _observed(self, pod_id: str, state: ObservedState, detail: str) -> None:
        self._post(events.PodObserved(pod_id=pod_id, state=state, detail=detail))

    def drop(self, effect: DropLine) -> None:
        """Close what is open to a pod, and abort what goes on there."""
        self.link(effect.pod_id).close()

    def close(self) -> None:
        """Close every line; whatever waits on one gives up. Safe to call twice."""
        with self._lock:
            links = list(self._links.values())
        for link in links:
            link.closing.set()
            link.close()
