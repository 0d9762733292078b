"""A ledger in a fresh home, and records to write that need only say what they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.job import JobSpec, JobState, RemoteFile, ResultFile, Verified
from autopod_nb.models.money import Charge, MoneyKind, Purpose
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.writes import ChargeRecorded, JobChanged, JobRecorded, PodIntent, ResultRecorded

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def noon() -> datetime:
    return NOON


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "home" / LEDGER_NAME) as opened:
        yield opened


@pytest.fixture
def stocked(
    ledger: Ledger,
    intent: Callable[..., PodIntent],
    queued: Callable[..., JobRecorded],
    charge: Callable[..., ChargeRecorded],
    result: ResultFile,
) -> Ledger:
    """A ledger with the pod p1 and the job a, which is running on it, has a result and has cost 0.001 USD."""
    key: dict[str, Any] = {"session_id": "s1", "job_id": "a", "attempt": 1, "at": NOON}
    running = JobChanged(**key, state=JobState.RUNNING, pod_id="p1", prompt_id="prompt")
    ledger.write([intent(), queued(), running, ResultRecorded(**key, result=result), charge("0.001", "a")])
    return ledger


@pytest.fixture
def result() -> ResultFile:
    source = RemoteFile(node_id="9", filename="ComfyUI_00001_.mp4", subfolder="video")
    return ResultFile(
        output="video",
        path=Path("outputs/a.mp4"),
        bytes=3,
        sha256="ab" * 32,
        verified=Verified.SHA256,
        source=source,
    )


@pytest.fixture(scope="session")
def intent() -> Callable[..., PodIntent]:
    """Makes the intent of a simulated A40; says the pod id and what is different."""

    def make(pod_id: str = "p1", **different: Any) -> PodIntent:
        usual: dict[str, Any] = {
            "pod_id": pod_id,
            "name": f"autopod-{pod_id}",
            "session_id": "s1",
            "provider": "local",
            "gpu_type": "A40",
            "gpu_count": 1,
            "price_per_hour_usd": Decimal("0.40"),
            "stopped_price_per_hour_usd": Decimal("0.01"),
            "kind": MoneyKind.SIMULATED,
            "at": NOON,
        }
        return PodIntent(**usual | different)

    return make


@pytest.fixture(scope="session")
def queued() -> Callable[..., JobRecorded]:
    """Makes the record of a queued job."""

    def make(job_id: str = "a", session_id: str = "s1", at: datetime = NOON) -> JobRecorded:
        spec = JobSpec(job_id=job_id, workflow_template="img2vid-basic")
        return JobRecorded(session_id=session_id, spec=spec, at=at)

    return make


@pytest.fixture(scope="session")
def charge() -> Callable[..., ChargeRecorded]:
    """Makes a charge of so many dollars; for a job when one is named, else for an idle pod."""

    def make(
        amount: str | Decimal, job_id: str | None = None, session_id: str = "s1", **different: Any
    ) -> ChargeRecorded:
        usual: dict[str, Any] = {
            "pod_id": "p1",
            "job_id": job_id,
            "attempt": 1 if job_id else 0,
            "purpose": Purpose.JOB if job_id else Purpose.IDLE,
            "kind": MoneyKind.SIMULATED,
            "start": NOON,
            "seconds": Decimal("1.5"),
            "price_per_hour_usd": Decimal("0.40"),
            "amount_usd": Decimal(amount),
        }
        return ChargeRecorded(session_id=session_id, charge=Charge(**usual | different))

    return make
