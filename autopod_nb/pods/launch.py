"""From a rented pod to one that can work: address, SSH, tunnel, ComfyUI, socket."""

from __future__ import annotations

import contextlib
import posixpath
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autopod_nb.clock import Clock, Deadline
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.comfyui.monitor import Monitor
from autopod_nb.comfyui.monitor_events import MonitorEvent
from autopod_nb.errors import BootFailed, ComfyError, Gone, ProviderError, SshError, Uncertain
from autopod_nb.models.pod import ObservedState, PodAddress, PodRecord
from autopod_nb.pods.old_line import LineName, make_way
from autopod_nb.pods.phases import PhaseWatch
from autopod_nb.providers.base import PodOrder, Provider
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.line import quote
from autopod_nb.ssh.pod_index import PodIndex
from autopod_nb.ssh.tunnel import Tunnel

if TYPE_CHECKING:
    import paramiko

_POLL_S = 0.25
CERTAIN_S = 3.0
"""RunPod was seen to say now and then that a pod has stopped which runs: it must say so for as long. A guess."""
_JOIN_S = 2.0
_LOG_S = 20.0
_LOOKUP_S = 60.0  # a new pod may be missing from lists for a moment; a guess at the longest one
_LOOKUP_PAUSE_S = 2.0


@dataclass(slots=True, kw_only=True)
class PodLink:
    """What is open to one pod. Its parts are made one after another; :meth:`close` takes what is there.

    Attributes:
        name: under which its line is noted on the pod, so that the next one can end it; None: it is not.
        abort: set when the pod is being ended: whatever waits for it gives up within a second.
        closing: set when the session ends, and leaves the pod to whoever comes next.
        pin: its host key, once it was seen.
        comfyui_version: what its ComfyUI says.
        guard_folder: where the watchdog on the pod keeps its state, empty as long as there is none.
        guard_port: the port of ComfyUI that it looks at; 0 as long as it does not run.
        guard_wish: what it goes by.
        files: what is known of the pod's files, over all its lines.
    """

    name: LineName | None = None
    abort: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    pin: HostKeyPin | None = None
    address: PodAddress | None = None
    connection: SshConnection | None = None
    tunnel: Tunnel | None = None
    client: ComfyClient | None = None
    monitor: Monitor | None = None
    comfyui_version: str = ""
    guard_folder: str = ""
    guard_port: int = 0
    guard_wish: object = None
    files: PodIndex = field(default_factory=PodIndex)

    def close(self) -> None:
        """Close everything. Safe to call twice, in any thread."""
        self.abort.set()
        self.drop()

    def drop(self) -> None:
        """Close what is open, to try again."""
        with contextlib.ExitStack() as undo:  # from the last to the first, each of them whatever becomes of the others
            if self.monitor is not None:
                undo.callback(self.monitor.join, _JOIN_S)
            for part in (self.connection, self.tunnel, self.client):
                if part is not None:
                    undo.callback(part.close)
            if self.monitor is not None:
                self.monitor.stop()


def create(provider: Provider, order: PodOrder, *, clock: Clock, abort: threading.Event) -> PodRecord:
    """Rent a pod, once.

    When the answer is lost the pod is looked up by its unique name; create is never repeated. That there is none is
    believed only of a whole list that was read a minute later: a new pod may be missing from lists for a while.

    Args:
        provider: who rents it out.
        order: with a name that no pod ever had.
        clock: the time.
        abort: set when nobody is there any more to hear of it; what a person wants to end is still looked for.

    Raises:
        ProviderError: it is sure that nothing was made, or (Uncertain) nothing can be found and nothing is sure.
    """
    try:
        return provider.create(order)
    except Uncertain as error:
        deadline, is_read = Deadline(clock, _LOOKUP_S), False
        while not (deadline.passed and is_read):
            is_read = False
            with contextlib.suppress(ProviderError):
                for record in provider.list():
                    if record.name == order.name:
                        return record
                is_read = True
            if clock.wait(abort, _LOOKUP_PAUSE_S):
                break
        raise Uncertain(
            f"{error} No pod {order.name} was found since; look for it in the provider's console."
        ) from error


def find(provider: Provider, provider_id: str | None, name: str) -> PodRecord:
    """A pod by the provider's id, or by the name that we gave it.

    Raises:
        Gone: the provider knows no such pod.
        ProviderError: it could not be asked.
    """
    if provider_id is not None:
        return provider.describe(provider_id)
    for record in provider.list():
        if record.name == name:
            return record
    raise Gone(f"The provider has no pod named {name}.")


def wait_address(
    provider: Provider,
    provider_id: str,
    *,
    deadline: Deadline,
    clock: Clock,
    abort: threading.Event,
    on_phase: Callable[[str], None] = lambda _: None,
) -> PodAddress:
    """Wait until the pod runs and has an SSH address.

    Args:
        provider: who rents it out.
        provider_id: its id there.
        deadline: for all of it; a phase has a time of its own beside that.
        clock: the time.
        abort: set when the pod is being ended.
        on_phase: called with each phase that the provider tells of.

    Raises:
        BootFailed: it ended, the time is up, it never will, or *abort* was set.
    """
    last_error = ""
    stopped: Deadline | None = None
    watch = PhaseWatch(clock, on_phase)
    while not deadline.passed:
        try:
            record = provider.describe(provider_id)
        except Gone as error:
            raise BootFailed("the provider does not know it any more") from error
        except ProviderError as error:
            last_error = f" ({error})"
        else:
            last_error = f" ({record.detail})" if record.detail else ""
            if record.address is not None:
                return record.address
            stopped = None if record.state is not ObservedState.STOPPED else stopped or Deadline(clock, CERTAIN_S)
            if record.state is ObservedState.TERMINATED or (stopped is not None and stopped.passed):
                raise BootFailed(f"it ended while it booted: {record.detail or record.state.value}")
            watch.see(record.phase)
            if record.hopeless:
                raise BootFailed(f"it will never come up: {record.detail}")
        if clock.wait(abort, _POLL_S):
            raise BootFailed("it is being ended")
    raise BootFailed(f"it has no address after the time allowed for a boot{last_error}")


