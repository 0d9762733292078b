"""The process of the package: started late, ended surely, and its line is for nobody else.

A made-up ``runpod`` stands in for the package, found first by ``PYTHONPATH``: it does at will what the real one does
by chance.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.config import Secret
from autopod_nb.errors import AuthFailed, ConfigError
from autopod_nb.providers.runpod_sdk_faults import LOST, NO_START, TIME_UP
from autopod_nb.providers.runpod_sdk_process import Reply, SdkProcess, child_environ
from autopod_nb.threads import ServiceThread
from tests.providers.runpod_side import soon

_URL = "http://127.0.0.1:9"
_KEY = Secret("rpa_only_through_the_pipe")
_ROOT = Path(__file__).parents[2]
_WITHIN_S = 20.0
_PACKAGE = """
import os, subprocess, sys, threading
print("a banner", flush=True)
subprocess.run([sys.executable, "-c", "import sys; print('from a program', repr(sys.stdin.read()), flush=True)"])
api_key, go = None, threading.Event()
def get_user():
    print('{"id": 1, "result": "not an answer"}', flush=True)
    return {"key": api_key, "stdin": sys.stdin.read(), "price": 0.1234567890123}
def get_pods():
    raise KeyError("data")
def get_pod(pod_id):
    go.wait()
    return pod_id
def resume_pod(pod_id, gpu_count):
    go.set()
    return gpu_count
def stop_pod(pod_id):
    os._exit(3)
def create_endpoint():
    return "made"
