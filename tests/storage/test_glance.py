from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.errors import LedgerError
from autopod_nb.models.pod import PodState
from autopod_nb.storage.glance import pod_ids_that_may_bill
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.writes import PodChanged, PodIntent


def test_it_finds_what_the_ledger_finds(ledger: Ledger, intent: Callable[..., PodIntent], noon: datetime) -> None:
    ledger.write([intent(name) for name in ("asked", "gone", "stopped")])
    ledger.write([PodChanged(pod_id="gone", state=PodState.TERMINATED, at=noon)])
    ledger.write([PodChanged(pod_id="stopped", state=PodState.STOPPED, at=noon)])
    assert pod_ids_that_may_bill(ledger.path) == ("asked", "stopped")
    assert [pod.pod_id for pod in ledger.pods_that_may_bill()] == ["asked", "stopped"]


def test_nothing_bills_where_there_is_no_ledger_or_an_empty_one(tmp_path: Path) -> None:
    assert pod_ids_that_may_bill(tmp_path / LEDGER_NAME) == ()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / LEDGER_NAME).touch()
    assert pod_ids_that_may_bill(tmp_path / LEDGER_NAME) == ()


def test_a_damaged_ledger_is_one_line(tmp_path: Path) -> None:
    (tmp_path / LEDGER_NAME).write_bytes(b"no ledger at all" * 100)
    with pytest.raises(LedgerError, match="cannot be read"):
        pod_ids_that_may_bill(tmp_path / LEDGER_NAME)


def test_it_loads_nothing_else_of_the_storage() -> None:
    code = "import sys, autopod_nb.storage.glance; print(sorted(m for m in sys.modules if '_nb.storage' in m))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "['autopod_nb.storage', 'autopod_nb.storage.glance']"
