"""A whole session in one thread and on one clock, with a provider that does whatever a test plans.

The reducer, the ledger, the scribe, the provider's part of the pod lane and the adoption are the real ones; SSH and
ComfyUI are plain messages that come after a while. What the provider bills is kept to the second.
"""

from __future__ import annotations

import heapq
import itertools
import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from autopod_nb.comfyui.monitor_events import PromptResultFound
from autopod_nb.comfyui.workflow import WorkflowTemplate, load_template
from autopod_nb.config import LEDGER_NAME, Settings
from autopod_nb.errors import Gone, NoCapacity, ProviderError, Uncertain
from autopod_nb.models.event import PromptOutcome, PromptResult, PromptStarted
from autopod_nb.models.job import JobSpec, PodConfig, RemoteFile, ResultFile, Verified
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.models.pod import ObservedState, PodRecord, PodState
from autopod_nb.models.reconciliation import Stretch
from autopod_nb.pods import launch
from autopod_nb.providers.base import Account, Capabilities, PodOrder
from autopod_nb.session import adoption, commands, effects, events, job_events
from autopod_nb.session.commands import PodPlan, PodRequest
from autopod_nb.session.effects import Effect
from autopod_nb.session.events import Message, Moment
from autopod_nb.session.reducer import reduce
from autopod_nb.session.state import Rules, SessionState
from autopod_nb.session.work import Worker
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import Owner, Role
from tests.session.story import ADDRESS, TEMPLATE

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
PRICE = Decimal(3600)  # a second costs a dollar
BOOT_S, JOB_S = 40.0, 30.0
_ELSEWHERE = "elsewhere"  # no process of this machine has its id: so it is judged by its lease alone


class WorldClock:
    """A clock that waits by moving on: nothing else happens meanwhile."""

    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.s)

    def monotonic(self) -> float:
        return self.s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.s += timeout_s
        return event.is_set()


@dataclass
class WorldPod:
    """A pod as the provider has it."""

    name: str
    born_s: float
    boots: bool = True
    state: ObservedState = ObservedState.RUNNING
    ended_s: float | None = None  # since when its GPU bills nothing any more
    listed_s: float = 0.0  # in no list before that


class WorldProvider:
    """Keeps pods in memory and fails as planned.

    Attributes:
        plans: method → what its next calls do: an error's name, ``after:`` in front if it acts before.
    """

    name = "world"
    capabilities = Capabilities(can_stop=True, can_bill=False, fate="Nothing.", outlives=True)

    def __init__(self, clock: WorldClock) -> None:
        self.clock = clock
        self.pods: dict[str, WorldPod] = {}
        self.plans: dict[str, list[str]] = {}
        self.next_boots = True
        self.next_lag_s = 0.0
        self.asked_to_end: dict[str, float] = {}

    def _fail(self, method: str, act: Callable[[], None] = lambda: None) -> None:
        plan = self.plans.get(method, [])
        if not plan:
            act()
            return
        what = plan.pop(0)
        if what.startswith("after:"):
            act()
        raise {"error": ProviderError, "lost": Uncertain, "capacity": NoCapacity}[what.removeprefix("after:")](what)

    def _end(self, provider_id: str, state: ObservedState) -> None:
        pod = self.pods.get(provider_id)
        if pod is not None:
            pod.ended_s = self.clock.s if pod.ended_s is None else pod.ended_s
            pod.state = state

    def _pod(self, provider_id: str) -> WorldPod:
        pod = self.pods.get(provider_id)
        if pod is None or pod.state is ObservedState.TERMINATED:
            raise Gone(f"no pod {provider_id}")
        return pod

    def authenticate(self) -> None:
        """Always fine."""

    def credentials(self) -> str:
        return ""

    def account(self) -> Account:
        return Account()

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:  # noqa: ARG002 - a provider's method
        return tuple(offer(gpu) for gpu in ("A40", "RTX A6000", "RTX A5000"))

    def create(self, order: PodOrder) -> PodRecord:
        provider_id = f"id-{len(self.pods)}"

        def make() -> None:
            assert order.name not in [pod.name for pod in self.pods.values()], "one intent, one pod"
            pod = WorldPod(name=order.name, born_s=self.clock.s, boots=self.next_boots)
            pod.listed_s = self.clock.s + self.next_lag_s
            self.pods[provider_id] = pod
            self.next_boots, self.next_lag_s = True, 0.0

        self._fail("create", make)
        return PodRecord(provider_id=provider_id, name=order.name, state=ObservedState.PENDING)

    def describe(self, provider_id: str) -> PodRecord:
        self._fail("describe")
        pod = self._pod(provider_id)
        return PodRecord(
            provider_id=provider_id, name=pod.name, state=pod.state, address=ADDRESS if pod.boots else None
        )

    def list(self) -> tuple[PodRecord, ...]:
        self._fail("list")
        return tuple(
            PodRecord(provider_id=name, name=pod.name, state=pod.state)
            for name, pod in self.pods.items()
            if pod.state is not ObservedState.TERMINATED and pod.listed_s <= self.clock.s
        )

    def stop(self, provider_id: str) -> None:
        self.asked_to_end.setdefault(provider_id, self.clock.s)
        self._pod(provider_id)
        self._fail("stop", lambda: self._end(provider_id, ObservedState.STOPPED))

    def start(self, provider_id: str) -> None:
        pod = self._pod(provider_id)
        pod.state, pod.ended_s = ObservedState.RUNNING, None

    def terminate(self, provider_id: str) -> None:
        self.asked_to_end.setdefault(provider_id, self.clock.s)
        self._fail("terminate", lambda: self._end(provider_id, ObservedState.TERMINATED))

    def adopt(self, provider_id: str) -> None:
        self._pod(provider_id)

    def logs(self, provider_id: str, lines: int) -> tuple[str, ...]:  # noqa: ARG002 - the same
        return ()

    def billing(self, since: datetime) -> tuple[Stretch, ...]:  # noqa: ARG002 - the same
        return ()

    def close(self) -> None:
        """Nothing is open."""

    def vanish(self, provider_id: str) -> None:
        """It is gone by itself."""
        self._end(provider_id, ObservedState.TERMINATED)

    def bills(self) -> tuple[str, ...]:
        """Names of the pods whose GPUs are paid for just now."""
        return tuple(pod.name for pod in self.pods.values() if pod.ended_s is None)


