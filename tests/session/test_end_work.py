"""The money lane's hand: a provider's "taken" is no proof, what it says when it is asked again is."""

from __future__ import annotations

from typing import cast

import pytest

from autopod_nb.errors import Gone
from autopod_nb.models.pod import ObservedState, PodRecord
from autopod_nb.providers.base import Provider
from autopod_nb.session import events
from autopod_nb.session.effects import StopAtProvider, TerminateAtProvider
from autopod_nb.session.end_work import EndWork
from autopod_nb.session.events import Message


class _Provider:
    """Takes every order, and says of the pod what it is told to say; None: it does not know it."""

    def __init__(self, says: ObservedState | None) -> None:
        self._says = says
        self.orders: list[str] = []

    def stop(self, provider_id: str) -> None:
        self.orders.append(f"stop {provider_id}")

    def terminate(self, provider_id: str) -> None:
        self.orders.append(f"terminate {provider_id}")

    def describe(self, provider_id: str) -> PodRecord:
        self.orders.append(f"describe {provider_id}")
        if self._says is None:
            raise Gone(f"No pod {provider_id}.")
        return PodRecord(provider_id=provider_id, name="autopod-p1", state=self._says)


_BILLS = events.StillBilling(pod_id="p1", why="the provider says running.")
_GONE = events.PodTerminated(pod_id="p1")
_STOPPED = events.PodStopped(pod_id="p1")


def _told(says: ObservedState | None, *, stop: bool) -> tuple[list[Message], list[str]]:
    provider, told = _Provider(says), list[Message]()
    work = EndWork(cast("Provider", provider), told.append)
    if stop:
        work.stop(StopAtProvider(pod_id="p1", provider_id="theirs"))
    else:
        work.terminate(TerminateAtProvider(pod_id="p1", provider_id="theirs", name="autopod-p1"))
    return told, provider.orders


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (ObservedState.STOPPED, _STOPPED),
        (ObservedState.RUNNING, _BILLS),
        (ObservedState.TERMINATED, _GONE),
        (None, _GONE),
    ],
)
def test_a_stop_is_believed_when_it_is_read_back(says: ObservedState | None, told: Message) -> None:
    assert _told(says, stop=True) == ([told], ["stop theirs", "describe theirs"])


@pytest.mark.parametrize(
    ("says", "told"),
    [(ObservedState.TERMINATED, _GONE), (None, _GONE), (ObservedState.RUNNING, _BILLS)],
)
def test_a_termination_is_believed_when_it_is_read_back(says: ObservedState | None, told: Message) -> None:
    assert _told(says, stop=False) == ([told], ["terminate theirs", "describe theirs"])


def test_a_pod_that_only_stopped_is_not_taken_for_terminated() -> None:
    told, _ = _told(ObservedState.STOPPED, stop=False)
    assert told == [events.StillBilling(pod_id="p1", why="the provider says stopped.")]