def open_line(
    link: PodLink,
    address: PodAddress,
    key: paramiko.PKey,
    *,
    deadline: Deadline,
    clock: Clock,
    look: Callable[[], PodAddress | None] = lambda: None,
    first: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Open SSH to the pod, and end what an earlier line has left there. Where it was reached is kept in the link.

    Args:
        link: of the pod.
        address: where it is tried first.
        key: our private key.
        deadline: for all of it.
        clock: the time.
        look: asked between attempts where the pod is now; None if that is not known. RunPod may tell a pod's old port
            first when it was started again.
        first: no other process had a line to it.
        tell: called with what the matter is, where it takes longer.

    Raises:
        SshError: refused, another host key than before, not reached in time, or aborted.
    """
    pin = link.pin or HostKeyPin(address.host_key_sha256)

    def target(now: PodAddress | None) -> SshTarget:
        nonlocal address, pin
        if now is not None and (now.host, now.port) != (address.host, address.port):
            address, pin = now, HostKeyPin(now.host_key_sha256)
        link.address, link.pin = address, pin
        return SshTarget(host=address.host, port=address.port, user=address.user, pin=pin)

    fresh = connect(
        target(address),
        key,
        clock=clock,
        timeout_s=deadline.left_s(),
        stop=link.abort,
        look=lambda: target(look()),
    )
    use_line(link, fresh, first=first, take=True, clock=clock, tell=tell)


def use_line(
    link: PodLink, fresh: SshConnection, *, first: bool, take: bool, clock: Clock, tell: Callable[[str], None]
) -> None:
    """Make a new connection the pod's line, as soon as nothing comes over an earlier one any more.

    Raises:
        SshError: it is lost already, or another process has the pod and not *take*; it is closed then.
    """
    try:
        if link.name is not None:
            make_way(fresh, link.name, first=first, take=take, clock=clock, abort=link.abort, tell=tell)
    except SshError:
        fresh.close()
        raise
    link.connection = fresh


def open_comfyui(
    link: PodLink,
    *,
    wanted_port: int,
    on_lost: Callable[[], None],
    on_event: Callable[[MonitorEvent], None],
    deadline: Deadline,
    clock: Clock,
    prompt_ids: Sequence[str] = (),
) -> None:
    """Open the tunnel, wait until ComfyUI answers through it, and open its event socket.

    Args:
        link: with an SSH line.
        wanted_port: the local port that is tried first.
        on_lost: called when the SSH line is lost after ComfyUI has answered; before, it ends this call.
        on_event: called with what ComfyUI tells.
        deadline: for all of it.
        clock: the time.
        prompt_ids: prompts that are on the server already and are to be followed.

    Raises:
        SshError: no local port, or the line is lost.
        ComfyError: it does not answer in time.
    """
    if link.connection is None or link.address is None:
        raise BootFailed("there is no SSH line to it")
    boots = threading.Event()
    boots.set()

    def lost() -> None:
        if boots.is_set() and link.client is not None:
            link.client.close()  # nobody will answer any more: end the wait for it at once
        else:
            on_lost()

    link.tunnel = Tunnel(link.connection, link.address.comfyui_port, wanted_port=wanted_port, on_lost=lost)
    url = f"http://127.0.0.1:{link.tunnel.port}"
    client = link.client = ComfyClient(url, clock=clock)
    link.comfyui_version = client.wait_ready(deadline).version
    boots.clear()
    monitor = link.monitor = Monitor(url, clock=clock, on_event=on_event, client=link.client)
    for prompt_id in prompt_ids:
        monitor.watch(prompt_id, "", posted=True)  # whose socket heard of it is gone: it is polled
    monitor.start()
    link.monitor.wait_connected(deadline)


def comfyui_log(link: PodLink, lines: int) -> tuple[str, ...]:
    """The last lines of ComfyUI's log: from itself, or where it does not answer, from its file by SSH.

    Raises:
        SshError: there is no line to the pod.
    """
    if link.client is not None:
        with contextlib.suppress(ComfyError):
            return tuple(link.client.logs().splitlines()[-lines:])
    if link.connection is None or link.address is None:
        raise SshError("There is no line to the pod, so its log cannot be read.")
    folder = link.address.comfyui_dir  # some images keep it beside the folder instead of in it
    inside, beside = (quote(posixpath.join(place, "comfyui.log")) for place in (folder, posixpath.dirname(folder)))
    read = link.connection.run(f"tail -n {lines} -- {inside} 2>/dev/null || tail -n {lines} -- {beside}", _LOG_S)
    return tuple(read.stdout.decode(errors="replace").splitlines())
