"""A pod's watchdog over a real line: armed once, started again when it is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.errors import SshError
from autopod_nb.models.pod import PodAddress
from autopod_nb.pods import guard
from autopod_nb.pods.guard import GuardWish
from autopod_nb.pods.launch import PodLink
from tests.ssh.live_pod import start_pod
from tests.ssh.watchdog_world import World, eventually, open_world, watchdogs_of

_WISH = GuardWish(quiet_minutes=Decimal(15), left_usd=Decimal(1), price_per_hour_usd=Decimal("0.5"), terminate=False)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path / "pod" / "ComfyUI" / ".autopod-watchdog") as world:
        yield world


@pytest.fixture
def link(tmp_path: Path, world: World) -> Iterator[PodLink]:
    pod = start_pod(tmp_path / "home", tmp_path / "pod", "--comfyui-port", str(world.port), "--env", "RUNPOD_POD_ID=a1")
    address = PodAddress(
        host="127.0.0.1",
        port=pod.facts["ssh_port"],
        user="root",
        comfyui_port=world.port,
        comfyui_dir="",
        environ_path=pod.facts["environ_path"],
    )
    connection = pod.connect()
    yield PodLink(address=address, connection=connection)
    connection.close()
    pod.end()
    eventually("the watchdog ends with its pod", lambda: watchdogs_of(world.folder) == set())


def _arm(link: PodLink, world: World) -> bool:
    """Whether it was started by this call."""
    report = guard.arm(link, _WISH, api_base_url=world.url, now=_now())
    return report is not None and report.running


def _now() -> datetime:
    return datetime.now(timezone.utc)


def test_one_that_runs_is_not_started_again_and_is_told_what_has_changed(link: PodLink, world: World) -> None:
    assert _arm(link, world)
    (pid,) = watchdogs_of(world.folder)
    assert (world.folder / "limits").read_text().endswith(" stop\n")
    assert not _arm(link, world)
    guard.beat(link, replace(_WISH, terminate=True), now=_now())
    assert (world.folder / "limits").read_text().endswith(" terminate\n")
    assert watchdogs_of(world.folder) == {pid}


def test_one_that_was_killed_is_noticed_by_the_next_beat_and_started_anew(link: PodLink, world: World) -> None:
    assert _arm(link, world)
    (pid,) = watchdogs_of(world.folder)
    os.kill(pid, signal.SIGKILL)
    eventually("it is gone", lambda: watchdogs_of(world.folder) == set())
    with pytest.raises(SshError, match="could not be told that somebody calls"):
        guard.beat(link, _WISH, now=_now())
    assert _arm(link, world)
    assert len(watchdogs_of(world.folder) - {pid}) == 1
    guard.beat(link, _WISH, now=_now())


def test_the_history_that_it_kept_is_read_from_the_pod(link: PodLink, world: World) -> None:
    assert guard.saved_history(link) == {}, "there is no folder yet"
    assert _arm(link, world)
    assert guard.saved_history(link) == {}
    (world.folder / "history").write_text('{"p1": {"status": {}}}')
    assert guard.saved_history(link) == {"p1": {"status": {}}}
    for damaged in ('{"p1": ', "[]"):
        (world.folder / "history").write_text(damaged)
        assert guard.saved_history(link) == {}


def test_without_a_line_nothing_is_done(world: World) -> None:
    link = PodLink()
    assert guard.arm(link, _WISH, api_base_url=world.url, now=_now()) is None
    guard.beat(link, _WISH, now=_now())
    assert link.guard_port == 0
    with pytest.raises(SshError, match="no line"):
        guard.saved_history(link)
