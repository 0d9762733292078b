"""Drives the reducer with plain values: no thread, no file, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from autopod_nb.comfyui.monitor_events import MonitorEvent, PromptResultFound
from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.models.event import NodeProgress, PromptOutcome, PromptOver, PromptProgress, PromptResult, PromptStarted
from autopod_nb.models.job import JobSpec, PodConfig, RemoteFile, ResultFile, Verified
from autopod_nb.models.money import Charge, MoneyKind
from autopod_nb.models.offer import Offer
from autopod_nb.models.pod import PodAddress
from autopod_nb.session import commands, events, job_events
from autopod_nb.session.commands import PodPlan, PodRequest
from autopod_nb.session.effects import Effect, WriteLedger
from autopod_nb.session.events import Message, Moment
from autopod_nb.session.reducer import reduce
from autopod_nb.session.state import JobData, PodData, Rules, SessionState
from autopod_nb.storage.ledger import LedgerWrite
from autopod_nb.storage.rows import Owner, Role
from autopod_nb.storage.writes import ChargeRecorded

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
ADDRESS = PodAddress(
    host="127.0.0.1", port=22, user="root", comfyui_port=8188, comfyui_dir="/c", environ_path="/proc/1/environ"
)
TEMPLATE = WorkflowTemplate(
    name="tiny",
    path=Path("tiny.json"),
    graph={
        "1": {"class_type": "EmptyImage", "inputs": {}, "_meta": {"title": "frame 1"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "output.picture"}},
    },
    placeholders=(),
    outputs={"picture": "2"},
)
_E = TypeVar("_E")


def offer(price: str = "3600", kind: MoneyKind = MoneyKind.SIMULATED) -> Offer:
    """At 3600 USD an hour a second costs a dollar, which makes sums easy to read."""
    return Offer(
        provider="local",
        gpu_type="A40",
        gpu_count=1,
        vram_gb=48,
        price_per_hour_usd=Decimal(price),
        stopped_price_per_hour_usd=Decimal(36),
        kind=kind,
    )


class Story:
    """A session without its hands: messages go in, effects come out and are kept."""

    def __init__(self, *, limit_usd: str | None = None, attempts: int = 2, depth: int = 2) -> None:
        rules = Rules(
            session_id="s",
            owner=Owner(owner_id="s", role=Role.KERNEL, host="h", pid=1),
            stuck_minutes=Decimal(5),
            boot_minutes=Decimal(15),
            attempts=attempts,
            depth=depth,
        )
        self.limit_usd = None if limit_usd is None else Decimal(limit_usd)
        self.state = SessionState(rules=rules, limit_usd=self.limit_usd)
        self.now_s = 0.0
        self.ticks = 0
        self.effects: list[Effect] = []
        self.charges: list[Charge] = []
        self.writes: list[LedgerWrite] = []

    def tell(self, message: Message) -> list[Effect]:
        """One message. Ledger writes are acknowledged at once, as a healthy ledger does."""
        now = Moment(START + timedelta(seconds=self.now_s), self.now_s)
        self.state, effects = reduce(self.state, message, now)
        self.effects += effects
        for effect in effects:
            if isinstance(effect, WriteLedger):
                self.writes += effect.writes
                self.charges += [write.charge for write in effect.writes if isinstance(write, ChargeRecorded)]
                for then in effect.then:
                    self.tell(then)
        return list(effects)

    def pass_time(self, seconds: float, *, step_s: float = 1.0) -> None:
        """Let the clock tick."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + step_s)
            self.ticks += 1
            self.tell(events.Tick(number=self.ticks))

    def take(self, kind: type[_E]) -> list[_E]:
        """The effects of one kind since they were last taken."""
        found: list[_E] = [effect for effect in self.effects if isinstance(effect, kind)]
        self.effects = [effect for effect in self.effects if not isinstance(effect, kind)]
        return found

    def pod(self, pod_id: str = "p1") -> PodData:
        return self.state.pods[pod_id]

    def job(self, job_id: str = "j1") -> JobData:
        return self.state.jobs[job_id]

    def notices(self) -> str:
        return "\n".join(notice.text for notice in self.state.notices)

    # --- chapters ---------------------------------------------------------------------------------------------------

    def connect(
        self, pod_id: str = "p1", *, batch: bool = False, idle_minutes: str = "10", price: str = "3600"
    ) -> None:
        plan = PodPlan(
            request=PodRequest(),
            offer=offer(price),
            session_limit_usd=self.limit_usd,
            idle_minutes=Decimal(idle_minutes),
            needs_yes=False,
        )
        self.tell(commands.Connect(pod_id=pod_id, pod_name=f"n-{pod_id}", plan=plan, ends_after_batch=batch))

    def boot(self, pod_id: str = "p1", **wishes: object) -> None:
        """Up to a pod that is ready."""
        self.connect(pod_id, **wishes)  # type: ignore[arg-type] # the wishes of connect
        self.tell(events.PodCreated(pod_id=pod_id, provider_id=f"id-{pod_id}"))
        self.tell(events.PodAddressed(pod_id=pod_id, address=ADDRESS))
        self.tell(events.PodReady(pod_id=pod_id, local_port=8188, comfyui_version="0.12.1"))

    def submit(
        self,
        job_id: str = "j1",
        *,
        pod_id: str | None = None,
        config: PodConfig | None = None,
        template: WorkflowTemplate = TEMPLATE,
        usual_s: Mapping[str, float] | None = None,
    ) -> None:
        spec = JobSpec(
            job_id=job_id,
            workflow_template="tiny",
            outputs={"picture": Path(f"{job_id}.png")},
            pod_config=config or PodConfig(),
        )
        number = sum(ord(letter) * 31**place for place, letter in enumerate(job_id))
        uid = f"00000000-0000-4000-8000-{number:012d}"
        self.tell(commands.Submit(spec=spec, template=template, uid=uid, pod_id=pod_id, usual_s=usual_s or {}))

    def upload(self, job_id: str = "j1") -> None:
        self.tell(job_events.InputsUploaded(job_id=job_id, attempt=self.job(job_id).attempt, names=()))

    def accept(self, job_id: str = "j1") -> None:
        self.tell(job_events.PromptAccepted(job_id=job_id, attempt=self.job(job_id).attempt, complaints=()))

    def hear(self, event: MonitorEvent, pod_id: str = "p1") -> None:
        self.tell(events.PodMessage(pod_id=pod_id, event=event))

    def start(self, job_id: str = "j1", pod_id: str = "p1") -> None:
        self.hear(PromptStarted(prompt_id=self.job(job_id).prompt_id, at_ms=0), pod_id)

    def progress(self, job_id: str = "j1", *, value: float = 0.5, pod_id: str = "p1") -> None:
        node = NodeProgress(node_id="1", display_node_id="1", value=value, maximum=1, finished=value >= 1)
        self.hear(PromptProgress(prompt_id=self.job(job_id).prompt_id, nodes=(node,)), pod_id)

    def run(self, job_id: str = "j1") -> None:
        """Up to a job that renders."""
        self.upload(job_id)
        self.accept(job_id)
        self.start(job_id, self.job(job_id).pod_id or "")

    def over(self, job_id: str = "j1") -> None:
        self.hear(PromptOver(prompt_id=self.job(job_id).prompt_id), self.job(job_id).pod_id or "")

    def result(self, job_id: str = "j1", outcome: PromptOutcome = PromptOutcome.SUCCESS) -> PromptResult:
        file = RemoteFile(node_id="2", filename="x.png")
        return PromptResult(prompt_id=self.job(job_id).prompt_id, outcome=outcome, files=(file,))

    def found(self, job_id: str = "j1", outcome: PromptOutcome = PromptOutcome.SUCCESS) -> None:
        self.hear(PromptResultFound(result=self.result(job_id, outcome)), self.job(job_id).pod_id or "")

    def fetched(self, job_id: str = "j1", outcome: PromptOutcome = PromptOutcome.SUCCESS) -> None:
        result = self.result(job_id, outcome)
        file = ResultFile(
            output="picture",
            path=Path(f"{job_id}.png"),
            bytes=1,
            sha256="0" * 64,
            verified=Verified.SHA256,
            source=result.files[0],
        )
        attempt = self.job(job_id).attempt
        self.tell(job_events.PromptFetched(job_id=job_id, attempt=attempt, result=result, files=(file,)))

    def finish(self, *job_ids: str) -> None:
        for job_id in job_ids or ("j1",):
            self.run(job_id)
            self.over(job_id)
            self.fetched(job_id)


def seconds(charges: Sequence[Charge]) -> Decimal:
    """The time that was paid for."""
    return sum((charge.seconds for charge in charges), Decimal(0))