def offer(gpu: str = "A40") -> Offer:
    return Offer(
        provider="world",
        gpu_type=gpu,
        gpu_count=1,
        vram_gb=48,
        price_per_hour_usd=PRICE,
        stopped_price_per_hour_usd=Decimal(36),
        kind=MoneyKind.REAL,
    )


@dataclass(order=True)
class _Later:
    at_s: float
    number: int
    owner: str = field(compare=False)
    do: Callable[[], None] = field(compare=False)


class World:
    """One account, one ledger, and one session after the other."""

    def __init__(self, *, limit_usd: str | None = None) -> None:
        self.clock = WorldClock()
        self.provider = WorldProvider(self.clock)
        self._folder = tempfile.TemporaryDirectory(prefix="money-")
        self.ledger = Ledger(Path(self._folder.name) / LEDGER_NAME, clock=self.clock).open()
        self.template = _template(Path(self._folder.name))
        self._limit_usd = None if limit_usd is None else Decimal(limit_usd)
        self._numbers = itertools.count()
        self._later: list[_Later] = []
        self.lines_cut: set[str] = set()
        self.ticks = 0
        self.begin()

    def begin(self) -> None:
        """A new process, which knows what the ledger knows."""
        self.owner = Owner(owner_id=f"o{next(self._numbers)}", role=Role.KERNEL, host=_ELSEWHERE, pid=1)
        rules = Rules(
            session_id=self.owner.owner_id,
            owner=self.owner,
            stuck_minutes=Decimal(5),
            boot_minutes=Decimal(3),
            outlives=True,
        )
        self.state = SessionState(rules=rules, limit_usd=self._limit_usd)
        settings = Settings(home=Path(self._folder.name), provider="world")
        self._inbox: list[Message] = []
        self._worker = Worker(
            settings, provider=self.provider, ledger=self.ledger, clock=self.clock, post=self._inbox.append
        )
        self._later.clear()

    def close(self) -> None:
        self.ledger.close()
        self._folder.cleanup()

    # --- messages and time ------------------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        """One message, and everything that follows from it at once."""
        self._inbox.append(message)
        while self._inbox:
            now = Moment(self.clock.now(), self.clock.s)
            self.state, wanted = reduce(self.state, self._inbox.pop(0), now)
            for effect in wanted:
                self._do(effect)

    def pass_time(self, seconds: float) -> None:
        end_s = self.clock.s + seconds
        while self.clock.s < end_s:
            self.clock.s += 1
            while self._later and self._later[0].at_s <= self.clock.s:
                heapq.heappop(self._later).do()
            self.ticks += 1
            self.tell(events.Tick(number=self.ticks))

    def _in(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._later, _Later(self.clock.s + seconds, next(self._numbers), self.owner.owner_id, do))

    def _soon(self, seconds: float, message: Message) -> None:
        self._in(seconds, lambda: self.tell(message))

    def _do(self, effect: Effect) -> None:
        match effect:
            case effects.BootPod(pod_id=pod_id, provider_id=provider_id):
                self._boot(pod_id, provider_id, start=effect.start)
            case effects.AdoptPod():
                self._adopt(effect)
            case effects.ReopenLine(pod_id=pod_id, provider_id=provider_id):
                self._reopen(pod_id, provider_id)
            case effects.UploadInputs(spec=spec, attempt=attempt):
                self._soon(1, job_events.InputsUploaded(job_id=spec.job_id, attempt=attempt, names=()))
            case effects.SubmitPrompt(spec=spec, attempt=attempt, prompt_id=prompt_id, pod_id=pod_id):
                self._soon(1, job_events.PromptAccepted(job_id=spec.job_id, attempt=attempt, complaints=()))
                started = PromptStarted(prompt_id=prompt_id, at_ms=0)
                self._soon(2, events.PodMessage(pod_id=pod_id, event=started))
                result = PromptResult(prompt_id=prompt_id, outcome=PromptOutcome.SUCCESS, files=(_FILE,))
                found = PromptResultFound(result=result)
                self._soon(JOB_S, events.PodMessage(pod_id=pod_id, event=found))
            case effects.FetchResults(spec=spec, attempt=attempt, prompt_id=prompt_id, pod_id=pod_id):
                self._fetch(pod_id, spec, attempt, prompt_id)
            case effects.CancelPrompt(job_id=job_id, attempt=attempt):
                self._soon(1, job_events.PromptCancelled(job_id=job_id, attempt=attempt, gone=True))
            case (
                effects.LookAtGpu()
                | effects.DropLine()
                | effects.ForgetPrompt()
                | effects.StopUpload()
                | effects.KeepReaper()
                | effects.CheckAccount()
            ):
                pass
            case _:
                self._worker.do([effect])

    def _boot(self, pod_id: str, provider_id: str, *, start: bool) -> None:
        if start:
            self.provider.start(provider_id)
        if self.provider.pods[provider_id].boots:
            ready = events.PodReady(pod_id=pod_id, local_port=8188, comfyui_version="x")
            self._soon(BOOT_S - 2, events.PodAddressed(pod_id=pod_id, address=ADDRESS))
            self._in(BOOT_S, lambda: self.tell(ready if self._lives(provider_id) else _failed(pod_id)))
        else:
            self._soon(180, _failed(pod_id))

    def _lives(self, provider_id: str) -> bool:
        return self.provider.pods[provider_id].ended_s is None

    def _reach(self, provider_id: str | None, name: str) -> PodRecord | None:
        """None when the provider cannot be asked now."""
        try:
            return launch.find(self.provider, provider_id, name)
        except Gone:
            return PodRecord(provider_id="", name=name, state=ObservedState.TERMINATED)
        except ProviderError:
            return None

    def _adopt(self, effect: effects.AdoptPod) -> None:
        record = self._reach(effect.provider_id, effect.name)
        if record is None:
            self._in(2, lambda: self._adopt(effect))
        elif record.state in (ObservedState.STOPPED, ObservedState.TERMINATED):
            self.tell(events.PodObserved(pod_id=effect.pod_id, state=record.state, detail="seen"))
        elif not self.provider.pods[record.provider_id].boots:
            self._in(2, lambda: self._adopt(effect))  # no line to be had; the idle rule ends it
        else:
            adopted = events.PodAdopted(
                pod_id=effect.pod_id,
                provider_id=record.provider_id,
                address=ADDRESS,
                local_port=8188,
                comfyui_version="x",
            )
            self._soon(3, adopted)
            for prompt_id in effect.prompt_ids:
                result = PromptResult(prompt_id=prompt_id, outcome=PromptOutcome.SUCCESS, files=(_FILE,))
                self._soon(10, events.PodMessage(pod_id=effect.pod_id, event=PromptResultFound(result=result)))

    def _reopen(self, pod_id: str, provider_id: str) -> None:
        if pod_id not in self.state.pods or self.state.pods[pod_id].state is not PodState.LOST:
            return
        record = self._reach(provider_id, "")
        if record is not None and record.state in (ObservedState.STOPPED, ObservedState.TERMINATED):
            self.tell(events.PodObserved(pod_id=pod_id, state=record.state, detail="seen"))
        elif pod_id in self.lines_cut or record is None:
            self._in(2, lambda: self._reopen(pod_id, provider_id))
        else:
            self._soon(1, events.LineBack(pod_id=pod_id))

    def _fetch(self, pod_id: str, spec: JobSpec, attempt: int, prompt_id: str) -> None:
        provider_id = self.state.pods[pod_id].provider_id or ""
        pod = self.provider.pods.get(provider_id)
        if pod is None or pod.ended_s is not None or pod_id in self.lines_cut:
            failed = job_events.FetchFailed(job_id=spec.job_id, attempt=attempt, why="no line", lost=False)
            self._soon(1, failed)
            return
        file = ResultFile(
            output="picture", path=Path("x.png"), bytes=1, sha256="0" * 64, verified=Verified.SHA256, source=_FILE
        )
        result = PromptResult(prompt_id=prompt_id, outcome=PromptOutcome.SUCCESS, files=(_FILE,))
        self._soon(2, job_events.PromptFetched(job_id=spec.job_id, attempt=attempt, result=result, files=(file,)))

    # --- a person and the world -------------------------------------------------------------------------------------

    def connect(self, *, batch: bool = False, fallbacks: int = 2) -> str:
        first, *rest = self.provider.offers(OfferQuery())
        pod_id = f"p{next(self._numbers)}"
        plan = PodPlan(
            request=PodRequest(),
            offer=first,
            session_limit_usd=self._limit_usd,
            idle_minutes=Decimal(2),
            needs_yes=False,
            fallbacks=tuple(rest[:fallbacks]),
        )
        self.tell(commands.Connect(pod_id=pod_id, pod_name=f"n-{pod_id}", plan=plan, ends_after_batch=batch))
        return pod_id

    def submit(self, *, limit_usd: int | None = None) -> str:
        job_id = f"j{next(self._numbers)}"
        config = PodConfig(max_cost_usd=None if limit_usd is None else Decimal(limit_usd))
        spec = JobSpec(
            job_id=job_id,
            workflow_template=str(self.template.path),
            outputs={"picture": Path("x.png")},
            pod_config=config,
        )
        uid = f"00000000-0000-4000-8000-{next(self._numbers):012d}"
        self.tell(commands.Submit(spec=spec, template=self.template, uid=uid, pod_id=None, usual_s={}))
        return job_id

    def vanish(self, provider_id: str) -> None:
        """A pod is gone by itself, and its line with it."""
        self.provider.vanish(provider_id)
        for pod in self.state.pods.values():
            if pod.provider_id == provider_id:
                self._soon(1, events.LineLost(pod_id=pod.pod_id, why="cut."))

    def cut(self, pod_id: str) -> None:
        """Its line is gone, until :meth:`mend`."""
        self.lines_cut.add(pod_id)
        self.tell(events.LineLost(pod_id=pod_id, why="cut."))

    def mend(self) -> None:
        self.lines_cut.clear()

    def crash_and_adopt(self, after_s: float = 30.0, *, ends_after_batch: bool = True) -> None:
        """The process dies without a word; another takes over when the leases are stale, as the reaper does."""
        self.begin()
        self.clock.s += after_s
        found = adoption.look(
            self.ledger, ours=(), idle_minutes=Decimal(2), now=self.clock.now(), ends_after_batch=ends_after_batch
        )
        for orphan in found.orphans:
            self.tell(orphan)


_FILE = RemoteFile(node_id="2", filename="x.png")


def _failed(pod_id: str) -> events.PodBootFailed:
    return events.PodBootFailed(pod_id=pod_id, why="it never came up")


def _template(folder: Path) -> WorkflowTemplate:
    """On the disk, where whoever takes over finds it."""
    path = folder / "tiny.json"
    path.write_text(json.dumps(TEMPLATE.graph))
    return load_template(path)
