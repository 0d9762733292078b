"""The money lane's hand: end pods, and believe it only when the provider says so."""

from __future__ import annotations

from collections.abc import Callable

from autopod_nb.errors import Gone
from autopod_nb.models.pod import ObservedState
from autopod_nb.pods import launch
from autopod_nb.providers.base import Provider
from autopod_nb.session import events
from autopod_nb.session.effects import EndForeignPod, StopAtProvider, TerminateAtProvider, TerminateStranger
from autopod_nb.session.events import Message


class EndWork:
    """Its methods raise; :class:`autopod_nb.session.work.Worker` tells the session.

    Args:
        provider: who rents out pods.
        post: puts a message into the session's inbox.
    """

    def __init__(self, provider: Provider, post: Callable[[Message], None]) -> None:
        self._provider = provider
        self._post = post

    def end_foreign(self, effect: EndForeignPod) -> None:
        """End a pod that another process owns."""
        if effect.stop:
            self._provider.stop(effect.provider_id)
        else:
            self._provider.terminate(effect.provider_id)
        self._post(events.ForeignEnded(pod_id=effect.pod_id, why=""))

    def end_stranger(self, effect: TerminateStranger) -> None:
        """End a pod that the ledger does not know, and read back whether it is gone."""
        self._provider.terminate(effect.provider_id)
        state = self._read_back(effect.provider_id)
        gone = state is ObservedState.TERMINATED
        why = "" if gone else f"the provider says {state.value}; look again with `%autopod pods`."
        self._post(events.StrangerEnded(provider_id=effect.provider_id, why=why))

    def stop(self, effect: StopAtProvider) -> None:
        """Stop it, and believe it only when the provider says that it does not run any more."""
        self._provider.stop(effect.provider_id)
        state = self._read_back(effect.provider_id)
        if state is ObservedState.STOPPED:
            self._post(events.PodStopped(pod_id=effect.pod_id))
        else:
            self._ended_unless(state, effect.pod_id)

    def terminate(self, effect: TerminateAtProvider) -> None:
        """Ask for the end, and believe it only when the provider does not know the pod any more."""
        provider_id = effect.provider_id or launch.find(self._provider, None, effect.name).provider_id
        self._provider.terminate(provider_id)
        self._ended_unless(self._read_back(provider_id), effect.pod_id)

    def _read_back(self, provider_id: str) -> ObservedState:
        """What the provider says after it was told; a pod that it does not know is gone."""
        try:
            return self._provider.describe(provider_id).state
        except Gone:
            return ObservedState.TERMINATED

    def _ended_unless(self, state: ObservedState, pod_id: str) -> None:
        if state is ObservedState.TERMINATED:
            self._post(events.PodTerminated(pod_id=pod_id))
        else:
            self._post(events.StillBilling(pod_id=pod_id, why=f"the provider says {state.value}."))
