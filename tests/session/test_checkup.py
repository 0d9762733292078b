"""What `doctor` finds in a home: real files, a real ledger, the real local provider."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.session.checkup import Check, Level, check_up
from autopod_nb.ssh.keys import own_key_path
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.writes import PodChanged, PodIntent

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def found() -> dict[str, Check]:
    return {check.topic: check for check in check_up()}


def write_pod(home: Path, state: PodState) -> None:
    """A pod that nobody owns."""
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
        at=NOW,
    )
    with Ledger(home / LEDGER_NAME) as ledger:
        ledger.write([intent, PodChanged(pod_id="aaaaaa", state=state, at=NOW)])


def test_a_new_home_is_well_and_is_not_made_by_looking(home: Path) -> None:
    checks = found()
    assert set(checks) == {"Settings", "Ledger", "SSH key", "Provider", "Pods", "Reaper", "Local pods"}
    assert {check.level for check in checks.values()} == {Level.OK}
    assert "local answers" in checks["Provider"].finding
    assert not home.exists()


def test_a_setting_that_cannot_be_used_is_the_first_problem(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOPOD_IDLE_MINUTES", "never")
    (check,) = check_up()
    assert (check.topic, check.level) == ("Settings", Level.PROBLEM)
    assert "AUTOPOD_IDLE_MINUTES" in check.finding


def test_a_damaged_ledger_is_named_and_the_other_checks_are_made(home: Path) -> None:
    home.mkdir()
    (home / LEDGER_NAME).write_text("no ledger " * 100)
    checks = found()
    assert checks["Ledger"].level is Level.PROBLEM
    assert LEDGER_NAME in checks["Ledger"].finding
    assert checks["Provider"].level is Level.OK


def test_a_key_that_others_can_read_or_that_is_none_is_said_with_the_fix(home: Path) -> None:
    path = own_key_path(home)
    assert "ssh-ed25519" in found()["SSH key"].finding
    path.chmod(0o644)
    assert found()["SSH key"].fix == f"run `chmod 600 {path}`"
    path.write_text("not a key")
    assert found()["SSH key"].level is Level.PROBLEM


def test_a_pod_that_may_bill_and_is_nobodys_is_a_warning(home: Path) -> None:
    write_pod(home, PodState.READY)
    check = found()["Pods"]
    assert (check.level, check.finding) == (Level.WARNING, "aaaaaa may bill, nobody's")
    assert "adopt" in check.fix


def test_a_folder_of_a_pod_that_is_gone_is_named_and_one_that_may_come_back_is_not(home: Path) -> None:
    write_pod(home, PodState.STOPPED)
    for name in ("autopod-aaaaaa-00", "autopod-bbbbbb-00"):
        (home / "pods" / name).mkdir(parents=True)
        (home / "pods" / name / "order.json").write_text(json.dumps({}))
    check = found()["Local pods"]
    assert check.level is Level.WARNING
    assert check.fix == f"run `rm -r {home / 'pods' / 'autopod-bbbbbb-00'}`"
