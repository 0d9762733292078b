"""The watchdog over SSH on a pod that is really there, beside a provider and a ComfyUI in this process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.errors import SshError
from autopod_nb.ssh.connection import SshConnection
from autopod_nb.ssh.watchdog import WatchdogOrder, _start, arm, beat, change
from tests.ssh.live_pod import LivePod
from tests.ssh.watchdog_world import (
    ACTION,
    CONTROLLER,
    KEY,
    POD_ID,
    SCRIPT,
    TestTime,
    World,
    eventually,
    leaks_of,
    open_world,
    watchdogs_of,
    write_environ,
)

_AHEAD = timedelta(hours=2)


@pytest.fixture
def world(pod: LivePod, tmp_path: Path) -> Iterator[World]:
    with open_world(pod.folder / tmp_path.name / "it's here" / "watchdog") as world:
        yield world


@pytest.fixture
def clock(tmp_path: Path) -> TestTime:
    return TestTime(tmp_path / "clock")


def _end(folder: str) -> None:
    """As by hand; safe to call twice, and where there is none."""
    script = Path(folder) / "watchdog.sh"
    if script.exists():
        subprocess.run(["sh", str(script), "end", folder], check=True)


def _log(folder: str) -> list[str]:
    return (Path(folder) / "log").read_text().splitlines()


@pytest.fixture
def order(world: World, clock: TestTime, tmp_path: Path) -> Iterator[WatchdogOrder]:
    environ = tmp_path / "environ"
    values = {"RUNPOD_POD_ID": POD_ID, "WATCHDOG_POLL_S": "0.05", "WATCHDOG_CLOCK": str(clock.path)}
    write_environ(environ, {**values, "RUNPOD_API_KEY": KEY})
    yield WatchdogOrder(
        quiet_minutes=Decimal(1),
        deadline=None,
        comfyui_port=world.port,
        environ_path=str(environ),
        folder=str(world.folder),
        terminate=False,
        api_base_url=f"{world.url}/",
    )
    _end(str(world.folder))
    assert watchdogs_of(world.folder) == set()


def test_an_armed_watchdog_runs_says_what_is_known_and_stops_a_forgotten_pod(
    connection: SshConnection, order: WatchdogOrder, world: World, clock: TestTime
) -> None:
    report = arm(connection, order)
    assert (report.running, report.can_act) == (True, True)
    assert "may still be refused" in report.words
    assert len(watchdogs_of(order.folder)) == 1
    assert world.paths() == [f"/v2/pods/{POD_ID}"]
    world.looked_at()
    clock.pass_by(60, world)
    eventually("it ends after it has acted", lambda: watchdogs_of(order.folder) == set())
    assert world.paths() == [f"/v2/pods/{POD_ID}", ACTION]
    assert [call.leaks for call in world.calls] == [(), ()]
    assert min(call.clients for call in world.calls) > 0, "the processes that asked were seen"
    assert leaks_of(world.folder) == ()
    assert [line.partition(" ")[2] for line in _log(order.folder)[-2:]] == ["v2 stop: 200", "done"]


def test_a_script_of_half_its_length_is_never_started(connection: SshConnection, order: WatchdogOrder) -> None:
    """As if the line were cut in the middle of it."""
    script = SCRIPT.read_bytes()
    found = connection.run(_start(order, len(script)), 30, stdin=script[: len(script) // 2])
    assert (found.exit_status, found.stdout) == (1, b"")
    assert watchdogs_of(order.folder) == set()
    assert not (Path(order.folder) / "watchdog.sh").exists()


def test_beats_over_ssh_put_it_off(
    connection: SshConnection, order: WatchdogOrder, world: World, clock: TestTime
) -> None:
    arm(connection, order)
    world.looked_at()
    written = Path(order.folder) / "beat"
    for _ in range(3):
        clock.pass_by(45, world)
        eventually("a beat of a later second", partial(_beats, connection, written, written.read_text()))
        world.looked_at()
    assert ACTION not in world.paths()
    clock.pass_by(60, world)
    eventually("it acts", lambda: ACTION in world.paths())


def _beats(connection: SshConnection, written: Path, before: str) -> bool:
    """Beat; the same second would be the same beat."""
    beat(connection, str(written.parent))
    return _differs(written, before)


def _differs(written: Path, before: str) -> bool:
    return written.read_text() != before


@pytest.mark.parametrize(("status", "can_act"), [(401, False), (403, False), (404, None), (500, None), (429, None)])
def test_the_report_says_whether_the_pods_key_was_refused(
    connection: SshConnection, order: WatchdogOrder, world: World, *, status: int, can_act: bool | None
) -> None:
    world.read_status = status
    report = arm(connection, order)
    assert (report.running, report.can_act) == (True, can_act)
    assert str(status) in report.words


def test_without_an_answer_a_key_or_variables_the_report_says_so(
    connection: SshConnection, order: WatchdogOrder, tmp_path: Path
) -> None:
    silent = arm(connection, replace(order, api_base_url="http://127.0.0.1:1"))
    assert (silent.running, silent.can_act) == (True, None)
    assert "did not answer" in silent.words
    write_environ(tmp_path / "keyless", {"RUNPOD_POD_ID": POD_ID})
    keyless = arm(connection, replace(order, environ_path=str(tmp_path / "keyless")))
    assert (keyless.running, keyless.can_act) == (True, False)
    blind = arm(connection, replace(order, environ_path=str(tmp_path / "nothing")))
    assert (blind.running, blind.can_act) == (True, None)
    assert "cannot be read" in blind.words


def test_arming_again_leaves_exactly_one_process_with_the_new_order(
    connection: SshConnection, order: WatchdogOrder, world: World, clock: TestTime
) -> None:
    arm(connection, order)
    (older,) = watchdogs_of(order.folder)
    arm(connection, replace(order, quiet_minutes=Decimal(3), terminate=True))
    (newer,) = watchdogs_of(order.folder)
    assert newer != older
    world.looked_at()
    clock.pass_by(179, world)
    world.looked_at()
    assert ACTION not in world.paths()
    clock.pass_by(1, world)
    eventually("it acts by the new order", lambda: ACTION in world.paths())
    assert world.calls[-1].body == '{"action": "terminate"}'


def test_of_many_that_are_armed_at_once_one_is_left(connection: SshConnection, order: WatchdogOrder) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: arm(connection, order), range(4)))
    eventually("one is left", lambda: len(watchdogs_of(order.folder)) == 1)
    counted = Path(order.folder) / "pid"
    assert watchdogs_of(order.folder) == {int(counted.read_text())}


def test_a_number_of_a_process_that_is_somebody_elses_by_now_is_not_killed(
    connection: SshConnection, order: WatchdogOrder
) -> None:
    """After a restart of the container the numbers begin again."""
    Path(order.folder).mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as other:
        (Path(order.folder) / "pid").write_text(f"{other.pid}\n")
        assert arm(connection, order).running
        _end(order.folder)
        (Path(order.folder) / "pid").write_text(f"{other.pid}\n")
        _end(order.folder)
        assert other.poll() is None
        other.kill()


def test_a_new_deadline_counts_without_a_restart(
    connection: SshConnection, order: WatchdogOrder, world: World, clock: TestTime
) -> None:
    now = datetime.fromtimestamp(clock.now, timezone.utc)
    world.busy(1)
    arm(connection, replace(order, deadline=now + timedelta(seconds=30)))
    (process,) = watchdogs_of(order.folder)
    change(connection, order.folder, deadline=now + timedelta(seconds=90), terminate=True)
    world.looked_at()
    clock.pass_by(89, world)
    world.looked_at()
    assert ACTION not in world.paths()
    assert watchdogs_of(order.folder) == {process}
    clock.pass_by(1, world)
    eventually("it acts", lambda: ACTION in world.paths())
    assert world.calls[-1].body == '{"action": "terminate"}'


def test_a_deadline_that_was_taken_away_counts_no_more(
    connection: SshConnection, order: WatchdogOrder, world: World, clock: TestTime
) -> None:
    now = datetime.fromtimestamp(clock.now, timezone.utc)
    world.busy(1)
    arm(connection, replace(order, deadline=now + timedelta(seconds=30)))
    change(connection, order.folder, deadline=None, terminate=False)
    world.looked_at()
    clock.pass_by(300, world)
    world.looked_at()
    assert ACTION not in world.paths()


def test_by_hand_it_can_be_ended_twice_and_its_log_stays(connection: SshConnection, order: WatchdogOrder) -> None:
    arm(connection, order)
    _end(order.folder)
    assert watchdogs_of(order.folder) == set()
    _end(order.folder)
    assert len(_log(order.folder)) == 1


def test_where_none_was_armed_a_beat_and_a_change_are_errors(connection: SshConnection, order: WatchdogOrder) -> None:
    with pytest.raises(SshError, match="could not be told"):
        beat(connection, order.folder)
    with pytest.raises(SshError, match="could not be changed"):
        change(connection, order.folder, deadline=None, terminate=False)


def test_where_nothing_can_be_written_arming_is_an_error(connection: SshConnection, order: WatchdogOrder) -> None:
    in_the_way = Path(order.folder).parent
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file")
    with pytest.raises(SshError, match=r"could not be armed: .+"):
        arm(connection, order)
    in_the_way.unlink()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quiet_minutes", Decimal(0)),
        ("quiet_minutes", Decimal(-1)),
        ("quiet_minutes", Decimal("Infinity")),
        ("deadline", datetime(2026, 1, 1)),  # noqa: DTZ001 # that is the fault
        ("folder", "relative"),
        ("folder", "/two\nlines"),
        ("environ_path", "environ"),
        ("api_base_url", "ftp://example"),
    ],
)
def test_an_order_that_could_not_be_carried_out_is_refused(order: WatchdogOrder, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r".{10}"):
        replace(order, **{name: value})


def test_a_controller_that_is_killed_costs_one_quiet_time(
    pod: LivePod, connection: SshConnection, order: WatchdogOrder, world: World, clock: TestTime
) -> None:
    """A process of its own beats each second; SIGKILL; then nobody calls any more."""
    arm(connection, order)
    argv = [sys.executable, "-c", CONTROLLER, str(pod.facts["ssh_port"]), pod.facts["host_key_sha256"]]
    argv += [str(pod.key_path), order.folder]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as controller:
        assert controller.stdout is not None
        written = Path(order.folder) / "beat"
        for _ in range(3):
            clock.pass_by(45, world)
            eventually("the controller beats", partial(_differs, written, written.read_text()))
            world.looked_at()
        assert ACTION not in world.paths()
        controller.send_signal(signal.SIGKILL)
        controller.wait()
    world.looked_at()
    clock.pass_by(59, world)
    world.looked_at()
    assert ACTION not in world.paths()
    clock.pass_by(1, world)
    eventually("the pod is stopped", lambda: ACTION in world.paths())


def test_with_the_settings_of_a_rented_pod_it_runs_on_the_machines_clock(
    connection: SshConnection, order: WatchdogOrder, world: World, tmp_path: Path
) -> None:
    """No clock of a test and 15 s between two looks: only the first look is waited for."""
    write_environ(tmp_path / "plain", {"RUNPOD_POD_ID": POD_ID, "RUNPOD_API_KEY": KEY})
    past = datetime.now(timezone.utc) - timedelta(seconds=1)
    arm(connection, replace(order, environ_path=str(tmp_path / "plain"), deadline=past))
    eventually("it acts at once", lambda: ACTION in world.paths())


def test_it_ends_with_its_pod(new_pod: Callable[..., LivePod], tmp_path: Path) -> None:
    pod = new_pod("--env", f"RUNPOD_POD_ID={POD_ID}", "--env", f"RUNPOD_API_KEY={KEY}")
    with open_world(pod.folder / "watchdog") as world:
        connection = pod.connect()
        order = WatchdogOrder(
            quiet_minutes=Decimal(10),
            deadline=datetime.now(timezone.utc) + _AHEAD,
            comfyui_port=world.port,
            environ_path=pod.facts["environ_path"],
            folder=str(world.folder),
            terminate=False,
            api_base_url=world.url,
        )
        assert arm(connection, order).can_act is True
        eventually("it looks", lambda: world.looks > 0)
        connection.close()
        assert len(watchdogs_of(world.folder)) == 1, "it lives without the connection"
        pod.end()
        eventually("it ends", lambda: watchdogs_of(world.folder) == set())
    assert ACTION not in world.paths()
