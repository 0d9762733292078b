"""The way back to a pod whose SSH line was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autopod_nb.clock import Clock, Deadline
from autopod_nb.errors import BootFailed, Gone, ProviderError, SshError
from autopod_nb.models.pod import ObservedState, PodAddress
from autopod_nb.pods.launch import CERTAIN_S, PodLink, use_line
from autopod_nb.providers.base import Provider
from autopod_nb.ssh.connection import LONGEST_PAUSE_S, HostKeyPin, SshTarget, connect
from autopod_nb.threads import ServiceThread

if TYPE_CHECKING:
    import paramiko

ENDED = (ObservedState.STOPPED, ObservedState.TERMINATED)
_ROUNDS_S = (5.0, 10.0, 20.0)  # an attempt that hangs ends with its round, and a slow line may need a long one
_PAUSES_S = (0.3, 0.5, 1.0)  # at most between two attempts: a line that is good again is not left lying
_POLITE_ROUNDS = 3  # in them a pod that another process has is left to it: whoever lost its lease hears so by then
_REFUSED_S = 2.0  # before the next round, where one ended before its time: another host key, a key that is no good
_ASK_SOON_S, _ASK_LATER_S = 0.5, 2.0  # between two questions; soon for half a minute
_SOON_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What became of a pod that is not there any more, by its provider."""

    state: ObservedState
    detail: str


class Reconnection:
    """Tries the line again and again; beside that a thread asks the provider where the pod is and whether it lives.

    Not one after the other: where a network is down the provider cannot be reached either, and a question that hangs
    must not keep a line closed that is good again.

    Args:
        provider: who rents the pod out.
        link: of the pod; its ``abort`` ends everything.
        key: our private key.
        provider_id: the pod's id there.
        clock: the time.
        tell: called with what the matter is, in any thread.
    """

    def __init__(
        self,
        provider: Provider,
        link: PodLink,
        key: paramiko.PKey,
        *,
        provider_id: str,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self._provider = provider
        self._link = link
        self._key = key
        self._provider_id = provider_id
        self._clock = clock
        self._tell = tell
        self._address: PodAddress | None = None
        self._end: End | None = None

    def run(self) -> End | None:
        """Until the line stands, the pod has ended, or it is being ended. Returns its end, if that is what came."""
        asker = ServiceThread(f"autopod-where-{self._provider_id}", self._ask).start()
        try:
            rounds = 0
            while not (self._link.abort.is_set() or self._end is not None or self._try(rounds)):
                rounds += 1
            return self._end
        finally:
            asker.stop()  # not joined: it may hang in its question, and ends after that

    def _try(self, rounds: int) -> bool:
        """One round of attempts. Returns whether the line stands."""
        deadline = Deadline(self._clock, _ROUNDS_S[min(rounds, len(_ROUNDS_S) - 1)])
        try:
            reopen_line(
                self._link,
                self._key,
                deadline=deadline,
                clock=self._clock,
                look=self._look,
                longest_pause_s=_PAUSES_S[min(rounds, len(_PAUSES_S) - 1)],
                take=rounds >= _POLITE_ROUNDS,
                tell=self._tell,
            )
        except SshError as error:
            if self._end is None:
                self._tell(str(error))
                if not deadline.passed:
                    self._clock.wait(self._link.abort, _REFUSED_S)
            return False
        return True

    def _look(self) -> PodAddress | None:
        if self._end is not None:
            raise SshError(f"The pod has ended: {self._end.detail}")
        return self._address

    def _ask(self, stop: threading.Event) -> None:
        soon = Deadline(self._clock, _SOON_S)
        while not stop.is_set():
            try:
                if self._has_ended(stop):
                    return
            except Gone as error:
                self._end = End(state=ObservedState.TERMINATED, detail=str(error))
                return
            except ProviderError as error:
                self._tell(str(error))
            self._clock.wait(stop, _ASK_LATER_S if soon.passed else _ASK_SOON_S)

    def _has_ended(self, stop: threading.Event) -> bool:
        """Whether it has stopped, which must be said twice, or is gone; else where it is."""
        record = self._provider.describe(self._provider_id)
        if record.state is ObservedState.STOPPED:
            self._clock.wait(stop, CERTAIN_S)
            record = self._provider.describe(self._provider_id)
        if record.state in ENDED:
            self._end = End(state=record.state, detail=record.detail)
            return True
        self._address = record.address or self._address
        return False


def reopen_line(
    link: PodLink,
    key: paramiko.PKey,
    *,
    deadline: Deadline,
    clock: Clock,
    look: Callable[[], PodAddress | None] = lambda: None,
    longest_pause_s: float = LONGEST_PAUSE_S,
    take: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Open SSH again and give it to the tunnel, which keeps its local port, and to the monitor.

    What hung in the old line cannot arrive any more by then: who looks at the server sees what there is.

    Args:
        look: asked before each attempt where the pod is now, None if that is not known; its host and port count, what
            was found out about ComfyUI stays, and so does the host key that it must show. What it raises ends this.
        take: also when another process has a line to the pod.
        tell: called with what the matter is, where it takes longer.

    Raises:
        SshError: not within the time.
    """
    old, known = link.connection, link.address
    if known is None or link.tunnel is None:
        raise BootFailed("there was no line to open again")
    pin = link.pin = link.pin or HostKeyPin(known.host_key_sha256)

    def target() -> SshTarget:
        now = look() or known
        link.address = replace(known, host=now.host, port=now.port)
        return SshTarget(host=now.host, port=now.port, user=known.user, pin=pin)

    fresh = connect(
        target(),
        key,
        clock=clock,
        timeout_s=deadline.left_s(),
        stop=link.abort,
        look=target,
        longest_pause_s=longest_pause_s,
    )
    if old is not None:
        old.close()
    use_line(link, fresh, first=False, take=take, clock=clock, tell=tell)
    link.guard_port = 0  # the container may have begun anew, without its watchdog
    link.tunnel.reopen(fresh)
    if link.monitor is not None:
        link.monitor.hurry()
    if link.abort.is_set():  # whoever ended the pod meanwhile did not see the new line
        fresh.close()
