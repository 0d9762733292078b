"""The kernel's half of the rows about many pods: a session that has them all, and a thread that reads its snapshots."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from autopod_nb.clock import Clock, Deadline, SystemClock
from autopod_nb.config import read_settings
from autopod_nb.errors import Gone
from autopod_nb.jobs.spec import make_spec
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.models.pod import ObservedState, PodAddress, PodRecord, PodState
from autopod_nb.models.reconciliation import Stretch
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.providers.base import Account, Capabilities, PodOrder
from autopod_nb.session.build import build_session
from autopod_nb.session.commands import PodRequest
from autopod_nb.threads import ServiceThread

WITHIN_S = 120.0
_AT_ONCE = 10  # pods that connect at the same time
_OFFER = Offer(
    provider="local",
    gpu_type="A40",
    gpu_count=1,
    vram_gb=48,
    price_per_hour_usd=Decimal("0.40"),
    stopped_price_per_hour_usd=Decimal(0),
    kind=MoneyKind.SIMULATED,
)


class ReadyPods:
    """Gives out the pods of :mod:`tests.bench.pods50_server`, one after the other.

    Args:
        told: what that has printed.

    Attributes:
        numbers: name of a pod → which of the server's it is.
    """

    name = "local"
    capabilities = Capabilities(can_stop=False, can_bill=False, fate="It ends with the benchmark.")

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._host_key = told["host_key_sha256"]
        self._free = list(reversed(told["pods"]))
        self._records: dict[str, PodRecord] = {}
        self._lock = threading.Lock()
        self.numbers: dict[str, int] = {}

    def authenticate(self) -> None:
        """Nothing to check."""

    def credentials(self) -> str:
        return ""

    def account(self) -> Account:
        return Account()

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        return (replace(_OFFER, gpu_count=query.gpu_count),)

    def create(self, order: PodOrder) -> PodRecord:
        with self._lock:
            place = self._free.pop()
            self.numbers[order.name] = len(self.numbers)
            address = PodAddress(
                host="127.0.0.1",
                port=place["ssh_port"],
                user="root",
                comfyui_port=place["comfyui_port"],
                comfyui_dir=f"{place['folder']}/ComfyUI",
                environ_path=f"{place['folder']}/environ",
                host_key_sha256=self._host_key,
            )
            self._records[order.name] = PodRecord(
                provider_id=order.name, name=order.name, state=ObservedState.RUNNING, address=address
            )
            return self._records[order.name]

    def describe(self, provider_id: str) -> PodRecord:
        with self._lock:
            if provider_id not in self._records:
                raise Gone(f"There is no pod {provider_id}.")
            return self._records[provider_id]

    def list(self) -> tuple[PodRecord, ...]:
        with self._lock:
            return tuple(self._records.values())

    def stop(self, provider_id: str) -> None:
        self.describe(provider_id)

    def start(self, provider_id: str) -> None:
        self.describe(provider_id)

    def terminate(self, provider_id: str) -> None:
        with self._lock:
            self._records.pop(provider_id, None)

    def adopt(self, provider_id: str) -> None:
        self.describe(provider_id)

    def logs(self, provider_id: str, lines: int) -> tuple[str, ...]:  # noqa: ARG002 - the contract's
        return ()

    def billing(self, since: datetime) -> tuple[Stretch, ...]:  # noqa: ARG002 - the contract's
        return ()

    def close(self) -> None:
        """Nothing is open."""


class Reader:
    """Notes when each job's newest step was first in a snapshot, as a panel would read it.

    Attributes:
        seen: job id → (step, monotonic time) of each change.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.seen: dict[str, list[tuple[float, float]]] = {}
        self.snapshots = 0
        self._thread = ServiceThread("reader", self._run).start()

    def _run(self, stop: threading.Event) -> None:
        snapshot: Snapshot = self._session.snapshot
        while not stop.is_set():
            snapshot = self._session.wait_newer(snapshot.number, 0.2)
            now_s = time.monotonic()
            self.snapshots += 1
            for job_id, view in snapshot.jobs.items():
                seen = self.seen.setdefault(job_id, [])
                if not seen or seen[-1][0] != view.progress.step:
                    seen.append((view.progress.step, now_s))

    def end(self) -> dict[str, list[tuple[float, float]]]:
        """Stop, and tell what was seen."""
        self._thread.stop()
        self._thread.join(2.0)
        return self.seen


