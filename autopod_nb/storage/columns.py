"""How values look in the columns of the ledger, and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from autopod_nb.errors import LedgerRefused
from autopod_nb.models.job import JobSpec, PodConfig, RemoteFile

Value: TypeAlias = str | int | None

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def execute(db: sqlite3.Connection, sql: str, **values: Value) -> int:
    """Execute one statement. Returns how many rows it touched."""
    # A lone surrogate (half of a broken file name or message) is no UTF-8; it must not keep a charge out of the ledger.
    clean = {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in values.items()
    }
    return db.execute(sql, clean).rowcount


def to_us(at: datetime) -> int:
    """Microseconds since 1970 UTC, exactly.

    Raises:
        LedgerRefused: the time has no zone.
    """
    if at.tzinfo is None:
        raise LedgerRefused(f"The time {at} has no zone, so nobody could say when it was; hand in UTC.")
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """The time of so many microseconds since 1970, aware, in UTC."""
    return _EPOCH + at_us * _MICROSECOND


def to_micro_usd(amount_usd: Decimal) -> int:
    """Whole millionths of a dollar.

    Raises:
        LedgerRefused: the amount is finer than that, or no number; nothing is rounded here.
    """
    if not amount_usd.is_finite() or (scaled := amount_usd.scaleb(6)) != scaled.to_integral_value():
        raise LedgerRefused(f"{amount_usd} USD is not a whole number of millionths; round it before booking it.")
    return int(scaled)


def from_micro_usd(amount: int) -> Decimal:
    """Dollars, exactly, with six digits."""
    return Decimal(amount).scaleb(-6)


def spec_to_json(spec: JobSpec) -> str:
    """What was asked for, as a JSON text that :func:`spec_from_json` reads back."""
    config = spec.pod_config
    document: dict[str, Any] = {
        "job_id": spec.job_id,
        "workflow_template": spec.workflow_template,
        "inputs": {name: str(path) for name, path in spec.inputs.items()},
        "params": dict(spec.params),
        "outputs": {name: str(path) for name, path in spec.outputs.items()},
        "pod_config": {
            "gpu_type": config.gpu_type,
            "gpu_count": config.gpu_count,
            "max_cost_usd": _decimal_text(config.max_cost_usd),
            "timeout_minutes": _decimal_text(config.timeout_minutes),
        },
        "source": spec.source,
        "batch": spec.batch,
        "swept": dict(spec.swept),
    }
    return json.dumps(document)


def spec_from_json(text: str) -> JobSpec:
    """Read back what :func:`spec_to_json` wrote."""
    document: dict[str, Any] = json.loads(text)
    config: dict[str, Any] = document["pod_config"]
    return JobSpec(
        job_id=document["job_id"],
        workflow_template=document["workflow_template"],
        inputs=MappingProxyType({name: Path(path) for name, path in document["inputs"].items()}),
        params=MappingProxyType(document["params"]),
        outputs=MappingProxyType({name: Path(path) for name, path in document["outputs"].items()}),
        pod_config=PodConfig(
            gpu_type=config["gpu_type"],
            gpu_count=config["gpu_count"],
            max_cost_usd=_decimal(config["max_cost_usd"]),
            timeout_minutes=_decimal(config["timeout_minutes"]),
        ),
        source=document["source"],
        batch=document.get("batch", ""),  # rows of earlier versions have none
        swept=MappingProxyType(document.get("swept", {})),
    )


def _decimal_text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def files_to_json(files: Sequence[RemoteFile]) -> str:
    """Files on a pod as JSON."""
    return json.dumps([asdict(file) for file in files], ensure_ascii=False)


def files_from_json(text: str) -> tuple[RemoteFile, ...]:
    """The files that :func:`files_to_json` wrote.

    Raises:
        ValueError: it holds something else.
        TypeError: the same.
    """
    return tuple(RemoteFile(**each) for each in json.loads(text))
