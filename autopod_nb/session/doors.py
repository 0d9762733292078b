"""What a person can do with pods through a session."""

from __future__ import annotations

import secrets
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from decimal import Decimal
from pathlib import Path

from autopod_nb.clock import Clock
from autopod_nb.config import Settings
from autopod_nb.errors import InternalError, LimitReached, PodError, ProviderError, UsageError, nearest
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import PodView, Snapshot
from autopod_nb.providers.base import Provider
from autopod_nb.session import commands
from autopod_nb.session.adoption import Found, look
from autopod_nb.session.budgets import read_budgets
from autopod_nb.session.commands import Adopt, PodPlan, PodRequest
from autopod_nb.session.core import Core
from autopod_nb.session.events import Message
from autopod_nb.session.forecast import Budget
from autopod_nb.session.guardian import take_back
from autopod_nb.session.planning import make_plan, make_query
from autopod_nb.storage.ledger import Ledger

ANSWER_S = 30.0


class PodDoors:
    """The part of a session that has to do with pods. Every method may be called in any thread.

    Args:
        settings: what it goes by.
        provider: who rents out pods.
        ledger: open.
        core: the session thread.
        clock: the time.
    """

    def __init__(self, settings: Settings, *, provider: Provider, ledger: Ledger, core: Core, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._provider = provider
        self._ledger = ledger
        self._core = core

    @property
    def snapshot(self) -> Snapshot:
        """The newest; never blocks."""
        return self._core.snapshot

    @property
    def closed(self) -> bool:
        """Whether the session has ended."""
        return self._core.ended

    @property
    def ledger_path(self) -> Path:
        """Where the books are."""
        return self._ledger.path

    def wait_newer(self, number: int, timeout_s: float) -> Snapshot:
        """Wait for a snapshot newer than *number*, at most *timeout_s* real seconds.

        Returns:
            The newest, be it newer or not.
        """
        return self._core.wait_for(lambda snapshot: snapshot.number > number, timeout_s)

    def wait_written(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything that has happened so far is in the ledger, which is written behind the snapshot.

        Returns:
            Whether it is, within the time.
        """
        reply: Future[None] = Future()
        self._post(commands.AskBooks(reply=reply))
        try:
            reply.result(timeout_s)
        except FutureTimeout:
            return False
        return True

    def _post(self, message: Message) -> None:
        if self.closed:
            raise InternalError("This session is closed: `connect` begins a new one.")
        self._core.post(message)

    def plan(self, request: PodRequest) -> PodPlan:
        """What would be rented. Asks the provider, waits at most 30 s, makes nothing.

        Raises:
            UsageError: a wish that makes no sense.
            LimitReached: the session has spent what it may.
            ProviderError: the provider cannot be asked, or has nothing.
        """
        self._refuse_other_provider(request)
        offers = self.find_offers(make_query(request, self.settings))
        plan = make_plan(request, offers, self.settings)
        self._refuse_spent_limit(plan.offer.kind, plan.session_limit_usd)
        return plan

    def _refuse_other_provider(self, request: PodRequest) -> None:
        if request.provider not in (None, self._provider.name):
            raise UsageError(
                f"This session rents from {self._provider.name!r}, not from {request.provider!r};"
                " restart the kernel to change."
            )

    def find_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """What the provider has. Waits at most 30 s, makes nothing.

        Raises:
            UsageError: the query names what the provider does not know.
            ProviderError: the provider cannot be asked.
        """
        reply: Future[tuple[Offer, ...]] = Future()
        self._post(commands.FindOffers(query=query, reply=reply))
        try:
            return reply.result(ANSWER_S)
        except FutureTimeout:
            text = f"The provider {self._provider.name} did not answer within {ANSWER_S:g} s; try again."
            raise ProviderError(text) from None

    def budgets(self, kind: MoneyKind) -> tuple[Budget, ...]:
        """What each limit leaves of one kind of money. Reads the ledger."""
        return read_budgets(kind, self.snapshot, self.settings, self._ledger, self.clock.now())

    def _refuse_spent_limit(self, kind: MoneyKind, limit: Decimal | None) -> None:
        for budget in self.budgets(kind):
            if budget.left_usd <= 0 and budget.name != "session":
                raise LimitReached(
                    f"The {budget.name}'s limit of {budget.limit_usd} USD ({kind.value}) is spent: raise it"
                    f" with {budget.option}."
                )
        spent = self.snapshot.cost_usd.get(kind)
        if limit is not None and spent is not None and spent >= limit:
            raise LimitReached(
                f"This session has spent {spent:.4f} of {limit} USD ({kind.value}): raise the limit with --max-cost."
            )

    def connect(self, plan: PodPlan, *, ends_after_batch: bool = False) -> str:
        """Rent what the plan says.

        Returns:
            Our id of the pod, which is booting then.
        """
        pod_id = secrets.token_hex(3)
        name = f"autopod-{pod_id}-{secrets.token_hex(4)}"
        self._post(commands.Connect(pod_id=pod_id, pod_name=name, plan=plan, ends_after_batch=ends_after_batch))
        self._core.wait_for(lambda snapshot: pod_id in snapshot.pods, ANSWER_S)
        return pod_id

    def pick_pod(self, pod_id: str | None) -> PodView:
        """The pod that is meant: the one named, or the only one that is not gone.

        Raises:
            UsageError: no such pod, or several and none named.
        """
        there = {name: pod for name, pod in self.snapshot.pods.items() if not pod.over}
        if pod_id is not None:
            if pod_id not in there:
                known = f" Pods: {', '.join(there)}." if there else " No pod is running: `connect` rents one."
                if pod_id in self.snapshot.pods:
                    raise UsageError(f"Pod {pod_id} is gone.{known}")
                raise UsageError(f"No pod {pod_id!r}.{nearest(pod_id, there) or known}")
            return there[pod_id]
        if not there:
            raise UsageError("No pod is running: `connect` rents one.")
        if len(there) > 1:
            raise UsageError(f"Several pods are running, so name one: {', '.join(there)}.")
        return next(iter(there.values()))

    def keep_alive(self, pod_id: str | None = None) -> str:
        """Begin the idle countdown of a pod anew; limits stay in force, and a pod that ends goes on so.

        Returns:
            What that means, in words.

        Raises:
            UsageError: no such pod, several and none named, or one that is ending.
        """
        pod = self.pick_pod(pod_id)
        if pod.ending or pod.state is PodState.STOPPED:
            raise UsageError(f"Pod {pod.pod_id} is {pod.state.value}: it cannot be kept.")
        self._post(commands.KeepAlive(pod_id=pod.pod_id))
        if pod.idle_left_s is None:
            return f"Pod {pod.pod_id} is {pod.state.value}: its idle countdown begins when it has nothing to do."
        return f"Pod {pod.pod_id} stays as if it had just become idle; limits end it all the same."

    def logs(self, pod_id: str | None = None, *, lines: int = 200) -> tuple[str, ...]:
        """The last lines of ComfyUI's log on a pod, oldest first. Waits at most 30 s.

        Raises:
            UsageError: no such pod, or several and none named.
            PodError: the pod cannot be reached.
        """
        return self._read_logs(pod_id, lines, of_pod=False)

    def pod_logs(self, pod_id: str | None = None, *, lines: int = 200) -> tuple[str, ...]:
        """The last lines of the provider's log of a pod, oldest first; empty if it has none. Waits at most 30 s."""
        return self._read_logs(pod_id, lines, of_pod=True)

    def _read_logs(self, pod_id: str | None, lines: int, *, of_pod: bool) -> tuple[str, ...]:
        pod = self.pick_pod(pod_id)
        reply: Future[tuple[str, ...]] = Future()
        self._post(commands.ReadLogs(pod_id=pod.pod_id, lines=lines, of_pod=of_pod, reply=reply))
        try:
            return reply.result(ANSWER_S)
        except FutureTimeout:
            raise PodError(f"Pod {pod.pod_id} did not send its log within {ANSWER_S:g} s; try again.") from None

    def look_for_orphans(self) -> Found:
        """Pods of other processes that may bill, from the ledger alone; changes nothing."""
        return look(
            self._ledger,
            ours=tuple(self.snapshot.pods),
            idle_minutes=self.settings.idle_minutes,
            now=self.clock.now(),
        )

    def take_over(self, orphan: Adopt) -> None:
        """Take over one pod that nobody owns, with its jobs."""
        self._post(orphan)

    def resume(self, pod_id: str) -> None:
        """Start a stopped pod for the results that are on it; it ends when they are here."""
        self._post(commands.ResumePod(pod_id=pod_id))

    def adopt(self) -> tuple[list[str], tuple[str, ...]]:
        """Take over the pods whose process is gone, with their jobs; waits until it is known what became of them.

        A pod of this session that was stopped with results on it is started again, and ends when they are here.

        Returns:
            The ids of the pods, and lines for the person.
        """
        take_back(self._ledger, clock=self.clock)
        found = self.look_for_orphans()
        notes = [*found.notes]
        theirs = [orphan for orphan in found.orphans if orphan.pod.row.provider != self._provider.name]
        for orphan in theirs:
            row = orphan.pod.row
            notes.append(
                f"Pod {row.pod_id} was rented at {row.provider!r}, which this session does not ask: restart the kernel"
                f" and say `%autopod config set defaults.provider {row.provider}` before `adopt`."
            )
        for row in found.foreign:
            owner = row.lease.owner if row.lease is not None else None
            whose = f"the {owner.role.value} with process id {owner.pid} on {owner.host}" if owner else "nobody"
            notes.append(f"Pod {row.pod_id} belongs to {whose}, which is alive; it was left alone.")
        ours = [orphan for orphan in found.orphans if orphan not in theirs]
        for orphan in ours:
            self.take_over(orphan)
        pod_ids = [orphan.pod.row.pod_id for orphan in ours]
        for pod in self.snapshot.pods.values():
            if pod.state is PodState.STOPPED and pod.unsaved:
                self.resume(pod.pod_id)
                pod_ids.append(pod.pod_id)
                notes.append(f"Pod {pod.pod_id} is started again for the results that are on it; then it ends.")
        self._core.wait_for(lambda snapshot: all(_is_settled(snapshot, pod_id) for pod_id in pod_ids), ANSWER_S)
        return [pod_id for pod_id in pod_ids if pod_id in self.snapshot.pods], tuple(notes)


def _is_settled(snapshot: Snapshot, pod_id: str) -> bool:
    """Whether it is known what became of an adopted pod."""
    pod = snapshot.pods.get(pod_id)
    return pod is not None and pod.state not in (PodState.LOST, PodState.STOPPED, PodState.BOOTING, PodState.CONNECTING)
