"""The rows about transfers can be measured, and believe nobody's word."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.bench import transfer, tunnel

pytestmark = pytest.mark.skipif(
    not Path("/usr/sbin/sshd").exists() or shutil.which("scp") is None,
    reason="no OpenSSH: apt-get install openssh-server openssh-client",
)


@pytest.fixture(autouse=True)
def _little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_BIG", (1, 6 << 20))
    monkeypatch.setattr(transfer, "_MANY", (10, 100_000))
    monkeypatch.setattr(tunnel, "_MIB", 4)


def _pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    (folder / "scp").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "scp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_every_row_has_a_figure_and_says_what_it_is_beside() -> None:
    rows = [transfer.big_0ms(1), transfer.big_40ms(1), transfer.many_40ms(1)]
    assert [row.name for row in rows] == [
        "upload_big_vs_scp_0ms",
        "upload_big_vs_scp_40ms",
        "upload_many_vs_scp_40ms",
    ]
    assert all(row.value > 0 and "scp" in row.note and row.ok is (row.value >= row.aim) for row in rows)


def test_the_same_inputs_are_not_sent_again() -> None:
    row = transfer.again()
    assert (row.name, row.value, row.ok) == ("same_inputs_again_bytes", 0, True)


def test_the_tunnels_rows_have_a_figure() -> None:
    rows = [tunnel.with_delay(1), tunnel.without_delay(1)]
    assert [row.name for row in rows] == ["tunnel_vs_ssh_forward", "tunnel_mib_per_s_0ms"]
    assert all(row.value > 0 and "ssh -L" in row.note for row in rows)


def test_an_scp_that_says_it_is_done_and_is_not_is_no_measure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _pretend(monkeypatch, tmp_path, "exit 0")
    with pytest.raises(RuntimeError, match="not those that were sent"):
        transfer.big_0ms(1)


def test_an_scp_that_is_not_there_is_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="not installed: ssh, scp"):
        transfer.big_0ms(1)