"""
Make = Callable[..., SdkProcess]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a process that has the given text for a package."""
    made = []

    def make_one(text: str = _PACKAGE, **options: float) -> SdkProcess:
        folder = tmp_path / "packages"
        folder.mkdir(exist_ok=True)
        (folder / "runpod.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        made.append(SdkProcess(lambda: _KEY, base_url=_URL, **options))
        return made[-1]

    yield make_one
    for each in made:
        each.close()


def _is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _later(call: Callable[[], Reply]) -> tuple[ServiceThread, list[Reply]]:
    replies: list[Reply] = []
    return ServiceThread("autopod-test-call", lambda _stop: replies.append(call())).start(), replies


def test_nothing_is_started_before_the_first_call_and_calls_share_one_process(make: Make) -> None:
    process = make()
    pids = [process.pid]
    for _ in range(2):
        process.call("get_user", {})
        pids.append(process.pid)
    assert pids[0] is None
    assert pids[1] is not None
    assert pids[2] == pids[1]


def test_what_the_package_prints_and_reads_is_not_our_line(make: Make) -> None:
    """It prints when it is imported and in a call, even what looks like an answer, and starts programs that do."""
    reply = make().call("get_user", {})
    assert reply.failure is None
    assert reply.result == {"key": _KEY.reveal(), "stdin": "", "price": Decimal("0.1234567890123")}


def test_the_key_is_in_neither_command_nor_variables(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNPOD_API_KEY", "RUNPOD_AI_API_KEY"):
        monkeypatch.setenv(name, _KEY.reveal())
    process = make()
    assert process.call("get_user", {}).result["key"] == _KEY.reveal()
    shown = [Path(f"/proc/{process.pid}/{file}").read_bytes() for file in ("cmdline", "environ")]
    assert b"runpod_sdk_child" in shown[0]
    assert b"RUNPOD_API_BASE_URL=" in shown[1]
    assert not [text for text in shown if _KEY.reveal().encode() in text]


def test_a_call_does_not_wait_for_one_that_hangs(make: Make) -> None:
    process = make()
    process.call("get_user", {})
    thread, replies = _later(lambda: process.call("get_pod", {"pod_id": "slow"}))
    assert process.call("resume_pod", {"pod_id": "other", "gpu_count": 2}) == Reply(2)
    assert thread.join(_WITHIN_S)
    assert replies == [Reply("slow")]


def test_many_threads_start_one_process_and_each_gets_its_own_answer(make: Make) -> None:
    process = make()
    calls = [(lambda n=n: process.call("resume_pod", {"pod_id": "a", "gpu_count": n})) for n in range(8)]
    running = [_later(call) for call in calls]
    assert all(thread.join(_WITHIN_S) for thread, _ in running)
    assert [replies for _, replies in running] == [[Reply(n)] for n in range(8)]


def test_what_the_package_raises_comes_with_its_class_and_that_it_was_sent(make: Make) -> None:
    failure = make().call("get_pods", {}).failure
    assert failure is not None
    assert (failure.kind, failure.text, failure.is_sent) == ("KeyError", "'data'", True)


def test_only_what_the_provider_needs_can_be_called(make: Make) -> None:
    failure = make().call("create_endpoint", {}).failure
    assert failure is not None
    assert failure.kind == "LookupError"


def test_a_process_that_dies_in_a_call_loses_it_and_the_next_call_has_a_new_one(make: Make) -> None:
    process = make()
    process.call("get_user", {})
    first = process.pid
    thread, others = _later(lambda: process.call("get_pod", {"pod_id": "slow"}))
    failure = process.call("stop_pod", {"pod_id": "a"}).failure
    assert failure is not None
    assert (failure.kind, failure.is_sent) == (LOST, True)
    assert "status 3" in failure.words
    assert thread.join(_WITHIN_S)
    assert [each.failure is not None for each in others] == [True]
    assert process.call("get_user", {}).failure is None
    assert process.pid not in (None, first)


def test_a_process_that_died_between_two_calls_is_replaced_unseen(make: Make) -> None:
    process = make()
    process.call("get_user", {})
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert soon(lambda: process.pid is None)
    assert process.call("get_user", {}).failure is None
    assert process.pid != first


def test_a_call_that_takes_too_long_ends_the_process_with_all_that_might_still_happen(make: Make) -> None:
    process = make(call_s=0.3)
    process.call("get_user", {})
    first = process.pid
    assert first is not None
    failure = process.call("get_pod", {"pod_id": "a"}).failure
    assert failure is not None
    assert (failure.kind, failure.is_sent) == (TIME_UP, True)
    assert not _is_alive(first)


def test_a_process_that_is_frozen_is_ended_when_the_time_is_up(make: Make) -> None:
    process = make(call_s=0.3)
    process.call("get_user", {})
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    failure = process.call("get_user", {}).failure
    assert failure is not None
    assert failure.kind == TIME_UP
    assert not _is_alive(first)


def test_closing_ends_the_process_and_a_later_call_starts_another(make: Make) -> None:
    process = make()
    process.call("get_user", {})
    first = process.pid
    assert first is not None
    process.close()
    process.close()
    assert process.pid is None
    assert not _is_alive(first)
    assert process.call("get_user", {}).failure is None


def test_an_interrupt_of_the_notebook_does_not_reach_it(make: Make) -> None:
    """Signals of a terminal go to a process group, and this is another one."""
    process = make()
    process.call("get_user", {})
    assert process.pid is not None
    assert os.getpgid(process.pid) != os.getpgid(0)


@pytest.mark.parametrize("somebody_keeps_the_line", [False, True])
def test_it_ends_with_its_parent(make: Make, *, somebody_keeps_the_line: bool) -> None:
    """Even when a fork of the parent lives on, which has inherited the parent's end of the line."""
    make()
    script = (
        "import os, signal, sys\nfrom autopod_nb.config import Secret\n"
        "from autopod_nb.providers.runpod_sdk_process import SdkProcess\n"
        f"process = SdkProcess(lambda: Secret('a key'), base_url={_URL!r})\n"
        "assert process.call('get_user', {}).failure is None\n"
        f"fork = os.fork() if {somebody_keeps_the_line} else 0\n"
        f"if fork or not {somebody_keeps_the_line}:\n    print(process.pid, fork, flush=True)\n"
        "signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    fork = 0
    try:
        pid, fork = (int(word) for word in parent.stdout.readline().split())
        assert _is_alive(pid)
        parent.kill()
        assert soon(lambda: not _is_alive(pid))
    finally:
        parent.kill()
        parent.wait(_WITHIN_S)
        parent.stdout.close()
        if fork:
            os.kill(fork, signal.SIGKILL)


def test_a_package_that_is_missing_is_told_as_what_it_is(make: Make) -> None:
    text = "raise ModuleNotFoundError(\"No module named 'runpod'\", name='runpod')"
    failure = make(text).call("get_pods", {}).failure
    assert failure is not None
    assert (failure.kind, failure.is_sent) == ("ModuleNotFoundError", False)


def test_a_package_that_ends_the_process_when_it_is_imported_is_a_start_that_failed(make: Make) -> None:
    failure = make("import os\nos._exit(4)").call("get_pods", {}).failure
    assert failure is not None
    assert (failure.kind, failure.is_sent) == (NO_START, False)
    assert "status 4" in failure.words


def test_an_import_that_does_not_end_is_given_up(make: Make) -> None:
    process = make("import threading\nthreading.Event().wait()", start_s=0.5)
    failure = process.call("get_pods", {}).failure
    assert failure is not None
    assert (failure.kind, failure.is_sent) == (NO_START, False)
    assert process.pid is None


def test_a_runpod_of_the_working_folder_is_not_taken(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook's folder may well hold a script of that name."""
    (tmp_path / "runpod.py").write_text("raise ImportError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    assert make().call("get_user", {}).failure is None


def test_without_a_key_nothing_is_started() -> None:
    def no_key() -> Secret:
        raise AuthFailed("There is no key.")

    process = SdkProcess(no_key, base_url=_URL)
    with pytest.raises(AuthFailed):
        process.call("get_pods", {})
    assert process.pid is None


@pytest.mark.parametrize("url", ["http://runpod.invalid", "runpod.invalid", "ftp://runpod.invalid", ""])
def test_the_key_never_goes_over_a_line_that_others_can_read(url: str) -> None:
    process = SdkProcess(lambda: _KEY, base_url=url)
    with pytest.raises(ConfigError, match="https"):
        process.call("get_pods", {})
    assert process.pid is None


def test_its_variables_are_ours_but_for_the_vendors() -> None:
    found = child_environ("https://runpod.invalid", {"HOME": "/home/a", "RUNPOD_API_KEY": "k", "RUNPOD_DEBUG": "1"})
    assert found == {
        "HOME": "/home/a",
        "RUNPOD_API_BASE_URL": "https://runpod.invalid",
        "RUNPOD_UA_INTEGRATION": "autopod-nb",
        "NETRC": os.devnull,
    }


def test_a_proxy_is_not_asked_for_this_machine() -> None:
    found = child_environ(_URL, {"HTTP_PROXY": "http://proxy.invalid", "NO_PROXY": "example.invalid"})
    assert "127.0.0.1" in found["NO_PROXY"]
    assert "127.0.0.1" in found["no_proxy"]
