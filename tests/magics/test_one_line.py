"""What leaves a cell as one line."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.magics.one_line import one_line
from autopod_nb.models.money import MoneyKind
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.writes import PodIntent


def interrupted() -> str:
    """What an interrupt says."""
    with pytest.raises(KeyboardInterrupt) as caught, one_line():
        raise KeyboardInterrupt
    return str(caught.value)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test."""
    monkeypatch.setenv("AUTOPOD_HOME", str(tmp_path))
    return tmp_path


def test_after_an_interrupt_it_is_said_that_nothing_is_paid_for() -> None:
    assert interrupted() == "Nothing is being paid for."


def test_pods_of_other_processes_are_not_forgotten_after_an_interrupt(folder: Path) -> None:
    """As when `adopt` is interrupted before anything was taken over."""
    intent = PodIntent(
        pod_id="aaaaaa",
        name="autopod-aaaaaa-00",
        session_id="s",
        provider="local",
        gpu_type="A40",
        gpu_count=1,
        price_per_hour_usd=Decimal("0.40"),
        stopped_price_per_hour_usd=Decimal("0.01"),
        kind=MoneyKind.SIMULATED,
        at=datetime(2026, 1, 1, tzinfo=timezone.utc),
    )
    with Ledger(folder / LEDGER_NAME) as ledger:
        ledger.write([intent])
    assert interrupted() == (
        "The work goes on. Of other processes aaaaaa may bill: `%autopod pods` shows what is whose."
    )


def test_a_ledger_that_cannot_be_read_never_becomes_a_word_of_peace(folder: Path) -> None:
    (folder / LEDGER_NAME).write_text("no ledger " * 100)
    assert LEDGER_NAME in interrupted()
    assert "Nothing is being paid for" not in interrupted()