class Fleet:
    """A session with many pods, each of which renders a job of its own.

    Args:
        folder: with ``home`` and ``pods.json``, what the server has printed.
        template: path of the workflow.
    """

    def __init__(self, folder: str, template: str) -> None:
        self._folder, self._template = Path(folder), template
        self._clock: Clock = SystemClock()
        told = json.loads((self._folder / "pods.json").read_text())
        settings = read_settings({"AUTOPOD_HOME": str(self._folder / "home")})
        self._provider = ReadyPods(told)
        self.session = build_session(settings, clock=self._clock, provider=self._provider)
        self.pod_ids: list[str] = []
        self._reader: Reader | None = None

    def add(self, count: int) -> None:
        """Connect so many more, and let each of them render."""
        while count > 0:
            some = [self.session.connect(self.session.plan(PodRequest())) for _ in range(min(_AT_ONCE, count))]
            self._until(lambda seen, ids=some: all(seen.pods[pod_id].state is PodState.READY for pod_id in ids))
            names = [f"job-{len(self.pod_ids) + number:02}" for number in range(len(some))]
            for name, pod_id in zip(names, some, strict=True):
                output = self._folder / "out" / f"{name}.png"
                spec = make_spec(self._template, job_id=name, outputs={"picture": str(output)})
                self.session.submit(spec, pod_id=pod_id)
            self._until(lambda seen, ids=names: all(seen.jobs[name].state is JobState.RUNNING for name in ids))
            self.pod_ids += some
            count -= len(some)

    def _until(self, done: Any) -> None:
        deadline = Deadline(self._clock, WITHIN_S)
        while not done(snapshot := self.session.snapshot):
            if deadline.passed:
                pods = [f"{pod.state.value} ({pod.phase}) {pod.error}" for pod in snapshot.pods.values()]
                raise RuntimeError(f"not within {WITHIN_S} s: {pods}; {[job.state for job in snapshot.jobs.values()]}")
            self.session.wait_newer(snapshot.number, 1.0)

    def read(self) -> None:
        """Begin to read snapshots."""
        self._reader = Reader(self.session)

    def seen(self) -> str:
        """End that, and write what was seen into a file. Returns its path."""
        assert self._reader is not None
        snapshot, path = self.session.snapshot, self._folder / "seen.json"
        pods = {name: snapshot.pods[view.pod_id or ""].name for name, view in snapshot.jobs.items()}
        seen = {self._provider.numbers[pods[name]]: changes for name, changes in self._reader.end().items()}
        path.write_text(json.dumps({"seen": seen, "snapshots": self._reader.snapshots}))
        return str(path)

    def check(self) -> None:
        """That all pods work, and that nobody had anything to say.

        Raises:
            RuntimeError: the figures would be of something else.
        """
        snapshot = self.session.snapshot
        busy = sum(pod.state is PodState.BUSY for pod in snapshot.pods.values())
        if busy != len(self.pod_ids) or snapshot.notices:
            raise RuntimeError(f"{busy} of {len(self.pod_ids)} pods work: {snapshot.notices}")

    def panel(self) -> Any:
        """The control room, as ``%autopod dashboard`` shows it."""
        from autopod_nb.widgets.dashboard import Dashboard  # noqa: PLC0415 - only who looks pays for it

        return Dashboard(self.session).show()

    def end(self) -> float:
        """Close the session. Returns how many seconds that took, until no thread of ours is left."""
        begin = time.monotonic()
        self.session.close()
        deadline = Deadline(self._clock, WITHIN_S)
        while left := [each.name for each in threading.enumerate() if each.name.startswith("autopod")]:
            if deadline.passed:
                raise RuntimeError(f"threads are left: {left}")
            self._clock.wait(threading.Event(), 0.05)
        states = {pod.state for pod in self.session.snapshot.pods.values()}
        if states - {PodState.TERMINATED}:
            raise RuntimeError(f"pods are left: {states}")
        return time.monotonic() - begin


def resident_mb() -> float:
    """What this process has in memory, in MB of 10⁶ bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6
