"""The script of the watchdog: its decision on any clock, and its loop against a real provider and ComfyUI."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ssh.watchdog_cases import FACTOR, POLL_S, QUIET_S, TABLE, WORDS, Case, T, decide, healthy_run, may_act
from tests.ssh.watchdog_world import (
    ACTION,
    CLIENTS,
    KEY,
    POD_ID,
    SCRIPT,
    SHELLS,
    World,
    eventually,
    open_world,
    run_loop,
    watchdogs_of,
)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_decision_is_the_same_table_in_every_shell(shell: str) -> None:
    verdicts = decide([case for case, _ in TABLE.values()], shell)
    for (name, (_, wanted)), verdict in zip(TABLE.items(), verdicts, strict=True):
        assert verdict == "wait" if wanted == "wait" else verdict.startswith("act: ") and wanted in verdict, name


@pytest.mark.parametrize(("now", "wanted"), [(T + 599, "wait\n"), (T + 600, "act: nobody called for 600 s")])
def test_one_decision_can_be_asked_for_by_its_arguments(now: int, wanted: str) -> None:
    argv = ["sh", str(SCRIPT), "decide", str(now), str(T), "600", "none", "0", "3"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.startswith(wanted)


def test_an_unknown_command_says_how_it_is_used() -> None:
    found = subprocess.run(["sh", str(SCRIPT), "bark"], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("usage:")


@settings(max_examples=40)
@given(st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS, WORDS, WORDS), min_size=1, max_size=200))
def test_any_words_are_decided_by_the_rule_and_nonsense_waits(cases: list[Case]) -> None:
    verdicts = decide(cases)
    assert [verdict != "wait" for verdict in verdicts] == [may_act(case) for case in cases]
    assert all(verdict == "wait" or verdict.startswith("act: ") for verdict in verdicts)


@pytest.mark.slow
def test_a_thousand_healthy_runs_with_late_heartbeats_are_never_stopped() -> None:
    """240,000 looks in one process; the silence comes as near as one poll to what would be an act."""
    dice = random.Random(20261124)  # noqa: S311 # a story that is the same at every run
    cases = [case for _ in range(1000) for case in healthy_run(dice)]
    assert len(cases) == 240_000
    assert max(int(case[0]) - int(case[1]) for case in cases) == QUIET_S - POLL_S, "they are late indeed"
    verdicts = decide(cases)
    assert len(verdicts) == len(cases)
    assert set(verdicts) == {"wait"}


def test_of_a_hundred_runs_whose_owner_vanishes_each_is_stopped_at_its_first_look_after_the_quiet_time() -> None:
    beats = [T + beat for beat in range(100)]
    runs: list[list[Case]] = [
        [(now, beat, QUIET_S, "none", 0, FACTOR) for now in range(T + 100, T + 3600, POLL_S)] for beat in beats
    ]
    verdicts = iter(decide([case for run in runs for case in run]))
    for run in runs:
        silences = [int(case[0]) - int(case[1]) for case in run if next(verdicts) != "wait"]
        assert QUIET_S <= min(silences) < QUIET_S + POLL_S


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "it's a folder" / "watchdog"
    folder.mkdir(parents=True)
    with open_world(folder) as world:
        yield world


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_forgotten_pod_is_stopped_and_its_key_is_nowhere_to_be_read(world: World, shell: str, client: str) -> None:
    with run_loop(world, shell=shell, client=CLIENTS[client]) as loop:
        loop.clock.pass_by(59, world)
        world.looked_at()
        assert world.calls == []
        loop.clock.pass_by(1, world)
        assert loop.has_ended() == 0
    (call,) = world.calls
    assert (call.method, call.path, call.body) == ("POST", ACTION, '{"action": "stop"}')
    assert (call.authorization, call.agent) == (f"Bearer {KEY}", "autopod_nb-watchdog/1")
    assert call.clients > 0, "the process that sent it was seen"
    assert call.leaks == ()
    assert "act: nobody called for 60 s and the queue is empty; stop" in loop.log()
    assert KEY not in loop.log()
    assert sorted(path.name for path in world.folder.iterdir()) == ["limits", "log"]


_ENTRY = {"p1": {"outputs": {"9": {"text": ["a\\b\n\u00e9 %s '\""]}}, "status": {"completed": True}}}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("client", CLIENTS)
def test_what_comfyui_made_is_kept_before_the_pod_is_stopped(world: World, shell: str, client: str) -> None:
    """It forgets it with the stop, and the files on the volume alone do not say whose they are."""
    world.history = 200, json.dumps(_ENTRY)
    with run_loop(world, shell=shell, client=CLIENTS[client]) as loop:
        loop.clock.pass_by(60, world)
        assert loop.has_ended() == 0
    assert world.paths() == [ACTION]
    assert json.loads((world.folder / "history").read_text()) == _ENTRY
    assert sorted(path.name for path in world.folder.iterdir()) == ["history", "limits", "log"]


@pytest.mark.parametrize("answer", [(200, "{}"), (500, "{}"), (200, "<html>"), (404, '{"p2": {}}')], ids=str)
def test_a_history_that_tells_nothing_does_not_take_the_place_of_an_older_one(
    world: World, answer: tuple[int, str]
) -> None:
    (world.folder / "history").write_text('{"p1": {}}\n')
    world.history = answer
    with run_loop(world) as loop:
        loop.clock.pass_by(60, world)
        assert loop.has_ended() == 0
    assert world.paths() == [ACTION], "it is stopped all the same"
    assert (world.folder / "history").read_text() == '{"p1": {}}\n'


@pytest.mark.parametrize("shell", SHELLS)
def test_every_beat_puts_it_off(world: World, shell: str) -> None:
    with run_loop(world, shell=shell) as loop:
        for _ in range(4):
            loop.clock.pass_by(45, world)
            loop.beat()
            world.looked_at()
        assert world.calls == []
        loop.clock.pass_by(60, world)
        assert loop.has_ended() == 0
    assert world.paths() == [ACTION]


def test_a_queue_that_is_not_empty_is_waited_for(world: World) -> None:
    world.busy(2)
    with run_loop(world) as loop:
        loop.clock.pass_by(400, world)
        world.looked_at()
        assert world.calls == []
        world.busy(0)
        assert loop.has_ended() == 0
    assert world.paths() == [ACTION]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("status", "text"), [(500, '{"queue_remaining": 0}'), (200, "<html>"), (302, "")])
def test_a_queue_that_cannot_be_read_needs_three_times_the_silence(
    world: World, client: str, status: int, text: str
) -> None:
    world.queue_status, world.queue = status, text
    with run_loop(world, client=CLIENTS[client]) as loop:
        loop.clock.pass_by(179, world)
        world.looked_at()
        assert world.calls == []
        loop.clock.pass_by(1, world)
        assert loop.has_ended() == 0
    assert "180 s and the queue cannot be read" in loop.log()


def test_at_the_deadline_it_acts_though_the_pod_is_busy_and_called(world: World) -> None:
    world.busy(3)
    with run_loop(world, mode="terminate", deadline=0) as loop:
        (world.folder / "limits").write_text(f"{loop.clock.now + 50} terminate\n")
        loop.clock.pass_by(49, world)
        loop.beat()
        world.looked_at()
        assert world.calls == []
        loop.clock.pass_by(1, world)
        assert loop.has_ended() == 0
    assert [call.body for call in world.calls] == ['{"action": "terminate"}']
    assert "act: the deadline has passed; terminate" in loop.log()


@pytest.mark.parametrize("step_s", [-86400, -100, 76, 86400])
def test_a_clock_that_is_set_makes_the_silence_begin_anew(world: World, step_s: int) -> None:
    """A frozen pod is the same: its owner had no chance to call."""
    with run_loop(world) as loop:
        loop.clock.pass_by(50, world)
        world.looked_at()
        loop.clock.set(loop.clock.now + step_s)
        eventually("it says that the clock was set", lambda: "the clock went from" in loop.log())
        loop.clock.pass_by(59, world)
        world.looked_at()
        assert world.calls == []
        loop.clock.pass_by(1, world)
        assert loop.has_ended() == 0


def test_a_beat_that_came_while_it_was_refused_is_heeded(world: World) -> None:
    """Every attempt decides anew, so an owner who comes back keeps the pod."""
    world.action_statuses, world.graphql = [403], (403, "no")
    with run_loop(world) as loop:
        loop.clock.pass_by(60, world)
        eventually("a second attempt", lambda: world.paths().count(ACTION) >= 2)
        loop.beat()
        world.looked_at()
        tried = len(world.calls)
        world.looked_at()
        assert len(world.calls) == tried
        assert loop.running


def _runpodctl(folder: Path, status: int) -> str:
    """A program of that name that keeps its words and its key; returns the folder for PATH."""
    folder.mkdir()
    program = folder / "runpodctl"
    program.write_text(
        f'#!/bin/sh\necho "$*" >>"{folder}/words"\necho "$RUNPOD_API_KEY" >"{folder}/key"\nexit {status}'
    )
    program.chmod(0o700)
    return str(folder)


@pytest.mark.parametrize(
    ("mode", "words", "field"), [("stop", "stop pod", "podStop"), ("terminate", "remove pod", "podTerminate")]
)
def test_the_ways_are_tried_in_order_until_one_succeeds(
    world: World, tmp_path: Path, mode: str, words: str, field: str
) -> None:
    world.action_statuses, world.graphql = [403], (200, '{"errors": [{"message": "no"}], "data": null}')
    with run_loop(world, mode=mode, path=_runpodctl(tmp_path / "bin", 0)) as loop:
        loop.clock.pass_by(60, world)
        assert loop.has_ended() == 0
    assert world.paths() == [ACTION, "/graphql"]
    assert field in world.calls[1].body
    assert POD_ID in world.calls[1].body
    assert [call.leaks for call in world.calls] == [(), ()]
    assert (tmp_path / "bin" / "words").read_text() == f"{words} {POD_ID}\n"
    assert (tmp_path / "bin" / "key").read_text() == f"{KEY}\n"
    assert f"v2 {mode}: 403" in loop.log()
    assert f"graphql {mode}: 200 with errors" in loop.log()


@pytest.mark.parametrize("answer", [(200, "<html>welcome</html>"), (500, '{"data": {}}'), (410, "Gone")])
def test_an_answer_that_does_not_say_success_is_none_and_it_tries_again(world: World, answer: tuple[int, str]) -> None:
    world.action_statuses, world.graphql = [500, 429, 502, 204], answer
    with run_loop(world) as loop:
        loop.clock.pass_by(60, world)
        assert loop.has_ended() == 0
    assert world.paths() == [ACTION, "/graphql"] * 3 + [ACTION]


def test_graphql_alone_is_enough(world: World) -> None:
    world.action_statuses = [403]
    with run_loop(world) as loop:
        loop.clock.pass_by(60, world)
        assert loop.has_ended() == 0
    assert world.paths() == [ACTION, "/graphql"]


def test_a_pod_that_is_said_to_be_gone_is_an_end_when_nothing_else_can_be_done(world: World) -> None:
    world.action_statuses, world.graphql = [404], (401, "no")
    with run_loop(world) as loop:
        loop.clock.pass_by(60, world)
        assert loop.has_ended() == 0
    assert world.paths() == [ACTION, "/graphql"]


@pytest.mark.parametrize("variables", [{}, {"RUNPOD_POD_ID": POD_ID}, {"RUNPOD_POD_ID": POD_ID, "RUNPOD_API_KEY": '"'}])
def test_without_a_key_or_an_id_it_says_so_and_goes_on_trying(world: World, variables: dict[str, str]) -> None:
    with run_loop(world, variables=variables) as loop:
        loop.clock.pass_by(60, world)
        eventually("two attempts", lambda: loop.log().count("; stop\n") >= 2)
        assert loop.running
    assert world.calls == []
    assert "no key of the pod" in loop.log() or "the pod's id is not" in loop.log()


def test_its_log_stays_short_however_long_it_runs(world: World) -> None:
    (world.folder / "log").write_text("an old line\n" * 20_000)
    with run_loop(world) as loop:
        eventually("the log is cut", lambda: loop.log().count("\n") <= 501)
        assert "started: stop after 60 s" in loop.log()


def test_it_leads_a_session_of_its_own_also_where_there_is_no_setsid(world: World, tmp_path: Path) -> None:
    """As on macOS: Python does it instead."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "date", "mv", "cat", "tr", "sed", "tail", "wc", "sleep", "rm", "curl"):
        found = next(Path(folder) / name for folder in ("/usr/bin", "/bin") if (Path(folder) / name).exists())
        (programs / name).symlink_to(found)
    (programs / "python3").symlink_to(sys.executable)
    words = [str(world.folder), "600", str(world.port), "/nothing", world.url, "none", "stop"]
    environ = {"PATH": str(programs), "WATCHDOG_POLL_S": "0.05"}
    started = subprocess.run(["sh", str(SCRIPT), "start", *words], env=environ, capture_output=True, check=True)
    assert started.stdout == b"running yes\ncheck unreadable\n"
    (process,) = watchdogs_of(world.folder)
    assert os.getsid(process) == process
    subprocess.run(["sh", str(SCRIPT), "end", str(world.folder)], env=environ, check=True)
    assert watchdogs_of(world.folder) == set()


def test_there_is_a_shell_that_pods_have_and_a_client_to_test_with() -> None:
    """So that the tables above are not empty."""
    assert "sh" in SHELLS
    assert CLIENTS
    assert shutil.which("sh")
