"""A provider that does what a test's script says, and counts what it was asked. Small, and a provider for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from autopod_nb.errors import Gone
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.models.pod import ObservedState, PodAddress, PodRecord
from autopod_nb.models.reconciliation import Stretch
from autopod_nb.providers.base import Account, Capabilities, PodOrder

OFFER = Offer(
    provider="scripted",
    gpu_type="A40",
    gpu_count=1,
    vram_gb=48,
    price_per_hour_usd=Decimal("0.40"),
    stopped_price_per_hour_usd=Decimal("0.01"),
    kind=MoneyKind.SIMULATED,
)
ADDRESS = PodAddress(
    host="127.0.0.1", port=22, user="root", comfyui_port=8188, comfyui_dir="/comfy", environ_path="/proc/1/environ"
)

Answer: TypeAlias = PodRecord | Exception


def order(name: str = "autopod-test-1") -> PodOrder:
    """What a session would order."""
    return PodOrder(name=name, offer=OFFER, public_key="ssh-ed25519 AAAA")


def record(state: ObservedState, *, address: PodAddress | None = None, detail: str = "") -> PodRecord:
    """One answer about a pod."""
    return PodRecord(provider_id="id-1", name="autopod-test-1", state=state, address=address, detail=detail)


class ScriptedProvider:
    """Keeps pods in memory.

    Args:
        creates: whether create makes a pod before it answers.
        answer: raised by create after that; None for a proper answer.
        lists: raised by the first calls of list, None for a proper answer; then all are proper.
        describes: answers of describe in order; the last one is repeated. Called before each is given.
    """

    name = "scripted"
    capabilities = Capabilities(can_stop=False, can_bill=False, fate="Nothing ends it.")

    def __init__(
        self,
        *,
        creates: bool = True,
        answer: Exception | None = None,
        lists: Sequence[Exception | None] = (),
        describes: Sequence[Answer] = (),
        before_describe: Callable[[], object] = lambda: None,
    ) -> None:
        self.pods: list[PodRecord] = []
        self.creates_seen = self.lists_seen = self.describes_seen = 0
        self._creates, self._answer = creates, answer
        self._lists: Iterator[Exception | None] = iter(lists)
        self._describes = list(describes)
        self._before_describe = before_describe

    def authenticate(self) -> None:
        """Always fine."""

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """One offer."""
        return (OFFER,) if query.gpu_count == 1 else ()

    def credentials(self) -> str:
        return ""

    def account(self) -> Account:
        """Nothing to say."""
        return Account()

    def create(self, order: PodOrder) -> PodRecord:
        """Make a pod, if the script says so, and answer as it says."""
        self.creates_seen += 1
        made = PodRecord(provider_id=f"id-{self.creates_seen}", name=order.name, state=ObservedState.PENDING)
        if self._creates:
            self.pods.append(made)
        if self._answer is not None:
            raise self._answer
        return made

    def describe(self, provider_id: str) -> PodRecord:  # noqa: ARG002 - the contract has it
        """The next answer of the script."""
        self._before_describe()
        answer = self._describes[min(self.describes_seen, len(self._describes) - 1)]
        self.describes_seen += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def list(self) -> tuple[PodRecord, ...]:
        """Every pod, or what the script has instead."""
        self.lists_seen += 1
        fault = next(self._lists, None)
        if fault is not None:
            raise fault
        return tuple(self.pods)

    def stop(self, provider_id: str) -> None:
        """Nothing can be stopped here."""
        raise Gone(provider_id)

    def start(self, provider_id: str) -> None:
        """Nothing can be started here."""
        raise Gone(provider_id)

    def adopt(self, provider_id: str) -> None:
        """Nothing is needed for it."""

    def terminate(self, provider_id: str) -> None:
        """Forget the pod."""
        self.pods = [pod for pod in self.pods if pod.provider_id != provider_id]

    def logs(self, provider_id: str, lines: int) -> tuple[str, ...]:  # noqa: ARG002 - the contract has it
        """There is none."""
        return ()

    def billing(self, since: datetime) -> tuple[Stretch, ...]:  # noqa: ARG002 - the contract has it
        """There is none."""
        return ()

    def close(self) -> None:
        """Nothing to close."""
